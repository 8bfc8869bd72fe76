"""Rankings are kept while the database stays as it is, and not a moment longer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlite_utils.utils import sqlite3

from datasette_semantic.api import SemanticIndex
from datasette_semantic.plugin import companions, rankings, searching

from .conftest import SEARCH, Make, get_json, write_articles


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The requests that a ranking was made for."""
    requests: list[Any] = []
    rank: Callable[..., Any] = searching.rank

    def counted(conn: Any, index: Any, request: Any, **options: Any) -> Any:
        requests.append(request)
        return rank(conn, index, request, **options)

    monkeypatch.setattr(searching, "rank", counted)
    return requests


async def titles(datasette: Any, rest: str = "?q=steam+engine") -> list[str]:
    return [row["title"] for row in (await get_json(datasette, f"{SEARCH}.json{rest}"))["rows"]]


@pytest.mark.asyncio
async def test_pages_sorts_facets_and_shapes_share_one_ranking(
    make: Make, articles_file: Path, made: list[Any]
) -> None:
    datasette = make([articles_file], settings={"num_sql_threads": 1})
    body = await get_json(datasette, f"{SEARCH}.json?q=steam+engine")
    for rest in (f"&_next={body['next']}", "&_sort=year", "&_facet=topic", "&_shape=array&_size=3"):
        await get_json(datasette, f"{SEARCH}.json?q=steam+engine{rest}")
    assert len(made) == 1
    await titles(datasette, "?q=steam+engine&mode=keyword")
    await titles(datasette, "?q=steam+engine&topic=sea")
    assert len(made) == 3
    await titles(datasette, "?q=steam+engine&_where=1")
    await titles(datasette, "?q=steam+engine&_where=1")
    assert len(made) == 5, "SQL of the address may answer otherwise each time"


