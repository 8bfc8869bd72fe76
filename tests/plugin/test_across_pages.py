"""Pages of a search over many tables: joined they are the whole ranking, whatever is written or denied meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from datasette import hookimpl
from datasette.plugins import pm

from datasette_semantic.api import SemanticIndex
from datasette_semantic.plugin import companions, joint_order, searching
from datasette_semantic.plugin.state import state_of

from .conftest import CASCADES, Make, embed, get, get_json, write_articles

ADDRESS = "/-/hybrid-search.json?q=storm+harbour"
Row = tuple[str, str, Any]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an update has measured is known at once."""
    monkeypatch.setattr(companions, "_FRESH_SECONDS", 0.0)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """`first.db` with `articles` and `notes`, `second.db` with `letters`, whose keys are text."""
    first, second = write_articles(tmp_path / "first.db", count=60), tmp_path / "second.db"
    for path, table in ((first, "notes"), (second, "letters")):
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(f"create table {table} (code text primary key, name text, body text)")
            database.executemany(
                f"insert into {table} values (?, ?, ?)",
                [
                    (f"{table}/{n}", f"{table} {n}", f"harbour letter {n}: a storm, {'tide ' * (n % 5)}")
                    for n in range(25)
                ],
            )
        embed(path, table, ["name", "body"])
    return [first, second]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The tables that a ranking was made for."""
    tables: list[Any] = []
    rank: Callable[..., Any] = searching.rank

    def counted(conn: Any, index: Any, request: Any, **options: Any) -> Any:
        tables.append(index.table)
        return rank(conn, index, request, **options)

    monkeypatch.setattr(searching, "rank", counted)
    return tables


@pytest.fixture
def denied() -> Iterator[set[tuple[str, str | None]]]:
    """`(table, actor)`: tables that somebody may not view, from now on."""
    rules: set[tuple[str, str | None]] = set()

    class Deny:
        """Both hooks in one: each version calls its own."""

        __name__ = "Deny"

        if CASCADES:

            @hookimpl
            def permission_resources_sql(self, actor: Any, action: str) -> Any:
                from datasette.permissions import PermissionSQL

                who = actor and actor["id"]
                tables = [table for table, other in rules if other == who] if action == "view-table" else []
                if not tables:
                    return None
                selects = [
                    f"select 'first' as parent, '{table}' as child, 0 as allow, '' as reason" for table in tables
                ]
                return PermissionSQL(sql=" union all ".join(selects))
        else:

            @hookimpl
            def permission_allowed(self, actor: Any, action: str, resource: Any) -> Any:
                who = actor and actor["id"]
                return False if action == "view-table" and (resource[1], who) in rules else None

    plugin = Deny()
    pm.register(plugin, name="deny")
    yield rules
    pm.unregister(name="deny")


def row_of(record: Any) -> Row:
    return record["database"], record["table"], record.get("id", record.get("code"))


def path_of(body: Any) -> str:
    return (body["next_url"] or "").removeprefix("http://localhost")


async def pages(datasette: Any, path: str, between: Callable[[list[Row]], None], **who: Any) -> list[list[Row]]:
    """Return the rows of each page; `between` is called with those of a page before the next one is asked for."""
    found = []
    while path:
        body = await get_json(datasette, path, **who)
        found.append([row_of(row) for row in body["rows"]])
        between(found[-1])
        path = path_of(body)
    return found


def delete(files: list[Path], row: Row) -> None:
    database, table, key = row
    path = next(path for path in files if path.stem == database)
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute(f"delete from {table} where {'id' if table == 'articles' else 'code'} = ?", (key,))


@pytest.mark.asyncio
@pytest.mark.parametrize("rest", ["", "&mode=semantic", "&mode=keyword", "&table=first/articles&table=second/letters"])
async def test_no_row_is_lost_or_shown_twice_while_rows_are_written(make: Make, files: list[Path], rest: str) -> None:
    datasette = make(files)
    [before] = await pages(datasette, f"{ADDRESS}{rest}&_size=1000", lambda _page: None)
    gone: set[Row] = set()

    def write(page: list[Row]) -> None:
        for row in (page[-1], before[-1 - len(gone)]):
            delete(files, row)
            gone.add(row)
        with closing(sqlite3.connect(files[0])) as database, database:
            database.executemany(
                "insert into articles (title, body) values (?, ?)", [("storm harbour", "storm harbour storm")] * 5
            )
            database.execute("update articles set body = body || ' tide' where id % 7 = 0")
        with SemanticIndex(files[0], "articles") as index:
            index.update()

    joined = [row for page in await pages(datasette, f"{ADDRESS}{rest}&_size=13", write) for row in page]
    assert len(joined) == len(set(joined))
    assert [row for row in joined if row not in gone] == [row for row in before if row not in gone]
    assert set(joined) <= set(before), "rows that have come are for the next search"


@pytest.mark.asyncio
async def test_ranks_stay_and_values_are_those_of_now(make: Make, files: list[Path]) -> None:
    datasette = make(files)
    whole = (await get_json(datasette, f"{ADDRESS}&_size=1000"))["rows"]
    first = await get_json(datasette, f"{ADDRESS}&_size=10")
    delete(files, row_of(whole[10]))
    for file in files:
        with closing(sqlite3.connect(file)) as database, database:
            database.execute("update articles set title = title || '!'" if file.stem == "first" else "select 1")
    second = await get_json(datasette, path_of(first))
    assert second["total"] == first["total"] == len(whole)
    assert [(row_of(row), row["rank"]) for row in second["rows"]] == [
        (row_of(row), rank) for rank, row in enumerate(whole[11:20], 12)
    ]
    page = await get(datasette, path_of(first).replace(".json", ""))
    titles = [row["title"] for row in whole[11:20] if row["table"] == "articles"]
    assert titles
    assert all(f"{title}!" in page.text for title in titles)


@pytest.mark.asyncio
async def test_further_pages_search_nothing(make: Make, files: list[Path], made: list[Any]) -> None:
    datasette = make(files)
    first = await get_json(datasette, f"{ADDRESS}&_size=10")
    assert sorted(made) == ["articles", "letters", "notes"]
    for file in files:  # what is kept while a database stays as it is is gone by then
        with closing(sqlite3.connect(file)) as database, database:
            database.execute("create table other (id)")
    rows = await pages(datasette, path_of(first), lambda _page: None)
    assert sum(map(len, rows)) == first["total"] - 10
    assert len(made) == 3
    await get_json(datasette, path_of(first).replace("storm", "lamp"))
    assert len(made) == 6, "an order serves its own search only"


@pytest.mark.asyncio
async def test_only_what_is_shown_is_cut(make: Make, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    cut: list[int] = []
    page_at: Callable[..., Any] = searching.page_at

    def counted(*arguments: Any) -> Any:
        results = page_at(*arguments)
        cut.append(len(results.hits))
        return results

    monkeypatch.setattr(searching, "page_at", counted)
    datasette = make(files)
    first = await get_json(datasette, f"{ADDRESS}&_size=10")
    assert sum(cut) == 10
    await get_json(datasette, path_of(first))
    assert sum(cut) == 20


@pytest.mark.asyncio
@pytest.mark.parametrize("rest", ["", "&table=first/articles"])
async def test_a_forgotten_order_is_taken_up_after_the_row_shown_last(make: Make, files: list[Path], rest: str) -> None:
    """Rows that go change the ranks of their own table alone, and so how it is merged with others."""
    datasette = make(files)
    [whole] = await pages(datasette, f"{ADDRESS}{rest}&_size=1000", lambda _page: None)

    def forget(page: list[Row]) -> None:
        state_of(datasette).joint_orders._orders.clear()
        if rest and len(page) > 1:
            delete(files, page[0])

    joined = [row for page in await pages(datasette, f"{ADDRESS}{rest}&_size=13", forget) for row in page]
    assert joined == whole


@pytest.mark.asyncio
@pytest.mark.parametrize("actor", [None, "ada"])
async def test_a_table_that_is_denied_between_pages_leaves_them(
    make: Make, files: list[Path], made: list[Any], denied: set[Any], actor: str | None
) -> None:
    datasette = make(files)
    [whole] = await pages(datasette, f"{ADDRESS}&_size=1000", lambda _page: None, actor=actor)
    made.clear()
    first = await get_json(datasette, f"{ADDRESS}&_size=13", actor=actor)
    shown = [row_of(row) for row in first["rows"]]
    assert {table for _database, table, _key in shown} == {"articles", "notes", "letters"}
    searched = len(made)
    denied.add(("notes", actor))
    joined = [row for page in await pages(datasette, path_of(first), lambda _page: None, actor=actor) for row in page]
    assert joined == [row for row in whole[13:] if row[1] != "notes"]
    assert len(made) == searched
    second = await get(datasette, path_of(first), actor=actor)
    html = await get(datasette, path_of(first).replace(".json", ""), actor=actor)
    assert second.json()["total"] == len([row for row in whole if row[1] != "notes"])
    assert "notes" not in second.text + html.text


@pytest.mark.asyncio
async def test_who_sees_other_tables_shares_no_order(
    make: Make, files: list[Path], made: list[Any], denied: set[Any]
) -> None:
    denied.add(("notes", "bruno"))
    datasette = make(files, settings={"num_sql_threads": 1})
    ada = await get_json(datasette, f"{ADDRESS}&_size=13", actor="ada")
    with closing(sqlite3.connect(files[0])) as database, database:
        database.execute("create table other (id)")
    made.clear()
    eve = await get_json(datasette, path_of(ada), actor="eve")
    assert (made, eve["rows"][0]["rank"]) == ([], 14), "she may view the same tables"
    bruno = await get_json(datasette, path_of(ada), actor="bruno")
    assert "articles" in made
    assert "notes" not in {row["table"] for row in bruno["rows"]}
    own = await get_json(datasette, f"{ADDRESS}&_size=1000", actor="bruno")
    assert bruno["total"] == own["total"]
    again = await get_json(datasette, path_of(bruno), actor="ada")
    assert {row["table"] for row in again["rows"]} == {"articles", "notes", "letters"}


@pytest.mark.asyncio
async def test_orders_are_forgotten(make: Make, files: list[Path], made: list[Any], monkeypatch: Any) -> None:
    datasette = make(files, settings={"num_sql_threads": 1})
    monkeypatch.setattr(joint_order, "_KEPT", 6)
    bodies = [
        await get_json(datasette, f"/-/hybrid-search.json?q={word}&_size=5") for word in ("storm", "lamp", "rose")
    ]
    assert len(state_of(datasette).joint_orders._orders) == 2
    again = await get_json(datasette, "/-/hybrid-search.json?q=rose&_size=5")
    assert again["next"] == bodies[-1]["next"], "the same pages have the same addresses"
    made.clear()
    with closing(sqlite3.connect(files[0])) as database, database:
        database.execute("create table other (id)")
    await get_json(datasette, path_of(bodies[-1]))
    assert not made
    monkeypatch.setattr(joint_order, "_PAGES_SECONDS", -1)
    await get_json(datasette, path_of(bodies[-1]))
    await get_json(datasette, path_of(bodies[-1]))
    assert made
