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

from ..laws.quoting import quote
from ..laws.vectors import FloatMatrix, FloatVector, from_blob
from ..records import IndexRecord
from .connection import Connection
from .source import json_list

__all__ = ["Block", "Inside", "blocks", "chunks_by_cell", "cosines"]


@dataclass(frozen=True, slots=True)
class Block:
    """One of vec0's chunks as it was when it was read."""

    chunk_id: int
    state: tuple[bytes, bytes]
    """vec0's own note of which places are taken, and by which ids."""
    cell: int
    ids: NDArray[np.int64]
    vectors: FloatMatrix
    """Shape (ids, dimensions)."""


@dataclass(frozen=True, slots=True)
class Inside:
    """The part of an index that a search reads."""

    cells: Sequence[int]
    first: int
    """Cells below this one are read too: vectors that have not been placed yet."""


def blocks(connection: Connection, index: IndexRecord, chunk_ids: Sequence[int] | None = None) -> Iterator[Block]:
    """Yield vec0's chunks with their ids and vectors, of all or of some of them, in flat memory."""
    table = quote(index.vec_table + "_chunks")
    ids = chunk_ids
    if ids is None:
        ids = [row[0] for row in connection.execute(f"select chunk_id from {table} order by chunk_id").fetchall()]
    sql = (
        f"select c.validity, c.rowids, c.partition00, v.vectors from {table} c "
        f"join {_vectors_of(index)} v on v._rowid_ = c.chunk_id where c.chunk_id = ?"
    )
    for chunk_id in ids:
        row = connection.execute(sql, (chunk_id,)).fetchone()
        if row is None:
            continue
        validity, rowids, cell, vectors = tuple(row)
        present = _taken(validity)
        numbers = np.frombuffer(rowids, dtype="<i8")[: len(present)]
        matrix = from_blob(vectors, dimensions=index.dimensions)[: len(present)]
        yield Block(chunk_id, (validity, rowids), cell, numbers[present], matrix[present])


def chunks_by_cell(connection: Connection, index: IndexRecord) -> Iterator[tuple[int, list[int]]]:
    """Yield each cell that holds anything, with the ids of its vec0 chunks."""
    rows = connection.execute(
        f"select partition00, chunk_id from {quote(index.vec_table + '_chunks')} order by partition00, chunk_id"
    ).fetchall()
    for cell, listed in groupby(map(tuple, rows), key=lambda row: row[0]):
        yield cell, [chunk_id for _cell, chunk_id in listed]


def cosines(
    connection: Connection, index: IndexRecord, vector: FloatVector, *, inside: Inside | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the ids of all vectors, or of those `inside`, and the cosine of each with a unit vector; in no order.

    One statement, so one state of the file; 12 bytes of memory for each vector read. Equal vectors have equal cosines
    wherever they lie, which a product of matrices does not promise.
    """
    sql = (
        f"select c.validity, c.rowids, v.vectors from {_chosen(index, inside)} c "
        f"cross join {_vectors_of(index)} v on v._rowid_ = c.chunk_id"
    )
    values = {} if inside is None else {"cells": json_list(inside.cells), "first": inside.first}
    validity: list[bytes] = []
    rowids: list[bytes] = []
    found: list[NDArray[np.float32]] = []
    for taken, ids, vectors in connection.execute(sql, values):
        validity.append(taken)
        rowids.append(ids)
        found.append(np.einsum("ij,j->i", from_blob(vectors, dimensions=index.dimensions), vector))
    if not found:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    present = _taken(b"".join(validity))
    return np.frombuffer(b"".join(rowids), dtype="<i8")[present], np.concatenate(found)[present]


def _chosen(index: IndexRecord, inside: Inside | None) -> str:
    """The chunks to read, as a table expression."""
    table = quote(index.vec_table + "_chunks")
    if inside is None:
        return table
    columns = "select chunk_id, validity, rowids from"
    return (
        f"({columns} {table} where partition00 in (select value from json_each(:cells)) "
        f"union all {columns} {table} where partition00 < :first)"
    )


def _taken(validity: bytes) -> NDArray[np.bool_]:
    return np.unpackbits(np.frombuffer(validity, dtype=np.uint8), bitorder="little").view(np.bool_)


def _vectors_of(index: IndexRecord) -> str:
    """The table of vectors. Its column called `rowid` has no type, so a join on it scans: ask for `_rowid_`."""
    return quote(index.vec_table + "_vector_chunks00")
