"""The best rows for each of many queries at once, from scores that come in tiles: a matrix product is worth a thousand
queries made one by one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .vectors import FloatMatrix

__all__ = ["BestRows", "best_of_rows"]

Numbers = NDArray[np.int64]
Scores = NDArray[np.float32]

_NEVER = np.float32(-np.inf)
_PENDING = 4
"""Candidates per wanted row that may wait to be sorted out."""


def best_of_rows(scores: FloatMatrix, rows: Numbers) -> tuple[Scores, Numbers]:
    """Return the best score of each row, shape (queries, distinct rows), and those rows.

    `scores` has the shape (queries, chunks); `rows` names the row of each chunk, those of a row together.
    """
    starts = np.flatnonzero(np.concatenate(([True], rows[1:] != rows[:-1])))
    if len(starts) == len(rows):
        return scores, rows
    return np.maximum.reduceat(scores, starts, axis=1), rows[starts]


class BestRows:
    """The `k` best rows for each query of a batch, among all that were offered; equals in the order of row numbers.

    Rows are numbered from 0, without great gaps. Memory is that of some `k` rows per query and of one tile.
    """

    def __init__(self, own: Numbers, *, k: int) -> None:
        """`own` has for each query the row that it stands for, which is not among its best; -1 for none."""
        self._own = own
        self._k = k
        self._bar = np.full(len(own), _NEVER, dtype=np.float32)
        """Per query a score that `k` rows are known to reach: what is below need not be looked at."""
        self._kept: list[tuple[Numbers, Numbers, Scores]] = []
        self._waiting = 0

    def offer(self, queries: Numbers, scores: Scores, rows: Numbers) -> None:
        """Take in scores, shape (queries, rows). `queries` are places in the batch; `rows` are distinct and ascending.

        A row may be offered again with other scores: the best counts. `scores` is written to.
        """
        if not self._k or not len(rows) or not len(queries):
            return
        self._leave_out_own(queries, scores, rows)
        self._raise_bar(queries, scores)
        places, columns = np.nonzero((scores >= self._bar[queries, None]) & (scores > _NEVER))
        self._kept.append((queries[places], rows[columns], scores[places, columns]))
        self._waiting += len(places)
        if self._waiting > _PENDING * self._k * len(self._own):
            self._sort_out()

    def result(self) -> tuple[Numbers, Numbers, Scores]:
        """Return the place of a query, a row and its score, best first within each query."""
        self._sort_out()
        return self._kept[0]

    def counts(self) -> Numbers:
        """Return how many rows each query has by now."""
        return np.bincount(self.result()[0], minlength=len(self._own))

    def _leave_out_own(self, queries: Numbers, scores: Scores, rows: Numbers) -> None:
        own = self._own[queries]
        columns = np.minimum(np.searchsorted(rows, own), len(rows) - 1)
        there = np.flatnonzero(rows[columns] == own)
        scores[there, columns[there]] = _NEVER

    def _raise_bar(self, queries: Numbers, scores: Scores) -> None:
        """Where nothing is known yet, the k-th best of this tile is a bar already."""
        width = scores.shape[1]
        fresh = np.flatnonzero(self._bar[queries] == _NEVER)
        if width <= self._k or not len(fresh):
            return
        self._bar[queries[fresh]] = np.partition(scores[fresh], width - self._k, axis=1)[:, width - self._k]

    def _sort_out(self) -> None:
        empty = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
        queries, rows, scores = map(np.concatenate, zip(empty, *self._kept, strict=True))
        queries, rows, scores = _each_once(queries, rows, scores)
        order = np.argsort(queries << 32 | _descending(scores), kind="stable")
        queries, rows, scores = queries[order], rows[order], scores[order]
        rank = np.arange(len(queries)) - np.searchsorted(queries, queries)
        kept = rank < self._k
        last = rank == self._k - 1
        self._bar[queries[last]] = scores[last]
        self._kept = [(queries[kept], rows[kept], scores[kept])]
        self._waiting = 0


def _each_once(queries: Numbers, rows: Numbers, scores: Scores) -> tuple[Numbers, Numbers, Scores]:
    """Return each pair of query and row once, with its best score, in the order of queries and rows."""
    if not len(rows):
        return queries, rows, scores
    width = int(rows.max()) + 1
    pairs = queries * width + rows
    order = np.argsort(pairs)
    pairs = pairs[order]
    starts = np.flatnonzero(np.concatenate(([True], pairs[1:] != pairs[:-1])))
    best = np.maximum.reduceat(scores[order], starts)
    return pairs[starts] // width, pairs[starts] % width, best


def _descending(scores: Scores) -> Numbers:
    """Return whole numbers below 2**32 that order as the scores do, the greatest score first."""
    bits = (scores + np.float32(0.0)).view(np.uint32).astype(np.int64)  # adding 0 turns -0.0 into 0.0
    negative = bits >> 31 == 1
    return np.where(negative, bits, 0x7FFFFFFF - bits)
