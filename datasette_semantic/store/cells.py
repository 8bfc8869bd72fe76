"""The cells of a trained index: centroids in a small vec0 table of their own, each vector in the cell of its nearest.

Cell 0 means "not placed yet" and is always searched, so vectors move to their cells in small steps while people search
and write. A retrained index gets cells with new numbers; the old ones go when their last vector has moved.

vec0 finds the chunks of a partition by scanning its shadow table; an ordinary index on that table makes it a look-up.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..config import DEFAULT_RECALL
from ..laws.clustering import nearest_centroids
from ..laws.quoting import quote
from ..laws.vectors import FloatMatrix, FloatVector, from_blob, to_blob
from ..records import IndexRecord
from . import catalog
from .blocks import Block, is_partitioned
from .connection import Connection
from .source import json_list

__all__ = [
    "RECALL",
    "Cells",
    "Probed",
    "add",
    "assign",
    "cell_ranks",
    "cells_of",
    "cells_table",
    "install",
    "parts_of",
    "place",
    "probe",
    "probed_cells",
    "retire",
    "set_probes",
    "unplaced",
    "wanted_recall",
]

RECALL: Final = "recall"
"""The setting of an index that holds the recall which its probes are to reach, where its user chose one."""

_AT_A_TIME = 1_024
"""Vectors compared with all centroids at once."""


@dataclass(frozen=True, slots=True)
class Cells:
    """What the catalog says of a trained index."""

    version: str
    first: int
    """The lowest number of the cells in force; they are numbered through."""
    count: int
    probes: int
    """How many cells a query reads."""
    recall: float
    """The recall@10 measured with so many probes."""
    trained_at: int
    """Vectors in the index when it was trained."""
    wanted: float = DEFAULT_RECALL
    """The recall that the probes were chosen for."""


@dataclass(frozen=True, slots=True)
class Probed:
    """Which cells each of many queries reads."""

    first: int
    """The lowest number of the cells in force: those below hold what is not placed yet, and everybody reads them."""
    cells: NDArray[np.int64]
    """Cells, ascending, and beside them ..."""
    queries: NDArray[np.int64]
    """... the query that reads each."""

    def by(self, cell: int, among: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return which queries read a cell."""
        if cell < self.first:
            return among
        start, end = np.searchsorted(self.cells, [cell, cell + 1])
        return self.queries[start:end]


def cells_of(index: IndexRecord) -> Cells | None:
    """Return the cells of a trained index, None where it is not trained."""
    stored = index.settings.get("cells")
    return Cells(**stored) if stored else None


def wanted_recall(index: IndexRecord) -> float:
    """Return the recall@10 that an index's probes are to reach."""
    chosen: Any = index.settings.get(RECALL, DEFAULT_RECALL)
    return float(chosen)


def cells_table(index: IndexRecord) -> str:
    return f"{index.vec_table}_cells"


def install(connection: Connection, index: IndexRecord, centroids: FloatMatrix, *, vectors: int) -> IndexRecord:
    """Put new centroids in force; return the record as it then stands. Run it inside a transaction.

    All vectors are then read by every query until `set_probes` is called: a query stays right, only slower.
    """
    before = cells_of(index)
    first = before.first + before.count if before is not None else 1
    table = quote(cells_table(index))
    if before is None:
        _create(connection, index)
        name = quote(f"{index.vec_table}_chunks_cell")
        connection.execute(f"create index if not exists {name} on {quote(index.vec_table + '_chunks')} (partition00)")
    connection.executemany(
        f"insert into {table} (cell, centroid) values (?, ?)",
        [(first + n, to_blob(centroid)) for n, centroid in enumerate(centroids)],
    )
    return _save(connection, index, Cells(uuid.uuid4().hex, first, len(centroids), 0, 1.0, vectors))


def _create(connection: Connection, index: IndexRecord) -> None:
    connection.execute(
        f"create virtual table {quote(cells_table(index))} using "
        f"vec0(cell integer primary key, centroid float[{index.dimensions}])"
    )


