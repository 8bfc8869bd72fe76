"""The page as a person meets it, read as HTML."""

from __future__ import annotations

import html
import re
import sqlite3
from contextlib import closing
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from datasette_semantic.plugin.page import AcrossPage, SearchPage
from datasette_semantic.plugin.query_string import Place

from .conftest import SEARCH, Make, embed, get, get_json

TEMPLATES = Path(__file__).parents[2] / "templates"


class Outline(HTMLParser):
    """What a test wants to know of a page: its links, the marks in it, whether its tags balance."""

    VOID = frozenset({"meta", "link", "input", "br", "hr", "img", "path", "circle"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open, f"</{tag}> closes nothing"
            assert self.open.pop() == tag

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def content_of(page: str) -> str:
    """Return what is ours of a page, without Datasette's head and foot."""
    start = page.index('<section class="content">')
    return page[start : page.rindex("</section>", start, page.index("<footer")) + len("</section>")]


@pytest.mark.asyncio
async def test_results_link_to_their_rows_and_show_why(site: Any) -> None:
    response = await get(site, f"{SEARCH}?q=robot&_size=5")
    assert response.status_code == 200
    assert response.headers["referrer-policy"] == "no-referrer"
    page = response.text
    body = await get_json(site, f"{SEARCH}.json?q=robot&_size=5")
    links = [link.get("href") for link in Outline(page).of("a")]
    for row in body["rows"]:
        assert f"/articles/articles/{row['id']}" in links
        assert f"{SEARCH}?_size=5&like={row['id']}" in links
    assert '<mark class="word">robot</mark>' in page
    assert page.count('class="semantic-why"') == 5
    assert f"{body['rows'][0]['score']:.4f}" in page
    assert 'value="robot"' in page
    assert "<strong>300</strong> matches, 1–5 shown" in page


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "query",
    ["", "?q=ship", "?q=zzzz&mode=keyword", "?like=3", "?topic=sea", "?q=ship&topic=sea&year__gte=1980&_facet=year"],
)
async def test_tags_balance_and_ids_are_unique(site: Any, query: str) -> None:
    page = (await get(site, f"{SEARCH}{query}")).text
    outline = Outline(content_of(page))
    ids = [attributes["id"] for _tag, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    labelled = {attributes.get("for") for attributes in outline.of("label")}
    for box in outline.of("input"):
        if box.get("type") in ("search", "radio"):
            assert box["id"] in labelled


@pytest.mark.asyncio
async def test_an_empty_page_helps_to_begin(site: Any) -> None:
    page = (await get(site, SEARCH)).text
    assert "300 rows, searched by what their title and body say" in page
    assert "wordllama" in page
    assert f'href="{SEARCH}?like=' in page
    filtered = (await get(site, f"{SEARCH}?topic=sea")).text
    assert "100 rows pass the filter" in filtered
    assert 'href="/articles/articles?topic=sea"' in filtered


@pytest.mark.asyncio
async def test_no_result_says_how_to_go_on(site: Any) -> None:
    page = (await get(site, f"{SEARCH}?q=zzzz&mode=keyword&topic=sea")).text
    assert "Nothing here matches" in page
    assert f'href="{SEARCH}?q=zzzz&amp;mode=keyword"' in page


@pytest.mark.asyncio
async def test_pages_lead_forth_and_back(site: Any) -> None:
    def link(page: str, rel: str) -> str | None:
        found = re.search(rf'<a href="([^"]+)" rel="{rel}"', page)
        return found[1].replace("&amp;", "&") if found else None

    first = (await get(site, f"{SEARCH}?q=robot&topic=sea&_size=40")).text
    assert link(first, "prev") is None
    second = (await get(site, str(link(first, "next")))).text
    assert "41–80 shown" in second
    third = (await get(site, str(link(second, "next")))).text
    assert link(third, "next") is None
    again = (await get(site, str(link(third, "prev")))).text
    assert "41–80 shown" in again
    assert link(again, "prev") == f"{SEARCH}?q=robot&topic=sea&_size=40"


@pytest.mark.asyncio
async def test_views_of_the_same_matches(site: Any) -> None:
    page = (await get(site, f"{SEARCH}?q=robot&mode=keyword&topic=machines&_facet=year")).text
    links = [link.get("href") for link in Outline(page).of("a")]
    table = "/articles/articles?topic=machines&_facet=year&_semantic=robot&_semantic_mode=keyword"
    assert table in links
    assert f"{SEARCH}.json?q=robot&mode=keyword&topic=machines&_facet=year" in links
    assert f"{SEARCH}.csv?q=robot&mode=keyword&topic=machines&_facet=year" in links
    assert (await get(site, table)).status_code == 200


@pytest.mark.asyncio
async def test_the_columns_of_a_result_may_be_chosen(site: Any) -> None:
    def shown(page: str) -> set[str]:
        return set(re.findall(r"<dt>(.*?)</dt>", page))

    assert shown((await get(site, f"{SEARCH}?q=robot")).text) == {"year", "topic", "tags", "written", "author_id"}
    assert shown((await get(site, f"{SEARCH}?q=robot&_nocol=tags&_nocol=written")).text) == {
        "year",
        "topic",
        "author_id",
    }
    page = (await get(site, f"{SEARCH}?q=robot&_col=topic&_col=title")).text
    assert shown(page) == {"topic"}
    hidden = [(each["name"], each["value"]) for each in Outline(page).of("input") if each.get("type") == "hidden"]
    assert hidden == [("_col", "topic"), ("_col", "title")]
    assert (await get(site, f"{SEARCH}?q=robot&_col=nosuch")).status_code == 400


@pytest.mark.asyncio
async def test_the_form_carries_the_state(site: Any) -> None:
    page = (await get(site, f"{SEARCH}?q=robot&mode=semantic&topic=sea&_facet=year&_size=7")).text
    inputs = Outline(page).of("input")
    hidden = {(each["name"], each["value"]) for each in inputs if each.get("type") == "hidden"}
    assert hidden == {("topic", "sea"), ("_facet", "year"), ("_size", "7")}
    assert [each["value"] for each in inputs if each.get("type") == "radio" and "checked" in each] == ["semantic"]


HOSTILE_TABLE = 'a"<b>[x]'
HOSTILE = '<script>alert("1")</script>'


@pytest.fixture
def hostile_file(tmp_path: Path) -> Path:
    """A table whose names and values are all markup."""
    path = tmp_path / "hostile.db"
    table, column = HOSTILE_TABLE, "co<l>&"
    with closing(sqlite3.connect(path)) as database, database:
        quoted = '"' + table.replace('"', '""') + '"'
        database.execute(
            f'create table {quoted} (id text primary key, title text, body text, "{column}" text, tags text)'
        )
        database.executemany(
            f"insert into {quoted} values (?, ?, ?, ?, ?)",
            [
                (
                    f"<i>{n}</i>/{n}",
                    f"{HOSTILE} {n}",
                    f"ship {HOSTILE} {{{{ 7*1111 }}}}",
                    HOSTILE if n % 2 else "x",
                    f'["{n % 2}<u>"]',
                )
                for n in range(6)
            ],
        )
    embed(path, table, ["title", "body"])
    return path


@pytest.mark.asyncio
async def test_html_in_data_stays_text(make: Make, hostile_file: Path) -> None:
    datasette = make([hostile_file])
    base = f"{datasette.urls.table('hostile', HOSTILE_TABLE)}/-/hybrid-search"
    for query in (
        "",
        "?q=ship",
        "?q=%3Cscript%3Ealert(1)%3C/script%3E",
        "?q=script&_facet=co%3Cl%3E%26",
        "?q=%22%3E%3Cb%3E",
    ):
        page = (await get(datasette, f"{base}{query}")).text
        content = content_of(page)
        assert "<script" not in content
        for tag in ("<i>", "<u>", "<b>", "<l>"):
            assert tag not in page
        assert "7777" not in content
        Outline(content)
    body = await get_json(datasette, f"{base}.json?q=ship")
    assert len(body["rows"]) == 6
    error = await get(datasette, f"{base}?q=x&%3Cscript%3E=1")
    assert error.status_code == 400
    assert "<script" not in content_of(error.text)


@pytest.mark.asyncio
async def test_errors_have_a_page_of_their_own(site: Any) -> None:
    page = await get(site, "/articles/plain/-/hybrid-search?q=x")
    assert page.status_code == 404
    assert "sqlite-utils embed articles.db plain" in page.text
    assert 'href="/articles/plain"' in page.text
    bad = await get(site, f"{SEARCH}?q=%3Cx%26y&nosuch=1")
    assert bad.status_code == 400
    assert f'<a href="{SEARCH}?q=%3Cx%26y">Search for <strong>&lt;x&amp;y</strong> with nothing added</a>' in bad.text
    assert 'href="/articles/articles"' in bad.text
    for path, again in ((f"{SEARCH}?nosuch=1", SEARCH), ("/articles/-/hybrid-search?x=1", "/articles/-/hybrid-search")):
        assert f'<a href="{again}">Start again</a>' in (await get(site, path)).text


@pytest.mark.asyncio
async def test_where_nothing_matches_there_is_nothing_to_narrow(site: Any) -> None:
    for query in ("q=qqqq&mode=keyword", "q=ship&year=1066"):
        page = (await get(site, f"{SEARCH}?{query}")).text
        assert "Nothing here matches" in page
        assert "semantic-panel" not in page
    page = (await get(site, f"{SEARCH}?q=ship&year=1066&_facet=title")).text
    assert 'aria-label="Remove the facet title"' in page
    assert "Narrow by title</summary>" in page


@pytest.mark.asyncio
async def test_a_page_beyond_the_last_leads_back(site: Any) -> None:
    token = Place(5_000).token()
    for path, size in ((SEARCH, 20), ("/articles/-/hybrid-search", 20)):
        page = (await get(site, f"{path}?q=ship&mode=keyword&_next={token}")).text
        assert "Nothing is left on this page" in page
        assert "Nothing here matches" not in page
        found = re.search(r'href="([^"]+)" rel="prev"', page)
        assert found is not None
        before = (await get(site, html.unescape(found[1]))).text
        assert before.count('class="semantic-card"') == size


@pytest.mark.asyncio
async def test_the_box_takes_the_focus_before_a_search_only(site: Any) -> None:
    assert " autofocus" in (await get(site, SEARCH)).text
    for query in ("q=ship", "like=1"):
        assert " autofocus" not in (await get(site, f"{SEARCH}?{query}")).text


@pytest.mark.asyncio
async def test_styles_are_served_and_linked_on_our_pages_only(site: Any) -> None:
    page = (await get(site, SEARCH)).text
    for name in ("semantic.css", "semantic.js"):
        found = re.search(rf'"(/-/static-plugins/datasette-semantic/{name}[^"]*)"', page)
        assert found is not None
        assert (await get(site, found[1])).status_code == 200
    for path in ("/articles", "/articles/articles"):  # the home page has a box of ours
        assert "semantic.css" not in (await get(site, path)).text


@pytest.mark.asyncio
async def test_a_site_may_override_the_template_of_one_table(make: Make, articles_file: Path, tmp_path: Path) -> None:
    (tmp_path / "hybrid-search-articles-articles.html").write_text("<title>Ours: {{ title }}, {{ total }}</title>")
    page = await get(make([articles_file], template_dir=str(tmp_path)), f"{SEARCH}?q=ship")
    assert page.text == "<title>Ours: articles, 300</title>"


@pytest.mark.asyncio
async def test_prefixed_sites(make: Make, articles_file: Path) -> None:
    datasette = make([articles_file], settings={"base_url": "/pre/"})
    page = (await get(datasette, f"{SEARCH}?q=ship&topic=sea")).text
    links = [str(link.get("href")) for link in Outline(content_of(page)).of("a")]
    assert len(links) > 60
    for link in links:
        assert link.startswith("/pre/"), link
        assert not link.startswith("/pre/pre"), link
    assert f'action="/pre{SEARCH}"' in page
    redirect = await get(datasette, f"{SEARCH}?q=ship&_filter_column=year&_filter_op=gt&_filter_value=1980")
    assert redirect.headers["location"] == f"/pre{SEARCH}?q=ship&year__gt=1980"


def test_every_variable_of_the_template_is_documented() -> None:
    """A template may use what its dataclass has, what Datasette gives to every page, and what it sets itself."""
    from jinja2 import Environment, meta

    given = {"request", "urls", "crumbs", "database", "parts", "self", "super"}
    environment = Environment()
    environment.filters["to_css_class"] = str
    for name, page in (("hybrid-search.html", SearchPage), ("hybrid-search-across.html", AcrossPage)):
        source = (TEMPLATES / name).read_text()
        used = meta.find_undeclared_variables(environment.parse(source))
        documented = {each.name for each in fields(page)}
        assert used - given <= documented, name
        assert documented <= used, name
