"""Scores of several lists of rows, added up for each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rows", "Scores", "best", "best_sums", "could_be_best", "scores_at"]

Rows = NDArray[np.int64]
Scores = NDArray[np.float64]

_DENSE: Final = 32
"""Up to so many times as many row numbers as scores, one sum is kept for each number: quicker than sorting."""


def best_sums(lists: Sequence[tuple[Rows, Scores]]) -> tuple[Rows, Scores]:
    """Return every row of the lists, ascending, and the sum of its scores.

    They are added in the order of the lists, so that sums do not depend on how they are found. Scores are above 0; no
    list holds a row twice.
    """
    if not lists:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    rows, scores = np.concatenate([each for each, _ in lists]), np.concatenate([each for _, each in lists])
    if not len(rows):
        return rows, scores
    if rows.min() >= 0 and rows.max() < _DENSE * len(rows):
        dense = np.bincount(rows, weights=scores)
        distinct = np.flatnonzero(dense).astype(np.int64)
        return distinct, dense[distinct].astype(np.float64, copy=False)
    distinct, place = np.unique(rows, return_inverse=True)
    return distinct, np.bincount(place, weights=scores).astype(np.float64, copy=False)


def scores_at(listed: tuple[Rows, Scores], rows: Rows) -> Scores:
    """Return the scores that a list, its rows ascending, has for some rows; 0 for those that it does not hold."""
    held, scores = listed
    if not len(held):
        return np.zeros(len(rows))
    places = np.minimum(np.searchsorted(held, rows), len(held) - 1)
    found: Scores = np.where(held[places] == rows, scores[places], 0.0)
    return found


def could_be_best(rows: Rows, scores: Scores, *, k: int, gain: float) -> tuple[Rows, Scores]:
    """Return the rows that could be among the best `k` if any of them may gain so much."""
    if k >= len(scores):
        return rows, scores
    kept = np.flatnonzero(scores >= np.partition(scores, len(scores) - k)[len(scores) - k] - gain)
    return rows[kept], scores[kept]


def best(rows: Rows, scores: Scores, *, k: int) -> tuple[Rows, Scores]:
    """Return the `k` rows with the greatest scores, greatest first, ties by row number."""
    rows, scores = could_be_best(rows, scores, k=k, gain=0.0)
    order = np.lexsort((rows, -scores))[:k]
    return rows[order], scores[order]
