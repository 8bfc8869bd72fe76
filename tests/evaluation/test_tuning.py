"""Weights are chosen by queries that do not judge them."""

from __future__ import annotations

import random

import pytest

from datasette_semantic.errors import InputError
from datasette_semantic.evaluation import choose_share


def measured(*, best: float, steepness: float, queries: int = 60, seed: int = 3) -> dict[float, dict[str, float]]:
    """A measure of each query that is greatest at a share, under noise that is the query's own and the share's."""
    draw = random.Random(seed)
    return {
        share / 10: {
            f"q{n}": 0.5 - steepness * (share / 10 - best) ** 2 + draw.uniform(-0.1, 0.1) for n in range(queries)
        }
        for share in range(11)
    }


def test_a_real_gain_is_found() -> None:
    tuning = choose_share(measured(best=0.3, steepness=1.0), current=0.8)
    assert tuning.worthwhile
    assert tuning.best == pytest.approx(0.3, abs=0.11)
    assert tuning.comparison.difference == pytest.approx(0.25, abs=0.06)


def test_noise_alone_changes_nothing() -> None:
    kept = [choose_share(measured(best=0.5, steepness=0.0, seed=seed), current=0.5).worthwhile for seed in range(40)]
    assert sum(kept) <= 4  # a twentieth, give or take


def test_the_best_on_the_very_queries_is_no_proof() -> None:
    """By luck alone some share is the best on the queries that chose it; on queries that did not, it gains nothing."""
    promised, found = 0.0, 0.0
    for seed in range(20):
        draw = random.Random(seed)
        values = {share / 10: {f"q{n}": float(draw.random() < 0.3) for n in range(20)} for share in range(11)}
        tuning = choose_share(values, current=0.5)
        promised += (sum(values[tuning.best].values()) - sum(values[0.5].values())) / 20
        found += tuning.comparison.difference
    assert promised / 20 > 0.1
    assert found < promised / 2


def test_between_equals_nothing_moves() -> None:
    values = {share / 10: {f"q{n}": 1.0 for n in range(12)} for share in range(11)}
    tuning = choose_share(values, current=0.4)
    assert (tuning.best, tuning.worthwhile, tuning.comparison.p_value) == (0.4, False, 1.0)


def test_too_few_queries() -> None:
    with pytest.raises(InputError, match="9 judged queries are too few"):
        choose_share({0.5: {f"q{n}": 1.0 for n in range(9)}}, current=0.5)
