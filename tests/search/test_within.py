"""Picking a facet value narrows the match set: what was counted is what is left."""

from __future__ import annotations

from collections import Counter

import pytest

from datasette_semantic.api import SemanticIndex, query_vector
from datasette_semantic.records import MODES, Mode, RowFilter, SearchRequest, SearchResults
from datasette_semantic.search import engine


def search(index: SemanticIndex, request: SearchRequest) -> SearchResults:
    vector, _warnings = query_vector(index.record, request)
    return engine.search(index._connection, index.record, request, vector=vector)


@pytest.mark.parametrize("mode", MODES)
def test_counts_are_kept(notes: SemanticIndex, monkeypatch: pytest.MonkeyPatch, mode: Mode) -> None:
    monkeypatch.setattr(engine, "LIST_DEPTH", 90)
    whole = search(notes, SearchRequest("robot love", mode=mode, limit=1000))
    assert whole.total < 200  # of 600: both lists are cut
    counts = Counter(hit.row["year"] for hit in whole)
    for year, count in counts.items():
        picked = RowFilter("year = :year", {"year": year})
        narrowed = search(notes, SearchRequest("robot love", mode=mode, limit=1000, within=(picked,)))
        assert narrowed.total == count
        assert [hit.key for hit in narrowed] == [hit.key for hit in whole if hit.row["year"] == year]
        assert [hit.score for hit in narrowed] == [hit.score for hit in whole if hit.row["year"] == year]
