"""Datasette's pages go on answering while an index is changed, exchanged and sent back, on warm connections."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from datasette_semantic.api import SemanticIndex
from datasette_semantic.plugin.state import state_of
from datasette_semantic.records import Progress

from .conftest import CASCADES, SEARCH, get, get_json, write_articles, write_secrets


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_articles(tmp_path / "articles.db", count=90)


async def best(datasette: Any) -> tuple[int, int]:
    """Return the first row and the total; nothing may be amiss."""
    answer = await get_json(datasette, f"{SEARCH}.json?q=rose+tulip+garden")
    assert answer["ok"] is True
    assert not answer.get("warnings")
    return answer["rows"][0]["id"], answer["total"]


@pytest.mark.asyncio
async def test_a_warm_page_goes_on_across_the_switch(make: Any, file: Path) -> None:
    site = make([file])
    first = await best(site)
    query = "select+count(*)+as+n+from+json_each(hybrid_search('articles','rose',90))"
    sql = f"/articles{'/-/query' if CASCADES else ''}.json?_shape=array&sql={query}"
    counted = (await get_json(site, sql)).pop()["n"]
    with SemanticIndex.create(file, "articles", ["title", "body"], dimensions=64) as other:
        assert await best(site) == first
        other.update()
        for _ in range(4):
            # The look at the database, at most a second old, still names the index before.
            assert state_of(site).databases["articles"].indexes[0].id != other.record.id
            assert (await best(site))[1] > 0
            assert (await get(site, f"{SEARCH}?q=rose")).status_code == 200
            assert (await get(site, "/articles/articles?_semantic=rose")).status_code == 200
            assert (await get_json(site, sql)).pop()["n"] >= counted // 2
            assert state_of(site).databases["articles"].indexes[0].id == other.record.id
            other.rollback()
        other.rollback()


@pytest.mark.asyncio
async def test_pages_answer_in_the_middle_of_the_build(make: Any, file: Path) -> None:
    site = make([file])
    first = await best(site)
    with SemanticIndex.create(file, "articles", ["title"], dimensions=64) as other:

        def stop(_done: Progress) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            other.update(progress=stop)
        state_of(site).databases.clear()
        assert await best(site) == first
        other.update()
        assert (await best(site))[1] > 0
        assert other.record.dimensions == 64


@pytest.mark.asyncio
async def test_tables_beside_are_hidden_and_denied_like_the_others(make: Any, tmp_path: Path) -> None:
    file = write_secrets(tmp_path / "s.db")
    SemanticIndex.create(file, "secrets", ["title"]).update()
    SemanticIndex.create(file, "secrets", ["body"]).close()
    with closing(sqlite3.connect(file)) as database:
        names = [
            name
            for (name,) in database.execute("select name from sqlite_master where type in ('table', 'view')")
            if name.startswith("_semantic_") and any(digit in name for digit in "23")
        ]
    assert len(names) > 10
    site = make([file], config={"databases": {"s": {"tables": {"secrets": {"allow": {"id": "root"}}}}}})
    for name in names:
        assert (await get(site, f"/s/{name}.json")).status_code in (403, 404), name
    listed = (await get(site, "/s.json")).json()
    assert not [each["name"] for each in listed["tables"] if each["name"] in names and not each["hidden"]]
