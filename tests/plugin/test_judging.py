"""The page for judging results: for whom it is, what it writes, and that evaluate-search reads it."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from datasette.utils import tilde_encode

from datasette_semantic.plugin.judging import JudgePage

from .conftest import CASCADES, Make, cookies, get, write_articles

JUDGE = "/articles/articles/-/judge-search"
TEMPLATES = Path(__file__).parents[2] / "templates"


@pytest.fixture
def own_file(tmp_path: Path) -> Path:
    """An `articles.db` that the test may write to."""
    return write_articles(tmp_path / "articles.db", count=60)


async def post(site: Any, judge: str, *, back: str, actor: str | None, token: bool = True) -> Any:
    """Press a button of the page, as the browser does."""
    jar = cookies(site, actor)
    data = {"judge": judge, "back": back}
    if token and not CASCADES:  # 0.65 wants the form's own token, 1.0 the browser's word on where it comes from
        page = await site.client.get(f"{JUDGE}?{back}", cookies=jar)
        match = re.search(r'name="csrftoken" value="([^"]+)"', page.text)
        assert match is not None
        data["csrftoken"] = match[1]
        jar = {**jar, "ds_csrftoken": page.cookies["ds_csrftoken"]}
    headers = {"sec-fetch-site": "same-origin" if token else "cross-site"}
    return await site.client.post(JUDGE, data=data, cookies=jar, headers=headers, follow_redirects=False)


def written(path: Path, table: str = "_semantic_judgments") -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(f"select table_name, query, key, relevance, actor from {table} order by key").fetchall()


@pytest.mark.asyncio
async def test_root_judges_and_evaluate_search_reads_it(make: Make, own_file: Path) -> None:
    pytest.importorskip("ir_measures", reason="the extra `evaluate` is not installed")
    site = make([own_file])
    page = await get(site, f"{JUDGE}?q=steam++engine&_size=5", actor="root")
    assert page.status_code == 200
    keys = re.findall(r'value="1 ([^"]+)"', page.text)
    assert len(keys) == 5
    for judge in (f"1 {keys[0]}", f"0 {keys[1]}", f"0 {keys[2]}", f"1 {keys[2]}", f"1 {keys[3]}", f"- {keys[3]}"):
        answer = await post(site, judge, back="q=steam++engine&_size=5", actor="root")
        assert (answer.status_code, answer.headers["location"]) == (302, f"{JUDGE}?q=steam++engine&_size=5")
    expected = {keys[0]: 1, keys[1]: 0, keys[2]: 1}
    assert {key: relevance for _, _, key, relevance, _ in written(own_file)} == expected
    assert {(table, query, actor) for table, query, _, _, actor in written(own_file)} == {
        ("articles", "steam engine", "root")
    }
    page = await get(site, f"{JUDGE}?q=steam+engine&_size=5", actor="root")
    assert page.text.count("Relevant ✓") == 2
    assert page.text.count("Not relevant ✓") == 1

    from sqlite_utils.cli import cli

    arguments = ["evaluate-search", str(own_file), "articles", "table:_semantic_judgments"]
    records = json.loads(CliRunner().invoke(cli, arguments).stdout)
    assert (records[0]["queries"], records[0]["recall@100"]) == (1, 1.0)


@pytest.mark.asyncio
@pytest.mark.parametrize("actor", [None, "ada"])
async def test_nobody_else_by_default(make: Make, own_file: Path, actor: str | None) -> None:
    site = make([own_file])
    assert (await get(site, f"{JUDGE}?q=steam", actor=actor)).status_code == 403
    answer = await post(site, "1 1", back="q=steam", actor=actor, token=CASCADES)
    assert answer.status_code == 403
    assert "judge-search" not in (await get(site, "/articles/articles/-/hybrid-search?q=steam", actor=actor)).text
    with closing(sqlite3.connect(own_file)) as database:
        assert not database.execute("select 1 from sqlite_master where name like '%judgments'").fetchall()


@pytest.mark.asyncio
async def test_whom_the_site_names(make: Make, own_file: Path) -> None:
    named = {"judges": {"id": ["ada"]}, "judgments": "verdicts"}
    site = make([own_file], config={"plugins": {"datasette-semantic": named}})
    search = "/articles/articles/-/hybrid-search?q=steam&mode=keyword"
    assert f'href="{JUDGE}?q=steam&amp;mode=keyword"' in (await get(site, search, actor="ada")).text
    assert (await post(site, "1 7", back="q=steam", actor="ada")).status_code == 302
    assert written(own_file, "verdicts") == [("articles", "steam", "7", 1, "ada")]
    assert (await get(site, f"{JUDGE}?q=steam", actor="bruno")).status_code == 403
    assert (await get(site, f"{JUDGE}?q=steam")).status_code == 403


@pytest.mark.asyncio
@pytest.mark.skipif(not CASCADES, reason="permissions in the configuration came with 1.0")
async def test_the_permission_can_be_granted(make: Make, own_file: Path) -> None:
    site = make([own_file], config={"permissions": {"semantic-judge": {"id": "ada"}}})
    assert (await get(site, f"{JUDGE}?q=steam", actor="ada")).status_code == 200
    assert (await get(site, f"{JUDGE}?q=steam", actor="bruno")).status_code == 403


@pytest.mark.asyncio
async def test_a_judge_who_may_not_view_the_table(make: Make, own_file: Path) -> None:
    config = {
        "plugins": {"datasette-semantic": {"judges": {"id": ["ada"]}}},
        "databases": {"articles": {"tables": {"articles": {"allow": {"id": "bruno"}}}}},
    }
    site = make([own_file], config=config)
    assert (await get(site, f"{JUDGE}?q=steam", actor="ada")).status_code == 403


@pytest.mark.asyncio
async def test_forged_requests_are_refused(make: Make, own_file: Path) -> None:
    site = make([own_file])
    await get(site, f"{JUDGE}?q=steam", actor="root")
    assert (await post(site, "1 7", back="q=steam", actor="root", token=False)).status_code == 403


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("judge", "back"), [("1 9999", "q=steam"), ("5 7", "q=steam"), ("1", "q=steam"), ("1 7", ""), ("", "q=steam")]
)
async def test_what_makes_no_sense_is_refused(make: Make, own_file: Path, judge: str, back: str) -> None:
    site = make([own_file], config={"plugins": {"datasette-semantic": {"judges": True}}})
    answer = await post(site, judge, back=back if back or CASCADES else "q=", actor="ada", token=bool(back) or CASCADES)
    assert answer.status_code in (400, 403, 404)
    with closing(sqlite3.connect(own_file)) as database:
        assert not database.execute("select 1 from sqlite_master where name like '%judgments'").fetchall()


@pytest.mark.asyncio
async def test_a_database_that_is_only_read(make: Make, own_file: Path) -> None:
    site = make([], immutables=[str(own_file)])
    assert (await get(site, f"{JUDGE}?q=steam", actor="root")).status_code == 403


@pytest.mark.asyncio
async def test_hostile_words_stay_text(make: Make, own_file: Path) -> None:
    site = make([own_file])
    words = '"><script>alert(1)</script> steam'
    page = await get(
        site, f"{JUDGE}?q={tilde_encode('')}{'%22%3E%3Cscript%3Ealert(1)%3C/script%3E+steam'}", actor="root"
    )
    assert page.status_code == 200
    assert words not in page.text
    assert "<script>alert(1)" not in page.text


def test_every_variable_of_the_template_is_documented() -> None:
    from jinja2 import Environment, meta

    environment = Environment()
    environment.filters["to_css_class"] = str
    used = meta.find_undeclared_variables(environment.parse((TEMPLATES / "judge-search.html").read_text()))
    documented = {each.name for each in fields(JudgePage)}
    assert used - documented <= {"request", "urls", "crumbs", "parts", "self", "super", "csrftoken"}
    assert documented <= used
