"""Vectors kept apart by the value of a column, so that a search within one value reads no others.

vec0's second partition key, `part`, is a number for each value, which an ordinary table gives: so a value may be of any
type, NULL as well, and it is SQLite that says which values a condition means, by the column's own affinity and
collation. A row whose value changes waits in the queue until its vectors have moved; a search compares with the vectors
of such rows one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from ..config import FEW_ALLOWED, QUEUE_TABLE
from ..laws.conditions import compares_only, conjuncts
from ..laws.quoting import quote
from ..laws.vectors import FloatVector
from ..records import Cell, IndexRecord, RowFilter, Source
from . import names, vector_index
from .connection import Connection
from .source import conjunction, json_list

__all__ = [
    "Partition",
    "Within",
    "as_setting",
    "chunk_sizes",
    "column_of",
    "create",
    "nearby",
    "numbers",
    "partition_of",
    "refit",
    "value_counts",
    "within",
]

_PARTITION: Final = "partition"
_MOST_PARTS: Final = 1_000
"""Values that a search names one by one; of more it reads everything."""


@dataclass(frozen=True, slots=True)
class Partition:
    """How an index keeps its vectors apart."""

    column: str
    chunk_size: int
    """Vectors per vec0 chunk: fixed for the life of the index."""


@dataclass(frozen=True, slots=True)
class Within:
    """The parts of an index that conditions leave to be searched."""

    parts: tuple[int, ...]
    alone: bool
    """True where the conditions say nothing else."""
    waiting: frozenset[int]
    """Rows in the queue, whose vectors may lie in another part than their value says."""


def partition_of(index: IndexRecord) -> Partition | None:
    """Return how the vectors of an index are kept apart, None where they are not."""
    stored = index.settings.get(_PARTITION)
    return Partition(**stored) if stored else None


def column_of(index: IndexRecord) -> str | None:
    """Return the column by whose values the vectors of an index are kept apart, None where they are not."""
    partition = partition_of(index)
    return None if partition is None else partition.column


def as_setting(partition: Partition | None) -> dict[str, Any]:
    """Return what the catalog keeps."""
    return {} if partition is None else {_PARTITION: asdict(partition)}


def create(connection: Connection, source: Source, index: IndexRecord) -> None:
    """Make the table of values of a partitioned index. Run it inside a transaction."""
    partition = partition_of(index)
    if partition is None:
        return
    _create_values(connection, source, index, partition)
    chunks = f"{index.vec_table}_chunks"
    connection.execute(f"create index {quote(chunks + '_part')} on {quote(chunks)} (partition01, partition00)")


def refit(connection: Connection, source: Source, index: IndexRecord) -> None:
    """Give the values of a partitioned index the type and the collation that the column has by now. Run it inside a
    transaction."""
    partition = partition_of(index)
    if partition is None:
        return
    table = quote(names.parts_table(index))
    values = connection.execute(f"select part, value from {table}").fetchall()
    connection.execute(f"drop table {table}")
    _create_values(connection, source, index, partition)
    connection.executemany(f"insert into {table} (part, value) values (?, ?)", map(tuple, values))


def _create_values(connection: Connection, source: Source, index: IndexRecord, partition: Partition) -> None:
    table = names.parts_table(index)
    kind = _kind(connection, source, partition.column)
    connection.execute(f"create table {quote(table)} (part integer primary key, value {kind})")
    connection.execute(f"create index {quote(table + '_value')} on {quote(table)} (value collate binary)")


def _kind(connection: Connection, source: Source, column: str) -> str:
    """Return the type and the collation of a column: a condition then means the same of our copy of a value.

    No pragma tells the collation of a column, but that of an index on it.
    """
    probe = names.probe_index(source)
    connection.execute("savepoint semantic_kind")
    try:
        connection.execute(f"create index {quote(probe)} on {quote(source.table)} ({quote(column)}) where 0")
        (collation,) = connection.execute("select coll from pragma_index_xinfo(?) where key", (probe,)).fetchone()
    finally:
        connection.execute("rollback to semantic_kind")
        connection.execute("release semantic_kind")
    declared = next(each.type for each in source.columns if each.name == column)
    kind = "" if not declared or _keeps_any(connection, source, declared) else quote(declared)
    return f"{kind} collate {quote(collation)}"


def _keeps_any(connection: Connection, source: Source, declared: str) -> bool:
    """True for the type ANY of a STRICT table, which changes no value; elsewhere that word makes numbers of texts."""
    if declared.upper() != "ANY":
        return False
    (strict,) = connection.execute("select strict from pragma_table_list(?)", (source.table,)).fetchone()
    return bool(strict)


def value_counts(connection: Connection, source: Source, column: str, *, where: str | None) -> list[int]:
    """Return how many rows have each of the values of a column."""
    name = quote(column)
    condition = f" where ({where}\n)" if where else ""
    rows = connection.execute(
        f"select count(*) from {quote(source.table)}{condition} group by {name} collate binary, typeof({name})"
    )
    return [row[0] for row in rows.fetchall()]


def chunk_sizes(connection: Connection, index: IndexRecord, partition: Partition) -> list[int]:
    """Return about how many vectors each part holds: those that its chunks have place for."""
    chunks = quote(index.vec_table + "_chunks")
    rows = connection.execute(f"select count(*) from {chunks} group by partition01").fetchall()
    return [row[0] * partition.chunk_size for row in rows]


def numbers(connection: Connection, index: IndexRecord, rows: Mapping[int, Mapping[str, Cell]]) -> dict[int, int]:
    """Return the part for each row, given as row_id to column to value; a value that is new gets a number.

    Empty where the index is not partitioned. Run it inside a transaction.
    """
    partition = partition_of(index)
    if partition is None:
        return {}
    values = {row_id: row[partition.column] for row_id, row in rows.items()}
    known = {key: _number(connection, index, key[1]) for key in {(type(value), value) for value in values.values()}}
    return {row_id: known[type(value), value] for row_id, value in values.items()}


def _number(connection: Connection, index: IndexRecord, value: Cell) -> int:
    table = quote(names.parts_table(index))
    found = connection.execute(
        f"select part from {table} where value is ?1 collate binary and typeof(value) = typeof(?1)", (value,)
    ).fetchone()
    if found is None:
        found = connection.execute(f"insert into {table} (value) values (?) returning part", (value,)).fetchall()[0]
    return int(found[0])


def within(connection: Connection, index: IndexRecord, filters: Sequence[RowFilter]) -> Within | None:
    """Return the parts that conditions leave; None where they say nothing of the column that this could use, or where
    too many rows wait for it to be of use."""
    partition = partition_of(index)
    if partition is None or not filters:
        return None
    pieces = [piece for each in filters for piece in conjuncts(each.sql)]
    telling = [piece for piece in pieces if compares_only(piece, table=index.table, column=partition.column)]
    if not telling:
        return None
    waiting = connection.execute(
        f"select row_id from {QUEUE_TABLE} where index_id = ? limit ?", (index.id, FEW_ALLOWED + 1)
    ).fetchall()
    parts = _parts(connection, index, partition, telling, conjunction(filters)[1])
    if len(waiting) > FEW_ALLOWED or len(parts) > _MOST_PARTS:
        return None
    return Within(tuple(parts), len(telling) == len(pieces), frozenset(row[0] for row in waiting))


def _parts(
    connection: Connection,
    index: IndexRecord,
    partition: Partition,
    conditions: Iterable[str],
    params: Mapping[str, Any],
) -> list[int]:
    """Return the parts whose value meets conditions, each put to our copies under the names of the user's table."""
    table, column = quote(index.table), quote(partition.column)
    number = "semantic_part" if partition.column.lower() != "semantic_part" else "semantic_number"
    condition = " and ".join(f"({each}\n)" for each in conditions)
    rows = connection.execute(
        f"with {table} as (select part as {number}, value as {column} from {quote(names.parts_table(index))}) "
        f"select {number} from {table} where {condition} limit {_MOST_PARTS + 1}",
        params,
    )
    return [row[0] for row in rows.fetchall()]


