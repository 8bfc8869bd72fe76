"""vec0's chunks, read as they lie in its shadow tables: a blob of vectors, their ids, a bit per place that is taken.

vec0 compares as quickly as numpy does, but finds the k best of a chunk in k passes over it, and returns each through a
cursor: at k = 1,000 that takes four times as long as the comparing. Read so, a search costs what reading costs,
whatever k is (100,000 vectors of 256 dimensions: `benchmarks/vectors.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from ..config import REMEMBERED_BYTES
from ..laws.quoting import quote
from ..laws.vectors import FloatMatrix, FloatVector, from_blob
from ..records import IndexRecord
from .connection import Connection
from .memory import Memory, StoredCell, memory_of
from .source import json_list

__all__ = ["Block", "Inside", "blocks", "chunks_by_cell", "cosines", "count", "is_partitioned", "products"]

_TIMES = 4
"""Cells of an index up to so many times as large as what can be remembered are remembered."""

_TRIES = 3
"""How often cells are read anew because the file changed meanwhile; then all are read in one statement."""


@dataclass(frozen=True, slots=True)
class Block:
    """One of vec0's chunks as it was when it was read."""

    chunk_id: int
    state: tuple[bytes, bytes]
    """vec0's own note of which places are taken, and by which ids."""
    cell: int
    part: int
    """0 where the index is not partitioned."""
    ids: NDArray[np.int64]
    vectors: FloatMatrix
    """Shape (ids, dimensions)."""


@dataclass(frozen=True, slots=True)
class Inside:
    """What a search reads of an index."""

    cells: Sequence[int] | None = None
    """None for all."""
    first: int = 0
    """Cells below this one are read too: vectors that have not been placed yet."""
    parts: Sequence[int] | None = None
    """Of a partitioned index; None for all."""


def blocks(connection: Connection, index: IndexRecord, chunk_ids: Sequence[int] | None = None) -> Iterator[Block]:
    """Yield vec0's chunks with their ids and vectors, of all or of some of them, in flat memory."""
    table = quote(index.vec_table + "_chunks")
    ids = chunk_ids
    if ids is None:
        ids = [row[0] for row in connection.execute(f"select chunk_id from {table} order by chunk_id").fetchall()]
    part = "c.partition01" if is_partitioned(index) else "0"
    sql = (
        f"select c.validity, c.rowids, c.partition00, {part}, v.vectors from {table} c "
        f"join {_vectors_of(index)} v on v._rowid_ = c.chunk_id where c.chunk_id = ?"
    )
    for chunk_id in ids:
        row = connection.execute(sql, (chunk_id,)).fetchone()
        if row is None:
            continue
        validity, rowids, cell, part, vectors = tuple(row)
        present = _taken(validity)
        numbers = np.frombuffer(rowids, dtype="<i8")[: len(present)]
        matrix = from_blob(vectors, dimensions=index.dimensions)[: len(present)]
        yield Block(chunk_id, (validity, rowids), cell, part, numbers[present], matrix[present])


def chunks_by_cell(connection: Connection, index: IndexRecord) -> Iterator[tuple[int, list[int]]]:
    """Yield each cell that holds anything, with the ids of its vec0 chunks."""
    rows = connection.execute(
        f"select partition00, chunk_id from {quote(index.vec_table + '_chunks')} order by partition00, chunk_id"
    ).fetchall()
    for cell, listed in groupby(map(tuple, rows), key=lambda row: row[0]):
        yield cell, [chunk_id for _cell, chunk_id in listed]


