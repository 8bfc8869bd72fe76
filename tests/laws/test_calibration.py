"""Weights and floor come from the index itself, and say what was measured."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from datasette_semantic.laws.calibration import (
    ODDS,
    PROBES,
    keyword_scores,
    list_weights,
    semantic_floor,
    set_weak_apart,
    success,
    trials,
)
from datasette_semantic.laws.candidates import Candidate, Candidates
from datasette_semantic.records import ListWeights

TEXT = "A Title\nThe first sentence says who it is about. The second tells what happens to them. And so it ends, badly."


def test_a_trial_is_a_sentence_and_the_rest_of_its_text() -> None:
    (trial,) = trials([TEXT])
    assert trial.question in TEXT
    assert trial.question not in trial.rest
    assert trial.rest.startswith("A Title")
    assert trials([TEXT]) == trials([TEXT])


def test_texts_of_one_sentence_or_none_are_passed_over() -> None:
    assert trials(["", "One sentence that is long enough to ask with.", "a. b. c."]) == ()
    assert len(trials([TEXT] * 10, limit=4)) == 4


def test_a_title_may_ask_for_its_text() -> None:
    (trial,) = trials(["The strange case of the missing owl\nshort. text. only."])
    assert trial.question == "The strange case of the missing owl"


def test_chinese_sentences_need_no_spaces() -> None:
    (trial,) = trials(["机器人爱上了一个女孩。后来他们离开了城市去旅行。"])
    assert trial.question == "后来他们离开了城市去旅行。" or trial.question == "机器人爱上了一个女孩。"


@given(st.lists(st.text(), max_size=8))
def test_any_text_will_do(texts: list[str]) -> None:
    for trial in trials(texts):
        assert trial.question
        assert trial.rest


def test_keyword_scores_are_those_of_fts5() -> None:
    import sqlite3

    rests = ["a robot in love", "love love me do", "the day the earth stood still", "nothing here", "a a a robot"]
    database = sqlite3.connect(":memory:")
    database.execute("create virtual table f using fts5(x)")
    database.executemany("insert into f values (?)", [(rest,) for rest in rests])
    scores = keyword_scores([["robot", "love"]], [rest.split() for rest in rests])
    for rowid, bm25 in database.execute("select rowid, -bm25(f) from f where f match 'robot OR love'"):
        assert scores[0, rowid - 1] == pytest.approx(bm25, abs=1e-6)
    assert scores[0, 2] == 0
    assert keyword_scores([], []).shape == (0, 0)


def identity(trials_made: int, wrong: int) -> np.ndarray:
    """A list that finds the right rest first, but for `wrong` trials, where it stands last."""
    scores = np.eye(trials_made) * 2 + 1 - np.arange(trials_made) / trials_made
    for place in range(wrong):
        scores[place, place] = -1
    return scores


def test_the_better_list_weighs_more() -> None:
    alike = list_weights(identity(300, 0), identity(300, 0))
    assert alike.semantic / alike.keyword == pytest.approx(ODDS, rel=0.03)
    blind = list_weights(identity(300, 0), identity(300, 240))
    assert blind.semantic < 0.05
    assert list_weights(identity(300, 240), identity(300, 0)).semantic > 0.95
    assert blind.keyword + blind.semantic == pytest.approx(1)


def test_few_trials_change_little() -> None:
    assert list_weights(np.zeros((0, 0)), np.zeros((0, 0))) == ListWeights()
    assert 0.25 < list_weights(identity(2, 0), identity(2, 2)).semantic < 0.5
    with pytest.raises(ValueError, match="same trials"):
        list_weights(np.zeros((2, 2)), np.zeros((3, 3)))


def test_success_is_the_mean_reciprocal_rank() -> None:
    assert success(np.eye(4)) == 1
    assert success(np.zeros((3, 3))) == pytest.approx(1 / 2)
    assert success(np.array([[1.0, 2.0], [0.0, 1.0]])) == pytest.approx((1 / 2 + 1) / 2)


square = st.integers(1, 6).flatmap(lambda n: hnp.arrays(float, (n, n), elements=st.floats(-1e3, 1e3)))


@given(square, st.randoms())
def test_weights_are_always_weights(scores: np.ndarray, random) -> None:  # type: ignore[no-untyped-def]
    other = scores * random.random() - random.random()
    found = list_weights(scores, other)
    assert 0 <= found.semantic <= 1
    assert math.isclose(found.keyword + found.semantic, 1, abs_tol=2e-3)


def test_the_floor_stands_above_chance_and_below_what_hits() -> None:
    generator = np.random.default_rng(0)
    chance = generator.normal(0.25, 0.05, size=len(PROBES))
    floor = semantic_floor(chance)
    assert floor is not None
    assert 0.3 < floor < 0.45
    hits = np.where(np.arange(len(PROBES)) < 8, 0.9, chance)
    with_hits = semantic_floor(hits)
    assert with_hits is not None
    assert with_hits < 0.5
    assert semantic_floor(np.array([])) is None
    assert semantic_floor(np.array([np.nan])) is None


def left_of(rows: list[Candidate], floor: float | None) -> tuple[list[Candidate], int]:
    left, weak = set_weak_apart(Candidates.of(rows), floor)
    return [left[place] for place in range(len(left))], weak


def test_weak_rows_are_set_apart_only_beside_words() -> None:
    words = Candidate(1, (1,), 3.0, 0.05, 1, None)
    near = Candidate(2, (2,), None, 0.5, None, 1)
    far = Candidate(3, (3,), None, 0.2, None, 2)
    assert left_of([words, near, far], 0.3) == ([words, near], 1)
    assert left_of([near, far], 0.3) == ([near, far], 0)
    assert left_of([words, far], None) == ([words, far], 0)
