"""Reranking on the page and in JSON: only what the site allows, and the same on every page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from datasette_semantic.hookspecs import hookimpl, plugin_manager

from .conftest import SEARCH, Make, get, get_json


@pytest.fixture
def longest() -> Iterator[None]:
    """The reranker `longest`."""

    class Plugin:
        @hookimpl
        def register_rerankers(self, register: Callable[..., None]) -> None:
            def longest(query: str, passages: Sequence[str]) -> list[float]:
                return [len(passage) for passage in passages]

            register("longest", longest)

    plugin_manager().register(Plugin(), name="rerankers-of-a-test")
    yield
    plugin_manager().unregister(name="rerankers-of-a-test")


@pytest.mark.asyncio
async def test_only_what_the_site_allows(make: Make, articles_file: Path, longest: None) -> None:
    closed = make([articles_file])
    refused = await get_json(closed, f"{SEARCH}.json?q=ship&_rerank=longest", status=400)
    assert "this site does not rerank by 'longest'" in refused["error"]
    across = await get_json(closed, "/articles/-/hybrid-search.json?q=ship&_rerank=longest", status=400)
    assert "_rerank means nothing across tables" in across["error"]


@pytest.mark.asyncio
async def test_pages_agree(make: Make, articles_file: Path, longest: None) -> None:
    site = make([articles_file], config={"plugins": {"datasette-semantic": {"rerankers": ["longest"]}}})
    whole = await get_json(site, f"{SEARCH}.json?q=ship+quay&_rerank=longest:30&_size=45&_extra=why")
    lengths = [len(row["title"]) + len(row["body"]) for row in whole["rows"][:30]]
    assert lengths == sorted(lengths, reverse=True)
    assert "rerank" in [term["name"] for term in whole["why"][0]]
    paged: list[int] = []
    path = f"{SEARCH}.json?q=ship+quay&_rerank=longest:30&_size=10"
    for _ in range(4):
        body = await get_json(site, path)
        paged += [row["id"] for row in body["rows"]]
        path = body["next_url"].removeprefix("http://localhost")
    assert paged == [row["id"] for row in whole["rows"][:40]]
    page = (await get(site, f"{SEARCH}?q=ship+quay&_rerank=longest:30&_size=2")).text
    assert '<input type="hidden" name="_rerank" value="longest:30">' in page
