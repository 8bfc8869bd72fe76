"""Two lists become one ranking, whatever they hold."""

from __future__ import annotations

import copy
import math
import sqlite3
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasette_semantic.laws.candidates import Candidate, Candidates
from datasette_semantic.laws.fusion import Moments
from datasette_semantic.laws.fusion import fuse as fuse_columns
from datasette_semantic.laws.fusion import rank_one_list as rank_columns
from datasette_semantic.laws.ranking import SOLE_RANK, Fused, key_order
from datasette_semantic.records import Contribution, ListWeights

EQUAL = ListWeights(0.5, 0.5)
MOMENTS = Moments(0.1, 0.05)


def fuse(rows: Sequence[Candidate], **options: Any) -> tuple[Fused, ...]:
    return tuple(fuse_columns(Candidates.of(rows), **options))


def rank_one_list(rows: Sequence[Candidate], mode: Any) -> tuple[Fused, ...]:
    return tuple(rank_columns(Candidates.of(rows), mode))


def candidate(
    row_id: int,
    bm25: float | None = None,
    cosine: float | None = None,
    *,
    keyword_rank: int | None = None,
    semantic_rank: int | None = None,
) -> Candidate:
    return Candidate(row_id, (row_id,), bm25, cosine, keyword_rank, semantic_rank)


def two_lists(count: int) -> list[Candidate]:
    """Rows 1..count stand in both lists in this order."""
    return [candidate(n, 10.0 / n, 0.9 - n / (2 * count), keyword_rank=n, semantic_rank=n) for n in range(1, count + 1)]


def ids(ranking: tuple[Fused, ...]) -> list[int]:
    return [fused.candidate.row_id for fused in ranking]


finite = st.floats(-1e6, 1e6, allow_nan=False)
cells = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), finite, st.text(max_size=4), st.binary(max_size=4))
keys = st.tuples(cells, cells)
rank = st.one_of(st.none(), st.integers(1, 2000))
candidate_lists = st.lists(
    st.builds(
        Candidate,
        row_id=st.integers(-(2**63), 2**63 - 1),
        key=keys,
        bm25=st.one_of(st.none(), st.floats(1e-6, 1e3)),
        cosine=st.one_of(st.none(), st.floats(-1, 1)),
        keyword_rank=rank,
        semantic_rank=rank,
        exact=st.booleans(),
        sole=st.booleans(),
    ),
    max_size=12,
    unique_by=lambda each: each.row_id,
)
weights = st.builds(ListWeights, st.floats(0, 1), st.floats(0, 1), st.sampled_from(["score", "rrf"]))
moments = st.one_of(st.none(), st.builds(Moments, st.floats(-1, 1), st.floats(0, 1)))


@given(candidate_lists, weights, moments)
def test_a_ranking_of_the_same_rows_with_falling_scores(
    candidates: list[Candidate], chosen: ListWeights, spread: Moments | None
) -> None:
    before = copy.deepcopy(candidates)
    ranking = fuse(candidates, weights=chosen, moments=spread)
    assert candidates == before
    assert sorted(map(repr, (fused.candidate for fused in ranking))) == sorted(map(repr, candidates))
    scores = [fused.score for fused in ranking]
    assert all(a >= b or math.isclose(a, b, abs_tol=1e-9) for a, b in pairwise(scores))
    for fused in ranking:
        assert math.isclose(fused.score, sum(c.weight * c.value for c in fused.why), abs_tol=1e-9)


@given(candidate_lists, weights, moments, st.randoms())
def test_the_order_given_does_not_matter(candidates, chosen, spread, random) -> None:  # type: ignore[no-untyped-def]
    unique = list({key_order(each.key): each for each in candidates}.values())
    shuffled = random.sample(unique, len(unique))
    assert fuse(unique, weights=chosen, moments=spread) == fuse(shuffled, weights=chosen, moments=spread)


def test_the_score_is_the_formula() -> None:
    found = fuse(
        [candidate(1, 4.0, 0.3, keyword_rank=1, semantic_rank=2), candidate(2, 1.0, 0.6, keyword_rank=2)],
        weights=ListWeights(0.4, 0.6),
        moments=MOMENTS,
    )
    assert ids(found) == [2, 1]
    assert found[0].why == (Contribution("keyword", 0.4, 0.25), Contribution("semantic", 0.6, pytest.approx(1.25)))
    assert found[1].score == pytest.approx(0.4 * 1 + 0.6 * 0.2 / 0.4)


