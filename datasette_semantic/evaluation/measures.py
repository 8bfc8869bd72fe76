"""How good a ranking is: nDCG@10, recall@100 and MRR@10, computed by `ir_measures`.

`ir_measures` (https://ir-measur.es) is what the field uses; it stands behind an optional extra, since searching does
not need it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..errors import SemanticError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .judgments import Qrels

__all__ = ["MEASURES", "Comparison", "Evaluation", "Run", "compare", "evaluate"]

Run = dict[str, list[str]]
"""query_id to the doc_ids that a search returned, best first."""

MEASURES: Final = ("nDCG@10", "R@100", "RR@10")
"""In the names of ir_measures; R is recall, RR reciprocal rank, whose mean is MRR."""

PERMUTATIONS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A run against judgments."""

    means: Mapping[str, float]
    """Measure to its mean over all judged queries; a query without results counts 0."""
    per_query: Mapping[str, Mapping[str, float]]
    """Measure to query_id to value, for every judged query."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One run beside another, query by query."""

    measure: str
    difference: float
    """Mean of the second less mean of the first."""
    p_value: float
    """How often chance alone would show a difference as great, by a two-sided paired randomisation test."""
    better: int
    """Queries on which the second is better."""
    worse: int


def evaluate(run: Run, qrels: Qrels, *, measures: Sequence[str] = MEASURES) -> Evaluation:
    """Measure a run. Raises SemanticError where `ir_measures` is not installed or does not know a measure."""
    ir_measures = _ir_measures()
    try:
        parsed = {name: ir_measures.parse_measure(name) for name in measures}
    except (NameError, ValueError, TypeError) as error:
        raise SemanticError(f"ir_measures knows no measure like this: {error}") from error
    judged: dict[str, dict[str, float]] = {name: dict.fromkeys(qrels, 0.0) for name in measures}
    if run:
        names = {measure: name for name, measure in parsed.items()}
        scored = {query_id: _as_scores(ranking) for query_id, ranking in run.items()}
        for metric in ir_measures.iter_calc(list(parsed.values()), qrels, scored):
            judged[names[metric.measure]][metric.query_id] = metric.value
    means = {name: float(np.mean(list(values.values()))) if values else 0.0 for name, values in judged.items()}
    return Evaluation(means, judged)


def compare(first: Evaluation, second: Evaluation, measure: str = "nDCG@10", *, seed: int = 0) -> Comparison:
    """Test whether two runs over the same queries differ by more than chance.

    Paired randomisation: under the null hypothesis each query's difference may as well have the other sign
    (Smucker, Allan, Carterette: *A Comparison of Statistical Significance Tests for Information Retrieval
    Evaluation*, CIKM 2007).
    """
    queries = first.per_query[measure].keys() & second.per_query[measure].keys()
    differences = np.array([second.per_query[measure][q] - first.per_query[measure][q] for q in sorted(queries)])
    if not differences.any():
        return Comparison(measure, 0.0, 1.0, 0, 0)
    observed = float(differences.mean())
    generator = np.random.default_rng(seed)
    as_extreme = 0
    for _ in range(PERMUTATIONS):
        signs = generator.integers(0, 2, size=differences.size) * 2 - 1
        as_extreme += abs(float((signs * differences).mean())) >= abs(observed) - 1e-12
    return Comparison(
        measure=measure,
        difference=observed,
        p_value=(as_extreme + 1) / (PERMUTATIONS + 1),
        better=int((differences > 0).sum()),
        worse=int((differences < 0).sum()),
    )


def _as_scores(ranking: Sequence[str]) -> dict[str, float]:
    """Scores that fall along the ranking: the measures read the order from them."""
    scores: dict[str, float] = {}
    for place, doc_id in enumerate(ranking):
        scores.setdefault(doc_id, float(len(ranking) - place))
    return scores


def _ir_measures() -> Any:
    try:
        import ir_measures
    except ImportError as error:
        raise SemanticError(
            "judging a search needs the package ir-measures: pip install 'datasette-semantic[evaluate]'"
        ) from error
    return ir_measures
