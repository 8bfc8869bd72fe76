"""What a request wishes besides relevance: guarantees hold, pages joined are the whole ranking, slips are told."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from datasette_semantic.api import SemanticIndex
from datasette_semantic.errors import BadOption, NoSuchColumn


@pytest.mark.parametrize("mode", ["hybrid", "semantic", "keyword"])
@pytest.mark.parametrize(
    "wishes", [{"boost": "year:0.5"}, {"diversity": 0.5}, {"boost": {"year": (1, 4)}, "diversity": 1}]
)
def test_pages_joined_are_the_whole_ranking(notes: SemanticIndex, mode: str, wishes: dict[str, Any]) -> None:
    whole = notes.search("robot garden letter", mode=mode, limit=300, **wishes)
    assert set(whole.match_keys) == set(notes.search("robot garden letter", mode=mode).match_keys)
    pages = [
        hit
        for offset in range(0, 300, 40)
        for hit in notes.search("robot garden letter", mode=mode, limit=40, offset=offset, **wishes)
    ]
    assert pages[:300] == list(whole)
    assert all(a.score >= b.score - 1e-12 for a, b in pairwise(whole.hits))


def test_what_is_exact_stays_first(notes: SemanticIndex) -> None:
    title = notes.search("robot", limit=1).hits[0].row["title"]
    assert isinstance(title, str)
    for wishes in ({"boost": {"year": 10}}, {"diversity": 1.0}):
        assert notes.search(title, **wishes).hits[0].row["title"] == title  # type: ignore[arg-type]


def test_a_boost_moves_rows_and_says_so(notes: SemanticIndex) -> None:
    newest = notes.search("robot garden", mode="keyword", boost={"year": 5})
    years = [hit.row["year"] for hit in newest.hits[:5]]
    assert min(years) > 2010  # type: ignore[type-var,operator]
    assert [each.name for each in newest.hits[0].why] == ["keyword", "year"]
    oldest = notes.search("robot garden", mode="keyword", boost="YEAR:-5")
    assert max(hit.row["year"] for hit in oldest.hits[:5]) < 2000  # type: ignore[type-var,operator]


def test_more_like_a_row_takes_wishes_too(notes: SemanticIndex) -> None:
    plain, varied = notes.similar("n001", limit=50), notes.similar("n001", limit=50, diversity=0.9)
    assert plain.match_keys != varied.match_keys
    assert set(plain.match_keys) == set(varied.match_keys)


@pytest.mark.parametrize(
    ("wishes", "told"),
    [
        ({"boost": "year"}, "COLUMN:WEIGHT"),
        ({"boost": "year:much"}, "'year:much'"),
        ({"boost": {"year": "x"}}, "the weight of year"),
        ({"boost": "year:1:0"}, "half-life"),
        ({"boost": 3}, "3"),
        ({"diversity": 2}, "from 0 to 1"),
        ({"diversity": float("nan")}, "nan"),
    ],
)
def test_slips_are_told(notes: SemanticIndex, wishes: dict[str, Any], told: str) -> None:
    with pytest.raises(BadOption, match=told):
        notes.search("robot", **wishes)


def test_an_unknown_column_is_told(notes: SemanticIndex) -> None:
    with pytest.raises(NoSuchColumn):
        notes.search("robot", boost="age:0.2")
