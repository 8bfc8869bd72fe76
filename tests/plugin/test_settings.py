"""The plugin's configuration, at three levels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasette.utils import StartupError

from datasette_semantic.errors import BadOption
from datasette_semantic.plugin.settings import Settings, parse, settings_for

from .conftest import SEARCH, Make, get, get_json

NAME = "datasette-semantic"


def levels(instance: dict[str, Any], database: dict[str, Any], table: dict[str, Any]) -> dict[str, Any]:
    return {
        "plugins": {NAME: instance},
        "databases": {
            "articles": {"plugins": {NAME: database}, "tables": {"articles": {"plugins": {NAME: table}}}},
        },
    }


@pytest.mark.asyncio
async def test_the_nearer_wins_key_by_key(make: Make, articles_file: Path) -> None:
    config = levels({"size": 3, "mode": "keyword"}, {"size": 4}, {"label": "topic"})
    datasette = make([articles_file], config=config)
    await datasette.invoke_startup()
    assert settings_for(datasette) == Settings(size=3, mode="keyword")
    assert settings_for(datasette, "articles") == Settings(size=4, mode="keyword")
    assert settings_for(datasette, "articles", "articles") == Settings(size=4, mode="keyword", label="topic")
    assert settings_for(datasette, "other", "x") == Settings(size=3, mode="keyword")
    body = await get_json(datasette, f"{SEARCH}.json?q=robot")
    assert len(body["rows"]) == 4
    assert body["query"]["mode"] == "keyword"


@pytest.mark.asyncio
async def test_what_a_card_shows(make: Make, articles_file: Path) -> None:
    config = levels({}, {}, {"label": "topic", "columns": ["year", "tags"], "facets": ["year"]})
    page = (await get(make([articles_file], config=config), f"{SEARCH}?q=robot&_size=1")).text
    assert "<dt>year</dt>" in page
    assert "<dt>written</dt>" not in page
    assert ">machines</a>" in page
    assert 'id="semantic-facet-1">year' in page
    assert 'id="semantic-facet-2"' not in page


@pytest.mark.asyncio
async def test_weights_change_the_score(make: Make, articles_file: Path) -> None:
    by_words = make([articles_file], config=levels({}, {}, {"weights": {"keyword": 1, "semantic": 0}}))
    body = await get_json(by_words, f"{SEARCH}.json?q=robot&_extra=why")
    for terms in body["why"]:
        weights = {term["name"]: term["weight"] for term in terms}
        assert weights.get("semantic", 0) == 0


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"colour": "red"}, "unknown setting colour"),
        ({"mode": "fuzzy"}, "mode is one of hybrid, semantic, keyword"),
        ({"columns": "year"}, "columns is a list of names"),
        ({"label": ""}, "label is a column's name"),
        ({"facets": [{"a": 1, "b": 2}]}, "facets is a list"),
        ({"size": 0}, "size is a number from 1"),
        ({"size": True}, "size is a number from 1"),
        ({"weights": {"keyword": -1}}, "weights.keyword is a number of at least 0"),
        ({"weights": {"fusion": "magic"}}, "weights.fusion is score or rrf"),
        ({"weights": {"bm25": 1}}, "weights is an object"),
        ({"sql_models": "all"}, "sql_models is a list of names"),
        ({"table_weight": "x"}, "table_weight is a number"),
    ],
)
def test_a_slip_is_named(found: dict[str, Any], words: str) -> None:
    with pytest.raises(BadOption, match=words):
        parse(found)


@pytest.mark.asyncio
async def test_a_slip_shows_when_the_server_starts(make: Make, articles_file: Path) -> None:
    datasette = make([articles_file], config=levels({}, {}, {"size": "many"}))
    with pytest.raises(StartupError, match="size is a number"):
        await datasette.invoke_startup()
