"""Two lists become one ranking.

Scores are combined, not only ranks: a convex combination of normalised scores beats reciprocal rank fusion wherever
one list is much weaker than the other (Bruch, Gai, Ingber: *An Analysis of Fusion Functions for Hybrid Retrieval*,
ACM TOIS 2023).

    score = keyword weight  * bm25 / greatest bm25 of this query
          + semantic weight * (cosine - mean) / (8 * deviation)

`mean` and `deviation` describe the cosine between this query and the table's vectors at large (`Moments`), so that a
semantic value says how far a row stands out from the table, on a scale that is the same for every model. A row that
one list does not hold stands, for that list, where a row stands that says nothing about the query: bm25 0, cosine at
the mean.

What no weight can give, an exact title that comes first, is guaranteed on top (`ranking`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from .ranking import Added, Arrange, Draft, Ranked

if TYPE_CHECKING:
    from datasette_semantic.records import ListWeights, Mode

    from .candidates import Candidates, Column

__all__ = ["Z_SCALE", "Moments", "fuse", "rank_one_list"]

Z_SCALE: Final = 8.0
"""Deviations above the mean that count as much as the best bm25: about where the best row of a good list stands."""


MAX_VALUE: Final = 4.0
"""Bound on a semantic value, so that a table of nearly equal vectors (deviation close to 0) cannot drown the words."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean and deviation of the cosine between one query and the table's vectors at large."""

    mean: float
    deviation: float


def fuse(
    candidates: Candidates,
    *,
    weights: ListWeights,
    moments: Moments | None,
    added: Added | None = None,
    arrange: Arrange | None = None,
) -> Ranked:
    """Return the candidates as one ranking, best first.

    Ties: the better score, then the better of the two ranks, then the row key in SQLite's order of types and values.
    Where `moments` is None they are taken from the candidates themselves. `added` maps row_id to further terms, whose
    weights are shares of the best score. `arrange` may change the order before the guarantees are given, so that these
    hold whatever it does. Never raises; the result holds each candidate once.
    """
    if weights.fusion == "rrf":
        keyword = _reciprocal(candidates.keyword_rank, weights.rrf_k)
        semantic = _reciprocal(candidates.semantic_rank, weights.rrf_k)
    else:
        keyword = _keyword_values(candidates)
        semantic = _semantic_values(candidates, moments)
    parts = (("keyword", weights.keyword, keyword), ("semantic", weights.semantic, semantic))
    draft = Draft(candidates, parts)
    draft.add(added)
    draft.arrange(arrange)
    draft.lift_sole()
    draft.lift_exact()
    return draft.ranked()


def rank_one_list(
    candidates: Candidates, mode: Mode, *, added: Added | None = None, arrange: Arrange | None = None
) -> Ranked:
    """Rank the candidates of one list by its own measure: bm25 in keyword mode, cosine (1 - distance) in semantic mode.

    Rows that the list does not hold are left out. Ties, `added` and `arrange` as in `fuse`. In hybrid mode:
    `ValueError`.
    """
    if mode == "keyword":
        held = candidates.only(~np.isnan(candidates.bm25))
        values = held.bm25
    elif mode == "semantic":
        held = candidates.only(~np.isnan(candidates.cosine) & (candidates.semantic_rank > 0))
        values = held.cosine
    else:
        raise ValueError(f"mode {mode!r} has more than one list: use fuse")
    draft = Draft(held, ((mode, 1.0, values),))
    draft.add(added)
    draft.arrange(arrange)
    return draft.ranked()


def _reciprocal(ranks: Column, k: float) -> Column:
    values: Column = np.where(ranks > 0, 1.0 / (k + ranks), 0.0)
    return values


def _keyword_values(candidates: Candidates) -> Column:
    """Each bm25 as a share of the greatest; 0 where there is none."""
    scores = np.nan_to_num(candidates.bm25)
    greatest = scores.max(initial=0.0)
    return scores / greatest if greatest > 0 else np.zeros(len(scores))


def _semantic_values(candidates: Candidates, moments: Moments | None) -> Column:
    """Each cosine in deviations above the mean over `Z_SCALE`; 0 where there is none, or nothing stands out."""
    if moments is None:
        moments = _moments_of(candidates)
    scale = Z_SCALE * moments.deviation
    if not scale > 0:
        return np.zeros(len(candidates))
    with np.errstate(over="ignore"):
        values = np.clip((candidates.cosine - moments.mean) / scale, -MAX_VALUE, MAX_VALUE)
    return np.where(np.isnan(values), 0.0, values)


def _moments_of(candidates: Candidates) -> Moments:
    # Sorted, for sums of floats depend on the order.
    cosines = np.sort(candidates.cosine[~np.isnan(candidates.cosine)])
    return Moments(float(np.mean(cosines)), float(np.std(cosines))) if len(cosines) else Moments(0.0, 0.0)
