"""What several kinds of tests share: a small table, a model that counts its calls, the shared collections."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils.utils import sqlite3

# Before llm is imported: nobody's keys, aliases or default model may have a say in the tests.
os.environ["LLM_USER_PATH"] = tempfile.mkdtemp(prefix="llm-")

CORPORA = Path(__file__).parents[2] / "shared" / "corpora"


def pytest_report_header() -> list[str]:
    from sqlite_utils.utils import sqlite3 as driver

    packages = ("datasette", "sqlite-utils", "sqlite-vec", "llm", "wordllama")
    return [
        "against: " + ", ".join(f"{name} {version(name)}" for name in packages),
        f"sqlite: {driver.sqlite_version} through {driver.__name__}",
        f"collections: {CORPORA if CORPORA.exists() else 'ABSENT, the tests that need them are SKIPPED'}",
    ]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the browser's tests last: Playwright leaves an event loop running, which no other test may meet."""
    items.sort(key=lambda item: "browser" in item.path.parts)


# --- a small table ---------------------------------------------------------------------------------------------------

ARTICLES: list[dict[str, Any]] = [
    {"id": 1, "title": "Robots", "body": "A robot learns to love its maker", "year": 1999, "topic": "machines"},
    {"id": 2, "title": "Gardens", "body": "Roses, and the patience of gardeners", "year": 2004, "topic": "plants"},
    {"id": 3, "title": "Harbours", "body": "Ships come home, lamps along the quay", "year": 2004, "topic": "sea"},
    {"id": 4, "title": "Engines", "body": "How steam moved the machines", "year": 2011, "topic": "machines"},
    {"id": 5, "title": "Orchards", "body": "Apple trees, pruning, and a late frost", "year": 2019, "topic": "plants"},
    {"id": 6, "title": "Lighthouses", "body": "A keeper writes to ships that pass", "year": 2019, "topic": "sea"},
]


@pytest.fixture
def articles(tmp_path: Path) -> Path:
    """A database file whose table `articles` has six rows and an integer primary key."""
    path = tmp_path / "articles.db"
    database = sqlite3.connect(path)
    with database:
        database.execute(
            "create table articles (id integer primary key, title text, body text, year integer, topic text)"
        )
        database.executemany("insert into articles values (:id, :title, :body, :year, :topic)", ARTICLES)
    database.close()
    return path


# --- a model that counts ---------------------------------------------------------------------------------------------


@dataclass
class Calls:
    """What a model has been asked for."""

    batches: list[list[str]] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        return [text for batch in self.batches for text in batch]

    def clear(self) -> None:
        self.batches.clear()


@pytest.fixture
def register_model() -> Iterator[Callable[..., None]]:
    """`register_model(model, aliases=())` registers an llm embedding model through llm's own hook, for one test."""
    import llm
    from llm.plugins import pm

    from datasette_semantic.embedding.models import embedder

    registered: list[tuple[Any, tuple[str, ...]]] = []

    class Plugin:
        @llm.hookimpl
        def register_embedding_models(self, register: Callable[..., None]) -> None:
            for model, aliases in registered:
                register(model, aliases=aliases)

    def add(model: Any, aliases: tuple[str, ...] = ()) -> None:
        registered.append((model, aliases))

    embedder.cache_clear()
    pm.register(Plugin(), name="models-of-a-test")
    try:
        yield add
    finally:
        pm.unregister(name="models-of-a-test")
        embedder.cache_clear()


@pytest.fixture
def demo_embed(register_model: Callable[..., None]) -> Calls:
    """The embedding model `demo-embed`, registered through llm's own hook; the fixture's value is its record of calls.

    Deterministic: each word adds one to one of 64 dimensions, so texts that share words are near each other.
    """
    import llm

    calls = Calls()

    class DemoEmbed(llm.EmbeddingModel):
        model_id = "demo-embed"
        batch_size = 10

        def embed_batch(self, items: Iterable[str | bytes], *, key: str | None = None) -> Iterator[list[float]]:
            texts = [str(item) for item in items]
            calls.batches.append(texts)
            return map(bag_of_words, texts)

    register_model(DemoEmbed(), aliases=("demo",))
    return calls


def bag_of_words(text: str) -> list[float]:
    vector = [0.0] * 64
    for word in text.lower().split():
        vector[zlib.crc32(word.strip(".,").encode()) % 64] += 1.0
    return vector


# --- the shared collections ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Collection:
    """A real table with, where people judged it, questions and relevant rows."""

    name: str
    docs: list[dict[str, Any]]
    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]

    @property
    def table(self) -> str:
        return self.name.replace("-", "_")

    def write(self, path: Path) -> Path:
        """Write the rows into a table of this database, text primary key `id`, lists as JSON arrays."""
        from sqlite_utils import Database

        database = Database(path, execute_plugins=False)
        database.table(self.table).insert_all(self.docs, pk="id", alter=True)
        database.close()
        return path


@pytest.fixture(scope="session")
def corpora() -> Callable[[str], Collection]:
    """`corpora(name)` loads a collection; the test is skipped, and says so, where the collections are absent."""

    def load(name: str) -> Collection:
        folder = CORPORA / name
        if not folder.exists():
            pytest.skip(f"NO COLLECTION {name}: expected at ../shared/corpora/{name} beside the repository")
        return Collection(
            name=name,
            docs=list(_json_lines(folder / "docs.jsonl.gz")),
            queries={query["id"]: query["text"] for query in _json_lines(folder / "queries.jsonl.gz")},
            qrels=_qrels(folder / "qrels.tsv.gz"),
        )

    return load


def _json_lines(file: Path) -> Iterator[dict[str, Any]]:
    if file.exists():
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def _qrels(file: Path) -> dict[str, dict[str, int]]:
    judged: dict[str, dict[str, int]] = {}
    if file.exists():
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for line in lines:
                query, doc, grade = line.rstrip("\n").split("\t")[:3]
                judged.setdefault(query, {})[doc] = int(grade)
    return judged
