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

Two guarantees come on top of the scores, because no weight can give them:

* `exact` rows (what was typed is the whole value of one of their columns) come before all others;
* a `sole` row (the only one to hold some word of the query) comes third at the latest.

Both appear among the terms of the score, so that scores fall along the ranking and each score is the sum of its terms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from datasette_semantic.records import Contribution

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datasette_semantic.records import Cell, ListWeights, Mode, RowKey

__all__ = ["SOLE_RANK", "Z_SCALE", "Candidate", "Fused", "Moments", "fuse", "key_order", "rank_one_list"]

Z_SCALE: Final = 8.0
"""Deviations above the mean that count as much as the best bm25: about where the best row of a good list stands."""

SOLE_RANK: Final = 3
"""A row that alone holds a word of the query never comes after this rank."""

MAX_VALUE: Final = 4.0
"""Bound on a semantic value, so that a table of nearly equal vectors (deviation close to 0) cannot drown the words."""


Term = tuple[str, float, float]
"""Name, weight and value: a `Contribution` in the making."""


class Candidate(NamedTuple):
    """A row that at least one list found."""

    row_id: int
    key: RowKey
    bm25: float | None
    """High is good, above 0; None where the keyword list does not hold the row."""
    cosine: float | None
    """-1 to 1; also known for rows that only the keyword list found. None where the row has no vector."""
    keyword_rank: int | None
    """From 1; None where the list does not hold the row."""
    semantic_rank: int | None
    exact: bool = False
    """What was typed is the whole value of one of the row's columns."""
    sole: bool = False
    """No other row of the table holds one of the query's words."""


class Fused(NamedTuple):
    """A candidate with its place in the ranking.

    Like the candidates a named tuple: a search makes thousands of both, of which it shows ten.
    """

    candidate: Candidate
    score: float
    """The sum of `weight * value` over `terms`."""
    terms: tuple[Term, ...]

    @property
    def why(self) -> tuple[Contribution, ...]:
        """The terms of the score, made only for the rows that are shown."""
        return tuple(starmap(Contribution, self.terms))


Added = Mapping[int, Sequence[Term]]
"""row_id to further terms of its score; a weight is a share of the best score, so that it means the same everywhere."""

Arrange = Callable[[list[Fused]], list[Fused]]
"""Puts a ranking into another order; scores must fall along it."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean and deviation of the cosine between one query and the table's vectors at large."""

    mean: float
    deviation: float


def fuse(
    candidates: Sequence[Candidate],
    *,
    weights: ListWeights,
    moments: Moments | None,
    added: Added | None = None,
    arrange: Arrange | None = None,
) -> tuple[Fused, ...]:
    """Return the candidates as one ranking, best first.

    Ties: the better score, then the better of the two ranks, then the row key in SQLite's order of types and values.
    Where `moments` is None they are taken from the candidates themselves. `added` maps row_id to further terms, whose
    weights are shares of the best score. `arrange` may change the order before the guarantees are given, so that these
    hold whatever it does. Never raises on candidates free of NaN; the result holds each candidate once.
    """
    if not candidates:
        return ()
    if weights.fusion == "rrf":
        keyword = _reciprocal((candidate.keyword_rank for candidate in candidates), weights.rrf_k)
        semantic = _reciprocal((candidate.semantic_rank for candidate in candidates), weights.rrf_k)
    else:
        keyword = _keyword_values(candidates)
        semantic = _semantic_values(candidates, moments)
    terms = [
        (("keyword", weights.keyword, k), ("semantic", weights.semantic, s))
        for k, s in zip(keyword, semantic, strict=True)
    ]
    scores = [weights.keyword * k + weights.semantic * s for k, s in zip(keyword, semantic, strict=True)]
    ranking = _sorted(_with_added(list(map(Fused, candidates, scores, terms)), added))
    return _with_guarantees(ranking if arrange is None else arrange(ranking))


def rank_one_list(
    candidates: Sequence[Candidate], mode: Mode, *, added: Added | None = None, arrange: Arrange | None = None
) -> tuple[Fused, ...]:
    """Rank the candidates of one list by its own measure: bm25 in keyword mode, cosine (1 - distance) in semantic mode.

    Rows that the list does not hold are left out. Ties, `added` and `arrange` as in `fuse`. In hybrid mode:
    `ValueError`.
    """
    if mode == "keyword":
        scored = ((c, c.bm25) for c in candidates if c.bm25 is not None)
    elif mode == "semantic":
        scored = ((c, c.cosine) for c in candidates if c.cosine is not None and c.semantic_rank is not None)
    else:
        raise ValueError(f"mode {mode!r} has more than one list: use fuse")
    ranking = _sorted(
        _with_added([Fused(candidate, score, ((mode, 1.0, score),)) for candidate, score in scored], added)
    )
    return tuple(ranking if arrange is None else arrange(ranking))


