"""What searches have read of a file, kept in memory until the file changes.

To read a vector, the row of a chunk or the key of a row takes several times as long as to compare or to join it. What
one search has read serves the next: searches fall on the same cells and the same rows.

SQLite itself says whether a file has changed: `pragma data_version` of a connection moves when another one commits,
`total_changes` and `schema_version` when it writes itself. Inside a transaction nothing is kept: it may be rolled back.

Each connection remembers for itself: one with a statement open still sees the file as it was when that began, and what
it reads is of that state. Where no statement is open (`shared`), connections of one file in one process share a memory;
whichever notices a change, or is met for the first time, begins a new one.

A connection finds its memory by a number that a SQL function of its own returns, for Python's connections bear neither
attributes nor weak references: what a connection holds goes when it goes.
Source: https://sqlite.org/pragma.html#pragma_data_version
"""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..config import REMEMBERED_BYTES, REMEMBERED_ROWS
from ..laws.vectors import FloatMatrix
from ..records import IndexRecord, RowKey, Source
from .connection import Connection, sqlite_errors

__all__ = ["REMEMBERED_MATCHES", "Memory", "Postings", "StoredCell", "memory_of", "remembered", "shared"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

REMEMBERED_MATCHES: Final = 2
"""None, one or more than one: what is asked of every word."""

_FUNCTION: Final = "_semantic_memory"
_LOOK: Final = f"select {_FUNCTION}(), data_version, schema_version from pragma_data_version, pragma_schema_version"


@dataclass(frozen=True, slots=True)
class StoredCell:
    """The vectors of one cell."""

    ids: NDArray[np.int64]
    pieces: tuple[FloatMatrix, ...]
    """Shape (ids, dimensions) when put together."""
    bytes: int
    """What it takes in memory, which may be more than what is used of it."""


class Postings(NamedTuple):
    """The rows that one phrase finds."""

    row_ids: NDArray[np.int64]
    """Ascending."""
    bm25: NDArray[np.float64]

    @property
    def bytes(self) -> int:
        return self.row_ids.nbytes + self.bm25.nbytes


class _Shelf:
    """Large things of all files, those used last, within REMEMBERED_BYTES. Used by several threads at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._things: OrderedDict[tuple[int, Hashable], Any] = OrderedDict()
        self._bytes = 0
        self._gone: deque[int] = deque()

    def get(self, owner: int, names: Iterable[K]) -> dict[K, Any]:
        found = {}
        with self._lock:
            self._forget_owners()
            for name in names:
                thing = self._things.get((owner, name))
                if thing is not None:
                    self._things.move_to_end((owner, name))
                    found[name] = thing
        return found

    def put(self, owner: int, things: Mapping[K, Any]) -> None:
        with self._lock:
            self._forget_owners()
            for name, thing in things.items():
                before = self._things.pop((owner, name), None)
                self._bytes += thing.bytes - (0 if before is None else before.bytes)
                self._things[owner, name] = thing
            while self._bytes > REMEMBERED_BYTES:
                self._bytes -= self._things.popitem(last=False)[1].bytes

    def drop(self, owner: int) -> None:
        """Have what an owner keeps forgotten at the next use. No lock: the garbage collector may call at any time."""
        self._gone.append(owner)

    def _forget_owners(self) -> None:
        while self._gone:
            owner = self._gone.popleft()
            for name in [name for name in self._things if name[0] == owner]:
                self._bytes -= self._things.pop(name).bytes


_shelf = _Shelf()
_owners = itertools.count(1)


@dataclass(eq=False)
class Memory:
    """What is known of one index, in one state of its file."""

    keeps: bool = True
    """False for one that serves a single statement."""
    rows: dict[int, int] = field(default_factory=dict)
    """Chunk id to row_id, where the row is still there."""
    keys: dict[int, RowKey] = field(default_factory=dict)
    """row_id to key, where the row is in the user's table."""
    chunks: dict[int, tuple[tuple[int, int, int], ...]] = field(default_factory=dict)
    """row_id to its chunks, each an id, a start and an end: plain tuples, which the collector need not look through."""
    numbers: tuple[int, ...] | None = None
    """The cells that hold anything; None where nobody has looked yet."""
    first: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """FTS5 expression to the first rows that match, at most REMEMBERED_MATCHES."""
    counts: dict[tuple[str, int], int] = field(default_factory=dict)
    """FTS5 expression and limit to the rows that match, counted so far."""
    source: Source | None = None
    """What the schema says of the user's table."""
    sample: FloatMatrix | None = None
    """The index's sample of vectors."""
    _owner: int = field(default_factory=_owners.__next__)

    def __post_init__(self) -> None:
        if self.keeps:
            weakref.finalize(self, _shelf.drop, self._owner).atexit = False

    def cells(self, numbers: Iterable[int]) -> dict[int, StoredCell]:
        """Return those of these cells that are known."""
        return _shelf.get(self._owner, numbers)

    def postings(self, phrases: Iterable[str]) -> dict[str, Postings]:
        """Return the rows of those of these phrases that are known."""
        return _shelf.get(self._owner, phrases)

    def keep(self, things: Mapping[int, StoredCell] | Mapping[str, Postings]) -> None:
        if self.keeps:
            _shelf.put(self._owner, things)  # type: ignore[misc]


def remembered(known: dict[K, V], wanted: Sequence[K], read: Callable[[Sequence[K]], Mapping[K, V]]) -> list[V | None]:
    """Return a value for each that is wanted, None for what is not there, reading what is not known yet."""
    values = list(map(known.get, wanted))
    if None in values:
        fresh = read([key for key, value in zip(wanted, values, strict=True) if value is None])
        values = [fresh.get(key) if value is None else value for key, value in zip(wanted, values, strict=True)]
        if len(known) + len(fresh) > REMEMBERED_ROWS:
            known.clear()
        known.update(fresh)
    return values


class _File:
    """What the connections of one file share."""

    def __init__(self) -> None:
        self.memories: dict[Hashable, Memory] = {}


class _Handle:
    """One connection's way to the memory of its file."""

    def __init__(self, file: _File) -> None:
        self.file = file
        self.version: tuple[int, ...] | None = None
        self.memories: dict[Hashable, Memory] = {}
        """What this connection has read while it may have had a statement open."""
        self.number = next(_numbers)

    def __call__(self) -> int:
        return self.number


_sharing: ContextVar[bool] = ContextVar("datasette_semantic_sharing", default=False)
_lock = threading.Lock()
_numbers = itertools.count(1)
_handles: weakref.WeakValueDictionary[int, _Handle] = weakref.WeakValueDictionary()
_files: weakref.WeakValueDictionary[str, _File] = weakref.WeakValueDictionary()


def memory_of(connection: Connection, index: IndexRecord) -> Memory:
    """Return what is known of an index in the present state of its file."""
    if connection.in_transaction:
        return Memory(keeps=False)
    handle, *seen = _look(connection)
    version = (*seen, connection.total_changes)
    with _lock:
        if handle.version != version:
            handle.version = version
            handle.memories, handle.file.memories = {}, {}
        memories = handle.file.memories if _sharing.get() else handle.memories
        name = index.id, index.vec_table, index.chunk_table
        memory = memories.get(name)
        if memory is None:
            memory = memories[name] = Memory()
        return memory


@contextmanager
def shared() -> Iterator[None]:
    """Say that connections used in the body have no statement open but those of the body, so that what they read is of
    the file's present state, and may serve other connections."""
    token = _sharing.set(True)
    try:
        yield
    finally:
        _sharing.reset(token)


def _look(connection: Connection) -> tuple[_Handle, int, int]:
    """Return the handle of a connection, given to it where it has none, and the versions of data and schema."""
    try:
        number, data, schema = connection.execute(_LOOK).fetchone()
    except sqlite_errors() as error:
        if "no such function" not in str(error):
            raise
        handle = _Handle(_file_of(connection))
        connection.create_function(_FUNCTION, 0, handle)
        with _lock:
            _handles[handle.number] = handle
        return _look(connection)
    return _handles[number], data, schema


def _file_of(connection: Connection) -> _File:
    """The file of the main database; one of its own for a database in memory, which bears no name."""
    path = next(row[2] for row in connection.execute("pragma database_list").fetchall() if row[1] == "main")
    if not path:
        return _File()
    with _lock:
        return _files.setdefault(path, _File())


def _unlock() -> None:
    """In a process just forked: the thread that held a lock may be none of its own."""
    global _lock  # noqa: PLW0603 - the module is the one owner of both
    _lock = threading.Lock()
    _shelf._lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)
