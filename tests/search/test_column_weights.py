"""Columns weigh as they are asked to, in whatever index answers for the table."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from datasette_semantic.api import SemanticIndex
from datasette_semantic.errors import BadOption, NoSuchColumn

COLUMNS = ["title", "body"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Row 1 holds the word in its title, row 2 in its body; nothing else tells them apart."""
    file = tmp_path / "notes.db"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("create table notes (id integer primary key, title text, body text)")
        database.executemany(
            "insert into notes (title, body) values (?, ?)",
            [("violin lessons", "winter music"), ("winter lessons", "violin music"), *[("apple", "orchard")] * 8],
        )
    return file


def first(index: SemanticIndex) -> Any:
    return index.search("violin", mode="keyword", limit=1).hits[0].key[0]


def test_chosen_changed_and_given_back(path: Path) -> None:
    with SemanticIndex.create(path, "notes", COLUMNS) as index:
        index.update()
        assert first(index) == 1
        index.keep_column_weights({"body": 5})
        assert first(index) == 2
        assert index.status().pending == 0
        index.keep_column_weights({"title": 9})
        assert first(index) == 1
        index.keep_column_weights({"body": 5})
        index.keep_column_weights(None)
        assert first(index) == 1
    with SemanticIndex.create(path, "notes", COLUMNS, column_weights={"body": 5}) as index:
        assert first(index) == 2
        assert index.update().embedded == 0


def test_they_outlive_a_change_of_the_index(path: Path) -> None:
    with SemanticIndex.create(path, "notes", COLUMNS, column_weights={"body": 5}) as index:
        index.update()
        with SemanticIndex.create(path, "notes", COLUMNS, dimensions=64) as other:
            assert first(other) == 2  # the old index answers
            other.update()
            assert other.record.dimensions == 64
            assert first(other) == 2
            other.keep_column_weights({"title": 9})
            assert first(other) == 1
        SemanticIndex.create(path, "notes", ["title"]).update()
        assert SemanticIndex(path, "notes").record.keyword.column_weights == (9.0,)  # type: ignore[union-attr]


@pytest.mark.parametrize("tokenize", ["english", "trigram"])
def test_every_keyword_index_knows_them(path: Path, tokenize: str) -> None:
    with SemanticIndex.create(path, "notes", COLUMNS, tokenize=tokenize, column_weights={"body": 5}) as index:
        index.update()
        assert first(index) == 2


def test_a_full_text_index_of_the_user(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create virtual table words using fts5(title, body, content=notes, content_rowid=id)")
        database.execute("insert into words (words) values ('rebuild')")
    with SemanticIndex.create(path, "notes", COLUMNS) as index:
        index.update()
        index.keep_column_weights({"body": 2})
        assert first(index) == 2
        index.keep_column_weights({"title": 2})
        assert first(index) == 1


@pytest.mark.parametrize(
    ("weights", "error"),
    [
        ({"decade": 2}, NoSuchColumn),
        ({"title": 0}, BadOption),
        ({"title": -1}, BadOption),
        ({"title": float("nan")}, BadOption),
        ({"title": float("inf")}, BadOption),
        ({"title": "2"}, BadOption),
        ({"title": True}, BadOption),
        (["title"], BadOption),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(path: Path, weights: Any, error: type) -> None:
    before = path.read_bytes()
    with pytest.raises(error):
        SemanticIndex.create(path, "notes", COLUMNS, column_weights=weights)
    assert path.read_bytes() == before
