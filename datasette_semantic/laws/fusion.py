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

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datasette_semantic.records import Contribution

if TYPE_CHECKING:
    from datasette_semantic.records import Cell, ListWeights, Mode, RowKey

__all__ = [
    "SOLE_RANK",
    "Z_SCALE",
    "Candidate",
    "Candidates",
    "Fused",
    "Moments",
    "Ranked",
    "fuse",
    "key_order",
    "rank_one_list",
]

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


Column = NDArray[Any]
"""Shape (candidates,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The rows that at least one list found, by columns: a search joins thousands of rows, of which it shows ten."""

    row_ids: Column
    keys: Mapping[int, RowKey]
    """By row_id; of more rows than these, perhaps."""
    bm25: Column
    """NaN where `Candidate` has None."""
    cosine: Column
    keyword_rank: Column
    """0 where `Candidate` has None."""
    semantic_rank: Column
    exact: Column
    sole: Column

    @classmethod
    def of(cls, rows: Iterable[Candidate]) -> Candidates:
        listed = list(rows)
        columns = list(zip(*listed, strict=True)) or [()] * len(Candidate._fields)
        row_ids, keys, bm25, cosine, keyword_rank, semantic_rank, exact, sole = columns
        return cls(
            np.array(row_ids, dtype=np.int64),
            dict(zip(row_ids, keys, strict=True)),
            np.array(bm25, dtype=np.float64),
            np.array(cosine, dtype=np.float64),
            np.array([rank or 0 for rank in keyword_rank], dtype=np.int64),
            np.array([rank or 0 for rank in semantic_rank], dtype=np.int64),
            np.array(exact, dtype=np.bool_),
            np.array(sole, dtype=np.bool_),
        )

    def __len__(self) -> int:
        return len(self.row_ids)

    def __getitem__(self, place: int) -> Candidate:
        bm25, cosine = float(self.bm25[place]), float(self.cosine[place])
        row_id = int(self.row_ids[place])
        return Candidate(
            row_id,
            self.keys[row_id],
            None if np.isnan(bm25) else bm25,
            None if np.isnan(cosine) else cosine,
            int(self.keyword_rank[place]) or None,
            int(self.semantic_rank[place]) or None,
            bool(self.exact[place]),
            bool(self.sole[place]),
        )

    def only(self, kept: NDArray[np.bool_]) -> Candidates:
        """Return those where `kept` is true, in the same order."""
        if kept.all():
            return self
        return Candidates(
            self.row_ids[kept],
            self.keys,
            self.bm25[kept],
            self.cosine[kept],
            self.keyword_rank[kept],
            self.semantic_rank[kept],
            self.exact[kept],
            self.sole[kept],
        )


class Fused(NamedTuple):
    """A candidate with its score."""

    candidate: Candidate
    score: float
    """The sum of `weight * value` over `terms`."""
    terms: tuple[Term, ...]

    @property
    def why(self) -> tuple[Contribution, ...]:
        """The terms of the score, made only for the rows that are shown."""
        return tuple(starmap(Contribution, self.terms))


class Ranked(Sequence[Fused]):
    """A ranking, best first, whose rows are made when they are asked for."""

    __slots__ = ("_row", "keys", "row_ids")

    def __init__(self, row_ids: Sequence[int], keys: tuple[RowKey, ...], row: Callable[[int], Fused]) -> None:
        self.row_ids, self.keys, self._row = row_ids, keys, row

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, place: Any) -> Any:
        """Return one `Fused`, or a list of them for a slice."""
        if isinstance(place, slice):
            return [self._row(each) for each in range(*place.indices(len(self)))]
        return self._row(range(len(self))[place])

    def only(self, row_ids: Iterable[int]) -> Ranked:
        """Return those with these row_ids, in the same order."""
        wanted, row = set(row_ids), self._row
        kept = [place for place, row_id in enumerate(self.row_ids) if row_id in wanted]
        return Ranked(
            [self.row_ids[place] for place in kept],
            tuple(self.keys[place] for place in kept),
            lambda place: row(kept[place]),
        )


Added = Mapping[int, Sequence[Term]]
"""row_id to further terms of its score; a weight is a share of the best score, so that it means the same everywhere."""

Arrange = Callable[[list[Fused]], list[Fused]]
"""Puts a ranking into another order; scores must fall along it."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean and deviation of the cosine between one query and the table's vectors at large."""

    mean: float
    deviation: float


_Part = tuple[str, float, Column]
"""Name and weight of a list, with its values."""


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
    draft = _Draft(candidates, parts)
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
    draft = _Draft(held, ((mode, 1.0, values),))
    draft.add(added)
    draft.arrange(arrange)
    return draft.ranked()


