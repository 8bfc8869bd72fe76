"""A table large enough for lists to differ, small enough to check by brute force."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from datasette_semantic.api import SemanticIndex

WORDS = """
robot love garden ship engine apple frost letter harbour steam rose keeper century machine lamp tulip quay orchard
sail winter river stone bridge market cloud violin doctor forest train mirror planet desert coffee storm island
""".split()


@pytest.fixture(scope="session")
def corpus_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 rows under a text key, each of 12 words drawn at random (always the same)."""
    draw = random.Random(7)
    path = tmp_path_factory.mktemp("search") / "corpus.db"
    database = sqlite3.connect(path)
    with database:
        database.execute("create table notes (slug text primary key, title text, body text, year integer, tags text)")
        for number in range(600):
            title = " ".join(draw.sample(WORDS, 3))
            body = " ".join(draw.choices(WORDS, k=12))
            tags = '["' + '", "'.join(draw.sample(("red", "green", "blue"), 2)) + '"]'
            database.execute(
                "insert into notes values (?, ?, ?, ?, ?)", (f"n{number:03}", title, body, 1990 + number % 30, tags)
            )
    database.close()
    with SemanticIndex.create(path, "notes", ["title", "body"], model="wordllama") as index:
        index.update()
    return path


@pytest.fixture
def notes(corpus_path: Path) -> Iterator[SemanticIndex]:
    """The index of the table `notes`, for reading."""
    with SemanticIndex(corpus_path, "notes") as index:
        yield index