def nearby(
    connection: Connection,
    index: IndexRecord,
    vector: FloatVector,
    *,
    k: int,
    within: Within,
    allowed: str,
    params: Mapping[str, Any],
    exact: bool,
) -> vector_index.Nearby:
    """Return up to `k` nearest chunks of the allowed rows, as `vector_index.nearby` does, reading their parts only."""
    choice = vector_index.Choice(allowed, params)
    waiting = _chunks_of(connection, index, within.waiting)
    found = vector_index.nearby(
        connection,
        index,
        vector,
        k=k + len(waiting),
        allowed=None if within.alone else allowed,
        params=params,
        parts=within.parts,
        exact=exact,
    )
    if not waiting:
        return found.only(np.arange(min(k, len(found))))
    settled = found.only(~np.isin(found.row_ids, list(within.waiting)))
    moving = list(choice.those(connection, index, waiting).items())
    compared = vector_index.compare(connection, index, vector, moving, k=k)
    joined = vector_index.Nearby.ordered(
        np.concatenate([settled.row_ids, compared.row_ids]),
        np.concatenate([settled.ids, compared.ids]),
        np.concatenate([settled.distances, compared.distances]),
        compared=found.compared,
    )
    return joined.only(np.arange(min(k, len(joined))))


def _chunks_of(connection: Connection, index: IndexRecord, row_ids: Iterable[int]) -> list[int]:
    rows = connection.execute(
        f"select id from {quote(index.chunk_table)} where row_id in (select value from json_each(?))",
        (json_list(list(row_ids)),),
    )
    return [row[0] for row in rows.fetchall()]
