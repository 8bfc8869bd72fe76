"""The vec0 table of an index: vectors put in, taken out, looked up and searched.

vec0 facts that shape this file: `k` above 4,096 is refused; INSERT OR REPLACE is not supported, so delete, then
insert; a partition key cannot be updated. A scalar subquery by `id` is a look-up, while `id in (...)` without MATCH
scans.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..config import VEC_K_MAX
from ..laws.quoting import quote
from ..laws.vectors import FloatMatrix, FloatVector, from_blob, to_blob
from ..records import IndexRecord
from .connection import Connection
from .source import json_list

__all__ = ["delete", "insert", "nearest", "next_id", "vectors"]


def insert(connection: Connection, index: IndexRecord, items: Iterable[tuple[int, FloatVector]]) -> None:
    """Put vectors, as (id, unit vector), into cell 0: not placed yet, always searched."""
    connection.executemany(
        f"insert into {quote(index.vec_table)} (id, cell, embedding) values (?, 0, ?)",
        ((id_, to_blob(vector)) for id_, vector in items),
    )


def delete(connection: Connection, index: IndexRecord, ids: Iterable[int]) -> None:
    """Take vectors out; ids that are not there are passed over."""
    connection.executemany(f"delete from {quote(index.vec_table)} where id = ?", ((id_,) for id_ in ids))


def vectors(connection: Connection, index: IndexRecord, ids: Sequence[int]) -> dict[int, FloatVector]:
    """Return the vectors with these ids, those that exist."""
    rows = connection.execute(
        f"select value, (select embedding from {quote(index.vec_table)} where id = value) from json_each(?)",
        (json_list(ids),),
    ).fetchall()
    present = [(id_, blob) for id_, blob in map(tuple, rows) if blob is not None]
    matrix: FloatMatrix = from_blob(b"".join(blob for _, blob in present), dimensions=index.dimensions)
    return {id_: matrix[n] for n, (id_, _) in enumerate(present)}


def nearest(
    connection: Connection,
    index: IndexRecord,
    vector: FloatVector,
    *,
    k: int,
    allowed: str | None = None,
    params: Mapping[str, Any] | None = None,
) -> list[tuple[int, int, float]]:
    """Return up to `k` (at most 4,096) nearest chunks, as (row_id, chunk id, cosine distance), nearest first.

    `allowed` is a subquery that yields the row_ids to choose from, `params` its parameters: the choice is made before
    the search. Vectors whose row is gone are not among the results.
    """
    chunks = quote(index.chunk_table)
    chosen = f" and id in (select c.id from {chunks} c where c.row_id in ({allowed}))" if allowed else ""
    sql = (
        f"with v as materialized (select id, distance from {quote(index.vec_table)} "
        f"where embedding match :semantic_vector and k = :semantic_k{chosen}) "
        f"select c.row_id, v.id, v.distance * v.distance / 2.0 as cosine from v join {chunks} c on c.id = v.id "
        "order by v.distance, c.row_id, v.id"
    )
    values = dict(params or {}) | {"semantic_vector": to_blob(vector), "semantic_k": min(k, VEC_K_MAX)}
    return [(row_id, id_, distance) for row_id, id_, distance in map(tuple, connection.execute(sql, values).fetchall())]


def next_id(connection: Connection, index: IndexRecord) -> int:
    """Return an id that no vector has, nor any that waits to be removed."""
    from ..config import ORPHAN_TABLE

    row = connection.execute(
        f"select max(coalesce((select max(id) from {quote(index.chunk_table)}), 0), "
        f"coalesce((select max(id) from {ORPHAN_TABLE} where index_id = ?), 0))",
        (index.id,),
    ).fetchone()
    return int(row[0]) + 1


def stack(found: Mapping[int, FloatVector], ids: Sequence[int], *, dimensions: int) -> FloatMatrix:
    """Return the vectors of `ids` as one matrix, shape (len(ids), dimensions)."""
    out: FloatMatrix = np.empty((len(ids), dimensions), dtype="<f4")
    for n, id_ in enumerate(ids):
        out[n] = found[id_]
    return out
