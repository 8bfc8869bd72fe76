"""What a row says, from the command to the passage: templates, JSON columns, HTML columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

FILMS: list[dict[str, Any]] = [
    {
        "id": 1,
        "title": "The Lighthouse",
        "director": "Robert Eggers",
        "genres": json.dumps(["Horror", "Drama"]),
        "cast": json.dumps({"lead": {"name": "Willem Dafoe"}, "extras": [{"name": "A seagull"}]}),
        "review": "<div><h2>Salt &amp; madness</h2><script>alert('x')</script><p>Two <b>keepers</b> drink "
        "paraffin.</p></div>",
    },
    {
        "id": 2,
        "title": "Babette's Feast",
        "director": None,
        "genres": json.dumps(["Comedy"]),
        "cast": json.dumps({"lead": {"name": "Stéphane Audran"}}),
        "review": "<p>A cook spends all she has<br>on one dinner</p>",
    },
    {"id": 3, "title": "Untitled", "director": None, "genres": None, "cast": None, "review": None},
]


@pytest.fixture
def films(tmp_path: Path) -> Path:
    path = tmp_path / "films.db"
    database = Database(path, execute_plugins=False)
    database.table("films").insert_all(FILMS, pk="id")
    database.close()
    return path


def first(run: Any, path: Path, query: str, *options: str) -> dict[str, Any]:
    found = json.loads(run("hybrid-search", path, "films", query, "-n", "1", *options).stdout)
    record: dict[str, Any] = found[0]
    return record


def test_a_template(run: Any, films: Path) -> None:
    template = "Title: {title}\nDirected by {director}\n{{genres}}: {genres}"
    result = run("embed", films, "films", "--template", template)
    assert result.exit_code == 0, result.stderr
    eggers = first(run, films, "directed by Eggers")
    assert eggers["id"] == 1
    assert eggers["passage"] == "Title: The Lighthouse Directed by Robert Eggers {genres}: Horror, Drama"
    # A line whose columns are all NULL goes with its label.
    assert first(run, films, "Babette")["passage"] == "Title: Babette's Feast {genres}: Comedy"
    assert first(run, films, "Untitled", "--mode", "keyword")["passage"] == "Title: Untitled"
    assert first(run, films, "scary", "--mode", "semantic")["id"] == 1
    database = Database(films, execute_plugins=False)
    database.table("films").update(2, {"director": "Gabriel Axel"})
    database.close()
    assert "1 texts embedded" in run("embed", films).stderr
    assert "Directed by Gabriel Axel" in first(run, films, "Gabriel Axel")["passage"]


def test_mistakes_in_a_template(run: Any, films: Path, fingerprint: Any) -> None:
    before = fingerprint(films)
    for template, words in (
        ("no column", "names no column"),
        ("{title", "a '{' without its '}'"),
        ("{titel}", "did you mean 'title'?"),
    ):
        result = run("embed", films, "films", "--template", template)
        assert (result.exit_code, words in result.stderr) == (1, True), result.stderr
    assert fingerprint(films) == before


def test_json_columns(run: Any, films: Path) -> None:
    assert run("embed", films, "films", "title", "genres", "cast").exit_code == 0
    found = first(run, films, "Willem Dafoe")
    assert found["id"] == 1
    assert found["passage"] == "The Lighthouse Horror, Drama lead.name: Willem Dafoe extras.name: A seagull"
    assert first(run, films, "seagull", "--mode", "keyword")["id"] == 1
    assert first(run, films, "frightening", "--mode", "semantic")["id"] == 1
    assert found["cast"] == FILMS[0]["cast"]  # the column itself stays as it is


def test_html_columns(run: Any, films: Path) -> None:
    assert run("embed", films, "films", "review").exit_code == 0
    found = first(run, films, "keepers of the light")
    assert found["id"] == 1
    assert found["passage"] == "Salt & madness Two keepers drink paraffin."
    assert (
        first(run, films, "expensive meal", "--mode", "semantic")["passage"]
        == "A cook spends all she has on one dinner"
    )
    plan = run("embed", films, "films", "title", "review", "--dry-run")
    assert "3 rows to look at, 3 chunks" in plan.stdout
