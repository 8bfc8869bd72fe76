"""Common words do not make a query slow: they rank what rarer words find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from datasette_semantic.api import SemanticIndex
from datasette_semantic.laws.fts_query import parse, to_match
from datasette_semantic.search import lists

QUERIES = ("robot love winter", "steam engine of the century", "tulip", "a violin and a doctor")


def matches(index: SemanticIndex, match: str | None) -> int:
    sql = "select count(*) from notes_fts where notes_fts match ?"
    return int(index._connection.execute(sql, (match,)).fetchone()[0])


@pytest.mark.parametrize("budget", [30, 150, 300, 100_000])
def test_the_budget_is_kept(notes: SemanticIndex, budget: int) -> None:
    for typed in QUERIES:
        query = parse(typed)
        asked, crowded = lists.bounded(notes._connection, notes.record, query, tokens=None, budget=budget)
        rarest = min(count for term in query.optional if (count := matches(notes, f'"{term.text}"')))
        required = to_match(replace(asked, optional=())) if asked.required else to_match(asked)
        assert matches(notes, required) <= max(budget, rarest)
        assert crowded == (rarest > budget)
        if budget == 100_000:
            assert asked == query


def test_candidates_keep_their_full_scores(notes: SemanticIndex) -> None:
    """A row that a rare word finds is scored for all words, as if there were no budget."""
    query = parse("robot love winter")
    asked, _crowded = lists.bounded(notes._connection, notes.record, query, tokens=None, budget=260)
    plain = dict(_search(notes, to_match(query)))
    for row_id, score in _search(notes, to_match(asked)):
        assert score >= plain[row_id] > 0
    order = [row_id for row_id, _ in _search(notes, to_match(asked))][:5]
    assert order


def _search(index: SemanticIndex, match: str | None) -> list[tuple[int, float]]:
    assert match is not None
    return lists.keyword_index.search(index._connection, index.source, index.record, match, k=600)


def test_top_ten_of_judged_sets_is_that_of_full_bm25(corpora: Callable[[str], Any], tmp_path: Path) -> None:
    """Even if each of its long questions had to do with six tenths of the rows; a real table so small never has to."""
    collection = corpora("cranfield")
    path = tmp_path / "cranfield.db"
    collection.write(path)
    with SemanticIndex.create(path, "cranfield", ["title", "text"], model="wordllama") as index:
        index.update()
        same = total = 0
        for typed in list(collection.queries.values())[:100]:
            query = parse(typed)
            full = keys(index, to_match(query))
            asked, _crowded = lists.bounded(index._connection, index.record, query, tokens=None, budget=840)
            same += len(full & keys(index, to_match(asked)))
            total += len(full)
    assert same / total >= 0.88


def keys(index: SemanticIndex, match: str | None) -> set[int]:
    assert match is not None
    found = lists.keyword_index.search(index._connection, index.source, index.record, match, k=10)
    return {row_id for row_id, _ in found}


def test_a_word_that_is_everywhere_is_scored_in_part(notes: SemanticIndex) -> None:
    everything = lists.keyword_index.search(notes._connection, notes.source, notes.record, '"robot"', k=600)
    some = lists.keyword_index.search(notes._connection, notes.source, notes.record, '"robot"', k=600, scored=50)
    assert len(some) == 50
    assert [pair for pair in everything if pair in some] == some
