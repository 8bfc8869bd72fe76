"""A few vectors of each index, kept to tell whether a distance is unusual for the table."""

from __future__ import annotations

import numpy as np

from ..config import SAMPLE_SIZE, SAMPLE_TABLE
from ..laws.quoting import quote
from ..laws.vectors import FloatMatrix, from_blob
from ..records import IndexRecord
from . import vector_index
from .connection import Connection
from .memory import memory_of

__all__ = ["draw", "load", "places", "save"]

_AT_A_TIME = 1_024
"""Vectors looked up at a time: a sample of a large index is large."""


def draw(connection: Connection, index: IndexRecord, *, size: int = SAMPLE_SIZE) -> FloatMatrix:
    """Return up to `size` of the index's vectors, evenly spread over the chunk ids, shape (vectors, dimensions).

    The same index gives the same sample; the cost does not grow with the table.
    """
    ids = places(connection, index, size=size)
    sample: FloatMatrix = np.empty((len(ids), index.dimensions), dtype="<f4")
    drawn = 0
    for start in range(0, len(ids), _AT_A_TIME):
        for vector in vector_index.vectors(connection, index, ids[start : start + _AT_A_TIME]).values():
            sample[drawn] = vector
            drawn += 1
    return sample[:drawn]


def places(connection: Connection, index: IndexRecord, *, size: int) -> list[int]:
    """Return up to `size` ids of vectors, evenly spread."""
    chunks = quote(index.chunk_table)
    low, high = connection.execute(f"select min(id), max(id) from {chunks}").fetchone()
    if low is None:
        return []
    step = max(1, (high - low + 1) // size)
    rows = connection.execute(
        "with recursive place(n) as (select :low union all select n + :step from place where n + :step <= :high) "
        f"select distinct (select id from {chunks} where id >= n order by id limit 1) from place limit :size",
        {"low": low, "high": high, "step": step, "size": size},
    ).fetchall()
    return [row[0] for row in rows if row[0] is not None]


def save(connection: Connection, index: IndexRecord, sample: FloatMatrix) -> None:
    """Keep a sample in the place of the last."""
    connection.execute(
        f"insert into {SAMPLE_TABLE} (index_id, vectors) values (?, ?) on conflict (index_id) do update set "
        "vectors = excluded.vectors",
        (index.id, sample.tobytes()),
    )


def load(connection: Connection, index: IndexRecord) -> FloatMatrix | None:
    """Return the kept sample, shape (vectors, dimensions); None where there is none."""
    memory = memory_of(connection, index)
    if memory.sample is None:
        row = connection.execute(f"select vectors from {SAMPLE_TABLE} where index_id = ?", (index.id,)).fetchone()
        if row is None or not row[0]:
            return None
        memory.sample = from_blob(row[0], dimensions=index.dimensions)
    return memory.sample
