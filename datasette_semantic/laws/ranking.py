"""A ranking in the making, and made: scores are sums of terms, fall along it, and ties are broken by key.

Two guarantees come on top of the scores, because no weight can give them:

* `exact` rows (what was typed is the whole value of one of their columns) come before all others;
* a `sole` row (the only one to hold some word of the query) comes third at the latest.

Both appear among the terms of the score, so that scores fall along the ranking and each score is the sum of its terms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import starmap
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from datasette_semantic.records import Contribution

from .candidates import Candidate, Candidates, Column

if TYPE_CHECKING:
    from datasette_semantic.records import Cell, RowKey

__all__ = ["SOLE_RANK", "Added", "Arrange", "Draft", "Fused", "Part", "Ranked", "Term", "key_order"]

SOLE_RANK: Final = 3
"""A row that alone holds a word of the query never comes after this rank."""

Term = tuple[str, float, float]
"""Name, weight and value: a `Contribution` in the making."""


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

Part = tuple[str, float, Column]
"""Name and weight of a list, with its values."""


class Draft:
    """A ranking in the making: places of candidates in their order, their scores, and the terms that are not parts."""

    def __init__(self, candidates: Candidates, parts: Sequence[Part]) -> None:
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
