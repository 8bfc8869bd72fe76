"""When things are missing: the words are searched all the same, status 200, and the page says the cure."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from datasette_semantic.errors import ExtensionMissing
from datasette_semantic.plugin import searching

from .conftest import SEARCH, Make, get, get_json, write_articles


async def both(datasette: Any, query: str) -> tuple[Any, str]:
    """Return the JSON and the page of one search."""
    body = await get_json(datasette, f"{SEARCH}.json?{query}")
    page = await get(datasette, f"{SEARCH}?{query}")
    assert page.status_code == 200
    return body, page.text


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["hybrid", "semantic"])
async def test_the_model_is_down(site: Any, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    from datasette_semantic.errors import ModelKeyMissing

    class Down:
        def at_once(self, text: str) -> bool:
            return False

        def embed_query(self, text: str) -> Any:
            raise ModelKeyMissing("no key for the model; set one: llm keys set demo")

    monkeypatch.setattr(searching, "embedder_for", lambda index: Down())
    body, page = await both(site, f"q=robot&mode={mode}")
    assert body["rows"]
    assert all(row["semantic_rank"] is None and row["distance"] is None for row in body["rows"])
    assert "llm keys set demo" in body["warnings"][0]
    assert "llm keys set demo" in page
    keyword = await get_json(site, f"{SEARCH}.json?q=robot&mode=keyword")
    assert [row["id"] for row in body["rows"]] == [row["id"] for row in keyword["rows"]]
    assert keyword["warnings"] == []


@pytest.mark.asyncio
async def test_a_slow_model_is_not_waited_for(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    release = threading.Event()

    class Slow:
        def at_once(self, text: str) -> bool:
            return False

        def embed_query(self, text: str) -> Any:
            release.wait(5)

    monkeypatch.setattr(searching, "embedder_for", lambda index: Slow())
    monkeypatch.setattr(searching, "_MODEL_SECONDS", 0.05)
    body, page = await both(site, "q=robot")
    release.set()
    assert body["rows"]
    assert "has not answered" in body["warnings"][0]
    assert "has not answered" in page


@pytest.mark.asyncio
async def test_the_extension_cannot_be_loaded(make: Make, articles_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Datasette itself refuses a file whose vec0 tables it cannot read: here it can, and we are told otherwise."""
    from datasette_semantic.store import connection

    load = connection.prepare

    def refuse(conn: Any) -> None:
        load(conn)
        raise ExtensionMissing("sqlite-vec cannot be loaded; pip install pysqlite3")

    monkeypatch.setattr(connection, "prepare", refuse)
    datasette = make([articles_file])
    body, page = await both(datasette, "q=robot")
    assert body["rows"]
    assert "pip install pysqlite3" in body["warnings"][0]
    assert "pip install pysqlite3" in page
    assert (await get(datasette, "/articles/articles")).status_code == 200


@pytest.mark.asyncio
async def test_the_index_is_half_built(make: Make, tmp_path: Path) -> None:
    path = write_articles(tmp_path / "articles.db", count=20)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("update _semantic_indexes set state = 'building'")
    body, page = await both(make([path]), "q=robot")
    assert body["rows"]
    assert "being built" in body["warnings"][0]
    assert "sqlite-utils embed" in page


@pytest.mark.asyncio
async def test_words_without_meaning(site: Any) -> None:
    body, _page = await both(site, "q=%3F%3F")
    assert body["ok"] is True


@pytest.mark.asyncio
async def test_an_immutable_file(make: Make, articles_file: Path) -> None:
    datasette = make([], immutables=[str(articles_file)])
    assert (await get_json(datasette, f"{SEARCH}.json?q=robot"))["rows"]


@pytest.mark.asyncio
async def test_the_time_limit_is_told(make: Make, articles_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasette = make([articles_file], settings={"sql_time_limit_ms": 50})

    def endless(conn: Any, *arguments: Any, **options: Any) -> Any:
        return conn.execute(
            "with recursive n(x) as (select 1 union all select x + 1 from n) select max(x) from n"
        ).fetchone()

    monkeypatch.setattr(searching, "rank", endless)
    body = await get_json(datasette, f"{SEARCH}.json?q=robot", status=500)
    assert "longer than 50 ms" in body["error"]


@pytest.mark.asyncio
async def test_a_paid_model_is_asked_once_for_all_pages(
    make: Make, tmp_path: Path, demo_embed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasette_semantic.api import SemanticIndex

    path = tmp_path / "articles.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table articles (id integer primary key, body text)")
        database.executemany("insert into articles (body) values (?)", [(f"a ship number {n}",) for n in range(30)])
    index = SemanticIndex.create(path, "articles", ["body"], model="demo-embed")
    index.update()
    index.close()
    demo_embed.clear()
    datasette = make([path])
    path_: str | None = f"{SEARCH}.json?q=ship&_size=10"
    while path_:
        body = await get_json(datasette, path_)
        assert body["warnings"] == []
        path_ = body["next_url"] and body["next_url"].removeprefix("http://localhost")
    assert demo_embed.texts == ["ship"]
    page = (await get(datasette, f"{SEARCH}?q=ship")).text
    assert 'data-live="no"' in page
