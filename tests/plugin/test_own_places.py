"""The search in Datasette's own places: the home page, the row's page, the "jump to" box, stored queries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import CASCADES, SECRET, Make, get, get_json, write_articles, write_secrets

ROW = "/articles/articles/1"
PANEL = "semantic-related"
QUERY = (
    "select a.title, r.value ->> 'rank' as rank from json_each(hybrid_search('articles', :q, 3)) r "
    "join articles a on a.id = r.value ->> 'id' order by r.key"
)


def panel_of(text: str, name: str = PANEL, end: str = "</nav>") -> str:
    """Return the HTML of a piece of ours: on 0.65 it stands in a script."""
    if CASCADES:
        return text.split(f'class="{name}"')[1].split(end, maxsplit=1)[0] if name in text else ""
    scripts = [line for line in text.splitlines() if "insertAdjacentHTML" in line]
    return "" if not scripts else str(json.loads(scripts[0].split("'afterend', ")[1].rsplit(");", 1)[0]))


@pytest.mark.asyncio
async def test_a_rows_page_links_to_rows_like_it(site: Any) -> None:
    like = await get_json(site, "/articles/articles/-/hybrid-search.json?like=1&_size=5&_shape=array")
    panel = panel_of((await get(site, ROW)).text)
    places = [panel.index(f'href="/articles/articles/{row["id"]}"') for row in like]
    assert len(places) == 5
    assert places == sorted(places)
    assert 'href="/articles/articles/-/hybrid-search?like=1"' in panel


@pytest.mark.asyncio
async def test_no_model_is_asked_for_a_rows_page(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from datasette_semantic.plugin import searching

    monkeypatch.setattr(searching, "embedder_for", None)
    assert panel_of((await get(site, ROW)).text)


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/articles/plain/1", "/articles/articles/9999", "/articles/articles"])
async def test_pages_without_a_panel(site: Any, path: str) -> None:
    assert PANEL not in (await get(site, path)).text


@pytest.mark.asyncio
@pytest.mark.parametrize(("related", "links"), [(0, 0), (2, 3)])
async def test_the_site_says_how_many(make: Make, articles_file: Path, related: int, links: int) -> None:
    datasette = make([articles_file], config={"plugins": {"datasette-semantic": {"related": related}}})
    assert panel_of((await get(datasette, ROW)).text).count("<a ") == links


@pytest.mark.asyncio
async def test_data_stay_text_on_a_rows_page(make: Make, tmp_path: Path) -> None:
    from contextlib import closing

    from sqlite_utils.utils import sqlite3

    path = write_articles(tmp_path / "articles.db", count=30)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("update articles set title = '</script><img src=x onerror=alert(1)>'")
    text = (await get(make([path]), ROW)).text
    assert "<img src=x" not in panel_of(text)
    assert "</script><img" not in text


@pytest.mark.asyncio
@pytest.mark.parametrize(("actor", "sees"), [(None, False), ("root", True)])
async def test_a_denied_table_has_no_panel_and_no_entry(
    make: Make, articles_file: Path, tmp_path: Path, actor: str | None, sees: bool
) -> None:
    secrets = write_secrets(tmp_path / "hidden.db")
    config = {"databases": {"hidden": {"tables": {"secrets": {"allow": {"id": "root"}}}}}}
    datasette = make([articles_file, secrets], config=config)
    text = (await get(datasette, "/hidden/secrets/1", actor=actor)).text
    assert bool(panel_of(text)) is sees
    assert (SECRET in text) is sees
    if CASCADES:
        jump = (await get(datasette, "/-/jump.json?q=secrets", actor=actor)).text
        assert ("Search secrets" in jump) is sees


@pytest.mark.asyncio
@pytest.mark.skipif(not CASCADES, reason="0.65 has no box to jump from")
async def test_the_jump_box_knows_the_searches(site: Any) -> None:
    matches = (await get_json(site, "/-/jump.json?q=search"))["matches"]
    urls = {each["url"] for each in matches}
    assert {"/-/hybrid-search", "/articles/articles/-/hybrid-search"} <= urls


@pytest.mark.asyncio
@pytest.mark.parametrize("actor", [None, "root"])
async def test_the_home_page_has_a_box_for_whoever_may_search(make: Make, tmp_path: Path, actor: str | None) -> None:
    secrets = write_secrets(tmp_path / "hidden.db")
    box = panel_of((await get(make([secrets]), "/", actor=actor)).text, "core semantic-home", "</form>")
    assert 'action="/-/hybrid-search"' in box
    assert 'placeholder="Search 1 table"' in box
    config = {"databases": {"hidden": {"tables": {"secrets": {"allow": {"id": "root"}}}}}}
    closed = (await get(make([secrets], config=config), "/", actor=actor)).text
    assert bool(panel_of(closed, "core semantic-home", "</form>")) is (actor == "root")


@pytest.mark.asyncio
async def test_a_query_of_the_site_may_search(make: Make, articles_file: Path) -> None:
    config = {"databases": {"articles": {"queries": {"find": {"sql": QUERY, "title": "Find"}}}}}
    datasette = make([articles_file], config=config)
    rows = await get_json(datasette, "/articles/find.json?q=steam+engine&_shape=array")
    assert [row["rank"] for row in rows] == [1, 2, 3]
    assert rows[0]["title"] in (await get(datasette, "/articles/find?q=steam+engine")).text
    assert await get_json(datasette, "/articles/find.json?q=&_shape=array") == []
