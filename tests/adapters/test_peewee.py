"""What Peewee's users rely on: queries that chain, pools, other databases of playhouse, an index held to its
declaration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peewee
import pytest
from playhouse.sqliteq import SqliteQueueDatabase

from datasette_semantic.adapters.peewee import (
    Declaration,
    PooledSemanticDatabase,
    SemanticConnections,
    SemanticDatabase,
    SemanticModel,
)
from datasette_semantic.errors import IndexStateError, NoSuchIndex

from .conftest import rows


def models(database: Any) -> tuple[type[peewee.Model], type[SemanticModel]]:
    class Author(peewee.Model):
        name = peewee.CharField()

    class Entry(SemanticModel):
        title = peewee.TextField()
        content = peewee.TextField()
        score = peewee.IntegerField(default=7)
        author = peewee.ForeignKeyField(Author, backref="entries")

        class Meta:
            semantic = Declaration(["title", "content"])

    database.bind([Author, Entry])
    return Author, Entry


def fill(author: Any, entry: Any) -> None:
    entry._meta.database.create_tables([author, entry])
    authors = [author.create(name=name) for name in ("Ann", "Ben")]
    with entry._meta.database.atomic():
        for row in rows():
            entry.create(title=row["title"], content=row["content"], author=authors[row["id"] % 2])
    entry.update_index()


@pytest.fixture
def diary(tmp_path: Path) -> Iterator[tuple[Any, Any]]:
    database = SemanticDatabase(str(tmp_path / "diary.db"))
    author, entry = models(database)
    fill(author, entry)
    yield author, entry
    database.close()


def test_a_search_chains_as_any_query_does(diary: tuple[Any, Any]) -> None:
    author, entry = diary
    query = (
        entry.hybrid_search("robots in love", where=[entry.id > 5], k=20)
        .select_extend(author)
        .join(author)
        .where(author.name == "Ann")
        .order_by(entry.id.desc())
        .limit(4)
    )
    assert query.sql()[0].lower().count("semantic_hits") == 1
    found = list(query)
    ids = [each.id for each in found]
    assert len(ids) == 4
    assert ids == sorted(ids, reverse=True)
    assert all(id_ > 5 and id_ % 2 == 0 for id_ in ids)
    # The model has a field called score: it stays the field, and the hit's is beside it.
    assert {each.score for each in found} == {7}
    assert all(isinstance(each.hit_score, float) and each.passage and each.author.name == "Ann" for each in found)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (lambda entry: entry.title == "note 7", {7}),
        (lambda entry: entry.title.contains("TE 39"), {39}),
        (lambda entry: entry.title.startswith("note 4"), {4, 40}),
        (lambda entry: entry.title ** "%3_", set(range(30, 40))),
        (lambda entry: entry.title % "note 1[0-2]", {10, 11, 12}),
        (lambda entry: entry.id.in_([3, 5]), {3, 5}),
        (lambda entry: entry.id.not_in(list(range(3, 41))), {1, 2}),
        (lambda entry: entry.id.between(8, 9), {8, 9}),
        (lambda entry: (entry.id == 1) | (entry.id == 2), {1, 2}),
        (lambda entry: ~(entry.id > 2), {1, 2}),
        (lambda entry: entry.author.is_null(), set()),
        (lambda entry: peewee.fn.length(entry.title) < 7, set(range(1, 10))),
    ],
)
def test_every_condition_narrows_before_the_search(diary: tuple[Any, Any], condition: Any, expected: set[int]) -> None:
    _, entry = diary
    found = entry.hybrid_search("robots in love", where=condition(entry), k=40, weak=True)
    assert {each.id for each in found} == expected


def test_tables_are_made_twice_and_dropped_without_trace(diary: tuple[Any, Any]) -> None:
    author, entry = diary
    database = entry._meta.database
    before = database.execute_sql("select name, sql from sqlite_master order by name").fetchall()
    database.create_tables([author, entry])
    assert database.execute_sql("select name, sql from sqlite_master order by name").fetchall() == before
    database.drop_tables([author, entry])
    left = database.execute_sql("select name from sqlite_master where name not like 'sqlite_%'").fetchall()
    assert left == []


def test_a_rollback_takes_back_what_was_queued(diary: tuple[Any, Any]) -> None:
    _, entry = diary
    with entry._meta.database.atomic() as transaction:
        entry.update(content="a caravan in the desert").where(entry.id == 1).execute()
        assert entry.index_status().pending == 1
        assert entry.update_index().embedded == 1
        assert entry.hybrid_search("caravan", k=1).get().id == 1
        transaction.rollback()
    assert entry.index_status().pending == 0
    assert "caravan" not in entry.hybrid_search("caravan", k=1).get().content


def test_databases_of_playhouse(tmp_path: Path) -> None:
    class QueueDatabase(SemanticConnections, SqliteQueueDatabase):
        pass

    pool = PooledSemanticDatabase(str(tmp_path / "pool.db"), max_connections=4)
    author, entry = models(pool)
    fill(author, entry)
    assert entry.hybrid_search("robots in love", k=1).get().id % 5 == 0
    pool.close_all()

    queue = QueueDatabase(str(tmp_path / "pool.db"), autostart=True)
    author, entry = models(queue)
    entry.create(title="new", content="a caravan in the desert", author=1)
    assert entry.hybrid_search("caravan", mode="keyword", k=1).get().title == "new"
    queue.stop()
    queue.close()


# --- an index that was made otherwise --------------------------------------------------------------------------------


def test_what_becomes_of_a_mismatch(diary: tuple[Any, Any]) -> None:
    author, entry = diary
    database = entry._meta.database

    def declare(on_mismatch: str) -> None:
        entry._meta.semantic = Declaration(
            ["title", "content"], model="wordllama", where="id < 21", on_mismatch=on_mismatch
        )

    declare("error")
    with pytest.raises(IndexStateError, match="where"):
        database.create_tables([author, entry])
    with pytest.raises(IndexStateError, match="where"):
        entry.update_index()

    declare("keep")
    database.create_tables([author, entry])
    assert entry.update_index().embedded == 0
    assert entry.index_status().rows == 40

    declare("rebuild")
    database.create_tables([author, entry])
    assert len(list(entry.hybrid_search("robots in love", k=30, weak=True))) == 30  # the old one goes on until ...
    entry.update_index()  # ... the new one is complete
    assert entry.index_status().rows == 20
    assert {each.id for each in entry.hybrid_search("robots in love", k=30, weak=True)} == set(range(1, 21))
    declare("error")
    assert entry.update_index().embedded == 0

    entry.drop_index()
    with pytest.raises(NoSuchIndex):
        list(entry.hybrid_search("robots"))
