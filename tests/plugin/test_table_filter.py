"""`?_semantic=` on Datasette's own table page."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from .conftest import SEARCH, Make, embed, get, get_json

TABLE = "/articles/articles"


@pytest.mark.asyncio
async def test_narrows_the_table_to_the_best_matches(site: Any) -> None:
    rows = await get_json(site, f"{TABLE}.json?_semantic=robot&_size=max&_shape=array")
    best = await get_json(site, f"{SEARCH}.json?q=robot&_size=200")
    assert len(rows) == 200
    assert {row["id"] for row in rows} == {row["id"] for row in best["rows"]}


@pytest.mark.asyncio
async def test_its_own_filters_facets_sort_and_csv_go_on_working(site: Any) -> None:
    query = "_semantic=robot&_semantic_mode=keyword&year__gte=1980&_sort_desc=year&_facet=topic"
    rows = await get_json(site, f"{TABLE}.json?{query}&_shape=array&_size=max")
    found = await get_json(site, f"{SEARCH}.json?q=robot&mode=keyword&year__gte=1980&_size=max")
    assert {row["id"] for row in rows} == {row["id"] for row in found["rows"]}
    assert [row["year"] for row in rows] == sorted((row["year"] for row in rows), reverse=True)
    csv = await get(site, f"{TABLE}.csv?{query}&_stream=1")
    assert len(csv.text.splitlines()) == len(rows) + 1
    page = (await get(site, f"{TABLE}?{query}")).text
    assert "search finds" in page
    assert 'name="_semantic" value="robot"' in page


@pytest.mark.asyncio
async def test_filters_take_part_before_the_cut(site: Any) -> None:
    rows = await get_json(site, f"{TABLE}.json?_semantic=robot&topic=sea&_shape=array&_size=max")
    assert len(rows) == 100


@pytest.mark.asyncio
async def test_nothing_asked_changes_nothing(site: Any) -> None:
    rows = await get_json(site, f"{TABLE}.json?_semantic=+&_shape=array&_size=max")
    assert len(rows) == 300


@pytest.mark.asyncio
async def test_a_table_without_index_says_so(site: Any) -> None:
    for path in ("/articles/plain", "/articles/view_of_articles"):
        response = await get(site, f"{path}.json?_semantic=x")
        assert response.status_code == 404
        assert "sqlite-utils embed" in response.text
    assert (await get(site, f"{TABLE}.json?_semantic=x&_semantic_mode=y")).status_code == 400


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "schema",
    [
        "create table t (a text, b integer, body text, primary key (a, b))",
        "create table t (a text primary key, b integer, body text) without rowid",
        "create table t (a text, b integer, body text)",
        "create table t (rowid text, b integer primary key, body text)",
    ],
)
async def test_keys_of_every_kind(make: Make, tmp_path: Path, schema: str) -> None:
    path = tmp_path / "keys.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(schema)
        database.executemany(
            "insert into t values (?, ?, ?)", [(f"k/{n}, '{n}'", n, f"a ship number {n} at sea") for n in range(12)]
        )
    embed(path, "t", ["body"])
    datasette = make([path])
    rows = await get_json(datasette, "/keys/t.json?_semantic=ship&_shape=array")
    assert len(rows) == 12
    body = await get_json(datasette, "/keys/t/-/hybrid-search.json?q=ship&_facet=b")
    assert len(body["rows"]) == 12
    assert sum(each["count"] for each in body["facet_results"]["results"]["b"]["results"]) == 12
    page = (await get(datasette, "/keys/t/-/hybrid-search?q=ship&_size=3")).text
    import re

    row, like = (
        re.findall(pattern, page)
        for pattern in (r'<h2 id="semantic-result[^>]*><a href="([^"]+)"', r'href="([^"]+like=[^"]+)"')
    )
    assert len(row) == 3
    for link in (*row, *like):
        assert (await get(datasette, link.replace("&amp;", "&"))).status_code == 200, link