class _Draft:
    """A ranking in the making: places of candidates in their order, their scores, and the terms that are not parts."""

    def __init__(self, candidates: Candidates, parts: Sequence[_Part]) -> None:
        self.candidates, self.parts = candidates, parts
        self.scores = np.zeros(len(candidates))
        for _name, weight, values in parts:
            self.scores = self.scores + weight * values
        self.more: dict[int, tuple[Term, ...]] = {}
        self.instead: dict[int, tuple[Term, ...]] = {}
        """Terms that stand in the place of the parts."""
        self.order = _order(candidates, self.scores)

    def row(self, place: int) -> Fused:
        terms = self.instead.get(place)
        if terms is None:
            terms = tuple((name, weight, float(values[place])) for name, weight, values in self.parts)
        return Fused(self.candidates[place], float(self.scores[place]), (*terms, *self.more.get(place, ())))

    def ranked(self) -> Ranked:
        order, row = self.order, self.row
        row_ids: list[int] = self.candidates.row_ids[order].tolist()
        return Ranked(row_ids, tuple(map(self.candidates.keys.__getitem__, row_ids)), lambda place: row(order[place]))

    def add(self, added: Added | None) -> None:
        """Add further terms to the scores, each weighed by the best of these."""
        if not added or not self.order:
            return
        unit = float(np.abs(self.scores).max())
        for place, row_id in enumerate(self.candidates.row_ids.tolist()):
            terms = tuple((name, weight * unit, value) for name, weight, value in added.get(row_id, ()))
            self.more[place] = terms
            self.scores[place] += sum(weight * value for _name, weight, value in terms)
        self.order = _order(self.candidates, self.scores)

    def arrange(self, arrange: Arrange | None) -> None:
        if arrange is None or not self.order:
            return
        place_of = {row_id: place for place, row_id in enumerate(self.candidates.row_ids.tolist())}
        arranged = arrange([self.row(place) for place in self.order])
        self.order = [place_of[fused.candidate.row_id] for fused in arranged]
        self.instead = {place: fused.terms for place, fused in zip(self.order, arranged, strict=True)}
        self.scores[self.order] = [fused.score for fused in arranged]
        self.more.clear()

    def lift_sole(self) -> None:
        """The best sole row goes no lower than `SOLE_RANK`: it takes the score of the row whose place it takes."""
        if not self.candidates.sole.any():
            return
        late = int(np.argmax(self.candidates.sole[self.order]))
        if late < SOLE_RANK:
            return
        place = self.order.pop(late)
        self._lift(place, "sole", float(self.scores[self.order[SOLE_RANK - 1]] - self.scores[place]))
        self.order.insert(SOLE_RANK - 1, place)

    def lift_exact(self) -> None:
        """Exact rows go to the top."""
        exact = [place for place in self.order if self.candidates.exact[place]] if self.candidates.exact.any() else []
        if not exact:
            return
        spread = float(self.scores[self.order[0]] - self.scores[exact[-1]])
        for place in exact:
            self._lift(place, "exact", spread)
        self.order = [*exact, *(place for place in self.order if not self.candidates.exact[place])]

    def _lift(self, place: int, name: str, lift: float) -> None:
        self.scores[place] += lift
        self.more[place] = (*self.more.get(place, ()), (name, 1.0, lift))


def key_order(key: RowKey) -> tuple[tuple[int, Cell], ...]:
    """Return a sort key that orders row keys as SQLite does: null, numbers, text, blob; each by value."""
    return tuple((_TYPE_ORDER[type(cell)], 0 if cell is None else cell) for cell in key)


_TYPE_ORDER: Final[dict[type, int]] = {type(None): 0, bool: 1, int: 1, float: 1, str: 2, bytes: 3}


def _order(candidates: Candidates, scores: Column) -> list[int]:
    """Return the places of the candidates by score, then best rank, then row key."""
    best = _best_ranks(candidates)
    order = np.lexsort((best, -scores))
    sorted_scores, sorted_best = scores[order], best[order]
    same = (sorted_scores[1:] == sorted_scores[:-1]) & (sorted_best[1:] == sorted_best[:-1])
    places: list[int] = order.tolist()

    def key(place: int) -> tuple[tuple[int, Cell], ...]:
        return key_order(candidates.keys[int(candidates.row_ids[place])])

    starts = np.flatnonzero(same & ~np.concatenate([[False], same[:-1]])).tolist()
    ends = (np.flatnonzero(same & ~np.concatenate([same[1:], [False]])) + 2).tolist()
    for start, end in zip(starts, ends, strict=True):
        places[start:end] = sorted(places[start:end], key=key)
    return places


def _best_ranks(candidates: Candidates) -> Column:
    ranks = np.stack([candidates.keyword_rank, candidates.semantic_rank])
    best: Column = np.where(ranks > 0, ranks, _NO_RANK).min(axis=0)
    return best


_NO_RANK: Final = 2**62


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
