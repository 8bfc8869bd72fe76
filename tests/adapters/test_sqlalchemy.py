"""What SQLAlchemy's users rely on: one query, metadata made twice and dropped, an Alembic that finds nothing to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, ForeignKey, event, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from datasette_semantic.adapters.sqlalchemy import (
    Vector,
    create_engine,
    hits,
    hybrid_search,
    leave_alone,
    searchable,
    similar,
    status,
    update,
)
from datasette_semantic.api import SemanticIndex
from datasette_semantic.errors import BadOption, IndexStateError

from .conftest import Note, rows


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "authors"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


@searchable("title", "content")
class Entry(Base):
    __tablename__ = "entries"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    content: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("authors.id"))
    author: Mapped[Author] = relationship()
    kind: Mapped[str] = mapped_column(default="entry")
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "entry"}  # noqa: RUF012


class Letter(Entry):
    __mapper_args__ = {"polymorphic_identity": "letter"}  # noqa: RUF012


class Clip(Base):
    __tablename__ = "clips"
    __table_args__ = {"sqlite_using": "vec0"}  # noqa: RUF012
    id: Mapped[int] = mapped_column(primary_key=True)
    embedding: Mapped[Any] = mapped_column(Vector(3))


@pytest.fixture
def diary(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path / 'diary.db'}")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        authors = [Author(name=name) for name in ("Ann", "Ben")]
        for row in rows():
            kind = Letter if row["id"] % 10 == 0 else Entry
            session.add(kind(title=row["title"], content=row["content"], author=authors[row["id"] % 2]))
            session.flush()
        session.commit()
    update(engine, Entry)
    yield engine
    engine.dispose()


def schema(engine: Engine) -> set[tuple[Any, ...]]:
    with engine.connect() as connection:
        found = connection.exec_driver_sql("select type, name, sql from sqlite_master").all()
    return {tuple(row) for row in found}


def test_a_search_is_one_statement_that_joins_filters_and_orders(diary: Engine) -> None:
    statements: list[str] = []
    event.listen(diary, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    with Session(diary) as session:
        asked = (
            hybrid_search(Entry, "robots in love", where=[Entry.id > 5], k=20)
            .join(Author, Author.id == Entry.author_id)
            .where(Author.name == "Ann")
            .order_by(None)
            .order_by(Entry.id.desc())
        )
        found = session.execute(asked).all()
    assert len(statements) == 1
    ids = [row.Entry.id for row in found]
    assert ids == sorted(ids, reverse=True)
    assert all(id_ > 5 and id_ % 2 == 0 for id_ in ids)
    assert all(isinstance(row.Entry, Entry) and isinstance(row.score, float) and row.passage for row in found)


def test_the_ranking_joins_as_any_table_does(diary: Engine) -> None:
    found = hits(Entry, "robots in love", k=10)
    counted = (
        select(Author.name, func.count(), func.max(found.c.score))
        .join(Entry)
        .join(found, found.c.id == Entry.id)
        .group_by(Author.name)
    )
    with Session(diary) as session:
        assert sum(count for _name, count, _best in session.execute(counted)) == 10


def test_the_best_of_a_class_are_chosen_among_its_own_rows(diary: Engine) -> None:
    with Session(diary) as session:
        letters = session.scalars(hybrid_search(Letter, "a violin in winter", k=4)).all()
        assert sorted(letter.id for letter in letters) == [10, 20, 30, 40]
        assert {type(letter) for letter in letters} == {Letter}
        assert len(session.scalars(similar(Letter, 1, k=3, where=[Letter.id > 10])).all()) == 3
    with pytest.raises(BadOption, match="Letter"):
        hybrid_search(Letter, "violin", where={"id": 10})


def test_metadata_is_made_twice_and_dropped_without_trace(diary: Engine) -> None:
    before = schema(diary)
    Base.metadata.create_all(diary)
    assert schema(diary) == before
    assert (status(diary, Entry).rows, status(diary, Entry).pending) == (40, 0)
    Base.metadata.drop_all(diary)
    left = {name for _type, name, _sql in schema(diary)}
    assert not {name for name in left if not name.startswith("sqlite_")}
    Base.metadata.create_all(diary)
    assert status(diary, Entry).rows == 0


def test_alembic_finds_nothing_to_do(diary: Engine) -> None:
    with diary.connect() as connection:
        plain = MigrationContext.configure(connection)
        assert compare_metadata(plain, Base.metadata)  # without our help it would drop the index's tables
    with diary.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": leave_alone(connection)})
        assert compare_metadata(context, Base.metadata) == []
        missing = sqlalchemy.MetaData()
        removed = compare_metadata(context, missing)
    assert {operation[1].name for operation in removed if operation[0] == "remove_table"} == {"authors", "entries"}


def test_a_flush_queues_and_a_rollback_takes_it_back(diary: Engine) -> None:
    with Session(diary) as session:
        session.get_one(Entry, 1).content = "something else altogether"
        session.flush()
        assert status(session, Entry).pending == 1
        session.rollback()
        assert status(session, Entry).pending == 0
        session.add(Entry(title="new", content="a caravan in the desert", author_id=1))
        assert update(session, Entry).embedded == 1  # the session is flushed first
        assert session.scalars(hybrid_search(Entry, "caravan", k=1)).one().title == "new"
        session.rollback()
    assert (status(diary, Entry).rows, status(diary, Entry).pending) == (40, 0)


def test_either_driver_of_sqlite_will_do(tmp_path: Path) -> None:
    import sqlite3

    from datasette_semantic.adapters.sqlalchemy import prepare_engine
    from datasette_semantic.errors import ExtensionMissing

    engine = prepare_engine(sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'driver.db'}", module=sqlite3))
    if hasattr(sqlite3.Connection, "enable_load_extension"):
        Base.metadata.create_all(engine)
        assert status(engine, Entry).rows == 0
    else:
        with pytest.raises(ExtensionMissing, match="pysqlite3"):
            engine.connect()
    engine.dispose()


# --- an index that was made otherwise --------------------------------------------------------------------------------


@pytest.fixture
def older(path: Path) -> Iterator[Engine]:
    """The notes, with an index over their titles alone, by another program."""
    with SemanticIndex(path, "notes") as index:
        index.drop()
    with SemanticIndex.create(path, "notes", ["title"]) as index:
        index.update()
    engine = create_engine(f"sqlite:///{path}")
    yield engine
    engine.dispose()
    searchable("title", "content")(Note)


def test_a_mismatch_is_refused_by_name_at_start_up(older: Engine) -> None:
    searchable("title", "content", on_mismatch="error")(Note)
    before = schema(older)
    with pytest.raises(IndexStateError, match="columns"):
        Note.metadata.create_all(older)
    with pytest.raises(IndexStateError, match="columns"):
        update(older, Note)
    with pytest.raises(IndexStateError, match="columns"), Session(older) as session:
        hybrid_search(Note, "robots", session=session)
    assert schema(older) == before


def test_a_mismatch_is_kept(older: Engine) -> None:
    searchable("title", "content", on_mismatch="keep")(Note)
    before = schema(older)
    update(older, Note)
    assert status(older, Note).columns == ("title",)
    assert schema(older) == before


def test_a_mismatch_is_rebuilt_while_the_old_index_answers(older: Engine) -> None:
    searchable("title", "content", on_mismatch="rebuild")(Note)
    with Session(older) as session:
        asked = hybrid_search(Note, "note", k=3, session=session)
        assert len(session.scalars(asked).all()) == 3  # declared anew, not filled yet: the old one goes on
        session.commit()
    assert update(older, Note).embedded == 40
    assert status(older, Note).columns == ("title", "content")
    with Session(older) as session:
        best = session.scalars(hybrid_search(Note, "robots in love", k=3)).all()
        assert {note.id % 5 for note in best} == {0}
    before = schema(older)
    assert update(older, Note).embedded == 0
    assert schema(older) == before
