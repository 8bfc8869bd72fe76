"""The JSON contract: one shape, in both versions of Datasette."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest

from .conftest import SEARCH, Make, get, get_json

RECORD = ["id", "score", "rank", "keyword_rank", "semantic_rank", "distance", "passage"]
ENVELOPE = ["ok", "rows", "total", "truncated", "weak", "next", "next_url", "facet_results", "query", "warnings"]


@pytest.mark.asyncio
async def test_envelope_and_record_keep_the_order_of_the_contract(site: Any) -> None:
    body = await get_json(site, f"{SEARCH}.json?q=robot&_size=3")
    assert list(body) == ENVELOPE
    assert body["ok"] is True
    assert len(body["rows"]) == 3
    for rank, row in enumerate(body["rows"], 1):
        assert list(row) == [*RECORD, "title", "body", "year", "topic", "tags", "written", "author_id"]
        assert row["rank"] == rank
    assert body["query"]["q"] == "robot"
    assert body["query"]["model"] == "wordllama"
    assert body["facet_results"] == {"results": {}, "timed_out": []}


@pytest.mark.asyncio
async def test_nothing_asked_answers_with_the_number_of_rows(site: Any) -> None:
    body = await get_json(site, f"{SEARCH}.json")
    assert (body["rows"], body["total"], body["next"]) == ([], 300, None)
    body = await get_json(site, f"{SEARCH}.json?topic=sea")
    assert body["total"] == 100


@pytest.mark.asyncio
async def test_shapes(site: Any) -> None:
    objects = await get_json(site, f"{SEARCH}.json?q=tulip&_size=2")
    arrays = await get_json(site, f"{SEARCH}.json?q=tulip&_size=2&_shape=arrays")
    array = await get_json(site, f"{SEARCH}.json?q=tulip&_size=2&_shape=array")
    assert arrays["columns"] == list(objects["rows"][0])
    assert arrays["rows"] == [list(row.values()) for row in objects["rows"]]
    assert array == objects["rows"]
    lines = await get(site, f"{SEARCH}.json?q=tulip&_size=2&_shape=array&_nl=on")
    assert lines.text.count("\n") == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["hybrid", "semantic", "keyword"])
async def test_pages_joined_are_the_whole_ranking(site: Any, mode: str) -> None:
    whole = await get_json(site, f"{SEARCH}.json?q=storm+harbour&mode={mode}&_size=max")
    assert whole["next"] is None
    path: str | None = f"{SEARCH}.json?q=storm+harbour&mode={mode}&_size=37"
    joined, totals = [], set()
    while path:
        response = await get(site, path)
        body = response.json()
        joined += body["rows"]
        totals.add(body["total"])
        if body["next_url"]:
            assert response.headers["link"] == f'<{body["next_url"]}>; rel="next"'
            path = body["next_url"].removeprefix("http://localhost")
        else:
            path = None
    assert totals == {whole["total"]}
    assert joined == whole["rows"]
    assert [row["rank"] for row in joined] == list(range(1, whole["total"] + 1))
    assert len({row["id"] for row in joined}) == len(joined)


@pytest.mark.asyncio
@pytest.mark.parametrize("key", ["_sort", "_sort_desc"])
@pytest.mark.parametrize("column", ["year", "title", "written"])
async def test_sorted_pages_joined_are_the_match_set(site: Any, key: str, column: str) -> None:
    ranked = await get_json(site, f"{SEARCH}.json?q=storm&mode=keyword&_size=max")
    rank_of = {row["id"]: row["rank"] for row in ranked["rows"]}
    path, joined = f"{SEARCH}.json?q=storm&mode=keyword&_size=11&{key}={column}", []
    while path:
        body = await get_json(site, path)
        joined += body["rows"]
        assert body["total"] == ranked["total"]
        path = (body["next_url"] or "").removeprefix("http://localhost")
    assert {row["id"]: row["rank"] for row in joined} == rank_of
    by_rank = sorted(joined, key=lambda row: row["rank"])
    assert joined == sorted(by_rank, key=lambda row: row[column], reverse=key == "_sort_desc")


@pytest.mark.asyncio
async def test_a_site_says_what_may_be_sorted_by(make: Make, articles_file: Any) -> None:
    config = {"databases": {"articles": {"tables": {"articles": {"sortable_columns": ["year"]}}}}}
    datasette = make([articles_file], config=config)
    assert (await get_json(datasette, f"{SEARCH}.json?q=storm&_sort=year"))["query"]["sort"] == "year"
    refused = await get_json(datasette, f"{SEARCH}.json?q=storm&_sort=title", status=400)
    assert "allows year" in refused["error"]


@pytest.mark.asyncio
async def test_columns_are_chosen_as_on_datasettes_table_page(site: Any) -> None:
    async def columns(query: str) -> list[str]:
        return list((await get_json(site, f"{SEARCH}.json?q=apple&_size=1{query}"))["rows"][0])

    assert await columns("&_col=year&_col=title") == [*RECORD, "year", "title"]
    assert await columns("&_nocol=body&_nocol=tags&_nocol=written") == [*RECORD, "title", "year", "topic", "author_id"]
    assert await columns("&_col=year&_col=title&_nocol=year") == [*RECORD, "title"]
    for key in ("_col", "_nocol"):
        refused = await get_json(site, f"{SEARCH}.json?q=apple&{key}=nosuch", status=400)
        assert f"{key} knows no column 'nosuch'" in refused["error"]
    header = (await get(site, f"{SEARCH}.csv?q=apple&_col=year")).text.splitlines()[0]
    assert header.split(",") == [*RECORD, "year"]


@pytest.mark.asyncio
async def test_weaker_matches_are_counted(site: Any) -> None:
    body = await get_json(site, f"{SEARCH}.json?q=steam+engine")
    assert body["weak"] >= 0
    more = await get_json(site, f"{SEARCH}.json?q=steam+engine&weak=1")
    assert (more["weak"], more["total"]) == (0, body["total"] + body["weak"])


@pytest.mark.asyncio
async def test_extras(site: Any) -> None:
    extras = "columns,timing,why,passages,suggested_facets"
    body = await get_json(site, f"{SEARCH}.json?q=apple&_size=2&_extra={extras}")
    assert body["columns"][:7] == RECORD
    assert body["timing"]["total_ms"] > 0
    for row, terms, pieces in zip(body["rows"], body["why"], body["passages"], strict=True):
        assert sum(term["adds"] for term in terms) == pytest.approx(row["score"], abs=1e-6)
        assert "".join(piece["text"] for piece in pieces) == row["passage"]
        assert {piece["mark"] for piece in pieces} <= {"", "word", "near"}
    assert {"topic", "tags"} <= {each["name"] for each in body["suggested_facets"]}


@pytest.mark.asyncio
async def test_pages_go_on_where_rows_have_come_and_gone(make: Make, tmp_path: Any) -> None:
    import sqlite3
    from contextlib import closing

    from .conftest import write_articles

    path = write_articles(tmp_path / "articles.db", count=60)
    datasette = make([path])
    first = await get_json(datasette, f"{SEARCH}.json?q=storm&_size=10")
    gone = [row["id"] for row in first["rows"][:3]]
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("delete from articles where id in (?, ?, ?)", gone)
    second = await get_json(datasette, first["next_url"].removeprefix("http://localhost"))
    assert not {row["id"] for row in second["rows"]} & {row["id"] for row in first["rows"]}
    whole = await get_json(datasette, f"{SEARCH}.json?q=storm&_size=max")
    assert [row["id"] for row in second["rows"]] == [row["id"] for row in whole["rows"]][7:17]


@pytest.mark.asyncio
async def test_more_like_this(site: Any) -> None:
    body = await get_json(site, f"{SEARCH}.json?like=4")
    assert body["rows"]
    assert 4 not in [row["id"] for row in body["rows"]]
    assert body["query"]["like"] == "4"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("mode=fuzzy", 400, "mode is one of hybrid, semantic, keyword"),
        ("q=x&_size=-1", 400, "_size is a number"),
        ("q=x&_size=1001", 400, "_size is a number"),
        ("q=x&_size=%C2%B2", 400, "_size is a number"),
        ("q=x&_next=nonsense", 400, "_next is not a token"),
        ("q=x&_shape=blob", 400, "_shape is one of"),
        ("q=x&_extra=gold", 400, "_extra does not know gold"),
        ("q=x&nosuch=1", 400, "cannot filter by 'nosuch'"),
        ("q=x&year__near=1", 400, "cannot filter 'year' by 'near'"),
        ("q=x&year__in=[1", 400, "cannot be read"),
        ("q=x&title__arraycontains=1", 400, "no JSON array"),
        ("q=x&_facet=nosuch", 400, "cannot facet by 'nosuch'"),
        ("q=x&_sort=nosuch", 400, "cannot sort by 'nosuch'"),
        ("like=1,2", 404, "is named by 1 value"),
        ("like=9999", 404, "no row 9999"),
    ],
)
async def test_bad_requests_say_what_to_do(site: Any, query: str, status: int, words: str) -> None:
    body = await get_json(site, f"{SEARCH}.json?{query}", status=status)
    assert list(body) == ["ok", "error", "errors", "status"]
    assert body["ok"] is False
    assert body["status"] == status
    assert words in body["error"]
    page = await get(site, f"{SEARCH}?{query}")
    assert page.status_code == (200 if query.startswith(("q=x&_shape", "q=x&_extra")) else status) or words in page.text


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nosuch/articles/-/hybrid-search.json", 404),
        ("/articles/nosuch/-/hybrid-search.json", 404),
        ("/articles/plain/-/hybrid-search.json", 404),
        ("/articles/view_of_articles/-/hybrid-search.json", 404),
        ("/articles/articles_vec/-/hybrid-search.json", 404),
        ("/nosuch/-/hybrid-search.json", 404),
    ],
)
async def test_what_is_not_there(site: Any, path: str, status: int) -> None:
    body = await get_json(site, f"{path}?q=x", status=status)
    assert body["ok"] is False
    if "plain" in path:
        assert "sqlite-utils embed articles.db plain" in body["error"]
    page = await get(site, path.replace(".json", "?q=x"))
    assert page.status_code == status


@pytest.mark.asyncio
async def test_other_methods(site: Any) -> None:
    await site.invoke_startup()
    options = await site.client.options(f"{SEARCH}.json")
    assert options.status_code == 200
    deleted = await site.client.delete(f"{SEARCH}.json")
    assert deleted.status_code in (403, 405)


@pytest.mark.asyncio
async def test_cors_and_referrer(make: Make, articles_file: Any) -> None:
    datasette = make([articles_file], cors=True)
    for rest in (".json?q=x", ".json?mode=fuzzy", ".csv?q=x", ".csv", ""):
        response = await get(datasette, f"{SEARCH}{rest}")
        assert response.headers["access-control-allow-origin"] == "*"
        assert response.headers["referrer-policy"] == "no-referrer"
    closed = await get(make([articles_file]), f"{SEARCH}.json?q=x")
    assert "access-control-allow-origin" not in closed.headers


@pytest.mark.asyncio
@pytest.mark.parametrize("path", [SEARCH, "/articles/-/hybrid-search", "/-/hybrid-search"])
@pytest.mark.parametrize("shape", ["objects", "array", "array&_nl=on"])
async def test_the_next_page_is_in_a_header_whatever_the_shape(site: Any, path: str, shape: str) -> None:
    response = await get(site, f"{path}.json?q=storm&_size=3&_shape={shape}")
    url = response.headers["link"].removeprefix("<").removesuffix('>; rel="next"')
    body = await get_json(site, url.removeprefix("http://localhost").replace("_nl=on", ""))
    assert [row["rank"] for row in (body["rows"] if shape == "objects" else body)] == [4, 5, 6]
    last = await get(site, f"{path}.json?q=storm&_size=max")
    assert "link" not in last.headers


@pytest.mark.asyncio
async def test_csv_holds_the_whole_ranking(site: Any) -> None:
    import csv

    response = await get(site, f"{SEARCH}.csv?q=lighthouse&_size=5")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(response.text.splitlines()))
    body = await get_json(site, f"{SEARCH}.json?q=lighthouse&_size=max")
    assert [int(row["id"]) for row in rows] == [row["id"] for row in body["rows"]]
    assert list(rows[0])[:7] == RECORD
    assert (await get(site, f"{SEARCH}.csv")).status_code == 400


ODD = [
    "",
    " ",
    '"',
    "'",
    "\\",
    "%",
    "*",
    "-",
    "()",
    "NEAR(",
    "a OR",
    "NOT",
    "title:",
    "{x}",
    "^a",
    "\x00",
    "\ud7ff",
    "\U0001f600",
    "用户",
    "ß ı İ",
    "a" * 10_000,
    "<script>alert(1)</script>",
    "{{ 7 * 7 }}",
    "'; drop table articles; --",
    "\u202e",
    "-- -x",
    '"unclosed phrase',
    "1e999",
    "null",
]


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["hybrid", "semantic", "keyword"])
async def test_no_query_breaks_the_page(site: Any, mode: str) -> None:
    for words in ODD:
        query = urlencode({"q": words, "mode": mode, "_size": 2})
        for suffix in (".json", ""):
            response = await get(site, f"{SEARCH}{suffix}?{query}")
            assert response.status_code == 200, (words, suffix, response.text[:500])
    broken = await get(site, f"{SEARCH}.json?q=%ff%fe&mode={mode}")
    assert broken.status_code == 200


@pytest.mark.asyncio
async def test_infinity_and_bytes_are_valid_json(make: Make, tmp_path: Any) -> None:
    import sqlite3

    from .conftest import embed

    path = tmp_path / "odd.db"
    database = sqlite3.connect(path)
    with database:
        database.execute("create table odd (name text primary key, text text, number real, blob blob)")
        database.execute("insert into odd values ('a/b,c.d', 'a ship at sea', 9e999, x'00ff')")
        database.execute("insert into odd values ('plain', 'a garden of roses', -9e999, null)")
    database.close()
    embed(path, "odd", ["text"])
    datasette = make([path])
    body = await get_json(datasette, "/odd/odd/-/hybrid-search.json?q=ship")
    row = next(row for row in body["rows"] if row["name"] == "a/b,c.d")
    assert row["number"] is None
    assert row["blob"] == {"$base64": True, "encoded": "AP8="}
    page = await get(datasette, "/odd/odd/-/hybrid-search?q=ship")
    assert "/odd/odd/a~2Fb~2Cc~2Ed" in page.text
    like = await get_json(datasette, f"/odd/odd/-/hybrid-search.json?like={quote_plus('a~2Fb~2Cc~2Ed')}")
    assert [row["name"] for row in like["rows"]] == ["plain"]


@pytest.mark.asyncio
async def test_mistyped_words(site: Any) -> None:
    offered = await get_json(site, f"{SEARCH}.json?q=tulpi+garden&mode=keyword")
    assert (offered["query"]["did_you_mean"], offered["warnings"]) == ("tulip garden", [])
    used = await get_json(site, f"{SEARCH}.json?q=tulpi&mode=keyword")
    assert used["query"]["did_you_mean"] == "tulip"
    assert used["warnings"] == ["No row holds these words: the words looked for are tulip"]
    assert used["rows"] == (await get_json(site, f"{SEARCH}.json?q=tulip&mode=keyword"))["rows"]
    page = (await get(site, f"{SEARCH}?q=tulpi+garden&mode=keyword")).text
    assert 'Did you mean <a href="/articles/articles/-/hybrid-search?mode=keyword&amp;q=tulip+garden">' in page
