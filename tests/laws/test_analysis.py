"""Text in many languages becomes words that an FTS5 index finds again."""

from __future__ import annotations

import sqlite3
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasette_semantic.laws.analysis import (
    ANALYZED,
    ANALYZERS,
    ENGLISH,
    FOLDED,
    PLAIN,
    analyze,
    choose_tokenize,
    column_weights,
    tokens,
)
from datasette_semantic.laws.quoting import quote_string

EVERYTHING = "pairs russian english"

ENGLISH_TEXT = "The robot that falls in love with a girl is the hero of this film, and it was not an easy part to play."
RUSSIAN_TEXT = "Робот, который влюбляется в девушку, стал героем этого фильма, и роль оказалась непростой."
JAPANESE_TEXT = "ロボットが少女に恋をするという、この映画の主人公を演じるのは簡単ではなかった。"
CHINESE_TEXT = "爱上女孩的机器人是这部电影的主角，这个角色并不容易演。"


@pytest.mark.parametrize(
    ("texts", "chosen"),
    [
        ([ENGLISH_TEXT], (ENGLISH, None)),
        ([], (ENGLISH, None)),
        (["", "12 34"], (ENGLISH, None)),
        (["Blade Runner"], (ENGLISH, None)),
        ([RUSSIAN_TEXT], (ANALYZED, "russian")),
        ([CHINESE_TEXT], (ANALYZED, "pairs")),
        ([ENGLISH_TEXT, RUSSIAN_TEXT, JAPANESE_TEXT], (ANALYZED, "pairs russian english")),
        (["Der Roboter, der sich in das Mädchen verliebt, ist der Held und nicht ein Opfer."], (ANALYZED, "german")),
        (["Le robot qui est dans le film est une machine et les enfants sont avec lui."], (ANALYZED, "french")),
        (["Robot zakochuje się w dziewczynie, ale nikt o tym nie wie " * 30], (PLAIN, None)),
        (["Робот, який закохується в дівчину, став героєм цього фільму, і це було їй"], (ANALYZED, FOLDED)),
        ([ENGLISH_TEXT * 50 + "東京"], (ENGLISH, None)),
    ],
)
def test_the_text_decides(texts: list[str], chosen: tuple[str, str | None]) -> None:
    assert choose_tokenize(texts) == chosen


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("猫が好き", "猫が が好 好き 猫 が 好 き"),
        ("犬", "犬"),
        ("2024年 Tokyo", "2024 年 tokyo"),
        ("Красивые ёлки", "красив елк"),
        ("Crème BRÛLÉE ﬁnest", "creme brule finest"),
        ("ｶﾞﾗｽ", "ガラ ラス ガ ラ ス"),
        ("don't stop_words x-ray", "don t stop word x ray"),
        ("", ""),
    ],
)
def test_words_and_pairs(text: str, found: str) -> None:
    assert analyze(text, EVERYTHING) == found


def test_vowel_signs_stay_in_their_words() -> None:
    assert analyze("हिन्दी में", FOLDED) == "हिन्दी में"


def test_letters_that_only_look_accented_stay() -> None:
    assert tokens("йод ё", FOLDED) == ["йод", "е"]


@pytest.mark.parametrize("analyzer", ["klingon", "pairs porter", "english,russian"])
def test_an_unknown_analyzer_is_refused(analyzer: str) -> None:
    with pytest.raises(ValueError, match="unknown analyzer"):
        analyze("text", analyzer)


def test_every_named_part_is_an_analyzer() -> None:
    for analyzer in ANALYZERS:
        assert analyze("word", analyzer)


@pytest.mark.parametrize(
    ("columns", "weights"),
    [
        (["title", "text"], (1.5, 1.0)),
        (["body", "pageTitle", "Product Name"], (1.0, 1.5, 1.5)),
        (["title"], ()),
        (["a", "b"], ()),
        (["1", "title_text"], ()),
    ],
)
def test_titles_weigh_more(columns: list[str], weights: tuple[float, ...]) -> None:
    assert column_weights(columns) == weights


def test_chosen_weights_of_columns() -> None:
    assert column_weights(["title", "text"], {"text": 2}) == (1.5, 2)
    assert column_weights(["title", "text"], {"title": 1}) == (1, 1.0)
    assert column_weights(["title", "text"], {}) == (1.5, 1.0)
    assert column_weights(["title", "text"], {}, titles=False) == ()
    assert column_weights(["title", "text"], {"gone": 9}) == (1.5, 1.0)


def found(text: str, query: str, *, phrase: bool) -> bool:
    database = sqlite3.connect(":memory:")
    database.execute(f"create virtual table f using fts5(x, tokenize={quote_string(ANALYZED)})")
    database.execute("insert into f values (?)", (analyze(text, EVERYTHING),))
    strings = [f'"{token}"' for token in tokens(query, EVERYTHING)]
    match = (" + " if phrase else " OR ").join(strings)
    return bool(database.execute("select count(*) from f where f match ?", (match,)).fetchone()[0])


@pytest.mark.parametrize("query", ["恋", "少女", "映画の", "ロボット", "この映画の主人公"])
def test_words_of_any_length_are_found(query: str) -> None:
    assert found(JAPANESE_TEXT, query, phrase=True)
    assert not found(CHINESE_TEXT, query, phrase=True)


def test_a_phrase_is_no_bag_of_pairs() -> None:
    assert not found("東京と京都", "東京都", phrase=True)


@pytest.mark.parametrize("query", ["роботы", "девушка", "фильмы", "ФИЛЬМОМ"])
def test_russian_endings(query: str) -> None:
    assert found(RUSSIAN_TEXT, query, phrase=False)


WORDS = st.text(alphabet=string.ascii_letters + "éüёйЖ東京カナ한글हिन्दीไทย0123456789", min_size=1, max_size=12)


@given(st.lists(WORDS, min_size=1, max_size=6), st.data())
def test_any_word_of_a_text_finds_it(words: list[str], data: st.DataObject) -> None:
    word = data.draw(st.sampled_from(words))
    if tokens(word, EVERYTHING):
        assert found(" ".join(words), word, phrase=True)


@given(st.text())
def test_any_text_becomes_words_without_separators(text: str) -> None:
    for word in tokens(text, EVERYTHING):
        assert word
        assert " " not in word
    choose_tokenize([text])
