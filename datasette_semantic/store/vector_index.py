"""The vec0 table of an index: vectors put in, taken out, looked up and searched.

vec0 facts that shape this file: INSERT OR REPLACE is not supported, so delete, then insert; a partition key cannot be
updated. A scalar subquery by `id` is a look-up, while `id in (...)` without MATCH scans. `match` refuses a k above
4,096 and is slow long before, so searches read the vectors themselves (`blocks`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..config import FEW_ALLOWED, ORPHAN_TABLE
from ..laws.quoting import quote
from ..laws.vectors import FloatMatrix, FloatVector, from_blob
from ..records import IndexRecord
from . import blocks, cells
from .connection import Connection
from .memory import memory_of, remembered
from .source import json_list

__all__ = [
    "Choice",
    "Nearby",
    "Nearest",
    "compare",
    "delete",
    "insert",
    "nearby",
    "nearest",
    "next_id",
    "orphans",
    "stack",
    "vectors",
]

Nearest = tuple[int, int, float]
"""row_id, chunk id, cosine distance."""

Ids = NDArray[np.int64]
Cosines = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Nearby:
    """Chunks nearest first, ties by row_id, by columns: a search finds a thousand and shows ten."""

    row_ids: Ids
    ids: Ids
    """Of the chunks."""
    distances: NDArray[np.float64]
    """Cosine distances."""
    compared: tuple[Ids, Cosines]
    """Every chunk that was compared on the way, with its cosine; in no order."""

    def __len__(self) -> int:
        return len(self.row_ids)

    def only(self, places: NDArray[Any]) -> Nearby:
        """Return those at some places, given by number or by truth, in this order."""
        return Nearby(self.row_ids[places], self.ids[places], self.distances[places], self.compared)

    def listed(self) -> list[Nearest]:
        return list(zip(self.row_ids.tolist(), self.ids.tolist(), self.distances.tolist(), strict=True))

    @classmethod
    def ordered(
        cls, row_ids: Ids, ids: Ids, distances: NDArray[np.float64], *, compared: tuple[Ids, Cosines]
    ) -> Nearby:
        order = np.lexsort((ids, row_ids, distances))
        return cls(row_ids[order], ids[order], distances[order], compared)

    @classmethod
    def nothing(cls) -> Nearby:
        none, nowhere = np.zeros(0, dtype=np.int64), np.zeros(0)
        return cls(none, none, nowhere, (none, nowhere.astype(np.float32)))


FILTER_GROWTH: Final = 0.3
"""Where a filter leaves the share s of the rows nearby, s ** -0.3 times the cells are read for the same recall: on real
passages 1.1 times at a half, 1.8 at a tenth, 2.7 at a fiftieth were needed."""

SMALL_PARTS: Final = 64
"""Chunks of parts up to which they are read whole."""

_GONE: Final = -(2**63)
"""Stands where a chunk has no row, for as long as it takes to leave it out."""

LEAST_LOOKED_AT: Final = 256
"""Vectors of which it is asked at once whether their rows are chosen."""


def insert(connection: Connection, index: IndexRecord, items: Iterable[tuple[int, int, FloatVector]]) -> None:
    """Put vectors, as (id, part, unit vector), into their cells; into cell 0, always searched, where the index has
    none. The part is 0 where the index is not partitioned."""
    listed = list(items)
    if not listed:
        return
    placed = cells.assign(connection, index, np.stack([vector for _, _, vector in listed]))
    lines = [(id_, cell, part, vector) for (id_, part, vector), cell in zip(listed, placed, strict=True)]
    cells.add(connection, index, lines)


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
) -> list[Nearest]:
    """Return what `nearby` finds, as a list."""
    return nearby(connection, index, vector, k=k, allowed=allowed, params=params, exact=exact).listed()


def nearby(
    connection: Connection,
    index: IndexRecord,
    vector: FloatVector,
    *,
    k: int,
    allowed: str | None = None,
    params: Mapping[str, Any] | None = None,
    parts: Sequence[int] | None = None,
    exact: bool = False,
) -> Nearby:
    """Return up to `k` nearest chunks, nearest first, ties by row_id.

    `allowed` is a subquery that yields the row_ids to choose from, `params` its parameters: the choice is made before
    the search. A trained index reads the few nearest cells, unless `exact`. Of a partitioned index only `parts` are
    read, where they are given. Vectors whose row is gone are not among the results.
    """
    choice = None if allowed is None else Choice(allowed, params or {})
    trained = cells.cells_of(index)
    if exact or trained is None or trained.probes == 0 or _is_small(connection, index, parts):
        return _scan(connection, index, vector, k=k, choice=choice, parts=parts)
    if choice is None:
        return _probe(connection, index, vector, k=k, trained=trained, parts=parts)
    few = choice.chunks(connection, index, limit=FEW_ALLOWED + 1)
    if len(few) <= FEW_ALLOWED:
        return compare(connection, index, vector, few, k=k)
    return _probe_chosen(connection, index, vector, k=k, trained=trained, choice=choice, parts=parts)


def _is_small(connection: Connection, index: IndexRecord, parts: Sequence[int] | None) -> bool:
    """True where parts are read sooner than the cells nearest by are found in them."""
    return parts is not None and blocks.count(connection, index, parts=parts, limit=SMALL_PARTS) < SMALL_PARTS


@dataclass(frozen=True, slots=True)
class Choice:
    """The rows that a search may find, as a subquery that yields their row_ids."""

    sql: str
    params: Mapping[str, Any]

    def chunks(self, connection: Connection, index: IndexRecord, *, limit: int = -1) -> list[tuple[int, int]]:
        """Return up to `limit` chunks of these rows, as (id, row_id)."""
        sql = (
            f"with chosen (row_id) as ({self.sql}) select c.id, c.row_id from chosen cross join "
            f"{quote(index.chunk_table)} c on c.row_id = chosen.row_id limit :semantic_limit"
        )
        rows = connection.execute(sql, {**self.params, "semantic_limit": limit})
        return [(id_, row_id) for id_, row_id in rows.fetchall()]

    def those(self, connection: Connection, index: IndexRecord, ids: Sequence[int]) -> dict[int, int]:
        """Return, of the chunks with these ids, those of chosen rows: id to row_id. Only these rows are looked at."""
        sql = (
            f"with chosen (row_id) as ({self.sql}) select c.id, c.row_id from json_each(:semantic_ids) cross join "
            f"{quote(index.chunk_table)} c on c.id = value where exists (select 1 from chosen where row_id = c.row_id)"
        )
        return dict(connection.execute(sql, {**self.params, "semantic_ids": json_list(ids)}).fetchall())


def _scan(
    connection: Connection,
    index: IndexRecord,
    vector: FloatVector,
    *,
    k: int,
    choice: Choice | None,
    parts: Sequence[int] | None,
) -> Nearby:
    """Compare with every vector, or every one of some parts."""
    ids, cosines = blocks.cosines(connection, index, vector, inside=blocks.Inside(parts=parts))
    if choice is None:
        return _named(connection, index, ids, cosines, k=k)
    if parts is not None:
        return _chosen_of(connection, index, ids, cosines, k=k, choice=choice)[0]
    row_ids = dict(choice.chunks(connection, index))
    kept = np.isin(ids, np.fromiter(row_ids, dtype=np.int64, count=len(row_ids)))
    near = _named(connection, index, ids[kept], cosines[kept], k=k, row_ids=row_ids)
    return replace(near, compared=(ids, cosines))


def _probe(
    connection: Connection,
    index: IndexRecord,
    vector: FloatVector,
    *,
    k: int,
    trained: cells.Cells,
    parts: Sequence[int] | None,
) -> Nearby:
    """Compare with the vectors of the nearest cells; in ever more cells until there are `k`, in the end with all."""
    probes = trained.probes
    while probes < trained.count:
        ids, cosines = _read(connection, index, vector, trained, probes, parts)
        found = _named(connection, index, ids, cosines, k=k)
        if len(found) >= k:
            return found
        probes *= 2
    return _scan(connection, index, vector, k=k, choice=None, parts=parts)


def _probe_chosen(
    connection: Connection,
    index: IndexRecord,
    vector: FloatVector,
    *,
    k: int,
    trained: cells.Cells,
    choice: Choice,
    parts: Sequence[int] | None,
) -> Nearby:
    """Compare with the vectors of the nearest cells, of which only those of chosen rows count.

    Where few of the rows nearby are chosen, the k nearest chosen lie farther away, and more cells are read.
    """
    probes = trained.probes
    while probes < trained.count:
        ids, cosines = _read(connection, index, vector, trained, probes, parts)
        found, share = _chosen_of(connection, index, ids, cosines, k=k, choice=choice)
        needed = math.ceil(trained.probes * max(share, 1e-9) ** -FILTER_GROWTH)
        if len(found) >= k and probes >= needed:
            return found
        probes = max(2 * probes, needed)
    return _scan(connection, index, vector, k=k, choice=choice, parts=parts)


def _read(
    connection: Connection,
    index: IndexRecord,
    vector: FloatVector,
    trained: cells.Cells,
    probes: int,
    parts: Sequence[int] | None,
) -> tuple[Ids, Cosines]:
    numbers = cells.probe(connection, index, trained, vector, probes=probes)
    return blocks.cosines(connection, index, vector, inside=blocks.Inside(numbers, trained.first, parts))


def _chosen_of(
    connection: Connection,
    index: IndexRecord,
    ids: Ids,
    cosines: Cosines,
    *,
    k: int,
    choice: Choice,
) -> tuple[Nearby, float]:
    """Return the up to `k` nearest whose rows are chosen, and which share of those looked at is chosen.

    The nearest are looked at first, and no more than are needed.
    """
    order = np.lexsort((ids, -cosines))
    found: dict[int, int] = {}
    looked_at, step = 0, max(2 * k, LEAST_LOOKED_AT)
    while looked_at < len(order) and len(found) < k:
        found |= choice.those(connection, index, ids[order[looked_at : looked_at + step]].tolist())
        looked_at, step = min(len(order), looked_at + step), 2 * step
    kept = order[np.isin(ids[order], np.fromiter(found, dtype=np.int64, count=len(found)))]
    near = _named(connection, index, ids[kept], cosines[kept], k=k, row_ids=found)
    return replace(near, compared=(ids, cosines)), len(found) / max(1, looked_at)


def _named(
    connection: Connection,
    index: IndexRecord,
    ids: Ids,
    cosines: Cosines,
    *,
    k: int,
    row_ids: Mapping[int, int] | None = None,
) -> Nearby:
    """Return the up to `k` nearest with their rows; those without a row are left out."""
    best = _best(ids, cosines, k)
    chosen = ids[best]
    listed = chosen.tolist()
    known = _row_ids(connection, index, listed) if row_ids is None else list(map(row_ids.get, listed))
    rows = np.array(
        [_GONE if row_id is None else row_id for row_id in known] if None in known else known, dtype=np.int64
    )
    distances = np.maximum(0.0, 1.0 - cosines[best].astype(np.float64))
    near = Nearby.ordered(rows, chosen, distances, compared=(ids, cosines))
    return near.only(near.row_ids != _GONE) if None in known else near


def _best(ids: Ids, cosines: Cosines, k: int) -> NDArray[np.intp]:
    """Return the places of the `k` greatest cosines, greatest first, of equal ones those of the lower ids."""
    if k < len(cosines):
        least = np.partition(cosines, len(cosines) - k)[len(cosines) - k]
        places = np.flatnonzero(cosines >= least)
    else:
        places = np.arange(len(cosines))
    return places[np.lexsort((ids[places], -cosines[places]))[:k]]


def _row_ids(connection: Connection, index: IndexRecord, ids: Sequence[int]) -> list[int | None]:
    """Return the row_id of each chunk, None where its row is gone."""
    sql = f"select c.id, c.row_id from json_each(?) cross join {quote(index.chunk_table)} c on c.id = value"

    def read(missing: Sequence[int]) -> dict[int, int]:
        return dict(connection.execute(sql, (json_list(missing),)).fetchall())

    return remembered(memory_of(connection, index).rows, ids, read)


def compare(
    connection: Connection, index: IndexRecord, vector: FloatVector, chunks: Sequence[tuple[int, int]], *, k: int
) -> Nearby:
    """Compare with these chunks, as (id, row_id), by looking their vectors up."""
    found = vectors(connection, index, [id_ for id_, _ in chunks])
    present = [(id_, row_id) for id_, row_id in chunks if id_ in found]
    if not present:
        return Nearby.nothing()
    ids, row_ids = np.array(present, dtype=np.int64).T
    cosines = blocks.products(stack(found, ids.tolist(), dimensions=index.dimensions), vector)
    distances = np.maximum(0.0, 1.0 - cosines.astype(np.float64))
    return Nearby.ordered(row_ids, ids, distances, compared=(ids, cosines)).only(np.arange(min(k, len(ids))))


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
