"""The weights of the two lists, found by judgments, and an honest figure of what they are worth.

A share is what the semantic list has of the two weights: 0 is words alone, 1 is meaning alone. The share that is best
on the queries it was chosen by promises too much. So the queries are parted into folds; for each fold the share is
chosen by the other folds, and what counts is how it does on this one. Only a gain that a paired test tells from chance
is a reason to change anything.
Source: Stone: *Cross-Validatory Choice and Assessment of Statistical Predictions*, JRSS B 36, 1974.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..errors import InputError
from .measures import Comparison, Evaluation, compare

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

__all__ = ["FEWEST_QUERIES", "SHARES", "SIGNIFICANT", "Tuning", "choose_share"]

SHARES: Final = tuple(number / 20 for number in range(21))
"""The semantic list's shares that are tried."""

SIGNIFICANT: Final = 0.05
"""A difference as great comes by chance less often than this."""

FEWEST_QUERIES: Final = 10
_FOLDS: Final = 10


@dataclass(frozen=True, slots=True)
class Tuning:
    """What judgments say about the weights."""

    current: float
    """The share that was in force."""
    best: float
    """The share that is best on all queries."""
    comparison: Comparison
    """Shares chosen by the other folds, beside the current one, on queries that did not choose them."""

    @property
    def worthwhile(self) -> bool:
        """True where the gain is more than chance."""
        return self.comparison.difference > 0 and self.comparison.p_value < SIGNIFICANT


def choose_share(
    values: Mapping[float, Mapping[str, float]], *, current: float, measure: str = "nDCG@10", seed: int = 0
) -> Tuning:
    """Choose by `values`, which map a share to query_id to the measure; the current share is among them.

    Between equals the share nearest to the current one is taken. Raises InputError for too few queries.
    """
    queries = sorted(values[current])
    if len(queries) < FEWEST_QUERIES:
        raise InputError(f"{len(queries)} judged queries are too few to choose weights by: judge {FEWEST_QUERIES}")
    random.Random(seed).shuffle(queries)
    held_out: dict[str, float] = {}
    for fold in (queries[first::_FOLDS] for first in range(_FOLDS)):
        others = [query_id for query_id in queries if query_id not in set(fold)]
        chosen = _best(values, others, current)
        held_out |= {query_id: values[chosen][query_id] for query_id in fold}
    return Tuning(
        current=current,
        best=_best(values, queries, current),
        comparison=compare(_as_evaluation(measure, values[current]), _as_evaluation(measure, held_out), measure),
    )


def _best(values: Mapping[float, Mapping[str, float]], queries: Collection[str], current: float) -> float:
    return max(values, key=lambda share: (round(_total(values[share], queries), 9), -abs(share - current)))


def _total(judged: Mapping[str, float], queries: Iterable[str]) -> float:
    return sum(judged[query_id] for query_id in queries)


def _as_evaluation(measure: str, judged: Mapping[str, float]) -> Evaluation:
    mean = sum(judged.values()) / len(judged)
    return Evaluation({measure: mean}, {measure: judged})
