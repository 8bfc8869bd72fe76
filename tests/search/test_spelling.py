"""Mistyped words: offered put right, and used where nothing else matched."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from datasette_semantic.api import SemanticIndex

Make = Callable[..., SemanticIndex]

TEXTS = [
    "A robot learns to love its maker",
    "Robots in the machine halls of the lighthouse keeper",
    "The lighthouse stands on a rock, machines below",
    "Gardens and gardeners, roses and machinery",
    "An elephant never forgets the garden",
]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """`make(texts, tokenize=...)` returns an index of a table of these texts."""
    made: list[SemanticIndex] = []

    def build(texts: list[str], *, prepare: str | None = None, **options: str) -> SemanticIndex:
        path = tmp_path / f"{len(made)}.db"
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("create table notes (id integer primary key, text text)")
            connection.executemany("insert into notes (text) values (?)", [(text,) for text in texts])
            if prepare is not None:
                connection.execute(prepare)
                connection.execute("insert into notes_fts (notes_fts) values ('rebuild')")
        connection.close()
        index = SemanticIndex.create(path, "notes", ["text"], **options)
        index.update()
        made.append(index)
        return index

    yield build
    for index in made:
        index.close()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("rbot", "robot"),
        ("orbot", "robot"),
        ("robbot", "robot"),
        ("tobot", "robot"),
        ("robto love", "robot love"),
        ("elepant", "elephant"),
        ("elephent", None),  # the stemmer takes both for one word
        ("machnie", "machine"),
        ("Gardners", "gardeners"),
        ("lighthuose keper", "lighthouse keeper"),
        ('"lighthuose" robot', '"lighthouse" robot'),
        ("text:rbot", "text:robot"),
        ("robot", None),
        ("machines", None),
        ("xylophone", None),
        ("rb4t", None),
        ("what would the robot do", None),
        ("-rbot robot", None),
        ("rob*", None),
        ("", None),
        ('"" - * OR', None),
    ],
)
def test_did_you_mean(make: Make, typed: str, meant: str | None) -> None:
    assert make(TEXTS).search(typed, mode="keyword").did_you_mean == meant


def test_used_where_nothing_matched_and_only_there(make: Make) -> None:
    index = make(TEXTS)
    found = index.search("rbot", mode="keyword")
    assert {hit.key for hit in found} == {(1,), (2,)}
    assert found.warnings == ("No row holds these words: the words looked for are robot",)
    assert [found.hits[0].passage.text[span.start : span.end].lower() for span in found.hits[0].passage.words] == [
        "robot"
    ]
    both = index.search("rbot garden", mode="keyword")
    assert {hit.key for hit in both} == {(4,), (5,)}
    assert (both.did_you_mean, both.warnings) == ("robot garden", ())


def test_a_phrase_that_stands_nowhere_is_taken_for_words(make: Make) -> None:
    found = make(TEXTS).search('"robot lighthouse" -elephant', mode="keyword")
    assert {hit.key for hit in found} == {(1,), (2,), (3,)}
    assert found.warnings == ("No row holds what was quoted: these hold some of its words.",)


def test_another_language_is_no_slip(make: Make) -> None:
    assert make(TEXTS).search("garten roboter maschine lieben", mode="keyword").did_you_mean is None


def test_words_of_stemmed_languages(make: Make) -> None:
    russian = make(["Роботы любят сады", "Маяк стоит на скале", "Садовники сажают розы у маяка"] * 3)
    assert russian.record.keyword is not None
    assert russian.record.keyword.analyzer == "russian"
    assert russian.search("рботы", mode="keyword").did_you_mean == "роботы"
    german = make(
        ["Die Häuser und die Gärten sind nicht weit von der Straße", "Ein Garten ist auch im Winter schön"] * 4
    )
    assert german.search("gatren", mode="keyword").did_you_mean == "garten"


def test_scripts_and_tokenizers_of_characters_are_left_alone(make: Make) -> None:
    japanese = make(["ロボットは庭で花を育てる", "灯台は岩の上に立っている"] * 3)
    assert japanese.search("ロボツト工学者", mode="keyword").did_you_mean is None
    trigram = make(
        TEXTS,
        prepare="create virtual table notes_fts using fts5("
        "text, content='notes', content_rowid='id', tokenize='trigram')",
    )
    assert trigram.search("lighthuose", mode="keyword").did_you_mean is None


def test_on_a_file_that_is_only_read(make: Make) -> None:
    from datasette_semantic.store.connection import connect

    index = make(TEXTS)
    (path,) = (row[2] for row in index._connection.execute("pragma database_list") if row[1] == "main")
    connection = connect(Path(path), read_only=True)
    assert SemanticIndex(connection, "notes").search("rbot", mode="keyword").did_you_mean == "robot"
    connection.close()


def test_nothing_of_the_words_stays_when_the_index_goes(make: Make) -> None:
    index = make(TEXTS)
    assert index.search("rbot", mode="keyword").did_you_mean == "robot"
    index.drop()
    left = index._connection.execute("select name from sqlite_temp_master").fetchall()
    assert [tuple(row) for row in left] == []
