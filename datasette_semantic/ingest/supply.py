"""Vectors that exist already: where they are, and which of them belongs to which row.

collection:NAME         a collection of llm: in this database, else in llm's own
collection:NAME@FILE    one in another database
column:NAME             a column of the table with float32 BLOBs, as sqlite-vec and many others store them
column:TABLE.NAME       a column of another table of the database, whose rows have the same key
FILE.npy                a matrix, see `matrix_file`
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from ..embedding.llm_files import collections_file
from ..errors import BadOption, DatabaseProblem, InputError
from ..laws.key_text import key_text
from ..laws.quoting import quote
from ..records import RowKey, Source
from ..store.collections import LlmCollection, collection_names, find_collection, read_vectors
from ..store.connection import Connection, connect
from ..store.source import ordered_keys
from .matrix_file import MatrixFile

__all__ = ["Supply", "offered", "settled"]

_COLLECTION, _COLUMN = "collection:", "column:"


class Supply(Protocol):
    """Vectors by row key."""

    said: str
    """Where they are, such that it can be found again from any folder."""
    name: str
    """What they are called in messages."""
    model: str | None
    """The model that made them, None where nothing says."""
    size: int
    """How many there are."""
    keys_digest: str | None
    """What stands for the table's keys in their order, where the order alone says which vector is whose."""

    def vectors(self, keys: Sequence[RowKey]) -> dict[RowKey, Any]:
        """Return row key to vector, a BLOB or an array, as it is stored: nothing about it has been checked."""
        ...

    def example(self) -> str:
        """Return one of the ids."""
        ...

    def close(self) -> None: ...


def settled(said: str) -> str:
    """Return how vectors are to be found from any folder: as they were named, a file by its whole path."""
    if said.startswith(_COLUMN):
        return said
    if said.startswith(_COLLECTION):
        name, at, file = said.rpartition("@")
        return f"{name}@{Path(file).absolute()}" if at and Path(file).is_file() else said
    if not said.endswith(".npy"):
        raise BadOption(
            f"{said!r} names no vectors to take over: collection:NAME, collection:NAME@FILE, column:NAME, "
            "column:TABLE.NAME and FILE.npy do"
        )
    return str(Path(said).absolute())


@contextmanager
def offered(connection: Connection, source: Source, said: str, *, where: str | None) -> Iterator[Supply]:
    """Yield the vectors that `said` names; `where` picks the rows of the table that they are for.

    Raises BadOption, InputError or DatabaseProblem where they are not there or cannot be read.
    """
    with closing(_found(connection, source, settled(said), where)) as supply:
        yield supply


def _found(connection: Connection, source: Source, said: str, where: str | None) -> Supply:
    if said.startswith(_COLLECTION):
        return _collection(connection, said)
    if said.startswith(_COLUMN):
        return _Column(connection, source, said)
    keys = (key for batch in ordered_keys(connection, source, where=where) for key in batch)
    return MatrixFile(Path(said), key_columns=source.key_columns, keys_in_order=keys)


# --- llm's collections -----------------------------------------------------------------------------------------------


class _Collection:
    keys_digest: str | None = None

    def __init__(self, connection: Connection, found: LlmCollection, *, said: str, owned: bool) -> None:
        self.said = said
        self._connection = connection
        self._found = found
        self._owned = owned
        self.name = f"the collection {found.name!r}"
        self.model: str | None = found.model
        self.size = found.size

    def vectors(self, keys: Sequence[RowKey]) -> dict[RowKey, Any]:
        by_text = {key_text(key): key for key in keys}
        return {by_text[id_]: blob for id_, blob in read_vectors(self._connection, self._found, list(by_text)).items()}

    def example(self) -> str:
        row = self._connection.execute(
            "select id from embeddings where collection_id = ? limit 1", (self._found.id,)
        ).fetchone()
        return "" if row is None else str(row[0])

    def close(self) -> None:
        if self._owned:
            self._connection.close()


def _collection(connection: Connection, said: str) -> Supply:
    whole = said.removeprefix(_COLLECTION)
    here = find_collection(connection, whole)
    if here is not None:
        return _Collection(connection, here, said=said, owned=False)
    name, at, file = whole.rpartition("@")
    elsewhere = bool(at) and Path(file).is_file()
    name, path = (name, Path(file)) if elsewhere else (whole, collections_file())
    try:
        other = connect(path, read_only=True)
    except DatabaseProblem:
        if elsewhere:
            raise
        raise InputError(_no_collection(name, collection_names(connection), path)) from None
    found = find_collection(other, name)
    if found is None:
        known = [*collection_names(connection), *collection_names(other)]
        other.close()
        raise InputError(_no_collection(name, known, path))
    return _Collection(other, found, said=said, owned=True)


def _no_collection(name: str, known: Sequence[str], path: Path) -> str:
    there = f"; there are: {', '.join(known)}" if known else ""
    return f"there is no collection {name!r}, neither in this database nor in {str(path)!r}{there}"


# --- a column --------------------------------------------------------------------------------------------------------


class _Column:
    model: str | None = None
    keys_digest: str | None = None

    def __init__(self, connection: Connection, source: Source, said: str) -> None:
        self.said = said
        self._connection = connection
        table, column = _found_column(connection, source, said.removeprefix(_COLUMN))
        self.name = f"the column {column!r}" + (f" of {table!r}" if table != source.table else "")
        there = _columns(connection, table)
        if set(source.key_columns) <= there or table == source.table:
            keys = source.key_columns
        elif len(source.key_columns) == 1:
            keys = ("rowid",)  # as beside a vec0 table, whose rows have the ids of those that they are about
        else:
            raise InputError(f"{table!r} lacks the key columns of {source.table!r}: {', '.join(source.key_columns)}")
        match = " and ".join(f"{quote(key)} = ?" for key in keys)
        self._sql = f"select {quote(column)} from {quote(table)} where {match} and {quote(column)} is not null"
        held = f"from {quote(table)} where {quote(column)} is not null"
        self._any = f"select {', '.join(map(quote, keys))} {held} limit 1"
        (self.size,) = connection.execute(f"select count(*) {held}").fetchone()

    def vectors(self, keys: Sequence[RowKey]) -> dict[RowKey, Any]:
        found = ((key, self._connection.execute(self._sql, key).fetchone()) for key in keys)
        return {key: row[0] for key, row in found if row is not None}

    def example(self) -> str:
        row = self._connection.execute(self._any).fetchone()
        return "" if row is None else key_text(tuple(row))

    def close(self) -> None:
        """The connection is the caller's."""


def _found_column(connection: Connection, source: Source, said: str) -> tuple[str, str]:
    """Return the table and the column that `NAME` or `TABLE.NAME` means; either may hold a dot."""
    places = [(source.table, said)]
    places += [(said[:n], said[n + 1 :]) for n, character in enumerate(said) if character == "."]
    for table, column in places:
        if column in _columns(connection, table):
            return table, column
    raise InputError(f"there is no column {said!r} in {source.table!r}, nor a table and column of that name")


def _columns(connection: Connection, table: str) -> set[str]:
    rows = connection.execute("select name from pragma_table_xinfo(?)", (table,)).fetchall()
    return {row[0] for row in rows}