def test_reciprocal_ranks() -> None:
    found = fuse(
        [candidate(1, 9.0, 0.9, keyword_rank=1), candidate(2, 1.0, 0.2, keyword_rank=3, semantic_rank=1)],
        weights=ListWeights(1.0, 1.0, "rrf"),
        moments=None,
    )
    assert [fused.score for fused in found] == pytest.approx([1 / (60 + 3) + 1 / (60 + 1), 1 / (60 + 1)])


def test_what_a_list_does_not_hold_counts_as_its_mean() -> None:
    found = fuse(
        [candidate(1, 5.0, None, keyword_rank=1), candidate(2, None, 0.1, semantic_rank=1), candidate(3, None, 0.0)],
        weights=EQUAL,
        moments=MOMENTS,
    )
    assert ids(found) == [1, 2, 3]
    assert found[1].score == pytest.approx(0.0)
    assert found[2].score < 0


@pytest.mark.parametrize("deviation", [0.0, 1e-300])
def test_vectors_that_are_all_alike_leave_the_words(deviation: float) -> None:
    found = fuse(
        [candidate(1, 1.0, 0.4, keyword_rank=2), candidate(2, 9.0, 0.4, keyword_rank=1)],
        weights=EQUAL,
        moments=Moments(0.4, deviation),
    )
    assert ids(found) == [2, 1]


def test_no_candidates() -> None:
    assert fuse([], weights=EQUAL, moments=None) == ()
    assert rank_one_list([], "keyword") == ()


def test_ties_go_to_the_better_rank_then_to_the_key() -> None:
    tied = [
        Candidate(1, ("b",), 2.0, 0.1, 5, 5),
        Candidate(2, ("a",), 2.0, 0.1, 5, 7),
        Candidate(3, ("z",), 2.0, 0.1, 9, 4),
    ]
    assert ids(fuse(tied, weights=EQUAL, moments=MOMENTS)) == [3, 2, 1]


@given(st.lists(cells, max_size=12))
def test_keys_are_ordered_as_sqlite_orders_them(values: list[object]) -> None:
    database = sqlite3.connect(":memory:")
    database.execute("create table t (v)")
    values = [value for value in values if not (isinstance(value, str) and "\x00" in value)]
    database.executemany("insert into t values (?)", [(value,) for value in values])
    theirs = [row[0] for row in database.execute("select v from t order by v")]
    ours = sorted(values, key=lambda value: key_order((value,)))  # type: ignore[arg-type]
    assert [key_order((v,)) for v in ours] == [key_order((v,)) for v in theirs]


def test_exact_rows_come_first_whatever_the_vectors_say() -> None:
    candidates = two_lists(70)
    candidates[60] = candidates[60]._replace(exact=True, cosine=-0.5)
    candidates[64] = candidates[64]._replace(exact=True)
    found = fuse(candidates, weights=ListWeights(0.01, 0.99), moments=MOMENTS)
    assert set(ids(found)[:2]) == {61, 65}
    assert found[0].why[-1].name == "exact"


@pytest.mark.parametrize("fusion", ["score", "rrf"])
def test_a_sole_row_comes_third_at_the_latest(fusion: str) -> None:
    candidates = two_lists(61)
    candidates[60] = candidates[60]._replace(sole=True)
    found = fuse(candidates, weights=ListWeights(0.5, 0.5, fusion), moments=MOMENTS)  # type: ignore[arg-type]
    assert ids(found)[: SOLE_RANK + 1] == [1, 2, 61, 3]
    early = [each._replace(sole=each.row_id == 1) for each in two_lists(5)]
    assert all(len(fused.why) == 2 for fused in fuse(early, weights=EQUAL, moments=MOMENTS))


def test_one_list_alone() -> None:
    candidates = [
        candidate(1, 3.0, 0.2, keyword_rank=2, semantic_rank=1),
        candidate(2, 5.0, 0.1, keyword_rank=1),
        candidate(3, None, 0.15, semantic_rank=2),
    ]
    words = rank_one_list(candidates, "keyword")
    assert [(fused.candidate.row_id, fused.score) for fused in words] == [(2, 5.0), (1, 3.0)]
    near = rank_one_list(candidates, "semantic")
    assert [(fused.candidate.row_id, fused.score) for fused in near] == [(1, 0.2), (3, 0.15)]
    assert near[0].why == (Contribution("semantic", 1.0, 0.2),)
    with pytest.raises(ValueError, match="more than one list"):
        rank_one_list(candidates, "hybrid")


def test_two_thousand_candidates_are_quick() -> None:
    columns = Candidates.of(two_lists(2000))
    best = math.inf
    for _ in range(10):
        started = time.perf_counter()
        fuse_columns(columns, weights=EQUAL, moments=MOMENTS)
        best = min(best, time.perf_counter() - started)
    assert best < 0.1  # 0.4 ms where this was written: a blow-up is what this is after