def cosines(
    connection: Connection, index: IndexRecord, vector: FloatVector, *, inside: Inside = Inside()
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the ids of all vectors, or of those `inside`, and the cosine of each with a unit vector; in no order.

    All are of one state of the file; 12 bytes of memory for each vector read, beside what is remembered.
    """
    if inside.parts is None and _worth_remembering(index, all_of_it=inside.cells is None):
        for _ in range(_TRIES):
            memory = memory_of(connection, index)
            if not memory.keeps:
                break
            cells = _cells(connection, index, memory, inside)
            if memory_of(connection, index) is memory:  # else what was known and what was read may not go together
                return _compared(cells, vector)
    return _streamed(connection, index, vector, inside)


def _worth_remembering(index: IndexRecord, *, all_of_it: bool) -> bool:
    """True where what is read now will likely be there still when it is wanted again."""
    chunks = (index.settings.get("size") or {"chunks": 0})["chunks"]
    return bool(chunks * index.dimensions * 4 <= REMEMBERED_BYTES * (1 if all_of_it else _TIMES))


def _cells(connection: Connection, index: IndexRecord, memory: Memory, inside: Inside) -> list[StoredCell]:
    """Return the cells to compare with, read as far as they are not known."""
    if memory.numbers is None:
        rows = connection.execute(f"select distinct partition00 from {quote(index.vec_table + '_chunks')}").fetchall()
        memory.numbers = tuple(row[0] for row in rows)
    if inside.cells is None:
        numbers = memory.numbers
    else:
        numbers = (*inside.cells, *(number for number in memory.numbers if number < inside.first))
    known = memory.cells(numbers)
    missing = [number for number in numbers if number not in known]
    if missing:
        read = _read_cells(connection, index, missing)
        memory.keep(read)
        known |= read
    return [known[number] for number in numbers]


def _read_cells(connection: Connection, index: IndexRecord, numbers: Sequence[int]) -> dict[int, StoredCell]:
    """Read cells, an empty one for a number that no chunk has."""
    ids: dict[int, list[NDArray[np.int64]]] = {number: [] for number in numbers}
    pieces: dict[int, list[FloatMatrix]] = {number: [] for number in numbers}
    table = quote(index.vec_table + "_chunks")
    sql = (
        f"select c.partition00, c.validity, c.rowids, v.vectors from json_each(?) n cross join {table} c "
        f"on c.partition00 = n.value cross join {_vectors_of(index)} v on v._rowid_ = c.chunk_id"
    )
    taken = dict.fromkeys(numbers, 0)
    whole = _worth_remembering(index, all_of_it=True)
    for number, validity, rowids, vectors in connection.execute(sql, (json_list(numbers),)):
        present = _taken(validity)
        matrix = from_blob(vectors, dimensions=index.dimensions)
        piece = _kept_of(matrix, present)
        ids[number].append(np.frombuffer(rowids, dtype="<i8")[: len(present)][present])
        pieces[number].append(piece)
        taken[number] += piece.nbytes if piece.base is None else matrix.nbytes
    nothing = [np.zeros(0, dtype=np.int64)]
    return {
        number: _cell(np.concatenate(ids[number] or nothing), pieces[number], taken[number], whole=whole)
        for number in numbers
    }


def _cell(ids: NDArray[np.int64], pieces: Sequence[FloatMatrix], taken: int, *, whole: bool) -> StoredCell:
    """Return a cell, of one matrix if it is to be `whole`: each further one takes a call, in which another thread may
    take over. That is worth a copy where the cell will stay for long."""
    if not whole or len(pieces) < 2:
        return StoredCell(ids, tuple(pieces), taken)
    matrix: FloatMatrix = np.concatenate(pieces)
    return StoredCell(ids, (matrix,), matrix.nbytes)


def _kept_of(matrix: FloatMatrix, present: NDArray[np.bool_]) -> FloatMatrix:
    """Return the vectors that are there. vec0 fills a chunk from its beginning, so a view of it will often do; of a
    chunk that is not half full they are copied out, so that the rest need not be kept."""
    count = int(np.count_nonzero(present))
    if 2 * count >= len(matrix) and present[:count].all():
        return matrix[:count]
    kept: FloatMatrix = matrix[: len(present)][present]
    return kept


def _compared(cells: Sequence[StoredCell], vector: FloatVector) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    found = [products(piece, vector) for cell in cells for piece in cell.pieces]
    if not found:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    return np.concatenate([cell.ids for cell in cells]), np.concatenate(found)


def _streamed(
    connection: Connection, index: IndexRecord, vector: FloatVector, inside: Inside
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Compare while reading, in one statement, and keep nothing."""
    sql = (
        f"select c.validity, c.rowids, v.vectors from {_chosen(index, inside)} c "
        f"cross join {_vectors_of(index)} v on v._rowid_ = c.chunk_id"
    )
    values = {"cells": json_list(inside.cells or ()), "first": inside.first, "parts": json_list(inside.parts or ())}
    validity: list[bytes] = []
    rowids: list[bytes] = []
    found: list[NDArray[np.float32]] = []
    for taken, ids, vectors in connection.execute(sql, values):
        validity.append(taken)
        rowids.append(ids)
        found.append(products(from_blob(vectors, dimensions=index.dimensions), vector))
    if not found:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    present = _taken(b"".join(validity))
    return np.frombuffer(b"".join(rowids), dtype="<i8")[present], np.concatenate(found)[present]


def products(matrix: FloatMatrix, vector: FloatVector) -> NDArray[np.float32]:
    """Return the product of each row with a vector.

    Equal rows have equal products wherever they lie, which a product of matrices does not promise.
    """
    found: NDArray[np.float32] = np.einsum("ij,j->i", matrix, vector)
    return found


def count(connection: Connection, index: IndexRecord, *, parts: Sequence[int], limit: int) -> int:
    """Return how many chunks there are in some parts of a partitioned index, counted up to `limit`."""
    sql = f"select 1 from {_chosen(index, Inside(parts=parts))} limit {limit}"
    return len(connection.execute(sql, {"parts": json_list(parts)}).fetchall())


def is_partitioned(index: IndexRecord) -> bool:
    """True where vec0 keeps the vectors of an index apart by a second key, `part`."""
    return "partition" in index.settings


def _chosen(index: IndexRecord, inside: Inside) -> str:
    """The chunks to read, as a table expression."""
    table = quote(index.vec_table + "_chunks")
    columns = f"select chunk_id, validity, rowids from {table} where"
    parts = "1" if inside.parts is None else "partition01 in (select value from json_each(:parts))"
    if inside.cells is None:
        return table if inside.parts is None else f"({columns} {parts})"
    return (
        f"({columns} {parts} and partition00 in (select value from json_each(:cells)) "
        f"union all {columns} {parts} and partition00 < :first)"
    )


def _taken(validity: bytes) -> NDArray[np.bool_]:
    return np.unpackbits(np.frombuffer(validity, dtype=np.uint8), bitorder="little").view(np.bool_)


def _vectors_of(index: IndexRecord) -> str:
    """The table of vectors. Its column called `rowid` has no type, so a join on it scans: ask for `_rowid_`."""
    return quote(index.vec_table + "_vector_chunks00")
