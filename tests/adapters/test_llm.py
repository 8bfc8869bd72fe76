"""llm's own machinery finds the tool and the fragment loader and runs them."""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from pathlib import Path

import llm
import pytest
from click.testing import CliRunner
from llm.cli import cli

from datasette_semantic.adapters.llm import SemanticSearch, load_fragment
from datasette_semantic.errors import BadOption
from datasette_semantic.laws.chunking import estimate_tokens

installed = pytest.mark.skipif(
    not any(each.value == "datasette_semantic.adapters.llm" for each in entry_points(group="llm")),
    reason="what is installed here does not name llm's plugin yet: install the package again",
)


@installed
def test_llm_knows_both() -> None:
    assert llm.get_tools()["SemanticSearch"] is SemanticSearch
    assert llm.get_fragment_loaders()["semantic"] is load_fragment


def test_the_methods_are_tools_with_schemas(path: Path) -> None:
    tools = {tool.name: tool for tool in SemanticSearch(str(path)).tools()}
    assert {"SemanticSearch_tables", "SemanticSearch_search", "SemanticSearch_similar"} <= set(tools)
    search = tools["SemanticSearch_search"]
    assert search.input_schema["required"] == ["table", "query"]
    assert "best first" in (search.description or "")
    told = search.implementation(table="notes", query="robots in love", limit=2)
    assert told.startswith("[1] /notes/notes/")
    assert told.count("category: ") == 2


def test_tables_similar_and_mistakes(path: Path) -> None:
    toolbox = SemanticSearch(str(path), base_url="https://example.com/")
    (listed,) = json.loads(toolbox.tables())
    assert (listed["table"], listed["rows"], listed["searched"]) == ("notes", 40, ["title", "content"])
    assert toolbox.similar("notes", "5", limit=1).startswith("[1] https://example.com/notes/notes/")
    assert toolbox.search("notes", "robots", where="decade=1990").startswith("Error: ")
    assert toolbox.search("notes", "robots", limit="many").startswith("Error: limit is a number")  # type: ignore[arg-type]
    assert toolbox.similar("notes", "999") == "Error: table 'notes' has no row 999"


@pytest.mark.parametrize("budget", [100, 400, 2_000])
def test_an_answer_is_within_its_budget(path: Path, budget: int) -> None:
    told = SemanticSearch(str(path), max_tokens=budget).search("notes", "robots in love", limit=50)
    assert estimate_tokens(told) <= budget


def test_a_fragment_is_within_its_budget_and_says_where_it_is_from(path: Path) -> None:
    fragment = load_fragment(f"{path}/notes/ships/quays and robots")
    assert estimate_tokens(str(fragment)) <= 4_000
    assert fragment.source == f"semantic:{path}/notes/ships/quays and robots"


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("nowhere.db/notes/robots", "it goes: semantic:DATABASE/TABLE/QUESTION"),
        ("{path}/notes/", "ask something"),
        ("{path}/films/robots", "there is no table 'films'"),
    ],
)
def test_a_mistake_in_a_fragment(path: Path, argument: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        load_fragment(argument.format(path=path))


@installed
def test_the_command_lists_them() -> None:
    listed = CliRunner().invoke(cli, ["tools", "list"])
    assert "SemanticSearch" in listed.output
    loaders = CliRunner().invoke(cli, ["fragments", "loaders"])
    assert "semantic:" in loaders.output


@installed
@pytest.mark.parametrize(
    ("tool", "told"),
    [('SemanticSearch("nowhere.db")', "there is no file 'nowhere.db'"), ("SemanticSearch", "name the database")],
)
def test_a_mistake_in_the_command_is_told_in_one_line(tool: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none is asked")
    told_there = CliRunner().invoke(cli, ["-m", "gpt-4o-mini", "-T", tool, "hello"])
    assert told_there.exit_code == 1
    assert told_there.output.startswith(f"Error: {told}")


def test_a_program_hears_of_it_as_an_error_of_ours() -> None:
    with pytest.raises(BadOption, match="there is no file"):
        SemanticSearch("nowhere.db")
