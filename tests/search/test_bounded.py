"""Common words do not make a query slow: rows that hold nothing else are not scored where they cannot come first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datasette_semantic.api import SemanticIndex
from datasette_semantic.laws.fts_query import parse, telling, to_match
from datasette_semantic.search import by_words, lists
from datasette_semantic.store import keyword_index

QUERIES = ("robot love winter", "steam engine of the century", "tulip", "a violin and a doctor", "robot -love the ship")
EVERY_ROW = lists.Allowed()


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The FTS5 expressions of the rows that were scored, None for all that match."""
    seen: list[str | None] = []
    search = keyword_index.search

    def watch(*arguments: Any, **options: Any) -> Any:
        seen.append(options.get("among"))
        return search(*arguments, **options)

    monkeypatch.setattr(keyword_index, "search", watch)
    monkeypatch.setattr(by_words, "_known", lambda *_arguments, **_options: None)
    monkeypatch.setattr(by_words, "AT_ONCE", 0)
    monkeypatch.setattr(by_words, "KEYWORD_SHARE", 10**9)
    return seen


def matches(index: SemanticIndex, match: str | None) -> int:
    sql = "select count(*) from notes_fts where notes_fts match ?"
    return int(index._connection.execute(sql, (match,)).fetchone()[0])


def by_all(index: SemanticIndex, typed: str, k: int) -> list[tuple[int, float]]:
    match = to_match(telling(parse(typed)))
    assert match is not None
    return keyword_index.search(index._connection, index.source, index.record, match, k=k)


def by_few(index: SemanticIndex, typed: str, depth: int, allowed: lists.Allowed = EVERY_ROW) -> list[tuple[int, float]]:
    return by_words.keyword_list(
        index._connection, index.source, index.record, parse(typed), allowed=allowed, depth=depth
    )


@pytest.mark.parametrize("budget", [30, 150, 300])
def test_the_budget_is_kept(
    notes: SemanticIndex, scored: list[str | None], monkeypatch: pytest.MonkeyPatch, budget: int
) -> None:
    monkeypatch.setattr(by_words, "KEYWORD_BUDGET", budget)
    for typed in QUERIES:
        counts = [count for term in telling(parse(typed)).optional if (count := matches(notes, f'"{term.text}"'))]
        scored.clear()
        by_few(notes, typed, 10)
        if len(counts) > 1 and sum(counts) > budget:
            assert all(among is not None for among in scored)
            assert matches(notes, scored[-1]) <= max(budget, min(counts), 20)


def test_a_small_table_is_scored_whole(notes: SemanticIndex) -> None:
    for typed in QUERIES:
        assert by_few(notes, typed, 600) == by_all(notes, typed, 600)


@pytest.mark.parametrize("safe", [1, 10, 50])
def test_the_first_rows_are_those_of_full_bm25(
    notes: SemanticIndex, scored: list[str | None], monkeypatch: pytest.MonkeyPatch, safe: int
) -> None:
    monkeypatch.setattr(by_words, "SAFE", safe)
    for typed in QUERIES:
        assert by_few(notes, typed, 50)[:safe] == by_all(notes, typed, safe)
    assert any(among is not None for among in scored)


def test_a_filter_never_loses_rows(notes: SemanticIndex, scored: list[str | None]) -> None:
    """Even one that leaves only rows with common words."""
    every = by_all(notes, "robot love winter", 600)
    for row_id, score in every[-20:]:
        only = lists.Allowed(f"select {row_id}", {})
        assert by_few(notes, "robot love winter", 50, only) == [(row_id, score)]


def test_judged_sets_keep_their_first_rows(
    corpora: Callable[[str], Any], tmp_path: Path, scored: list[str | None]
) -> None:
    """Each of its long questions has to do with half of the rows."""
    collection = corpora("cranfield")
    path = tmp_path / "cranfield.db"
    collection.write(path)
    with SemanticIndex.create(path, "cranfield", ["title", "text"], model="wordllama") as index:
        index.update()
        for typed in list(collection.queries.values())[:100]:
            assert by_few(index, typed, 50)[:10] == by_all(index, typed, 10)
    few = [among for among in scored if among is not None]
    assert len(few) > 50


def test_a_word_that_is_everywhere_is_scored_in_part(notes: SemanticIndex) -> None:
    everything = keyword_index.search(notes._connection, notes.source, notes.record, '"robot"', k=600)
    some = keyword_index.search(notes._connection, notes.source, notes.record, '"robot"', k=600, scored=50)
    assert len(some) == 50
    assert [pair for pair in everything if pair in some] == some