def set_probes(connection: Connection, index: IndexRecord, *, probes: int, recall: float, wanted: float) -> IndexRecord:
    """Have queries read so many cells, which reach a recall where another was wanted; return the record as it then
    stands."""
    cells = cells_of(index)
    if cells is None:
        return index
    return _save(connection, index, replace(cells, probes=probes, recall=recall, wanted=wanted))


def _save(connection: Connection, index: IndexRecord, cells: Cells) -> IndexRecord:
    values = {name: getattr(cells, name) for name in Cells.__slots__}
    catalog.save_settings(connection, index, {**index.settings, "cells": values})
    return catalog.again(connection, index)


def retire(connection: Connection, index: IndexRecord) -> None:
    """Remove the centroids of earlier trainings whose cells are empty by now."""
    cells = cells_of(index)
    if cells is not None:
        connection.execute(
            f"delete from {quote(cells_table(index))} where cell < ? and cell not in "
            f"(select partition00 from {quote(index.vec_table + '_chunks')})",
            (cells.first,),
        )


def assign(connection: Connection, index: IndexRecord, vectors: FloatMatrix) -> list[int]:
    """Return the cell for each vector; 0 throughout where the index is not trained.

    The catalog is asked, not the record: another process may have trained the index since the record was read.
    """
    cells = cells_of(replace(index, settings=catalog.settings(connection, index)))
    if cells is None:
        return [0] * len(vectors)
    numbers, centroids = _centroids(_Reader(connection, index, cells))
    found: list[int] = numbers[nearest_centroids(vectors, centroids)].tolist()
    return found


def probe(connection: Connection, index: IndexRecord, cells: Cells, vector: FloatVector, *, probes: int) -> list[int]:
    """Return the numbers of the `probes` cells nearest to a vector, in no order."""
    numbers, centroids = _centroids(_Reader(connection, index, cells))
    if probes >= len(numbers):
        return numbers.tolist()  # type: ignore[no-any-return]
    nearest = np.argpartition(centroids @ vector, -probes)[-probes:]
    return numbers[nearest].tolist()  # type: ignore[no-any-return]


def cell_ranks(
    connection: Connection, index: IndexRecord, queries: FloatMatrix, ids: NDArray[np.int64]
) -> NDArray[np.intp]:
    """Return the ranks, from 1, of the cells of vectors among the cells nearest to a query.

    `queries` has the shape (queries, dimensions), `ids` (queries, neighbours); an id that is not there is passed over.
    """
    cells = cells_of(index)
    if cells is None:
        return np.zeros(0, dtype=np.intp)
    numbers, centroids = _centroids(_Reader(connection, index, cells))
    places = {int(number): place for place, number in enumerate(numbers)}
    table = quote(index.vec_table)
    rows = connection.execute(
        f"select value, (select cell from {table} where id = value) from json_each(?)",
        (json_list(sorted({int(id_) for id_ in ids.ravel()})),),
    ).fetchall()
    place_of = {row[0]: places[row[1]] for row in rows if row[1] in places}
    nearness = np.argsort(np.argsort(-(queries @ centroids.T), axis=1), axis=1)
    found = [
        nearness[query, place_of[id_]] + 1 for query, row in enumerate(ids.tolist()) for id_ in row if id_ in place_of
    ]
    return np.array(found, dtype=np.intp)


def probed_cells(connection: Connection, index: IndexRecord, queries: FloatMatrix) -> Probed | None:
    """Return the cells that searches for these vectors would read; None where every search reads all."""
    cells = cells_of(index)
    if cells is None or not 0 < cells.probes < cells.count:
        return None
    numbers, centroids = _centroids(_Reader(connection, index, cells))
    probes = min(cells.probes, len(numbers))
    nearest = np.concatenate(
        [
            np.argpartition(-(queries[start : start + _AT_A_TIME] @ centroids.T), probes - 1, axis=1)[:, :probes]
            for start in range(0, len(queries), _AT_A_TIME)
        ]
    )
    flat = numbers[nearest].ravel()
    order = np.argsort(flat, kind="stable")
    return Probed(cells.first, flat[order], order // probes)


def parts_of(connection: Connection, index: IndexRecord, ids: Sequence[int]) -> list[int]:
    """Return the parts of vectors, in order; 0 throughout where the index is not partitioned."""
    if not is_partitioned(index):
        return [0] * len(ids)
    sql = f"select (select part from {quote(index.vec_table)} where id = value) from json_each(?) order by key"
    return [row[0] for row in connection.execute(sql, (json_list(ids),)).fetchall()]


class _Reader:
    """Stands for the centroids of one training: equal, and so found in the cache, whatever connection reads them."""

    def __init__(self, connection: Connection, index: IndexRecord, cells: Cells) -> None:
        self.connection, self.index, self.cells = connection, index, cells

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reader) and self.cells.version == other.cells.version

    def __hash__(self) -> int:
        return hash(self.cells.version)


