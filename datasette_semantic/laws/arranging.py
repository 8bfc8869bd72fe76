"""A ranking arranged anew: by a second opinion, or for variety.

Both work on the first rows of a ranking only, keep every row, and leave scores that fall along the ranking and are the
sums of their terms.

**Variety** is maximal marginal relevance: each place goes to the row that is best after a deduction for being like a
row before it (Carbonell, Goldstein: *The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing
Summaries*, SIGIR 1998).

    score - strength * best score * greatest cosine to a row before

The deduction of the rows still to be placed can only grow, so the scores fall by themselves. The rows after the first
ones have the whole of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from .ranking import Fused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datasette_semantic.laws.vectors import FloatVector
    from datasette_semantic.records import RowKey

__all__ = ["VARIED", "by_opinion", "varied"]

VARIED: Final = 100
"""Rows that are arranged for variety: further down nobody sees two that are alike beside each other."""


def by_opinion(ranking: Sequence[Fused], opinion: Mapping[RowKey, float]) -> list[Fused]:
    """Put the rows that `opinion` scores first, in the order of these scores (high is good); equals stay as they were.

    What the lists say of them is still among their terms, with weight 0.
    """
    judged = [fused for fused in ranking if fused.candidate.key in opinion]
    others = [fused for fused in ranking if fused.candidate.key not in opinion]
    if not judged:
        return list(ranking)
    values = [opinion[fused.candidate.key] for fused in judged]
    low, width = min(values), max(values) - min(values)
    base = others[0].score if others else 0.0
    unit = max(judged[0].score - base, 0.0) or 1.0
    # By the opinions themselves: two that differ by less than rounding shows have equal scores.
    order = sorted(range(len(judged)), key=lambda place: -values[place])
    rescored = []
    for fused, value in ((judged[place], values[place]) for place in order):
        share = (value - low) / width if width > 0 else 1.0
        terms = (*((name, 0.0, said) for name, _weight, said in fused.terms), ("rerank", unit, share))
        rescored.append(Fused(fused.candidate, base + unit * share, (*terms, ("above the others", 1.0, base))))
    return rescored + others


def varied(ranking: Sequence[Fused], vectors: Mapping[int, FloatVector], *, strength: float) -> list[Fused]:
    """Arrange the first `VARIED` rows so that rows that are alike do not follow each other.

    `vectors` maps row_id to a unit vector; a row without one is like no other. `strength` is from 0, which changes
    nothing, to 1.
    """
    head, rest = list(ranking[:VARIED]), ranking[VARIED:]
    if not head:
        return []
    cost = strength * max(abs(head[0].score), abs(head[-1].score))
    alike = _likeness([vectors.get(fused.candidate.row_id) for fused in head])
    scores = np.array([fused.score for fused in head])
    likest = np.zeros(len(head))
    waiting = np.ones(len(head), dtype=bool)
    arranged = []
    for _ in head:
        best = int(np.argmax(np.where(waiting, scores - cost * likest, -np.inf)))
        arranged.append(_less(head[best], cost, float(likest[best])))
        waiting[best] = False
        likest = np.maximum(likest, np.where(waiting, alike[best], likest))
    return [*arranged, *(_less(fused, cost, 1.0) for fused in rest)]


def _likeness(vectors: Sequence[FloatVector | None]) -> np.ndarray:
    """Return the cosine of each pair, from 0 to 1, shape (rows, rows)."""
    present = [place for place, vector in enumerate(vectors) if vector is not None]
    alike = np.zeros((len(vectors), len(vectors)))
    if present:
        matrix = np.stack([vector for vector in vectors if vector is not None]).astype(np.float64)
        alike[np.ix_(present, present)] = np.clip(matrix @ matrix.T, 0.0, 1.0)
    return alike


def _less(fused: Fused, cost: float, likeness: float) -> Fused:
    return Fused(fused.candidate, fused.score - cost * likeness, (*fused.terms, ("variety", -cost, likeness)))
