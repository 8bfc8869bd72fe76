"""Training: cells for an index that has grown too large to be read whole by every query.

In flat memory and in short steps, each of which a kill leaves resumable: a sample is clustered, the centroids are put
in force, vectors move to their cells a few hundred at a time, and the number of probes is found by measuring recall on
the index's own vectors.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ..config import TRAIN_AT, TRAIN_SAMPLE, VEC_CHUNK_SIZE
from ..laws.clustering import cell_count, kmeans
from ..laws.vectors import FloatMatrix
from ..records import IndexRecord
from ..store import catalog, cells, samples
from ..store.blocks import Block, blocks
from ..store.connection import Connection
from .courtesy import Courtesy

__all__ = ["DEFAULT_RECALL", "needs_training", "train"]

DEFAULT_RECALL = 0.95
_GROWTH = 4
"""An index is trained anew when it holds so many times the vectors that it was trained on: then twice the cells pay."""
_QUERIES = 150
"""Vectors of the index that serve as queries when recall is measured."""
_NEIGHBOURS = 10
_LEAST_MOVED, _FIRST_MOVED, _MOST_MOVED = 1, 4, 16
"""Blocks of VEC_CHUNK_SIZE vectors moved in one transaction."""
_GATHER = 4_096
"""Vectors whose cells are found at a time."""


def needs_training(index: IndexRecord, *, vectors: int) -> bool:
    """True where the index has passed the size at which cells pay, or has outgrown those it has."""
    trained = cells.cells_of(index)
    if trained is None:
        return vectors >= TRAIN_AT
    return trained.probes == 0 or vectors >= _GROWTH * trained.trained_at


def train(connection: Connection, index: IndexRecord, *, vectors: int, recall: float = DEFAULT_RECALL) -> IndexRecord:
    """Give an index of `vectors` vectors its cells, or go on with a training that was broken off.

    Return the record as it then stands. `recall` is the least recall@10 that the number of probes must reach.
    """
    trained = cells.cells_of(index)
    if trained is None or trained.probes > 0:
        count = cell_count(vectors)
        centroids = kmeans(samples.draw(connection, index, size=count * TRAIN_SAMPLE), cells=count)
        with catalog.writing(connection, index):
            index = cells.install(connection, index, centroids, vectors=vectors)
    _move_all(connection, index)
    with catalog.writing(connection, index):
        cells.retire(connection, index)
    probes, measured = _choose_probes(connection, index, recall)
    with catalog.writing(connection, index):
        return cells.set_probes(connection, index, probes=probes, recall=measured)


def _move_all(connection: Connection, index: IndexRecord) -> None:
    """Move every vector that is not in a cell in force, in short write transactions.

    Blocks that somebody wrote to meanwhile are left for another round; the last of cell 0 may be so for as long as rows
    come in, and stay: cell 0 is read by every query.
    """
    courtesy = Courtesy(connection)
    waiting = cells.unplaced(connection, index)
    while waiting:
        for some in _gathered(blocks(connection, index, waiting)):
            _move(connection, index, some, courtesy)
        left = cells.unplaced(connection, index)
        if len(left) >= len(waiting):
            return
        waiting = left


def _move(connection: Connection, index: IndexRecord, moved: Sequence[Block], courtesy: Courtesy) -> None:
    numbers = cells.assign(connection, index, np.concatenate([block.vectors for block in moved]))
    starts = np.cumsum([0, *(len(block.ids) for block in moved)]).tolist()
    start, size = 0, _FIRST_MOVED
    while start < len(moved):
        began = time.monotonic()
        end = min(len(moved), start + size)
        with catalog.writing(connection, index):
            cells.place(connection, index, moved[start:end], numbers[starts[start] : starts[end]])
        spent = time.monotonic() - began
        start = end
        size = max(_LEAST_MOVED, size // 2) if spent > courtesy.seconds else min(_MOST_MOVED, size * 2)
        courtesy.pause()


def _gathered(found: Iterator[Block]) -> Iterator[list[Block]]:
    """Join blocks until they are large enough for one product with the centroids to be worth its while."""
    while waiting := list(islice(found, _GATHER // VEC_CHUNK_SIZE)):
        yield waiting


def _choose_probes(connection: Connection, index: IndexRecord, wanted: float) -> tuple[int, float]:
    """Return the least number of probes that reaches the wanted recall@10, and the recall it reaches.

    A neighbour is found when its cell is among those probed: so the recall at p is the share of true neighbours whose
    cell is one of the p nearest to the query, and no search needs to be run.
    """
    trained = cells.cells_of(index)
    queries = samples.draw(connection, index, size=_QUERIES)
    if trained is None or not len(queries):
        return 1, 1.0
    neighbours = _true_neighbours(connection, index, queries)
    ranks = np.sort(cells.cell_ranks(connection, index, queries, neighbours))
    if not len(ranks):
        return 1, 1.0
    reached = np.searchsorted(ranks, np.arange(1, trained.count + 1), side="right") / len(ranks)
    probes = int(np.argmax(reached >= wanted)) + 1
    return probes, round(float(reached[probes - 1]), 4)


def _true_neighbours(connection: Connection, index: IndexRecord, queries: FloatMatrix) -> NDArray[np.int64]:
    """Return the ids of each query's nearest neighbours, shape (queries, _NEIGHBOURS), by one pass over all vectors.

    The query is a vector of the index and finds itself first: that is no merit and is left out. 0 where they are fewer.
    """
    depth = _NEIGHBOURS + 1
    best = np.full((len(queries), depth), -np.inf, dtype=np.float32)
    best_ids = np.zeros((len(queries), depth), dtype=np.int64)
    for block in blocks(connection, index):
        similarity = queries @ block.vectors.T
        values = np.concatenate([best, similarity], axis=1)
        numbers = np.concatenate([best_ids, np.broadcast_to(block.ids, similarity.shape)], axis=1)
        keep = np.argpartition(-values, depth - 1, axis=1)[:, :depth]
        best = np.take_along_axis(values, keep, axis=1)
        best_ids = np.take_along_axis(numbers, keep, axis=1)
    order = np.argsort(-best, axis=1)[:, 1:]
    return np.take_along_axis(best_ids, order, axis=1)
