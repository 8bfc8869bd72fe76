"""Scores of several lists of rows, added up for each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["best_sums"]

Rows = NDArray[np.int64]
Scores = NDArray[np.float64]

_DENSE: Final = 32
"""Up to so many times as many row numbers as scores, one sum is kept for each number: quicker than sorting."""


def best_sums(lists: Sequence[tuple[Rows, Scores]], *, k: int) -> tuple[Rows, Scores]:
    """Return the `k` rows with the greatest sums, greatest first, ties by row number; and the sums.

    A row's scores are added in the order of the lists, so that sums do not depend on how they are found. Scores are
    above 0; no list holds a row twice.
    """
    if not lists:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    rows, scores = np.concatenate([each for each, _ in lists]), np.concatenate([each for _, each in lists])
    if not len(rows):
        return rows, scores
    if rows.min() >= 0 and rows.max() < _DENSE * len(rows):
        dense = np.bincount(rows, weights=scores)
        distinct = np.flatnonzero(dense).astype(np.int64)
        sums = dense[distinct].astype(np.float64, copy=False)
    else:
        distinct, place = np.unique(rows, return_inverse=True)
        sums = np.bincount(place, weights=scores).astype(np.float64, copy=False)
    if k < len(sums):
        least = np.partition(sums, len(sums) - k)[len(sums) - k]
        reaching = np.flatnonzero(sums >= least)
        distinct, sums = distinct[reaching], sums[reaching]
    order = np.lexsort((distinct, -sums))[:k]
    return distinct[order], sums[order]
