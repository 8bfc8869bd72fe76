"""Filters apply before ranking, in both lists and every mode; agreed with plain SQL over the table."""

from __future__ import annotations

import random

import pytest

from datasette_semantic.api import SemanticIndex
from datasette_semantic.errors import BadFilter, NoSuchColumn
from datasette_semantic.records import MODES
from datasette_semantic.search.filters import OPERATORS, parse_filters

AGREED = [
    ({"year": 1995}, "year = 1995"),
    ({"year__exact": "1995"}, "year = 1995"),
    ({"year__not": 1995}, "year != 1995"),
    ({"title__contains": "robot"}, "title like '%robot%'"),
    ({"title__notcontains": "robot"}, "title not like '%robot%'"),
    ({"title__startswith": "ro"}, "title like 'ro%'"),
    ({"title__endswith": "e"}, "title like '%e'"),
    ({"title__like": "%a%e%"}, "title like '%a%e%'"),
    ({"title__notlike": "%a%"}, "title not like '%a%'"),
    ({"title__glob": "r*"}, "title glob 'r*'"),
    ({"year__gt": "2000"}, "year > 2000"),
    ({"year__gte": 2000}, "year >= 2000"),
    ({"year__lt": 2000.5}, "year < 2000.5"),
    ({"year__lte": 2000}, "year <= 2000"),
    ({"year__in": "1990,1991"}, "year in (1990, 1991)"),
    ({"year__in": [1990, 1991]}, "year in (1990, 1991)"),
    ({"year__notin": "[1990, 1991]"}, "year not in (1990, 1991)"),
    ({"tags__arraycontains": "red"}, "tags like '%red%'"),
    ({"tags__arraynotcontains": "red"}, "tags not like '%red%'"),
    ({"title__isnull": 1}, "title is null"),
    ({"title__notnull": 1}, "title is not null"),
    ({"title__isblank": 1}, "title is null or title = ''"),
    ({"title__notblank": 1}, "title != ''"),
    ({"slug__date": "2000-01-01"}, "date(slug) = '2000-01-01'"),
    ("year__gte=2000&tags__arraycontains=blue", "year >= 2000 and tags like '%blue%'"),
]


def test_every_operator_is_tested() -> None:
    used = {
        name.rpartition("__")[2] for where, _ in AGREED if isinstance(where, dict) for name in where if "__" in name
    }
    assert used == set(OPERATORS)


@pytest.mark.parametrize(("where", "sql"), AGREED)
def test_agrees_with_sql(notes: SemanticIndex, where: object, sql: str) -> None:
    expected = {row[0] for row in notes._connection.execute(f"select slug from notes where {sql}")}
    filters = parse_filters(notes.source, where)  # type: ignore[arg-type]
    found = notes.search("robot love in winter", where=filters, limit=1000)
    assert {hit.key[0] for hit in found} == expected  # 600 rows: the semantic list holds every row allowed
    assert found.total == len(expected)


@pytest.mark.parametrize("share", [0.5, 0.05, 0.01, 1 / 600])
@pytest.mark.parametrize("mode", MODES)
def test_never_fewer_than_there_are(notes: SemanticIndex, mode: str, share: float) -> None:
    everything = [row[0] for row in notes._connection.execute("select slug from notes")]
    chosen = random.Random(share).sample(everything, max(1, round(share * len(everything))))
    unfiltered = [hit.key[0] for hit in notes.search("garden ship", mode=mode, limit=1000, weak=True)]
    results = notes.search("garden ship", mode=mode, limit=1000, where={"slug__in": chosen})
    left = [slug for slug in unfiltered if slug in chosen]
    assert sorted(hit.key[0] for hit in results) == sorted(left)
    if mode != "hybrid":  # there the best bm25 of the query, by which scores are normalised, depends on the filter
        assert [hit.key[0] for hit in results] == left
    if mode != "keyword":
        assert results.total == len(chosen)


def test_sql_with_parameters(notes: SemanticIndex) -> None:
    results = notes.search(
        "robot", where="year between :low and :high -- a comment", params={"low": 1990, "high": 1992}
    )
    assert results.total
    assert {hit.row["year"] for hit in results} <= {1990, 1991, 1992}


@pytest.mark.parametrize("where", ["yaer = 1", "year = ", "1; drop table notes", ") or (1"])
def test_bad_sql_is_refused(notes: SemanticIndex, where: str) -> None:
    with pytest.raises(BadFilter):
        notes.search("robot", where=where)
    assert notes._connection.execute("select count(*) from notes").fetchone()[0] == 600


def test_bad_grammar_is_refused(notes: SemanticIndex) -> None:
    with pytest.raises(BadFilter, match="smaller"):
        parse_filters(notes.source, {"year__smaller": 1})
    with pytest.raises(NoSuchColumn, match="did you mean 'year'"):
        parse_filters(notes.source, {"yeer": 1})
    with pytest.raises(BadFilter):
        parse_filters(notes.source, {"year": {"a": 1}})