def _with_added(fused: list[Fused], added: Added | None) -> list[Fused]:
    """Add further terms to the scores, each weighed by the best of these."""
    if not added or not fused:
        return fused
    unit = max(abs(each.score) for each in fused)
    raised = []
    for each in fused:
        more = tuple((name, weight * unit, value) for name, weight, value in added.get(each.candidate.row_id, ()))
        score = each.score + sum(weight * value for _name, weight, value in more)
        raised.append(Fused(each.candidate, score, (*each.terms, *more)))
    return raised


def key_order(key: RowKey) -> tuple[tuple[int, Cell], ...]:
    """Return a sort key that orders row keys as SQLite does: null, numbers, text, blob; each by value."""
    return tuple((_TYPE_ORDER[type(cell)], 0 if cell is None else cell) for cell in key)


_TYPE_ORDER: Final[dict[type, int]] = {type(None): 0, bool: 1, int: 1, float: 1, str: 2, bytes: 3}


def _sorted(fused: list[Fused]) -> list[Fused]:
    """Sort by score; what ties there are by best rank, then row key."""
    scores = np.array([each.score for each in fused])
    order = np.argsort(-scores, kind="stable")
    ranking = [fused[place] for place in order.tolist()]
    ends = np.flatnonzero(np.diff(scores[order])) + 1
    for start, end in zip([0, *ends.tolist()], [*ends.tolist(), len(ranking)], strict=True):
        if end - start > 1:
            ranking[start:end] = sorted(ranking[start:end], key=_tie_order)
    return ranking


def _tie_order(fused: Fused) -> tuple[int, tuple[tuple[int, Cell], ...]]:
    return _best_rank(fused.candidate), key_order(fused.candidate.key)


def _best_rank(candidate: Candidate) -> int:
    ranks = [rank for rank in (candidate.keyword_rank, candidate.semantic_rank) if rank is not None]
    return min(ranks, default=_NO_RANK)


_NO_RANK: Final = 2**62


def _reciprocal(ranks: Iterable[int | None], k: float) -> list[float]:
    return [0.0 if rank is None else 1.0 / (k + rank) for rank in ranks]


def _keyword_values(candidates: Sequence[Candidate]) -> list[float]:
    """Each bm25 as a share of the greatest; 0 where there is none."""
    scores = [candidate.bm25 or 0.0 for candidate in candidates]
    greatest = max(scores)
    return [score / greatest for score in scores] if greatest > 0 else [0.0] * len(scores)


def _semantic_values(candidates: Sequence[Candidate], moments: Moments | None) -> list[float]:
    """Each cosine in deviations above the mean over `Z_SCALE`; 0 where there is none, or nothing stands out."""
    if moments is None:
        moments = _moments_of(candidates)
    scale = Z_SCALE * moments.deviation
    if not scale > 0:
        return [0.0] * len(candidates)
    low, high, mean = -MAX_VALUE, MAX_VALUE, moments.mean
    return [
        0.0 if candidate.cosine is None else min(high, max(low, (candidate.cosine - mean) / scale))
        for candidate in candidates
    ]


def _moments_of(candidates: Sequence[Candidate]) -> Moments:
    # Sorted, for sums of floats depend on the order.
    cosines = sorted(candidate.cosine for candidate in candidates if candidate.cosine is not None)
    return Moments(float(np.mean(cosines)), float(np.std(cosines))) if cosines else Moments(0.0, 0.0)


# --- guarantees ------------------------------------------------------------------------------------------------------


def _with_guarantees(ranking: list[Fused]) -> tuple[Fused, ...]:
    """Move sole rows up to `SOLE_RANK`, then exact rows to the top, and say so in their terms."""
    ranking = _lift_sole(ranking)
    exact = [fused for fused in ranking if fused.candidate.exact]
    if not exact:
        return tuple(ranking)
    spread = ranking[0].score - exact[-1].score
    lifted = [_lifted(fused, "exact", spread) for fused in exact]
    return (*lifted, *(fused for fused in ranking if not fused.candidate.exact))


def _lift_sole(ranking: list[Fused]) -> list[Fused]:
    """The best sole row goes no lower than `SOLE_RANK`: it takes the score of the row whose place it takes."""
    late = next((i for i, fused in enumerate(ranking) if fused.candidate.sole), 0)
    place = SOLE_RANK - 1
    if late <= place:
        return ranking
    lifted = _lifted(ranking[late], "sole", ranking[place].score - ranking[late].score)
    return [*ranking[:place], lifted, *ranking[place:late], *ranking[late + 1 :]]


def _lifted(fused: Fused, name: str, lift: float) -> Fused:
    return Fused(fused.candidate, fused.score + lift, (*fused.terms, (name, 1.0, lift)))
