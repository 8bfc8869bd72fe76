"""Rows like each row of a table, for all rows at once.

The answers are those of `similar`: the mean direction of a row's chunks against the nearest chunk of every other row,
in the cells that a search would probe. But a batch of rows is compared with a tile of vectors in one matrix product,
each tile is read once per batch, and no more is in memory than one of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..laws.joining import BestRows, best_of_rows
from ..laws.vectors import FloatMatrix
from ..records import IndexRecord, RowKey, Source
from ..store import cells, vector_index
from ..store import chunks as chunk_store
from ..store.blocks import blocks, chunks_by_cell
from ..store.connection import Connection
from .lists import Allowed

__all__ = ["RelatedRow", "related_rows"]

_BATCH_BYTES = 32_000_000
_TILE = 4_096
"""Vectors compared at once, with so many rows: their product takes some megabytes."""
_ROWS_PER_PRODUCT = 1_024
_CHUNKS_READ = 1_000
_KEYS_READ = 5_000

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RelatedRow:
    """A row, and one that is like it."""

    key: RowKey
    related: RowKey
    rank: int
    """From 1, among those like `key`."""
    distance: float
    """Cosine distance, 0 to 2."""


@dataclass(frozen=True, slots=True)
class _Batch:
    row_ids: Numbers
    directions: FloatMatrix
    """Shape (rows, dimensions): a unit vector for each row."""


def related_rows(
    connection: Connection, source: Source, index: IndexRecord, *, k: int, allowed: Allowed
) -> Iterator[tuple[int, list[RelatedRow]]]:
    """Yield, batch by batch, how many rows were looked at and up to `k` rows like each of them, nearest first.

    `allowed` are the rows that may be related; every row of the index is looked at. Each statement stands for itself,
    so that nobody waits: rows that are written meanwhile may be missing.
    """
    search = _Search(connection, index, allowed, k)
    for batch in _batches(connection, index, k):
        yield len(batch.row_ids), list(_with_keys(connection, source, index, batch, *search.best(batch)))


class _Search:
    """The vectors of an index, compared with one batch of rows after the other."""

    def __init__(self, connection: Connection, index: IndexRecord, allowed: Allowed, k: int) -> None:
        self._connection, self._index, self._k = connection, index, k
        self._chunk_ids, row_of = chunk_store.rows_of_chunks(connection, index)
        if allowed.sql is not None:
            rows = connection.execute(allowed.sql, dict(allowed.params or {})).fetchall()
            choice = np.array([row[0] for row in rows], dtype=np.int64)
            kept = np.isin(row_of, choice)
            self._chunk_ids, row_of = self._chunk_ids[kept], row_of[kept]
        self._rows, self._number_of = np.unique(row_of, return_inverse=True)

    def best(self, batch: _Batch) -> tuple[Numbers, Numbers, NDArray[np.float32]]:
        """Return the place of a row in the batch, a row_id like it and their cosine, nearest first within each row.

        Where the cells that a row probes hold too few, all are read.
        """
        own = self._numbers(batch.row_ids)
        found = BestRows(own, k=self._k)
        probed = cells.probed_cells(self._connection, self._index, batch.directions)
        everyone = np.arange(len(batch.row_ids), dtype=np.int64)
        self._compare(batch, found, everyone, probed)
        if probed is not None:
            short = np.flatnonzero(found.counts() < np.minimum(self._k, len(self._rows) - (own >= 0)))
            if len(short):
                self._compare(batch, found, short, None)
        places, others, scores = found.result()
        return places, self._rows[others], scores

    def _numbers(self, row_ids: Numbers) -> Numbers:
        """Return the numbers of rows among those to choose from, -1 for others."""
        if not len(self._rows):
            return np.full(len(row_ids), -1, dtype=np.int64)
        places = np.minimum(np.searchsorted(self._rows, row_ids), len(self._rows) - 1)
        return np.where(self._rows[places] == row_ids, places, -1)

    def _compare(self, batch: _Batch, found: BestRows, places: Numbers, probed: cells.Probed | None) -> None:
        for cell, chunk_ids in chunks_by_cell(self._connection, self._index):
            comers = places if probed is None else probed.by(cell, places)
            if not len(comers):
                continue
            for rows, vectors in self._tiles(chunk_ids):
                if not len(rows):
                    continue
                for start in range(0, len(comers), _ROWS_PER_PRODUCT):
                    part = comers[start : start + _ROWS_PER_PRODUCT]
                    found.offer(part, *best_of_rows(batch.directions[part] @ vectors.T, rows))

    def _tiles(self, chunk_ids: list[int]) -> Iterator[tuple[Numbers, FloatMatrix]]:
        """Yield vectors with the numbers of their rows, ascending; those whose row is gone or not allowed are left
        out."""
        ids: list[Numbers] = []
        vectors: list[FloatMatrix] = []
        for block in blocks(self._connection, self._index, chunk_ids):
            ids.append(block.ids)
            vectors.append(block.vectors)
            if sum(map(len, ids)) >= _TILE:
                yield self._tile(np.concatenate(ids), np.concatenate(vectors))
                ids, vectors = [], []
        if ids:
            yield self._tile(np.concatenate(ids), np.concatenate(vectors))

    def _tile(self, ids: Numbers, vectors: FloatMatrix) -> tuple[Numbers, FloatMatrix]:
        places = np.searchsorted(self._chunk_ids, ids)
        there = np.flatnonzero(places < len(self._chunk_ids))
        there = there[self._chunk_ids[places[there]] == ids[there]]
        rows = self._number_of[places[there]]
        order = np.argsort(rows, kind="stable")
        return rows[order], vectors[there[order]]


def _batches(connection: Connection, index: IndexRecord, k: int) -> Iterator[_Batch]:
    size = max(1, _BATCH_BYTES // (4 * index.dimensions + 100 * k))
    rows: list[Numbers] = []
    directions: list[FloatMatrix] = []
    for listed in chunk_store.all_chunks(connection, index, size=_CHUNKS_READ):
        found = vector_index.vectors(connection, index, [chunk.id for chunk in listed])
        present = [chunk for chunk in listed if chunk.id in found]
        if present:
            numbers = np.array([chunk.row_id for chunk in present], dtype=np.int64)
            matrix = vector_index.stack(found, [chunk.id for chunk in present], dimensions=index.dimensions)
            row_ids, mean = _directions(numbers, matrix)
            rows.append(row_ids)
            directions.append(mean)
        while sum(map(len, rows)) >= size:
            all_rows, all_directions = np.concatenate(rows), np.concatenate(directions)
            yield _Batch(all_rows[:size], all_directions[:size])
            rows, directions = [all_rows[size:]], [all_directions[size:]]
    if sum(map(len, rows)):
        yield _Batch(np.concatenate(rows), np.concatenate(directions))


def _directions(row_ids: Numbers, vectors: FloatMatrix) -> tuple[Numbers, FloatMatrix]:
    """Return each row and the mean direction of its chunks; a row whose chunks cancel out has none."""
    starts = np.flatnonzero(np.concatenate(([True], row_ids[1:] != row_ids[:-1])))
    sums = np.add.reduceat(vectors, starts, axis=0)
    norms = np.linalg.norm(sums, axis=1)
    usable = norms > 1e-12
    mean: FloatMatrix = (sums[usable] / norms[usable, None]).astype("<f4")
    return row_ids[starts][usable], mean


def _with_keys(
    connection: Connection,
    source: Source,
    index: IndexRecord,
    batch: _Batch,
    places: Numbers,
    others: Numbers,
    scores: NDArray[np.float32],
) -> Iterator[RelatedRow]:
    """Yield the pairs with the keys of rows that exist now, ranked by what is left."""
    mentioned = np.union1d(batch.row_ids, others).tolist()
    keys: dict[int, RowKey] = {}
    for start in range(0, len(mentioned), _KEYS_READ):
        keys |= chunk_store.keys_of(connection, source, index, mentioned[start : start + _KEYS_READ])
    before, rank = -1, 0
    for place, row_id, other, score in zip(
        places.tolist(), batch.row_ids[places].tolist(), others.tolist(), scores.tolist(), strict=True
    ):
        before, rank = (place, rank) if place == before else (place, 0)
        if row_id in keys and other in keys:
            rank += 1
            yield RelatedRow(keys[row_id], keys[other], rank, max(0.0, 1.0 - score))
