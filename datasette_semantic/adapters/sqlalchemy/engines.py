"""Engines whose every connection, sync or aiosqlite, has sqlite-vec and our functions.

Extension loading is switched off again on each before anyone gets it.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

from ...errors import BadOption, SemanticError
from .. import hits
from ..driver import dbapi
from ..extras import extra

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["create_async_engine", "create_engine", "prepare_engine", "run_on"]

_Prepared = TypeVar("_Prepared", bound="Engine | AsyncEngine")
_T = TypeVar("_T")

_PREPARED = "datasette_semantic"
"""The mark on a pooled connection that has been prepared."""

_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
_inherited: list[Any] = []


def create_engine(url: Any, **options: Any) -> Engine:
    """Return `sqlalchemy.create_engine(url, **options)`, prepared, over an sqlite3 that can load extensions.

    Raises BadOption for another database than SQLite, ExtensionMissing where no driver can load extensions.
    """
    return prepare_engine(sqlalchemy.create_engine(url, **{"module": dbapi()} | options))


def create_async_engine(url: Any, **options: Any) -> AsyncEngine:
    """Return `sqlalchemy.ext.asyncio.create_async_engine(url, **options)` for `sqlite+aiosqlite:` URLs, prepared.

    aiosqlite opens Python's own sqlite3; here it is given the driver that can load extensions. Raises as
    `create_engine` does, and ExtraMissing without aiosqlite or greenlet.
    """
    with extra("sqlalchemy", "aiosqlite", "greenlet"):
        import aiosqlite  # noqa: F401
        import greenlet  # type: ignore[import-untyped]  # noqa: F401
    from sqlalchemy.ext import asyncio as async_sqlalchemy

    return prepare_engine(async_sqlalchemy.create_async_engine(url, **{"module": _async_dbapi()} | options))


def prepare_engine(engine: _Prepared) -> _Prepared:
    """Prepare every connection that an engine's pool gives out from now on; return the engine. Twice is harmless.

    A connection that cannot load extensions fails when it is first asked for, with ExtensionMissing and the cure.
    In a forked child the engine forgets the parent's connections, which SQLite must not see used there.
    Raises BadOption for another database than SQLite.
    """
    sync = engine if isinstance(engine, Engine) else engine.sync_engine
    if sync.dialect.name != "sqlite":
        raise BadOption(f"the index of a table lives in its SQLite file; this engine is for {sync.dialect.name}")
    if not event.contains(sync, "checkout", _prepare):
        event.listen(sync, "checkout", _prepare)
        event.listen(sync, "handle_error", _tell)
        _engines.add(sync)
    return engine


def run_on(connection: Any, work: Callable[[Any], _T]) -> _T:
    """Return `work(raw)`, where `raw` is the sqlite3 connection behind SQLAlchemy's, on the thread that owns it."""
    driver = getattr(connection, "driver_connection", None)
    if driver is None or not hasattr(driver, "_tx"):
        return work(connection)
    # aiosqlite has no public way to run a function on its thread; SQLAlchemy itself goes in by the same door.
    result: _T = connection.run_async(lambda aiosqlite: aiosqlite._execute(work, aiosqlite._conn))
    return result


def _prepare(connection: Any, record: Any, _proxy: Any) -> None:
    # At checkout, not at connect: so a pool that was filled before the engine was prepared is served too.
    if _PREPARED not in record.info:
        run_on(connection, hits.prepare)
        record.info[_PREPARED] = True


def _tell(context: ExceptionContext) -> None:
    """Raise our own error where SQLAlchemy or SQLite wrapped or hid it."""
    error = context.original_exception
    if isinstance(error, SemanticError):
        raise error
    if hits.RAISED in str(error) and context.connection is not None:
        cursor = context.connection.connection.cursor()
        cursor.execute(f"select {hits.LAST_ERROR}()")
        told = cursor.fetchone()
        cursor.close()
        ours = hits.last_error(told and told[0])
        if ours is not None:
            raise ours from error


def _async_dbapi() -> Any:
    """aiosqlite as SQLAlchemy wants it, over the driver that can load extensions."""
    import aiosqlite
    from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_dbapi

    driver = dbapi()

    def connect(database: str, *, iter_chunk_size: int = 64, **options: Any) -> aiosqlite.Connection:
        return aiosqlite.Connection(lambda: driver.connect(database, **options), iter_chunk_size)

    # SQLAlchemy takes the errors from the module too: they have to be the driver's, or none would be recognised.
    module = ModuleType("aiosqlite")
    vars(module).update(vars(aiosqlite))
    vars(module).update({name: value for name, value in vars(driver).items() if _is_error(value)})
    vars(module)["connect"] = connect
    return AsyncAdapt_aiosqlite_dbapi(module, driver)


def _is_error(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Exception)


def _forget_inherited() -> None:
    """Leave a parent's connections alone in a forked child: not used, not closed, not even collected."""
    for engine in list(_engines):
        _inherited.append(engine.pool)
        engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_inherited)
