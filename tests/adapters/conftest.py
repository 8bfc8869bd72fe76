"""A table of notes as each ORM sees it: one file, WAL, so that reading and writing go on side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peewee
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from datasette_semantic.adapters.peewee import Declaration, PooledSemanticDatabase, SemanticModel
from datasette_semantic.adapters.sqlalchemy import create_engine, searchable
from datasette_semantic.store.connection import connect

TOPICS = ("robots in love", "ships at the quay", "apple trees and frost", "a violin in winter", "steam engines")


class Base(DeclarativeBase):
    pass


@searchable("title", "content")
class Note(Base):
    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    content: Mapped[str]
    category: Mapped[str]


def rows(count: int = 40) -> list[dict[str, Any]]:
    return [
        {"id": n, "title": f"note {n}", "content": f"{TOPICS[n % 5]}, as told {n} times", "category": f"c{n % 3}"}
        for n in range(1, count + 1)
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with forty notes and their index, filled."""
    file = tmp_path / "notes.db"
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        connection.exec_driver_sql("pragma journal_mode = wal")
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(Note.__table__.insert(), rows())
    from datasette_semantic.adapters.sqlalchemy import update

    update(engine, Note)
    engine.dispose()
    return file


@pytest.fixture
def engine(path: Path) -> Iterator[Engine]:
    made = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30}, pool_size=8)
    yield made
    made.dispose()


@pytest.fixture
def peewee_note(path: Path) -> Iterator[type[SemanticModel]]:
    """The same notes as a Peewee model, over a pool."""
    pool = PooledSemanticDatabase(str(path), max_connections=16, timeout=30, check_same_thread=False)

    class PeeweeNote(SemanticModel):
        id = peewee.AutoField()
        title = peewee.TextField()
        content = peewee.TextField()
        category = peewee.TextField()

        class Meta:
            database = pool
            table_name = "notes"
            semantic = Declaration(["title", "content"])

    yield PeeweeNote
    pool.close_all()


def stored(path: Path) -> dict[int, bytes]:
    """Return each row's vector as it stands in the file: every note is short, so it has one."""
    connection = connect(path)
    from datasette_semantic import prepare_connection

    prepare_connection(connection)
    found = connection.execute(
        "select c.row_id, v.embedding from _semantic_chunks_notes c join notes_vec v on v.id = c.id"
    ).fetchall()
    connection.close()
    assert len(found) == len(dict(found))
    return dict(found)
