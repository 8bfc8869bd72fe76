"""A table to try search on, from the running Python's own documentation."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlite_utils.utils import sqlite3


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from click.testing import CliRunner
    from sqlite_utils.cli import cli

    path = tmp_path_factory.mktemp("demo") / "demo.db"
    result = CliRunner().invoke(cli, ["semantic-demo", str(path)])
    assert result.exit_code == 0, result.output
    assert f"sqlite-utils embed {path} python_docs name text" in result.stderr
    return path


def rows(path: Path, sql: str) -> list[tuple]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_thousands_of_rows(demo: Path) -> None:
    ((count,),) = rows(demo, "select count(*) from python_docs")
    assert count > 3_000
    assert rows(demo, "select name from pragma_table_info('python_docs')") == [
        *(("id",), ("module",), ("name",), ("kind",), ("signature",), ("text",)),
    ]


def test_no_name_comes_twice(demo: Path) -> None:
    assert rows(demo, "select module, name from python_docs group by module, name having count(*) > 1") == []


def test_no_text_is_empty(demo: Path) -> None:
    assert rows(demo, "select * from python_docs where trim(text) = '' or trim(name) = ''") == []


@pytest.mark.parametrize(
    ("module", "name", "kind", "signature"),
    [
        ("json", "json", "module", ""),
        ("json", "dumps", "function", "dumps(obj, *,"),
        ("pathlib", "Path", "class", "Path("),
        ("subprocess", "Popen.wait", "method", "wait(self, timeout=None)"),
        ("asyncio.tasks", "wait", "function", "async wait("),
        ("builtins", "str.split", "method", "split(self, /"),
        ("math", "sqrt", "function", "sqrt(x, /)"),
        ("datetime", "datetime.isoformat", "method", "isoformat(self"),
    ],
)
def test_what_a_row_holds(demo: Path, module: str, name: str, kind: str, signature: str) -> None:
    found = rows(demo, f"select kind, signature from python_docs where module = '{module}' and name = '{name}'")
    assert [kind] == [row[0] for row in found]
    assert found[0][1].startswith(signature)


def test_an_existing_table_is_not_touched(run, demo: Path, fingerprint) -> None:
    before = fingerprint(demo)
    result = run("semantic-demo", demo)
    assert (result.exit_code, fingerprint(demo)) == (1, before)
    assert "--replace" in result.stderr


def test_a_table_of_something_else_is_not_replaced(run, articles: Path, fingerprint) -> None:
    before = fingerprint(articles)
    result = run("semantic-demo", articles, "--table", "articles", "--replace")
    assert (result.exit_code, fingerprint(articles)) == (1, before)
    assert "--table" in result.stderr


def test_a_view_is_not_replaced(run, tmp_path: Path, fingerprint) -> None:
    path = tmp_path / "views.db"
    connection = sqlite3.connect(path)
    connection.execute("create view python_docs as select 1 as one")
    connection.close()
    before = fingerprint(path)
    result = run("semantic-demo", path, "--replace")
    assert (result.exit_code, fingerprint(path)) == (1, before)
    assert "view" in result.stderr


def test_replace_keeps_the_index(run, tmp_path: Path) -> None:
    path = tmp_path / "demo.db"
    run("semantic-demo", path, "--quiet")
    run("embed", path, "python_docs", "name", "--quiet")
    assert run("semantic-demo", path, "--replace", "--quiet").exit_code == 0
    assert "nothing changed" in run("embed", path).stderr
    assert run("hybrid-search", path, "python_docs", "Popen.wait", "-n", 1, "--nl").exit_code == 0


def test_a_folder_that_does_not_exist(run, tmp_path: Path) -> None:
    result = run("semantic-demo", tmp_path / "no" / "demo.db")
    assert result.exit_code == 1
    assert "cannot be opened" in result.stderr
