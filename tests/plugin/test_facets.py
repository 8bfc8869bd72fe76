"""Facets, filters and totals that are true: checked against plain SQL over the match set."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from datasette_semantic.plugin.facets import choose
from datasette_semantic.search import engine

from .conftest import SEARCH, Make, embed, get, get_json

FACETS = [("_facet", "topic"), ("_facet", "year"), ("_facet_array", "tags"), ("_facet_date", "written")]
FILTERS: list[list[tuple[str, str]]] = [
    [],
    [("year__gte", "1980")],
    [("topic", "sea")],
    [("topic", "sea"), ("year__lt", "1960")],
    [("tags__arraycontains", "ship")],
    [("year", "1977")],
    [("id", "17")],
    [("title__contains", "rose"), ("author_id", "1")],
    [("topic__in", "sea,plants")],
    [("written__date", "2003-04-11")],
    [("year", "1")],
]
QUERIES = ["storm at the harbour", "robot", "an apple orchard in the frost", "zzz qqq"]


def plain_counts(file: Path, keys: list[int]) -> dict[str, dict[str, int]]:
    """Count by plain SQL what the facets should say."""
    packed = json.dumps(keys)
    among = "id in (select value from json_each(?))"
    with closing(sqlite3.connect(file)) as database:
        return {
            "topic": _count(database, f"select topic, count(*) from articles where {among} group by 1", packed),
            "year": _count(database, f"select year, count(*) from articles where {among} group by 1", packed),
            "tags": _count(
                database,
                "select j.value, count(distinct articles.id) from articles, json_each(tags) j "
                f"where articles.{among} group by 1",
                packed,
            ),
            "written": _count(
                database, f"select date(written), count(*) from articles where {among} group by 1", packed
            ),
        }


def _count(database: sqlite3.Connection, sql: str, packed: str) -> dict[str, int]:
    return {str(value): count for value, count in database.execute(sql, (packed,))}


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["hybrid", "semantic", "keyword"])
async def test_counts_and_totals_are_those_of_plain_sql(site: Any, articles_file: Path, mode: str) -> None:
    for words in QUERIES:
        for filters in FILTERS:
            query = urlencode(
                [("q", words), ("mode", mode), ("_size", "max"), ("_facet_size", "max"), *FACETS, *filters]
            )
            body = await get_json(site, f"{SEARCH}.json?{query}")
            keys = [row["id"] for row in body["rows"]]
            assert body["total"] == len(keys)
            expected = plain_counts(articles_file, keys)
            results = body["facet_results"]["results"]
            for name, counts in expected.items():
                found = {str(each["value"]): each["count"] for each in results[name]["results"]}
                assert found == counts, (words, filters, name)


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["hybrid", "semantic", "keyword"])
async def test_filters_come_before_ranking(site: Any, mode: str) -> None:
    """Never fewer results than there are rows, where the list is not about words."""
    for filters in FILTERS:
        matching = (await get_json(site, f"{SEARCH}.json?{urlencode(filters)}"))["total"]
        query = urlencode([("q", "robot"), ("mode", mode), ("_size", "20"), *filters])
        body = await get_json(site, f"{SEARCH}.json?{query}")
        if mode != "keyword":
            assert len(body["rows"]) == min(20, matching)
        assert body["total"] <= matching


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["hybrid", "semantic", "keyword"])
async def test_a_count_is_the_total_after_picking_it(site: Any, mode: str) -> None:
    chooser = random.Random(mode)
    for words in QUERIES:
        query = urlencode([("q", words), ("mode", mode), *FACETS])
        body = await get_json(site, f"{SEARCH}.json?{query}")
        values = [each for facet in body["facet_results"]["results"].values() for each in facet["results"]]
        for each in chooser.sample(values, min(8, len(values))):
            picked = await get_json(site, each["toggle_url"])
            assert picked["total"] == each["count"], each
            # the same link, once picked, takes it back
            again = [
                value
                for facet in picked["facet_results"]["results"].values()
                for value in facet["results"]
                if value["selected"] and value["value"] == each["value"]
            ]
            assert len(again) >= 1
            back = await get_json(site, again[0]["toggle_url"])
            assert back["total"] == body["total"]


@pytest.mark.asyncio
async def test_facets_are_the_same_on_every_page(site: Any) -> None:
    first = await get_json(site, f"{SEARCH}.json?q=storm&_facet=topic&_size=10")
    second = await get_json(site, first["next_url"].removeprefix("http://localhost"))

    def counts(body: Any) -> list[tuple[str, int]]:
        return [(each["value"], each["count"]) for each in body["facet_results"]["results"]["topic"]["results"]]

    assert counts(first) == counts(second)
    assert first["total"] == second["total"]
    assert second["rows"][0]["rank"] == 11
    for each in second["facet_results"]["results"]["topic"]["results"]:
        assert "_next" not in dict(parse_qsl(urlsplit(each["toggle_url"]).query))


@pytest.mark.asyncio
async def test_configured_facets_and_labels_of_foreign_keys(make: Make, articles_file: Path) -> None:
    config = {"databases": {"articles": {"tables": {"articles": {"facets": ["author_id", {"array": "tags"}]}}}}}
    page = await get(make([articles_file], config=config), f"{SEARCH}?q=ship")
    assert "Ada &lt;b&gt;" in page.text
    assert "<b>" not in page.text
    assert page.text.index('id="semantic-facet-1">author_id') < page.text.index('id="semantic-facet-2">tags')


@pytest.mark.asyncio
async def test_the_page_chooses_facets_by_itself(site: Any) -> None:
    for query in ("", "?q=ship", "?topic=sea"):
        page = await get(site, f"{SEARCH}{query}")
        assert ">topic</h2>" in page.text
        assert ">tags</h2>" in page.text
        assert ">title</h2>" not in page.text


@pytest.mark.asyncio
async def test_columns_named_like_our_own_keys(make: Make, tmp_path: Path) -> None:
    from .conftest import embed

    path = tmp_path / "names.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute('create table names (id integer primary key, q text, mode text, "_under" text, "a__b" text)')
        database.executemany(
            "insert into names values (?, ?, ?, ?, ?)",
            [(n, f"ship number {n}", "dark" if n % 2 else "light", f"u{n % 3}", f"v{n % 4}") for n in range(24)],
        )
    embed(path, "names", ["q"])
    datasette = make([path])
    base = "/names/names/-/hybrid-search.json?q=ship"
    assert (await get_json(datasette, f"{base}&mode__exact=dark"))["total"] == 12
    assert (await get_json(datasette, f"{base}&a__b=v1"))["total"] == 6
    assert (await get_json(datasette, f"{base}&_under__exact=u0"))["total"] == 8
    body = await get_json(datasette, f"{base}&_facet=mode&_facet=_under&_facet=a__b")
    for facet in body["facet_results"]["results"].values():
        for each in facet["results"]:
            assert (await get_json(datasette, each["toggle_url"]))["total"] == each["count"], each


@pytest.mark.asyncio
async def test_chips_take_filters_away(site: Any) -> None:
    page = await get(site, f"{SEARCH}?q=ship&topic=sea&year__gte=1980")
    assert "Remove filter: topic = &#34;sea&#34;" in page.text
    assert "Remove filter: year ≥ 1980" in page.text
    assert f'href="{SEARCH}?q=ship&amp;year__gte=1980" aria-label="Remove filter: topic' in page.text
    assert f'href="{SEARCH}?q=ship">Remove all' in page.text


@pytest.mark.asyncio
async def test_the_filter_form_becomes_one_argument(site: Any) -> None:
    form = "q=ship&mode=hybrid&_filter_column=year&_filter_op=gte&_filter_value=1980"
    response = await get(site, f"{SEARCH}?{form}")
    assert response.status_code == 302
    assert response.headers["location"] == f"{SEARCH}?q=ship&mode=hybrid&year__gte=1980"


@pytest.mark.asyncio
async def test_where_is_for_those_who_may_run_sql(make: Make, articles_file: Path) -> None:
    query = f"{SEARCH}.json?q=ship&_where=year+%3E+2000"
    allowed = await get_json(make([articles_file]), query)
    assert all(row["year"] > 2000 for row in allowed["rows"])
    closed = make([articles_file], config={"databases": {"articles": {"allow_sql": {"id": "root"}}}})
    refused = await get_json(closed, query, status=400)
    assert "_where" in refused["error"]


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["hybrid", "semantic", "keyword"])
async def test_a_facet_value_keeps_its_count_where_the_lists_are_cut(
    site: Any, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """Beside its facet a value narrows the match set that was counted; alone it holds before ranking."""
    monkeypatch.setattr(engine, "LIST_DEPTH", 12)
    base = f"{SEARCH}.json?q=storm&mode={mode}&_size=max"
    whole = await get_json(site, f"{base}&_facet=topic")
    assert whole["truncated"]
    values = whole["facet_results"]["results"]["topic"]["results"]
    assert values
    for value in values:
        assert "_facet=topic" in value["toggle_url"]
        picked = await get_json(site, f"{base}&_facet=topic&topic={value['value']}")
        assert picked["total"] == value["count"]
        ids = [row["id"] for row in whole["rows"] if row["topic"] == value["value"]]
        assert [row["id"] for row in picked["rows"]] == ids
        before = await get_json(site, f"{base}&topic={value['value']}")
        assert before["total"] >= value["count"]


@pytest.mark.asyncio
async def test_arrays_are_counted_by_their_items_alone(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "few.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table notes (id integer primary key, title text, tags text)")
        tags = ('["sea"]', '["sea", "ship"]', "[]")  # so few that whole arrays repeat too
        database.executemany(
            "insert into notes (title, tags) values (?, ?)", [(f"n {i}", tags[i % 3]) for i in range(60)]
        )
    embed(path, "notes", ["title"])
    datasette = make([path])
    body = await get_json(datasette, "/few/notes/-/hybrid-search.json?q=n&_extra=suggested_facets")
    assert [(each["name"], each["type"]) for each in body["suggested_facets"]] == [("tags", "array")]
    page = (await get(datasette, "/few/notes/-/hybrid-search?q=n")).text
    assert page.count('class="semantic-facet"') == 1


def test_dates_are_chosen_last() -> None:
    suggested = ({"date": "written"}, "topic", {"array": "tags"}, "kind")
    assert choose(suggested) == ("topic", {"array": "tags"}, "kind", {"date": "written"})
    assert choose(suggested[:2]) == ("topic", {"date": "written"})