@lru_cache(maxsize=16)
def _centroids(reader: _Reader) -> tuple[NDArray[np.int64], FloatMatrix]:
    rows = reader.connection.execute(
        f"select cell, centroid from {quote(cells_table(reader.index))} where cell >= ?", (reader.cells.first,)
    ).fetchall()
    del reader.connection  # the cache outlives it
    numbers = np.array([row[0] for row in rows], dtype=np.int64)
    return numbers, from_blob(b"".join(row[1] for row in rows), dimensions=reader.index.dimensions)


def unplaced(connection: Connection, index: IndexRecord) -> list[int]:
    """Return the ids of vec0's chunks that hold vectors outside the cells in force."""
    cells = cells_of(index)
    first = 1 if cells is None else cells.first
    rows = connection.execute(
        f"select chunk_id from {quote(index.vec_table + '_chunks')} where partition00 < ? order by chunk_id", (first,)
    )
    return [row[0] for row in rows.fetchall()]


def place(connection: Connection, index: IndexRecord, moved: Sequence[Block], numbers: Sequence[int]) -> None:
    """Move the vectors of blocks to cells; `numbers` has a cell for each vector, in order. Run it inside a transaction.

    vec0 cannot update a partition key, and its own delete writes to three places for each vector. So the blocks go as
    wholes, from the shadow tables, and their vectors are put in by vec0 itself, cell by cell. A block that was written
    to since it was read stays where it is.
    """
    same = _unchanged(connection, index, moved)
    starts = np.cumsum([0, *(len(block.ids) for block in moved)]).tolist()
    leaving = [
        (number, block.part, int(id_), vector)
        for block, start in zip(moved, starts, strict=False)
        if block.chunk_id in same
        for number, id_, vector in zip(numbers[start : start + len(block.ids)], block.ids, block.vectors, strict=True)
    ]
    leaving.sort(key=lambda each: each[:2])
    for suffix, key, gone in (
        ("_rowids", "rowid", [id_ for _, _, id_, _ in leaving]),
        ("_vector_chunks00", "_rowid_", sorted(same)),
        ("_chunks", "chunk_id", sorted(same)),
    ):
        connection.execute(
            f"delete from {quote(index.vec_table + suffix)} where {key} in (select value from json_each(?))",
            (json_list(gone),),
        )
    add(connection, index, [(id_, cell, part, vector) for cell, part, id_, vector in leaving])


def add(connection: Connection, index: IndexRecord, lines: Iterable[tuple[int, int, int, FloatVector]]) -> None:
    """Put vectors, as (id, cell, part, unit vector), into vec0."""
    parted = is_partitioned(index)
    columns, marks = ("id, cell, part, embedding", "?, ?, ?, ?") if parted else ("id, cell, embedding", "?, ?, ?")
    connection.executemany(
        f"insert into {quote(index.vec_table)} ({columns}) values ({marks})",
        ((id_, cell, *((part,) if parted else ()), to_blob(vector)) for id_, cell, part, vector in lines),
    )


def _unchanged(connection: Connection, index: IndexRecord, moved: Sequence[Block]) -> set[int]:
    """Return the chunk ids of the blocks that hold what they held when they were read."""
    read = {block.chunk_id: block.state for block in moved}
    rows = connection.execute(
        f"select chunk_id, validity, rowids from {quote(index.vec_table + '_chunks')} "
        "where chunk_id in (select value from json_each(?))",
        (json_list(list(read)),),
    ).fetchall()
    return {row[0] for row in rows if (row[1], row[2]) == read[row[0]]}
