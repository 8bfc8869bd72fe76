"""Scores of rows, added up."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from datasette_semantic.laws.adding_up import Rows, Scores, best, best_sums, could_be_best, scores_at

ROWS = st.one_of(st.integers(0, 60), st.integers(-(2**63), 2**63 - 1))
LISTS = st.lists(st.dictionaries(ROWS, st.floats(1e-6, 50.0), max_size=40), max_size=6)


@given(LISTS, st.integers(1, 50))
def test_it_is_the_plain_sum(lists: list[dict[int, float]], k: int) -> None:
    sums: dict[int, float] = {}
    for each in lists:
        for row, score in each.items():
            sums[row] = sums.get(row, 0.0) + score
    wanted = sorted(sums.items(), key=lambda item: (-item[1], item[0]))[:k]
    rows, scores = best(*best_sums([columns(each) for each in lists]), k=k)
    assert list(zip(rows.tolist(), scores.tolist(), strict=True)) == wanted


@given(st.dictionaries(ROWS, st.floats(1e-6, 50.0), max_size=40), st.lists(ROWS, max_size=60))
def test_scores_are_found(listed: dict[int, float], asked: list[int]) -> None:
    rows = np.array(asked, dtype=np.int64)
    assert scores_at(columns(listed), rows).tolist() == [listed.get(row, 0.0) for row in asked]


@given(st.dictionaries(ROWS, st.floats(1e-6, 50.0), max_size=60), st.integers(1, 20), st.floats(0, 30), st.randoms())
def test_none_that_could_be_best_is_left_out(
    listed: dict[int, float], k: int, gain: float, chance: random.Random
) -> None:
    kept, _ = could_be_best(*columns(listed), k=k, gain=gain)
    gained = {row: score + chance.uniform(0, gain) for row, score in listed.items()}
    wanted, _ = best(*columns(gained), k=k)
    assert set(wanted.tolist()) <= set(kept.tolist())


def columns(listed: dict[int, float]) -> tuple[Rows, Scores]:
    ordered = sorted(listed.items())
    return np.array([row for row, _ in ordered], dtype=np.int64), np.array([score for _, score in ordered], dtype=float)
