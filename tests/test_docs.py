"""The documentation says what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cogapp import Cog
from sqlite_utils.utils import sqlite3

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


@pytest.mark.parametrize("page", ["README.md", "docs/reference.md"])
def test_what_is_generated_is_the_programs_own(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`cog -r PAGE` brings it up to date."""
    status = Cog().main(["cog", "--check", "--diff", str(ROOT / page)])
    assert status == 0, capsys.readouterr().out


def test_every_command_and_option_is_in_the_readme() -> None:
    from sqlite_utils.cli import cli

    text = README.read_text()
    for command in ours(cli.commands):
        for parameter in command.params:
            for name in parameter.opts if parameter.param_type_name == "option" else ():
                assert name in text, f"{command.name} {name}"


@pytest.mark.parametrize("page", [*sorted(ROOT.glob("docs/*.md")), README], ids=lambda page: page.name)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


def blocks(language: str) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert found
    return found


def test_the_python_in_the_readme_runs(
    articles: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    connection = sqlite3.connect(articles)
    connection.execute("create table movies as select id, title, body as text from articles")
    connection.close()
    articles.rename(articles.with_name("movies.db"))
    monkeypatch.chdir(articles.parent)
    for block in blocks("python"):
        exec(block, {})
    assert "A robot learns to love its maker" in capsys.readouterr().out


def test_the_sql_in_the_readme_runs(articles: Path) -> None:
    import datasette_semantic

    connection = sqlite3.connect(articles)
    datasette_semantic.prepare_connection(connection)
    datasette_semantic.SemanticIndex.create(connection, "articles", ["title", "body"]).update()
    for block in blocks("sql"):
        rows = connection.execute(block, {"q": "ships"}).fetchall()
        assert {row[0] for row in rows[:2]} == {3, 6}
    connection.close()


@pytest.mark.parametrize("language", ["json", "yaml"])
def test_the_data_in_the_readme_parses(language: str) -> None:
    import yaml

    for block in blocks(language):
        assert yaml.safe_load(block)  # JSON is YAML too


def test_the_settings_in_the_readme_are_all_there_are() -> None:
    import yaml

    from datasette_semantic.plugin.settings import _CHECKS, parse

    settings = yaml.safe_load(blocks("yaml")[0])["plugins"]["datasette-semantic"]
    parse(settings)
    assert set(settings) == set(_CHECKS)


def ours(commands: dict) -> list:
    return [each for each in commands.values() if each.callback.__module__.startswith("datasette_semantic.")]
