"""A Datasette, whichever version is installed, over small databases with an index."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from datasette.app import Datasette

from datasette_semantic.api import SemanticIndex

CASCADES = hasattr(Datasette, "allowed")
"""True on Datasette 1.0."""

SECRET = "zanzibar"
"""Stands in every row that must not be seen: no answer may hold it."""


def make_datasette(
    files: Sequence[Path],
    *,
    config: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> Datasette:
    """Return a Datasette; `config` holds plugins, allow blocks and tables in the one form that both versions share."""
    key = "config" if CASCADES else "metadata"
    given = {key: json.loads(json.dumps(config))} if config else {}
    datasette = Datasette([str(file) for file in files], settings=dict(settings or {}), **given, **options)
    if CASCADES:
        datasette.root_enabled = True
    return datasette


Make = Callable[..., Datasette]


@pytest.fixture
def make() -> Iterator[Make]:
    """`make_datasette`, with every instance closed at the end."""
    made: list[Datasette] = []

    def build(*arguments: Any, **options: Any) -> Datasette:
        made.append(make_datasette(*arguments, **options))
        return made[-1]

    yield build
    for datasette in made:
        for database in datasette.databases.values():
            database.close()


def cookies(datasette: Datasette, actor: str | None) -> dict[str, str]:
    """Return the cookies of somebody, of nobody for None."""
    return {} if actor is None else {"ds_actor": datasette.sign({"a": {"id": actor}}, "actor")}


async def get(datasette: Datasette, path: str, *, actor: str | None = None) -> Any:
    """Ask for a path as somebody."""
    await datasette.invoke_startup()
    return await datasette.client.get(path, cookies=cookies(datasette, actor))


async def get_json(datasette: Datasette, path: str, *, actor: str | None = None, status: int = 200) -> Any:
    """Ask for JSON, and check the status."""
    response = await get(datasette, path, actor=actor)
    assert response.status_code == status, response.text
    return response.json()


# --- databases -------------------------------------------------------------------------------------------------------

TOPICS = ("machines", "plants", "sea")
WORDS = {
    "machines": "steam engine piston robot wheel gear factory electric".split(),
    "plants": "rose tulip garden orchard apple frost pruning soil".split(),
    "sea": "harbour ship lighthouse lamp quay storm sailor tide".split(),
}


def article(number: int) -> dict[str, Any]:
    """Return the row of a number: always the same, and different enough from its neighbours."""
    topic = TOPICS[number % 3]
    words = WORDS[topic]
    said = " ".join(words[(number * step + step) % len(words)] for step in range(1, 6))
    return {
        "id": number,
        "title": f"{words[number % len(words)].title()} {number}",
        "body": f"A story about {said}, told on a day in {1950 + number % 60}.",
        "year": 1950 + number % 60,
        "topic": topic,
        "tags": json.dumps([topic, words[number % len(words)], words[(number + 3) % len(words)]]),
        "written": f"20{number % 20:02d}-0{1 + number % 9}-11T10:00:00",
        "author_id": 1 + number % 2,
    }


def write_articles(path: Path, *, count: int = 300) -> Path:
    """Write a database with `articles` (indexed), `authors` (a foreign key's target) and `plain` (no index)."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table authors (id integer primary key, name text)")
        database.executemany("insert into authors values (?, ?)", [(1, "Ada <b>"), (2, "Bruno")])
        database.execute(
            "create table articles (id integer primary key, title text, body text, year integer, topic text, "
            "tags text, written text, author_id integer references authors(id))"
        )
        database.executemany(
            "insert into articles values (:id, :title, :body, :year, :topic, :tags, :written, :author_id)",
            [article(number) for number in range(1, count + 1)],
        )
        database.execute("create table plain (id integer primary key, note text)")
        database.execute("insert into plain values (1, 'no index here')")
        database.execute("create view view_of_articles as select * from articles")
    embed(path, "articles", ["title", "body"])
    return path


def write_secrets(path: Path, table: str = "secrets") -> Path:
    """Write a database whose table must not be seen."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"create table {table} (id integer primary key, title text, body text, kind text)")
        database.executemany(
            f"insert into {table} values (?, ?, ?, ?)",
            [(n, f"{SECRET} {n}", f"The ship hides {SECRET} in its harbour, number {n}", SECRET) for n in range(1, 6)],
        )
    embed(path, table, ["title", "body"])
    return path


def embed(path: Path, table: str, columns: Sequence[str]) -> None:
    """Make the index of a table with the built-in model."""
    index = SemanticIndex.create(path, table, list(columns))
    index.update()
    index.close()


@pytest.fixture(scope="session")
def articles_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`articles.db`, made once; tests only read it."""
    return write_articles(tmp_path_factory.mktemp("articles") / "articles.db")


@pytest.fixture
def site(make: Make, articles_file: Path) -> Datasette:
    """A Datasette over `articles.db`."""
    return make([articles_file])


SEARCH = "/articles/articles/-/hybrid-search"