@pytest.mark.asyncio
async def test_a_page_is_cut_once_and_anew_after_a_change(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_articles(tmp_path / "articles.db", count=60)
    datasette = make([path], settings={"num_sql_threads": 1})
    cut: list[Any] = []
    page_at: Callable[..., Any] = searching.page_at

    def counted(*arguments: Any) -> Any:
        cut.append(arguments)
        return page_at(*arguments)

    monkeypatch.setattr(searching, "page_at", counted)
    address = f"{SEARCH}.json?q=steam+engine"
    first = await get_json(datasette, address)
    for _ in range(3):
        again = await get_json(datasette, address)
        assert again["rows"] == first["rows"]
    assert len(cut) == 2, "a page is kept when it is asked for again"
    for rest in ("&_size=3", "&_col=topic", "&_sort=year", f"&_next={first['next']}"):
        before = len(cut)
        assert (await get_json(datasette, address + rest))["rows"] != first["rows"]
        assert len(cut) == before + 1, rest
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("update articles set year = 1066")
    assert {row["year"] for row in (await get_json(datasette, address))["rows"]} == {1066}


@pytest.mark.asyncio
@pytest.mark.parametrize("threads", [0, 1, 3])
async def test_a_write_of_another_program_is_seen_at_once(make: Make, tmp_path: Path, threads: int) -> None:
    path = write_articles(tmp_path / "articles.db", count=60)
    datasette = make([path], settings={"num_sql_threads": threads})
    for number in range(1, 13):
        before = await titles(datasette)
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("delete from articles where title = ?", (before[0],))
        after = await titles(datasette)
        assert before[0] not in after, f"after {number} deletions"
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("update articles set title = title || '!' where title = ?", (after[0],))
        assert f"{after[0]}!" in await titles(datasette)
        assert after[0] not in await titles(datasette)


@pytest.mark.asyncio
async def test_a_write_of_datasette_itself_is_seen_at_once(make: Make, tmp_path: Path) -> None:
    datasette = make([write_articles(tmp_path / "articles.db", count=60)])
    for _number in range(6):
        first = (await titles(datasette))[0]
        await datasette.get_database("articles").execute_write("delete from articles where title = ?", [first])
        assert first not in await titles(datasette)


@pytest.mark.asyncio
async def test_an_index_made_anew_answers_at_once(make: Make, tmp_path: Path) -> None:
    path = write_articles(tmp_path / "articles.db", count=60)
    datasette = make([path])
    assert await titles(datasette)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("insert into articles (id, title, body) values (999, 'Steam engine', 'steam engine')")
    with SemanticIndex(path, "articles") as index:
        index.update()
    assert (await titles(datasette))[0] == "Steam engine"


def test_a_ranking_begun_before_a_write_is_not_kept(tmp_path: Path) -> None:
    path = write_articles(tmp_path / "articles.db", count=30)
    kept = rankings.Rankings()
    with (
        closing(sqlite3.connect(path)) as one,
        closing(sqlite3.connect(path)) as other,
        SemanticIndex(path, "articles") as index,
    ):
        request: Any = searching.SearchRequest(query="steam")

        def ask(conn: Any, make_it: Callable[[], Any]) -> Any:
            return kept.get(conn, index.record, request, by_meaning=True, make=make_it)

        def overtaken() -> str:
            with other:
                other.execute("delete from articles where id = 1")
            assert ask(other, lambda: "new") == "new"
            return "old"

        assert ask(one, overtaken) == "old"
        assert ask(other, lambda: "never") == "new"


# --- pages of one order ----------------------------------------------------------------------------------------------


async def pages(datasette: Any, rest: str, between: Callable[[list[int]], None]) -> list[list[int]]:
    """Return the ids on each page; `between` is called with those of a page before the next one is asked for."""
    found, path = [], f"{SEARCH}.json{rest}"
    while path:
        body = await get_json(datasette, path)
        found.append([row["id"] for row in body["rows"]])
        between(found[-1])
        path = (body["next_url"] or "").removeprefix("http://localhost")
    return found


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["hybrid", "semantic", "keyword"])
@pytest.mark.parametrize("order", ["", "&_sort=year", "&_where=year+>+0"])
async def test_no_row_is_lost_or_shown_twice_while_rows_are_written(
    make: Make, tmp_path: Path, mode: str, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(companions, "_FRESH_SECONDS", 0.0)  # what an update has measured is known at once
    path = write_articles(tmp_path / "articles.db", count=120)
    datasette = make([path])
    rest = f"?q=storm+harbour&mode={mode}{order}"
    before = [id_ for page in await pages(datasette, f"{rest}&_size=1000", lambda _page: None) for id_ in page]
    gone: set[int] = set()

    def write(page: list[int]) -> None:
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("delete from articles where id in (?, ?)", (page[-1], before[-1 - len(gone)]))
            gone.update((page[-1], before[-1 - len(gone)]))
            words = [("storm harbour storm", "storm storm harbour")] * 5
            database.executemany("insert into articles (title, body, year) values (?, ?, 1960)", words)
            database.execute("update articles set body = body || ' tide tide', year = 2100 - year where id % 7 = 0")
        with SemanticIndex(path, "articles") as index:
            index.update()

    joined = [id_ for page in await pages(datasette, f"{rest}&_size=15", write) for id_ in page]
    assert len(joined) == len(set(joined))
    assert [id_ for id_ in joined if id_ not in gone] == [id_ for id_ in before if id_ not in gone]
    assert max(joined) <= 120, "rows that have come are for the next search"


@pytest.mark.asyncio
async def test_a_page_whose_rows_are_all_gone_leads_on(make: Make, tmp_path: Path) -> None:
    path = write_articles(tmp_path / "articles.db", count=60)
    datasette = make([path])
    first = await get_json(datasette, f"{SEARCH}.json?q=storm&_size=5")
    whole = await get_json(datasette, f"{SEARCH}.json?q=storm&_size=15")
    with closing(sqlite3.connect(path)) as database, database:
        database.executemany("delete from articles where id = ?", [(row["id"],) for row in whole["rows"][5:10]])
    second = await get_json(datasette, first["next_url"].removeprefix("http://localhost"))
    assert second["rows"] == []
    third = await get_json(datasette, second["next_url"].removeprefix("http://localhost"))
    assert third["rows"] == whole["rows"][10:]


@pytest.mark.asyncio
async def test_an_order_serves_its_own_request_only(make: Make, articles_file: Path, made: list[Any]) -> None:
    datasette = make([articles_file], settings={"num_sql_threads": 1})
    token = (await get_json(datasette, f"{SEARCH}.json?q=storm&_where=year+>+1990"))["next"]
    assert len(made) == 1
    own = await get_json(datasette, f"{SEARCH}.json?q=storm&_where=year+>+1990&_next={token}")
    assert (len(made), own["rows"][0]["rank"]) == (1, 21)
    for rest in ("q=storm&_where=year+>+1991", "q=storm", "q=harbour", "q=storm&mode=keyword"):
        await get_json(datasette, f"{SEARCH}.json?{rest}&_next={token}")
    assert len(made) == 5


def test_orders_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: Any = rankings.Rankings()
    index, another = ((SimpleNamespace(id=n, vec_table="v", chunk_table="c", row_table="r")) for n in (1, 2))
    orders: list[Any] = [rankings.Order(f"ranking {number}", None) for number in range(rankings._KEPT + 12)]  # type: ignore[arg-type]
    names = [kept.remember("a search", index, order) for order in orders]
    assert len(set(names)) == len(orders)
    assert kept.remembered(names[0], "a search", index) is None
    assert kept.remembered(names[-1], "a search", index) is orders[-1]
    assert kept.remembered(names[-1], "another", index) is None
    assert kept.remembered(names[-1], "a search", another) is None
    assert kept.remember("a search", index, orders[-1]) == names[-1]
    monkeypatch.setattr(rankings, "_PAGES_SECONDS", -1)
    name = kept.remember("a search", index, orders[0])
    assert kept.remembered(name, "a search", index) is None
