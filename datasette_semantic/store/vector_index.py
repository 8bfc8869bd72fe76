"""The vec0 table of an index: vectors put in, taken out, looked up and searched.

vec0 facts that shape this file: `k` above 4,096 is refused; INSERT OR REPLACE is not supported, so delete, then
insert; a partition key cannot be updated. A scalar subquery by `id` is a look-up, while `id in (...)` without MATCH
scans.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..config import FEW_ALLOWED, ORPHAN_TABLE, VEC_K_MAX
from ..laws.quoting import quote
from ..laws.vectors import FloatMatrix, FloatVector, from_blob, to_blob
from ..records import IndexRecord
from . import cells
from .connection import Connection
from .source import json_list

__all__ = ["delete", "insert", "nearest", "next_id", "orphans", "probe_ids", "stack", "vectors"]


def insert(connection: Connection, index: IndexRecord, items: Iterable[tuple[int, FloatVector]]) -> None:
    """Put vectors, as (id, unit vector), into their cells; into cell 0, always searched, where the index has none."""
    listed = list(items)
    if not listed:
        return
    placed = cells.assign(connection, index, np.stack([vector for _, vector in listed]))
    connection.executemany(
        f"insert into {quote(index.vec_table)} (id, cell, embedding) values (?, ?, ?)",
        [(id_, cell, to_blob(vector)) for (id_, vector), cell in zip(listed, placed, strict=True)],
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
    exact: bool = False,
) -> list[tuple[int, int, float]]:
    """Return up to `k` (at most 4,096) nearest chunks, as (row_id, chunk id, cosine distance), nearest first.

    `allowed` is a subquery that yields the row_ids to choose from, `params` its parameters: the choice is made before
    the search. A trained index reads the few nearest cells, unless `exact`. Vectors whose row is gone are not among
    the results.
    """
    k = min(k, VEC_K_MAX)
    trained = cells.cells_of(index)
    if exact or trained is None or trained.probes == 0:
        return _scan(connection, index, vector, k=k, allowed=allowed, params=params or {})
    if allowed is None:
        return _probe_until(connection, index, vector, k=k, trained=trained)
    return _filtered(connection, index, vector, k=k, allowed=allowed, params=params or {}, trained=trained)


def _scan(
    connection: Connection,
    index: IndexRecord,
    vector: FloatVector,
    *,
    k: int,
    allowed: str | None,
    params: Mapping[str, Any],
) -> list[tuple[int, int, float]]:
    """Compare with every vector."""
    chunks = quote(index.chunk_table)
    chosen = f" and id in (select c.id from {chunks} c where c.row_id in ({allowed}))" if allowed else ""
    sql = (
        f"with v as materialized (select id, distance from {quote(index.vec_table)} "
        f"where embedding match :semantic_vector and k = :semantic_k{chosen}) {_ROWS.format(chunks=chunks)}"
    )
    values = {**params, "semantic_vector": to_blob(vector), "semantic_k": k}
    return _triples(connection, sql, values)


def _probe(
    connection: Connection, index: IndexRecord, vector: FloatVector, *, k: int, probes: int
) -> list[tuple[int, int, float]]:
    """Compare with the vectors of the nearest cells, and with those not placed yet."""
    sql = (
        f"with {_PROBE.format(cells=quote(cells.cells_table(index)), vec=quote(index.vec_table))} "
        f"{_ROWS.format(chunks=quote(index.chunk_table))}"
    )
    values = {"semantic_vector": to_blob(vector), "semantic_k": k, "semantic_probes": min(probes, VEC_K_MAX)}
    return _triples(connection, sql, values)


def probe_ids(connection: Connection, index: IndexRecord, vector: FloatVector, *, k: int, probes: int) -> list[int]:
    """Return the ids of up to `k` nearest chunks among those of the `probes` nearest cells, nearest first."""
    sql = f"with {_PROBE.format(cells=quote(cells.cells_table(index)), vec=quote(index.vec_table))} select id from v"
    values = {"semantic_vector": to_blob(vector), "semantic_k": k, "semantic_probes": min(probes, VEC_K_MAX)}
    return [row[0] for row in connection.execute(sql, values).fetchall()]


_PROBE = (
    "probe as materialized (select cell from {cells} where centroid match :semantic_vector and k = :semantic_probes "
    "union all select 0), v as materialized (select n.id, n.distance from probe cross join {vec} n "
    "on n.cell = probe.cell where n.embedding match :semantic_vector and n.k = :semantic_k "
    "order by n.distance limit :semantic_k)"
)
_ROWS = (
    "select c.row_id, v.id, v.distance * v.distance / 2.0 from v join {chunks} c on c.id = v.id "
    "order by v.distance, c.row_id, v.id"
)


def _triples(connection: Connection, sql: str, values: Mapping[str, Any]) -> list[tuple[int, int, float]]:
    rows = connection.execute(sql, values).fetchall()
    return [(row_id, id_, distance) for row_id, id_, distance in map(tuple, rows)]


def _filtered(
    connection: Connection,
    index: IndexRecord,
    vector: FloatVector,
    *,
    k: int,
    allowed: str,
    params: Mapping[str, Any],
    trained: cells.Cells,
) -> list[tuple[int, int, float]]:
    """Choose a plan by how many rows are allowed: few are compared one by one, many found by wider probing.

    Where probing finds fewer, every vector is compared: never fewer than min(k, allowed).
    """
    chosen = f"select c.id, c.row_id from {quote(index.chunk_table)} c where c.row_id in ({allowed})"
    few = connection.execute(f"{chosen} limit {FEW_ALLOWED + 1}", dict(params)).fetchall()
    if len(few) <= FEW_ALLOWED:
        return _compare(connection, index, vector, [tuple(row) for row in few], k=k)
    choice = {row[0] for row in connection.execute(allowed, dict(params)).fetchall()}
    total = connection.execute(f"select count(*) from {quote(index.row_table)}").fetchone()[0]
    widen = max(1, -(-total // max(1, len(choice))))
    found = _probe_until(connection, index, vector, k=k, trained=trained, widen=widen, choice=choice)
    return found or _scan(connection, index, vector, k=k, allowed=allowed, params=params)


def _probe_until(
    connection: Connection,
    index: IndexRecord,
    vector: FloatVector,
    *,
    k: int,
    trained: cells.Cells,
    widen: int = 1,
    choice: Container[int] | None = None,
) -> list[tuple[int, int, float]]:
    """Probe ever wider until `k` chunks of the chosen rows are found; where that is not to be, compare with everything.

    `widen` is about how many rows stand for each chosen one. A filtered search that finds too few returns nothing, for
    its caller knows how to compare with the chosen only.
    """
    while trained.probes * widen < trained.count:
        wide = min(VEC_K_MAX, k if choice is None else 2 * k * widen)
        found = _probe(connection, index, vector, k=wide, probes=trained.probes * widen)
        kept = found if choice is None else [triple for triple in found if triple[0] in choice][:k]
        if len(kept) >= k:
            return kept
        if choice is not None and wide >= VEC_K_MAX:
            return []
        widen *= 2
    return _scan(connection, index, vector, k=k, allowed=None, params={}) if choice is None else []


def _compare(
    connection: Connection, index: IndexRecord, vector: FloatVector, chunks: Sequence[tuple[int, int]], *, k: int
) -> list[tuple[int, int, float]]:
    """Compare with these chunks, as (id, row_id), by looking their vectors up."""
    found = vectors(connection, index, [id_ for id_, _ in chunks])
    present = [(id_, row_id) for id_, row_id in chunks if id_ in found]
    if not present:
        return []
    distances = 1.0 - stack(found, [id_ for id_, _ in present], dimensions=index.dimensions) @ vector
    ranked = sorted(zip(distances.tolist(), (r for _, r in present), (i for i, _ in present), strict=True))
    return [(row_id, id_, max(0.0, distance)) for distance, row_id, id_ in ranked[:k]]


def orphans(connection: Connection, index: IndexRecord) -> int:
    """Return how many vectors wait for the next drain because their row is gone: searches still meet them."""
    (count,) = connection.execute(f"select count(*) from {ORPHAN_TABLE} where index_id = ?", (index.id,)).fetchone()
    return int(count)


def next_id(connection: Connection, index: IndexRecord) -> int:
    """Return an id that no vector has, nor any that waits to be removed."""
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
