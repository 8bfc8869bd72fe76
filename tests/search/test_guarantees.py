"""What no weight takes away: what was typed as it stands in a row comes first, a word of one row only comes third."""

from __future__ import annotations

import random
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from datasette_semantic.api import SemanticIndex
from datasette_semantic.records import ListWeights
from datasette_semantic.search import lanes
from datasette_semantic.search.lanes import _plain


@pytest.fixture(scope="module")
def films(corpora: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SemanticIndex]:
    path: Path = corpora("movies-facets").write(tmp_path_factory.mktemp("titles") / "films.db")
    with SemanticIndex.create(path, "movies_facets", ["title", "text"]) as index:
        index.update()
        yield index


def test_500_titles_come_first(films: SemanticIndex) -> None:
    """Where films share a title, those that do come before all others."""
    rows = films._connection.execute("select id, title from movies_facets").fetchall()
    sharing = defaultdict(set)
    for id_, title in rows:
        sharing[_plain(title)].add(id_)
    shortest = sorted(rows, key=lambda row: len(row[1]))[:100]  # "It", "Her": words that stand in nearly every row
    for _id, title in (*shortest, *random.Random(5).sample(rows, 400)):
        same = sharing[_plain(title)]
        found = films.search(title, limit=len(same), columns=())
        assert {hit.key[0] for hit in found} == same, title


TABLES = {
    "its own key": ("id integer primary key", None),
    "a text key": ("id text primary key", None),
    "without rowid": ("id text primary key", "without rowid"),
    "a user's full-text index": ("id text primary key", "fts"),
}


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("tokenize", ["auto", "english"])
def test_a_title_of_common_words_among_many_that_begin_so(tmp_path: Path, kind: str, tokenize: str) -> None:
    key, special = TABLES[kind]
    path = tmp_path / "notes.db"
    rows = [(str(n), f"It is {n}", f"It is a note that says it {n} times, as it does") for n in range(900)]
    rows += [
        ("1000", "It", "Something else"),
        ("1001", "«it!»", None),
        ("1002", None, "It"),
        ("1003", "it it", "it it"),
    ]
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            f"create table notes ({key}, title, text) {'without rowid' if special == 'without rowid' else ''}"
        )
        random.Random(3).shuffle(rows)
        database.executemany("insert into notes values (?, ?, ?)", rows)
        if special == "fts":
            database.execute("create virtual table notes_fts using fts5(title, text, content=notes)")
            database.execute("insert into notes_fts (notes_fts) values ('rebuild')")
    with SemanticIndex.create(path, "notes", ["title", "text"], tokenize=tokenize) as index:
        index.update()
        for typed in ("It", "it!", "  IT "):
            found = index.search(typed, limit=3)
            assert {str(hit.key[0]) for hit in found} == {"1000", "1001", "1002"}
            assert all(hit.why[-1].name == "exact" for hit in found)
        narrowed = index.search("it", limit=1, where="id <> '1000' and title is not null")
        assert str(narrowed.hits[0].key[0]) == "1001"


def test_a_title_in_a_language_without_spaces(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table notes (id integer primary key, title, text)")
        database.executemany(
            "insert into notes values (?, ?, ?)",
            [(n, f"東京の灯台{n}", "東京の灯台は岩の上に立っている。東京の灯台。") for n in range(1, 400)],
        )
        database.execute("insert into notes values (400, '東京の灯台', 'ロボットは庭で花を育てる')")
    with SemanticIndex.create(path, "notes", ["title", "text"]) as index:
        index.update()
        assert index.record.keyword is not None
        assert index.record.keyword.analyzer is not None
        assert index.search("東京の灯台", limit=1).hits[0].key == (400,)


@pytest.mark.parametrize("weights", [None, ListWeights(0.1, 0.9), ListWeights(0.9, 0.1), ListWeights(1, 1, "rrf")])
def test_a_word_of_one_row_only_among_decoys(tmp_path: Path, weights: ListWeights | None) -> None:
    """Sixty rows are better by all the other words, and nearer: they hold ranks 1 to 60 of both lists."""
    path = tmp_path / "notes.db"
    common = "robots love moon violin steam harbour garden letter"
    decoys = [(n, f"{common} {n}", f"{common} " * (2 + n % 5)) for n in range(1, 91)]
    others = [(n, f"soil {n}", "apple trees and frost in the orchard " * 3) for n in range(91, 300)]
    there = (300, "minutes", "The committee met in winter. " * 40 + "Item QX7731b was put off. " + "It rained. " * 40)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table notes (id integer primary key, title, text)")
        database.executemany("insert into notes values (?, ?, ?)", [*decoys, *others, there])
    with SemanticIndex.create(path, "notes", ["title", "text"]) as index:
        index.update()
        for typed in (f"{common} qx7731b", f"QX7731b {common}"):
            hits = index.search(typed, weights=weights, limit=100).hits
            (place,) = (hit for hit in hits if hit.key == (300,))
            assert place.rank <= 3
            assert place.keyword_rank is not None
            assert place.keyword_rank > 60
            assert place.semantic_rank is None or place.semantic_rank > 60


def test_a_name_among_more_that_begin_so_than_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "names.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table names (id integer primary key, name text)")
        database.executemany("insert into names (name) values (?)", [(f"Smith the {n}th",) for n in range(600)])
        database.execute("insert into names (id, name) values (1000, 'Smith')")
    with SemanticIndex.create(path, "names", ["name"]) as index:
        index.update()
        monkeypatch.setattr(lanes, "EXACT_BEGINNINGS", 500)
        assert index.search("smith", limit=1).hits[0].key == (1000,)
