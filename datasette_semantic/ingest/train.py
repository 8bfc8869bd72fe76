"""Training: cells for an index that has grown too large to be read whole by every query.

In flat memory and in short steps, each of which a kill leaves resumable: a sample is clustered, the centroids are put
in force, vectors move to their cells a few hundred at a time, and the number of probes is found by measuring recall on
the index's own vectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import TRAIN_AT, TRAIN_SAMPLE
from ..errors import BadOption
from ..laws.clustering import cell_count, kmeans
from ..laws.vectors import FloatMatrix
from ..records import IndexRecord
from ..store import catalog, cells, samples, vector_index
from ..store.blocks import blocks
from ..store.connection import Connection
from .courtesy import Courtesy
from .moving import gathered, move

__all__ = ["check_recall", "choose_probes", "needs_probes", "needs_training", "train"]

_GROWTH = 4
"""An index is trained anew when it holds so many times the vectors that it was trained on: then twice the cells pay;
and when so small a part of them is left: then most of its cells' space stands empty."""
_LEAST = 2_000
"""Vectors below which an index that has shrunk keeps its cells."""
_QUERIES = 300
"""Vectors of the index that serve as queries when recall is measured."""
_NEIGHBOURS = 10
_MARGIN = 0.7
"""Of the misses that are allowed only so many are planned for: what people ask lies a little farther from the rows than
the rows do from each other (100,000 passages: probes that found 0.951 of the rows' own neighbours found 0.944 of those
of held-out passages)."""


def needs_training(index: IndexRecord, *, vectors: int, least: int = TRAIN_AT) -> bool:
    """True where the index has passed the size at which cells pay, or has outgrown those it has, or shrunk in them.

    Of a partitioned index `vectors` are those of a typical part, here and in `train`.
    """
    trained = cells.cells_of(index)
    if trained is None:
        return vectors >= least
    shrunk = _LEAST <= vectors <= trained.trained_at / _GROWTH
    return trained.probes == 0 or shrunk or vectors >= _GROWTH * trained.trained_at


def check_recall(value: Any) -> float:
    """Return a recall that an index can be held to. Raises BadOption for what is no number above 0 and up to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise BadOption(f"recall is a number above 0 and up to 1, not {value!r}")
    return float(value)


def train(connection: Connection, index: IndexRecord, *, vectors: int) -> IndexRecord:
    """Give an index of `vectors` vectors its cells, or go on with a training that was broken off.

    Return the record as it then stands.
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
    return choose_probes(connection, index)


def needs_probes(index: IndexRecord) -> bool:
    """True where the probes of a trained index were chosen for another recall than is wanted now."""
    trained = cells.cells_of(index)
    return trained is not None and trained.wanted != cells.wanted_recall(index)


def choose_probes(connection: Connection, index: IndexRecord) -> IndexRecord:
    """Have queries read as many cells of a trained index as the recall that is wanted takes, by measuring; return the
    record as it then stands."""
    wanted = cells.wanted_recall(index)
    probes, measured = _least_probes(connection, index, wanted)
    with catalog.writing(connection, index) as current:
        return cells.set_probes(connection, current, probes=probes, recall=measured, wanted=wanted)


def _move_all(connection: Connection, index: IndexRecord) -> None:
    """Move every vector that is not in a cell in force, in short write transactions.

    Blocks that somebody wrote to meanwhile are left for another round; the last of cell 0 may be so for as long as rows
    come in, and stay: cell 0 is read by every query.
    """
    courtesy = Courtesy(connection)
    waiting = cells.unplaced(connection, index)
    while waiting:
        for some in gathered(blocks(connection, index, waiting)):
            numbers = cells.assign(connection, index, np.concatenate([block.vectors for block in some]))
            move(connection, index, some, numbers, courtesy)
        left = cells.unplaced(connection, index)
        if len(left) >= len(waiting):
            return
        waiting = left


def _least_probes(connection: Connection, index: IndexRecord, wanted: float) -> tuple[int, float]:
    """Return the least number of probes that reaches the wanted recall@10, and the recall it reaches.

    A recall of 1 takes all cells: no measurement promises that nothing is missed.

    A neighbour is found when its cell is among those probed: so the recall at p is the share of true neighbours whose
    cell is one of the p nearest to the query, and no search needs to be run.
    """
    trained = cells.cells_of(index)
    if trained is not None and wanted >= 1:
        return trained.count, 1.0
    drawn = vector_index.vectors(connection, index, samples.places(connection, index, size=_QUERIES))
    ids = list(drawn)
    queries = vector_index.stack(drawn, ids, dimensions=index.dimensions)
    if trained is None or not len(queries):
        return 1, 1.0
    parts = np.array(cells.parts_of(connection, index, ids), dtype=np.int64)
    neighbours = _true_neighbours(connection, index, queries, parts)
    ranks = np.sort(cells.cell_ranks(connection, index, queries, neighbours))
    if not len(ranks):
        return 1, 1.0
    reached = np.searchsorted(ranks, np.arange(1, trained.count + 1), side="right") / len(ranks)
    probes = int(np.argmax(reached >= 1 - _MARGIN * (1 - wanted))) + 1
    return probes, round(float(reached[probes - 1]), 4)


def _true_neighbours(
    connection: Connection, index: IndexRecord, queries: FloatMatrix, parts: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the ids of each query's nearest neighbours in its part, shape (queries, _NEIGHBOURS), by one pass over all
    vectors.

    The query is a vector of the index and finds itself first: that is no merit and is left out. 0 where they are fewer.
    """
    depth = _NEIGHBOURS + 1
    best = np.full((len(queries), depth), -np.inf, dtype=np.float32)
    best_ids = np.zeros((len(queries), depth), dtype=np.int64)
    for some in gathered(blocks(connection, index)):
        similarity = queries @ np.concatenate([block.vectors for block in some]).T
        ids = np.concatenate([block.ids for block in some])
        similarity[
            parts[:, None] != np.repeat([block.part for block in some], [len(block.ids) for block in some])
        ] = -np.inf
        values = np.concatenate([best, similarity], axis=1)
        numbers = np.concatenate([best_ids, np.broadcast_to(ids, similarity.shape)], axis=1)
        keep = np.argpartition(-values, depth - 1, axis=1)[:, :depth]
        best = np.take_along_axis(values, keep, axis=1)
        best_ids = np.take_along_axis(numbers, keep, axis=1)
    order = np.argsort(-best, axis=1)[:, 1:]
    found = np.take_along_axis(best_ids, order, axis=1)
    found[np.take_along_axis(best, order, axis=1) == -np.inf] = 0
    return found
