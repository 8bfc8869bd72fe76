"""One search over many tables."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from datasette_semantic.errors import DatabaseProblem, ModelError
from datasette_semantic.plugin import across_searching, searching

from .conftest import Make, embed, get, get_json, write_articles


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """`first.db` with two indexed tables, `second.db` with one."""
    folder = tmp_path_factory.mktemp("across")
    first = write_articles(folder / "first.db", count=40)
    for path, table in ((first, "notes"), (folder / "second.db", "letters")):
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(f"create table {table} (code text primary key, name text, body text)")
            database.executemany(
                f"insert into {table} values (?, ?, ?)",
                [(f"{table}/{n}", f"{table} {n}", f"a robot wrote letter {n}") for n in range(10)],
            )
        embed(path, table, ["name", "body"])
    return [first, folder / "second.db"]


@pytest.mark.asyncio
async def test_one_ranking_over_everything(make: Make, files: list[Path]) -> None:
    datasette = make(files)
    body = await get_json(datasette, "/-/hybrid-search.json?q=robot+letter&_size=9")
    assert [row["rank"] for row in body["rows"]] == list(range(1, 10))
    assert {(row["database"], row["table"]) for row in body["rows"]} == {
        ("first", "articles"),
        ("first", "notes"),
        ("second", "letters"),
    }
    assert [row["score"] for row in body["rows"]] == sorted((row["score"] for row in body["rows"]), reverse=True)
    assert body["total"] == 60
    counts = {each["value"]: each["count"] for each in body["facet_results"]["results"]["table"]["results"]}
    assert counts == {"first/articles": 40, "first/notes": 10, "second/letters": 10}


@pytest.mark.asyncio
async def test_a_database_searches_its_own_tables(make: Make, files: list[Path]) -> None:
    body = await get_json(make(files), "/second/-/hybrid-search.json?q=robot")
    assert {row["table"] for row in body["rows"]} == {"letters"}
    assert list(body["rows"][0])[:3] == ["database", "table", "code"]


@pytest.mark.asyncio
async def test_pages_joined_are_the_whole_ranking(make: Make, files: list[Path]) -> None:
    datasette = make(files)
    whole = await get_json(datasette, "/-/hybrid-search.json?q=robot&_size=max")
    path, joined = "/-/hybrid-search.json?q=robot&_size=7", []
    while path:
        body = await get_json(datasette, path)
        joined += body["rows"]
        path = (body["next_url"] or "").removeprefix("http://localhost")
    assert joined == whole["rows"]
    assert len(joined) == whole["total"] == 60


@pytest.mark.asyncio
async def test_facet_by_table(make: Make, files: list[Path]) -> None:
    datasette = make(files)
    body = await get_json(datasette, "/-/hybrid-search.json?q=robot&table=first/notes&_size=max")
    assert {row["table"] for row in body["rows"]} == {"notes"}
    assert body["total"] == 10
    page = (await get(datasette, "/-/hybrid-search?q=robot&table=first/notes")).text
    assert 'class="selected"' in page
    assert "/first/notes/notes~2F" in page
    assert "matches in 1 table" in page
    assert "Number 1 in first/notes" in page
    assert 'in <a href="/first/notes/-/hybrid-search?q=robot">first/notes</a>' in page
    body = await get_json(datasette, "/-/hybrid-search.json?q=robot&table=first/notes&table=second/letters&_size=max")
    assert {row["table"] for row in body["rows"]} == {"notes", "letters"}
    assert body["total"] == 20


@pytest.mark.asyncio
async def test_weights_per_table(make: Make, files: list[Path]) -> None:
    def weight(value: float) -> dict[str, Any]:
        plugins = {"plugins": {"datasette-semantic": {"table_weight": value}}}
        return {"databases": {"second": {"tables": {"letters": plugins}}}}

    heavy = await get_json(make(files, config=weight(5)), "/-/hybrid-search.json?q=robot&_size=5")
    assert {row["table"] for row in heavy["rows"]} == {"letters"}
    left_out = await get_json(make(files, config=weight(0)), "/-/hybrid-search.json?q=robot&_size=max")
    assert "letters" not in {row["table"] for row in left_out["rows"]}


@pytest.mark.asyncio
@pytest.mark.parametrize("trouble", ["slow", "broken"])
async def test_one_bad_table_only_warns(
    make: Make, files: list[Path], monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    real = across_searching.answer

    async def answer(datasette: Any, target: Any, *arguments: Any, **options: Any) -> Any:
        if target.source.table == "notes":
            if trouble == "broken":
                raise DatabaseProblem("notes is damaged")
            await asyncio.sleep(30)
        return await real(datasette, target, *arguments, **options)

    monkeypatch.setattr(across_searching, "answer", answer)
    monkeypatch.setattr(across_searching, "_TABLE_SECONDS", 0.5)
    datasette = make(files)
    body = await get_json(datasette, "/-/hybrid-search.json?q=robot&_size=max")
    assert {row["table"] for row in body["rows"]} == {"articles", "letters"}
    assert len(body["warnings"]) == 1
    assert "notes: left out" in body["warnings"][0]
    page = await get(datasette, "/-/hybrid-search?q=robot")
    assert page.status_code == 200
    assert "notes: left out" in page.text


@pytest.mark.asyncio
async def test_tables_share_one_vector_and_one_warning(
    make: Make, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = searching.embedder_for

    class Slow:
        def __init__(self, index: Any) -> None:
            self.index = index

        def at_once(self, text: str) -> bool:
            return False

        def embed_query(self, text: str) -> Any:
            asked.append(text)
            time.sleep(0.2)
            if text == "down":
                raise ModelError("nobody answers")
            return real(self.index).embed_query(text)

    monkeypatch.setattr(searching, "embedder_for", Slow)
    datasette = make(files)
    body = await get_json(datasette, "/-/hybrid-search.json?q=robot&mode=semantic")
    assert (asked, body["warnings"]) == (["robot"], [])
    assert body["total"] == 60
    down = await get_json(datasette, "/-/hybrid-search.json?q=down")
    assert asked == ["robot", "down"]
    [warning] = down["warnings"]
    assert warning.startswith("articles, notes, letters: Search by meaning is not available now: nobody answers")
    assert across_searching._TABLE_SECONDS > searching._MODEL_SECONDS


@pytest.mark.asyncio
async def test_mistyped_words(make: Make, files: list[Path]) -> None:
    datasette = make(files)
    for path in ("/-/hybrid-search", "/first/-/hybrid-search"):
        body = await get_json(datasette, f"{path}.json?q=tulpi+garden&_size=5")
        assert body["query"]["did_you_mean"] == "tulip garden"
        page = (await get(datasette, f"{path}?q=tulpi+garden&_next={body['next']}")).text
        assert f'Did you mean <a href="{path}?q=tulip+garden">tulip garden</a>?' in page
    assert (await get_json(datasette, "/second/-/hybrid-search.json?q=lettr"))["query"]["did_you_mean"] == "letter"
    for query in ("q=tulip", "q=tulpi&mode=semantic", "q=tulpi&table=first/notes", "q="):
        body = await get_json(datasette, f"/-/hybrid-search.json?{query}")
        assert body["query"]["did_you_mean"] is None


@pytest.mark.asyncio
async def test_a_word_of_one_table_is_no_slip_in_another(make: Make, files: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "third.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table names (id integer primary key, name text)")
        database.execute("insert into names (name) values ('Ada Tulpi')")
    alone = await get_json(make(files), "/-/hybrid-search.json?q=tulpi")
    assert alone["query"]["did_you_mean"] == "tulip"
    embed(path, "names", ["name"])
    together = await get_json(make([*files, path]), "/-/hybrid-search.json?q=tulpi")
    assert together["query"]["did_you_mean"] is None


@pytest.mark.asyncio
async def test_before_anything_is_asked(make: Make, files: list[Path], tmp_path: Path) -> None:
    page = (await get(make(files), "/-/hybrid-search")).text
    for table in ("first/articles", "first/notes", "second/letters"):
        assert f'href="/{table}/-/hybrid-search"' in page
    empty = tmp_path / "empty.db"
    sqlite3.connect(empty).execute("create table t (id)").connection.close()
    nothing = (await get(make([empty]), "/-/hybrid-search?q=x")).text
    assert "Nothing here matches" in nothing
    assert "No table here can be searched yet" in (await get(make([empty]), "/-/hybrid-search")).text


@pytest.mark.asyncio
@pytest.mark.parametrize("query", ["q=x&year=1", "q=x&_size=x", "like=3", "q=x&_where=1"])
async def test_what_means_nothing_here_is_refused(make: Make, files: list[Path], query: str) -> None:
    await get_json(make(files), f"/-/hybrid-search.json?{query}", status=400)
    assert (await get(make(files), f"/first/-/hybrid-search?{query}")).status_code == 400
