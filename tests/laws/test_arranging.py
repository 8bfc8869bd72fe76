"""A ranking arranged anew keeps every row, and its scores fall and are the sums of their terms."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datasette_semantic.laws.arranging import VARIED, by_opinion, varied
from datasette_semantic.laws.candidates import Candidate
from datasette_semantic.laws.ranking import Fused


def ranked(scores: Sequence[float]) -> list[Fused]:
    return [
        Fused(Candidate(n, (n,), score, None, n + 1, None), score, (("keyword", 1.0, score),))
        for n, score in enumerate(sorted(scores, reverse=True))
    ]


def keys(ranking: Sequence[Fused]) -> list[int]:
    return [fused.candidate.row_id for fused in ranking]


def check(before: Sequence[Fused], after: Sequence[Fused]) -> None:
    assert sorted(keys(after)) == keys(before)
    for fused in after:
        assert fused.score == pytest.approx(sum(weight * value for _, weight, value in fused.terms), abs=1e-9)
    for better, worse in pairwise(after):
        assert better.score >= worse.score - 1e-9


@given(st.lists(st.floats(-1, 1), max_size=130), st.floats(0, 1), st.integers(0, 9))
def test_variety_keeps_every_row_and_falling_scores(scores: list[float], strength: float, seed: int) -> None:
    draw = np.random.default_rng(seed)
    vectors = {n: vector / np.linalg.norm(vector) for n, vector in enumerate(draw.normal(size=(len(scores), 4)))}
    vectors = {n: vector.astype(np.float32) for n, vector in vectors.items() if n % 7}
    before = ranked(scores)
    check(before, varied(before, vectors, strength=strength))


def test_twins_are_parted() -> None:
    east, north = np.array([1, 0], dtype=np.float32), np.array([0, 1], dtype=np.float32)
    before = ranked([1.0, 0.95, 0.9, 0.8])
    vectors = {0: east, 1: east, 2: east, 3: north}
    assert keys(varied(before, vectors, strength=0.3)) == [0, 3, 1, 2]
    assert keys(varied(before, vectors, strength=0.0)) == [0, 1, 2, 3]


def test_what_comes_after_the_first_rows_stays() -> None:
    before = ranked([1 / (n + 1) for n in range(VARIED + 20)])
    same = dict.fromkeys(range(VARIED + 20), np.array([1.0], dtype=np.float32))
    assert keys(varied(before, same, strength=1.0))[VARIED:] == list(range(VARIED, VARIED + 20))


@example([0.0, 0.0, 0.0], {0: 0.0, 1: 6.188546943271882e-94, 2: -1.0})
@given(
    st.lists(st.floats(-1, 1), max_size=30),
    st.dictionaries(st.integers(0, 40), st.floats(-100, 100), max_size=30),
)
def test_an_opinion_keeps_every_row_and_falling_scores(scores: list[float], opinion: dict[int, float]) -> None:
    before = ranked(scores)
    after = by_opinion(before, {(key,): value for key, value in opinion.items()})
    check(before, after)
    said = [opinion[key] for key in keys(after) if key in opinion]
    assert said == sorted(said, reverse=True)
    assert all(key in opinion for key in keys(after)[: len(said)])


def test_an_opinion_is_shown_beside_what_the_lists_say() -> None:
    after = by_opinion(ranked([1.0, 0.5, 0.25]), {(0,): -2.0, (1,): 6.0})
    assert keys(after) == [1, 0, 2]
    assert after[0].terms == (("keyword", 0.0, 0.5), ("rerank", 0.75, 1.0), ("above the others", 1.0, 0.25))
