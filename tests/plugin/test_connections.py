"""Every connection that Datasette opens has our functions; none can be broken by us."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import datasette_semantic
from datasette_semantic.plugin import connections

from .conftest import Make, get, get_json


@pytest.mark.asyncio
async def test_functions_work_in_sql(site: Any) -> None:
    sql = "select json_array_length(hybrid_search('articles', 'robot', 3)) as n, vec_version() as v"
    rows = (
        await get_json(site, f"/articles.json?_shape=array&sql={sql}")
        if not hasattr(site, "allowed")
        else (await get_json(site, f"/articles/-/query.json?_shape=array&sql={sql}"))
    )
    assert rows[0]["n"] == 3
    assert rows[0]["v"].startswith("v0.1")


@pytest.mark.asyncio
async def test_the_internal_database_is_left_alone(site: Any) -> None:
    await site.invoke_startup()
    called: list[Any] = []
    connections.prepare_quietly(site, "_internal", object(), lambda *a, **k: called.append(a))
    connections.prepare_quietly(site, "__INTERNAL__", object(), lambda *a, **k: called.append(a))
    assert called == []


@pytest.mark.asyncio
async def test_preparing_never_raises(site: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(conn: Any, **options: Any) -> None:
        raise RuntimeError("anything at all")

    connections.prepare_quietly(site, "articles", object(), fail)
    assert "anything at all" in (connections.missing_extension(site, "articles") or "")
    assert "not prepared" in capsys.readouterr().err
    connections.prepare_quietly(site, "articles", object(), lambda conn, **options: None)
    assert connections.missing_extension(site, "articles") is None


def test_preparing_twice_is_harmless(articles_file: Path) -> None:
    from datasette_semantic.store.connection import connect

    connection = connect(articles_file, read_only=True)
    for _ in range(3):
        datasette_semantic.prepare_connection(connection)
    (count,) = connection.execute("select json_array_length(hybrid_search('articles', 'ship', 2))").fetchone()
    assert count == 2
    connection.close()


@pytest.mark.asyncio
async def test_one_thread_will_do(make: Make, articles_file: Path) -> None:
    datasette = make([articles_file], settings={"num_sql_threads": 1})
    assert (await get(datasette, "/articles/articles/-/hybrid-search?q=ship")).status_code == 200


def test_the_door_opens_no_floor() -> None:
    """`datasette --version` and `sqlite-utils --help` import the package: it must stay quick."""
    heavy = ["datasette", "numpy", "llm", "sqlite_vec", "sqlite_utils", "datasette_semantic.plugin", "jinja2"]
    code = f"import datasette_semantic, sys; print([name for name in {heavy!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_what_the_door_offers() -> None:
    for name in datasette_semantic.__all__:
        assert getattr(datasette_semantic, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nosuch'"):
        _ = datasette_semantic.nosuch
