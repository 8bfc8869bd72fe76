"""The tools for datasette-agent: text with links within a budget, of what the actor may view and nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from datasette_semantic.api import SemanticIndex
from datasette_semantic.laws.chunking import estimate_tokens
from datasette_semantic.plugin.agent import semantic_search, semantic_tables

from .conftest import SECRET, Make

ROOT = {"id": "root"}
ROOT_ONLY = {"id": "root"}

DENIALS: dict[str, Mapping[str, Any]] = {
    "table": {"databases": {"library": {"tables": {"secrets": {"allow": ROOT_ONLY}}}}},
    "database": {"databases": {"library": {"allow": ROOT_ONLY}}},
    "instance": {"allow": ROOT_ONLY},
}


@pytest.fixture
def library(tmp_path: Path) -> Path:
    path = tmp_path / "library.db"
    with sqlite3.connect(path) as database:
        database.execute("create table films (id integer primary key, title text, plot text, year integer)")
        database.execute("create table secrets (code text primary key, text text)")
        database.executemany(
            "insert into films values (?, ?, ?, ?)",
            [
                (1, "Robot Garden", "A robot on an empty planet falls in love.", 2008),
                (2, "The Quay", "Two sailors wait for a ship that never comes.", 1961),
                (3, "Iron Heart", "A machine learns to feel. " + "It walks the empty streets at night. " * 200, 1988),
            ],
        )
        database.execute("insert into secrets values ('a/b', ?)", (f"the robot password is {SECRET}",))
    database.close()
    for table, columns in (("films", ["title", "plot"]), ("secrets", ["text"])):
        with SemanticIndex.create(path, table, columns) as index:
            index.update()
    return path


@pytest.mark.asyncio
async def test_rows_come_with_links_within_the_budget(make: Make, library: Path) -> None:
    datasette = make([library])
    await datasette.invoke_startup()
    told = await semantic_search(datasette, None, "library", "films", "machines in love")
    assert "[1] /library/films/1\nyear: 2008\nRobot Garden\nA robot on an empty planet falls in love." in told
    assert "/library/films/3" in told
    assert estimate_tokens(told) <= 2_000
    response = await datasette.client.get("/library/films/1.json")
    assert response.status_code == 200

    assert "/films/1" not in await semantic_search(datasette, None, "library", "films", "robot", where="year__lt=2000")
    assert "[1] /library/films/3" in await semantic_search(datasette, None, "library", "films", like="1")
    only = await semantic_search(datasette, None, "library", "films", "robot", limit="1")
    assert only.count("/library/films/") == 1
    listed = await semantic_tables(datasette, None)
    assert listed.splitlines()[0] == "library/films: columns id, title, plot, year; searched: title, plot"


@pytest.mark.asyncio
async def test_a_key_is_written_as_datasette_writes_it(make: Make, library: Path) -> None:
    datasette = make([library])
    await datasette.invoke_startup()
    assert "[1] /library/secrets/a~2Fb" in await semantic_search(datasette, ROOT, "library", "secrets", "password")


@pytest.mark.parametrize("level", DENIALS)
@pytest.mark.asyncio
async def test_the_denied_are_told_nothing(make: Make, library: Path, level: str) -> None:
    datasette = make([library], config=DENIALS[level])
    await datasette.invoke_startup()
    denied = await semantic_search(datasette, None, "library", "secrets", "robot password")
    absent = await semantic_search(datasette, None, "library", "nothing", "robot password")
    assert denied == absent.replace("nothing", "secrets")
    assert SECRET not in denied
    assert "secrets" not in await semantic_tables(datasette, None)
    assert SECRET in await semantic_search(datasette, ROOT, "library", "secrets", "robot password")
    assert "library/secrets" in await semantic_tables(datasette, ROOT)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"database": "library", "table": "films"}, "give a query"),
        ({"database": "library", "table": "films", "query": "x", "where": "decade=1990"}, "cannot filter by 'decade'"),
        ({"database": "library", "table": "films", "query": "x", "where": "_where=1"}, "_where"),
        ({"database": "library", "table": "films", "query": "x", "limit": "many"}, "limit is a number"),
        ({"database": "library", "table": "films", "like": "77"}, "77"),
        ({"database": "elsewhere", "table": "films", "query": "x"}, "there are: library/films, library/secrets"),
    ],
)
@pytest.mark.asyncio
async def test_a_mistake_is_told_in_words(make: Make, library: Path, arguments: dict[str, Any], told: str) -> None:
    datasette = make([library])
    await datasette.invoke_startup()
    answer = await semantic_search(datasette, None, **arguments)
    assert answer.startswith("Error: ")
    assert told in answer


@pytest.mark.asyncio
async def test_datasette_agent_finds_and_runs_the_tools(make: Make, library: Path) -> None:
    tools = pytest.importorskip("datasette_agent.tools", reason="datasette-agent is not installed")
    datasette = make([library], config=DENIALS["table"])
    await datasette.invoke_startup()
    ours = {tool.name: tool for tool in await tools.get_agent_tools(datasette) if tool.name.startswith("semantic_")}
    assert set(ours) == {"semantic_tables", "semantic_search"}
    arguments = {"database": "library", "table": "films", "query": "machines in love", "limit": 1}
    told = await tools.execute_agent_tool(ours["semantic_search"], datasette, None, arguments=arguments)
    assert told.startswith("[1] /library/films/1")
    for tool in tools.make_llm_tools(list(ours.values()), datasette, None):
        assert tool.input_schema["type"] == "object"
        assert await tool.implementation(**(arguments if tool.name == "semantic_search" else {}))
    secrets = {"database": "library", "table": "secrets", "query": "robot password"}
    assert SECRET not in await tools.execute_agent_tool(ours["semantic_search"], datasette, None, arguments=secrets)
    assert SECRET in await tools.execute_agent_tool(ours["semantic_search"], datasette, ROOT, arguments=secrets)
