"""Connections: sqlite-vec loaded, errors in our own words."""

from __future__ import annotations

import importlib
import sqlite3 as stdlib_sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote as quote_url

from ..config import MAPPED_BYTES
from ..errors import DatabaseProblem, ExtensionMissing

if TYPE_CHECKING:
    from sqlite3 import Connection
else:
    Connection = Any

__all__ = ["Connection", "connect", "has_vec", "prepare", "snapshot", "sqlite_errors", "transaction", "translated"]

_CURE = (
    "use a Python whose sqlite3 can load extensions, or `pip install pysqlite3` where it has a wheel "
    "(Linux x86_64, macOS arm64, Windows)"
)


@lru_cache(maxsize=1)
def _driver() -> Any:
    """pysqlite3 where it is installed, as Datasette and sqlite-utils choose."""
    try:
        return importlib.import_module("pysqlite3")
    except ImportError:
        return stdlib_sqlite3


@lru_cache(maxsize=1)
def sqlite_errors() -> tuple[type[Exception], ...]:
    """The base classes of database errors: a caller's connection may come from either module."""
    return tuple(dict.fromkeys((stdlib_sqlite3.Error, _driver().Error)))


def connect(path: str | Path, *, read_only: bool = False, timeout: float = 5.0) -> Connection:
    """Open an existing database file; `timeout` is in seconds.

    Raises DatabaseProblem where the file is missing or is no database: no empty file is left by a slip of the pen.
    """
    file = Path(path)
    if not file.exists():
        raise DatabaseProblem(f"there is no file {str(path)!r}; check its name")
    mode = "ro" if read_only else "rw"
    with translated(file):
        uri = f"file:{quote_url(str(file.absolute()))}?mode={mode}"
        connection: Connection = _driver().connect(uri, uri=True, timeout=timeout, check_same_thread=False)
        connection.execute("pragma schema_version").fetchone()
    return connection


def has_vec(connection: Connection) -> bool:
    """True where sqlite-vec is loaded on this connection."""
    try:
        connection.execute("select vec_version()").fetchone()
    except sqlite_errors():
        return False
    return True


def prepare(connection: Connection) -> None:
    """Load sqlite-vec, unless it is loaded already, and leave extension loading switched off again; have SQLite map
    the file into memory.

    Raises ExtensionMissing with the cure where this SQLite cannot load it.
    """
    if has_vec(connection):
        return
    import sqlite_vec

    if not hasattr(connection, "enable_load_extension"):
        raise ExtensionMissing(
            f"this Python's sqlite3 was built without extension loading, so sqlite-vec cannot be used: {_CURE}"
        )
    try:
        connection.enable_load_extension(True)
        try:
            sqlite_vec.load(connection)
        finally:
            connection.enable_load_extension(False)
    except sqlite_errors() as error:
        raise ExtensionMissing(f"sqlite-vec could not be loaded ({error}): {_CURE}") from error
    # Vectors are read in large blobs: without the map each is copied page by page, which takes as long as comparing.
    connection.execute(f"pragma mmap_size = {MAPPED_BYTES}").fetchone()


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Run the body in one immediate transaction, or in a savepoint where one is open already.

    vec0 can leave a vector behind when an insert is refused inside a transaction, so every write to it goes through
    here: the rollback takes it away.
    """
    nested = connection.in_transaction
    connection.execute("savepoint semantic" if nested else "begin immediate")
    try:
        yield
    except BaseException:
        # A trigger's raise(rollback) may have ended the transaction already; rolling back then would hide the cause.
        if connection.in_transaction:
            connection.execute("rollback to semantic" if nested else "rollback")
            if nested:
                connection.execute("release semantic")
        raise
    connection.execute("release semantic" if nested else "commit")


@contextmanager
def snapshot(connection: Connection) -> Iterator[None]:
    """Run the body over one view of the file, whoever writes meanwhile. It must not write."""
    if connection.in_transaction:
        yield
        return
    connection.execute("begin")
    try:
        yield
    finally:
        connection.execute("commit")


@contextmanager
def translated(path: str | Path | None = None) -> Iterator[None]:
    """Turn SQLite's own errors into DatabaseProblem, with what to do about it."""
    name = f"{str(path)!r}" if path is not None else "the database"
    try:
        yield
    except sqlite_errors() as error:
        raise DatabaseProblem(_explain(name, str(error))) from error


def _explain(name: str, text: str) -> str:
    lowered = text.lower()
    if "locked" in lowered or "busy" in lowered:
        return f"{name} is locked by another program ({text}); close it or try again later"
    if "readonly" in lowered or "read-only" in lowered:
        return f"{name} cannot be written to ({text}); check the permissions of the file and its folder"
    if "not a database" in lowered or "encrypted" in lowered:
        return f"{name} is not an SQLite database ({text})"
    if "malformed" in lowered:
        return f"{name} is damaged ({text}); `sqlite3 {name} .recover` may save it"
    if "unable to open" in lowered:
        return f"{name} cannot be opened ({text}); check its name and permissions"
    if "no such module: vec0" in lowered:
        return f"{name} holds vec0 tables and sqlite-vec is not loaded: {_CURE}"
    return f"{name}: {text}"
