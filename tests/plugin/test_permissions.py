"""Nobody without view-table gets anything out of the plugin: every route, every actor, every level of denial."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from .conftest import CASCADES, SECRET, Make, cookies, get, write_articles, write_secrets

ROOT_ONLY = {"id": "root"}
# Who may run SQL on a database may read all its tables: that is Datasette's own rule, so it is shut as well.
DENIALS: dict[str, Mapping[str, Any]] = {
    "table": {"databases": {"hidden": {"allow_sql": ROOT_ONLY, "tables": {"secrets": {"allow": ROOT_ONLY}}}}},
    "database": {"databases": {"hidden": {"allow": ROOT_ONLY}}},
    "instance": {"allow": ROOT_ONLY},
}
OWN_ROUTES = [
    "/hidden/secrets/-/hybrid-search",
    "/hidden/secrets/-/hybrid-search.json",
    "/hidden/secrets/-/hybrid-search.csv",
]
QUERIES = ["?q=ship", "?like=1", "?q=ship&_facet=kind", "?kind=x", "", "?q=ship&mode=keyword&_shape=array"]
CORE_ROUTES = [
    "/",
    "/hidden",
    "/hidden.json",
    "/hidden/secrets?_semantic=ship",
    "/hidden/secrets.json?_semantic=ship",
    "/hidden/secrets/1",
]
ACROSS = [
    "/-/hybrid-search?q=ship",
    "/-/hybrid-search.json?q=ship",
    "/-/hybrid-search",
    "/hidden/-/hybrid-search?q=ship",
    "/hidden/-/hybrid-search.json?q=ship",
    "/-/hybrid-search.openapi.json",
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("permissions")
    return [write_secrets(folder / "hidden.db"), write_articles(folder / "open.db", count=30)]


@pytest.mark.asyncio
@pytest.mark.parametrize("actor", [None, "other"])
@pytest.mark.parametrize("level", list(DENIALS))
async def test_the_denied_find_nothing(make: Make, files: list[Path], level: str, actor: str | None) -> None:
    datasette = make(files, config=DENIALS[level])
    for path in [f"{route}{query}" for route in OWN_ROUTES for query in QUERIES]:
        response = await get(datasette, path, actor=actor)
        assert response.status_code == 403, path
        assert_silent(response, path)
        if ".json" in path:
            assert list(response.json()) == ["ok", "error", "errors", "status"]
    for path in [*CORE_ROUTES, *ACROSS]:
        response = await get(datasette, path, actor=actor)
        assert response.status_code in (200, 403), path
        assert_silent(response, path, name="secrets" not in path)


def assert_silent(response: Any, path: str, *, name: bool = False) -> None:
    """No row, passage, facet value; no name of the table either, where the address did not say it."""
    assert SECRET not in response.text.lower(), path
    if name:
        assert "secrets" not in response.text, path


@pytest.mark.asyncio
@pytest.mark.parametrize("level", list(DENIALS))
async def test_those_who_may_find_it(make: Make, files: list[Path], level: str) -> None:
    datasette = make(files, config=DENIALS[level])
    for path in [
        "/hidden/secrets/-/hybrid-search.json?q=ship",
        "/hidden/secrets/-/hybrid-search?q=ship",
        "/hidden/-/hybrid-search.json?q=ship",
        "/-/hybrid-search.json?q=ship",
        "/hidden/secrets.json?_semantic=ship",
    ]:
        response = await get(datasette, path, actor="root")
        assert response.status_code == 200, path
        assert SECRET in response.text.lower(), path


COMPANIONS = [
    "secrets_vec",
    "secrets_vec_chunks",
    "secrets_vec_rowids",
    "secrets_fts",
    "secrets_fts_data",
    "secrets_fts_docsize",
    "_semantic_indexes",
    "_semantic_queue",
    "_semantic_rows_secrets",
    "_semantic_chunks_secrets",
    "_semantic_cache",
    "_semantic_samples",
]


@pytest.mark.asyncio
@pytest.mark.parametrize("actor", [None, "other"])
async def test_companion_tables_are_denied_with_their_source(make: Make, files: list[Path], actor: str | None) -> None:
    datasette = make(files, config=DENIALS["table"])
    tables = await datasette.get_database("hidden").table_names()
    ours = [table for table in tables if table != "secrets"]
    assert set(COMPANIONS) <= set(ours)
    for table in ours:
        for suffix in ("", ".json", ".json?_shape=array"):
            response = await get(datasette, f"/hidden/{table}{suffix}", actor=actor)
            assert response.status_code == 403, table
            assert_silent(response, table)
    allowed = await get(datasette, "/hidden/_semantic_indexes.json", actor="root")
    assert allowed.status_code == 200


@pytest.mark.asyncio
async def test_a_table_of_related_rows_is_seen_by_those_who_see_the_rows(make: Make, tmp_path: Path) -> None:
    from datasette_semantic.api import SemanticIndex

    path = write_secrets(tmp_path / "hidden.db")
    with SemanticIndex(path, "secrets") as index:
        index.save_similar("twins", limit=2)
    for actor, status in ((None, 403), ("root", 200)):
        datasette = make([path], config=DENIALS["table"])
        assert (await get(datasette, "/hidden/twins.json", actor=actor)).status_code == status
        assert ("twins" in (await get(datasette, "/hidden", actor=actor)).text) is (actor == "root")
    page = (await get(make([path]), "/hidden")).text
    assert re.findall(r'<h3><a href="/hidden/([^"?]+)"', page) == ["secrets", "twins"]


@pytest.mark.asyncio
@pytest.mark.parametrize("spelling", ["twins", "TWINS"])
async def test_a_companion_that_is_searched_itself_is_denied_with_its_source(
    make: Make, tmp_path: Path, spelling: str
) -> None:
    from datasette_semantic.api import SemanticIndex

    path = write_secrets(tmp_path / "hidden.db")
    with SemanticIndex(path, "secrets") as index:
        index.save_similar("twins", limit=2)
    with sqlite3.connect(path) as connection:
        connection.execute(f"alter table twins add column note text default 'of the {SECRET}'")
    connection.close()
    with SemanticIndex.create(path, "twins", ["note"]) as index:
        index.update()
    datasette = make([path], config=DENIALS["table"])
    for route in (f"/hidden/{spelling}/-/hybrid-search.json?q=of", "/-/hybrid-search.json?q=of"):
        denied = await get(datasette, route)
        assert denied.status_code in (200, 403), route
        assert_silent(denied, route)
    assert (await get(datasette, f"/hidden/{spelling}/-/hybrid-search.json?q=of")).status_code == 403
    allowed = await get(datasette, "/hidden/twins/-/hybrid-search.json?q=of", actor="root")
    assert allowed.status_code == 200
    assert allowed.json()["total"] > 0


@pytest.mark.asyncio
async def test_a_search_asks_datasette_once(make: Make, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    datasette = make(files)
    await get(datasette, "/hidden/secrets/-/hybrid-search.json?q=ship")
    asked: list[Any] = []
    name = "allowed" if CASCADES else "check_visibility"
    ask = getattr(datasette, name)

    async def counted(*args: Any, **options: Any) -> Any:
        asked.append((args, options))
        return await ask(*args, **options)

    monkeypatch.setattr(datasette, name, counted)
    for _ in range(2):  # no answer is kept for the next request
        await get(datasette, "/hidden/secrets/-/hybrid-search.json?q=ship")
    assert len(asked) == 2


@pytest.mark.asyncio
async def test_companion_tables_may_be_viewed_where_their_source_may(make: Make, files: list[Path]) -> None:
    datasette = make(files)
    for table in ("secrets_vec_rowids", "_semantic_chunks_secrets", "_semantic_indexes"):
        assert (await get(datasette, f"/hidden/{table}.json")).status_code == 200, table


@pytest.mark.asyncio
@pytest.mark.parametrize("level", ["none", "table"])
async def test_companion_tables_are_off_the_database_page(make: Make, files: list[Path], level: str) -> None:
    datasette = make(files, config=DENIALS.get(level))
    page = (await get(datasette, "/hidden")).text
    shown = re.findall(r'<h3><a href="/hidden/([^"?]+)"', page)
    assert shown == (["secrets"] if level == "none" else [])
    home = (await get(datasette, "/")).text
    assert "secrets_vec" not in home
    assert "_semantic_" not in home


@pytest.mark.asyncio
async def test_labels_of_a_denied_table_stay_hidden(make: Make, files: list[Path]) -> None:
    config = {
        "databases": {
            "open": {"tables": {"authors": {"allow": ROOT_ONLY}, "articles": {"facets": ["author_id"]}}},
        }
    }
    datasette = make(files, config=config)
    seen = (await get(datasette, "/open/articles/-/hybrid-search?q=ship", actor="root")).text
    assert "Bruno" in seen
    for path in (
        "/open/articles/-/hybrid-search?q=ship",
        "/open/articles/-/hybrid-search",
        "/open/articles/-/hybrid-search.json?q=ship&_facet=author_id",
    ):
        hidden = (await get(datasette, path)).text
        assert "Bruno" not in hidden
        assert "Ada" not in hidden


@pytest.mark.asyncio
@pytest.mark.parametrize("level", list(DENIALS))
async def test_no_link_leads_where_one_may_not_go(make: Make, files: list[Path], level: str) -> None:
    from datasette_semantic.plugin import menus

    datasette = make(files, config=DENIALS[level])
    await datasette.invoke_startup()
    assert await menus.table_links(datasette, None, "hidden", "secrets") == []
    assert await menus.database_links(datasette, None, "hidden") == []
    assert await menus.row_links(datasette, None, "hidden", "secrets", {"id": 1}) == []
    everything = await menus.instance_links(datasette, None)
    assert bool(everything) == (level != "instance")
    root = {"id": "root"}
    assert (await menus.table_links(datasette, root, "hidden", "secrets"))[0]["href"] == OWN_ROUTES[0]
    assert (await menus.database_links(datasette, root, "hidden"))[0]["href"] == "/hidden/-/hybrid-search"


@pytest.mark.asyncio
async def test_links_are_on_datasettes_own_pages(make: Make, files: list[Path]) -> None:
    datasette = make(files)
    assert f'href="{OWN_ROUTES[0]}"' in (await get(datasette, "/hidden/secrets")).text
    assert 'href="/hidden/-/hybrid-search"' in (await get(datasette, "/hidden")).text
    assert 'href="/-/hybrid-search"' in (await get(datasette, "/")).text
    assert "hybrid-search" not in (await get(datasette, "/open/plain")).text.replace('"/-/hybrid-search"', "")
    if CASCADES:
        assert f'href="{OWN_ROUTES[0]}?like=1"' in (await get(datasette, "/hidden/secrets/1")).text


@pytest.mark.asyncio
async def test_private_pages_are_marked(make: Make, files: list[Path]) -> None:
    datasette = make(files, config=DENIALS["table"])
    assert "🔒" in (await get(datasette, OWN_ROUTES[0], actor="root")).text
    assert "🔒" not in (await get(datasette, "/open/articles/-/hybrid-search", actor="root")).text


@pytest.mark.asyncio
async def test_a_trailing_newline_is_no_way_round(make: Make, files: list[Path]) -> None:
    datasette = make(files, config=DENIALS["table"])
    await datasette.invoke_startup()
    for path in ("/hidden/secrets%0A/-/hybrid-search.json?q=ship", "/hidden/SECRETS/-/hybrid-search.json?q=ship"):
        response = await datasette.client.get(path, cookies=cookies(datasette, None))
        assert response.status_code in (403, 404)
        assert SECRET not in response.text
