"""Near words are found, and found where they are looked for."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasette_semantic.laws.spelling import (
    distance,
    nearest,
    neighbourhood,
    slips_allowed,
    stemmer_of,
    worth_correcting,
)

WORDS = st.text(alphabet="abcdexyz", min_size=4, max_size=9)


@given(
    WORDS, st.sampled_from(["out", "in", "other", "change"]), st.integers(0, 8), st.sampled_from(string.ascii_lowercase)
)
def test_a_word_one_slip_away_is_in_the_neighbourhood(word: str, slip: str, place: int, letter: str) -> None:
    place %= len(word)
    typed = {
        "out": word[:place] + word[place + 1 :],
        "in": word[:place] + letter + word[place:],
        "other": word[:place] + letter + word[place + 1 :],
        "change": word[:place] + word[place : place + 2][::-1] + word[place + 2 :],
    }[slip]
    if len(typed) < 4:
        return
    assert distance(typed, word, most=1) <= 1
    assert any(word.startswith(prefix) for prefix in neighbourhood(typed))
    assert word in nearest(typed, [(word, 1)], most=1)


def test_ranges_do_not_overlap() -> None:
    prefixes = neighbourhood("robot")
    assert len(prefixes) == len(set(prefixes))
    assert not any(a != b and a.startswith(b) for a in prefixes for b in prefixes)


def test_fewer_slips_first_then_the_word_that_more_rows_hold() -> None:
    vocabulary = [("garden", 2), ("garbed", 9), ("gardens", 40), ("ardent", 99), ("warden", 5)]
    assert nearest("gardne", vocabulary, most=1) == ["garden"]
    assert nearest("garden", vocabulary, most=1) == ["garden", "gardens", "warden"]
    assert nearest("lighthuose", [("lighthouse", 1), ("lighthouses", 7), ("greenhouse", 50)], most=2) == [
        "lighthouse",
        "lighthouses",
    ]


def test_short_words_get_one_slip_and_long_ones_two() -> None:
    assert (slips_allowed("robot"), slips_allowed("lighthouse")) == (1, 2)
    assert distance("abcd", "badc", most=1) == 2


@pytest.mark.parametrize("word", ["cat", "covid19", "2024", "ロボット工学", "机器人学习", "หุ่นยนต์", ""])
def test_what_is_left_alone(word: str) -> None:
    assert not worth_correcting(word)


def test_a_word_takes_the_form_of_its_index() -> None:
    porter = stemmer_of("porter unicode61 remove_diacritics 2", None)
    russian = stemmer_of("unicode61", "russian english")
    plain = stemmer_of("unicode61", None)
    assert porter is not None
    assert russian is not None
    assert plain is not None
    assert (porter("Machines"), russian("роботами"), plain("Écoles")) == ("machin", "робот", "ecoles")
    assert stemmer_of("trigram", None) is None
