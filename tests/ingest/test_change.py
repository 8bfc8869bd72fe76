"""A changed index is built beside the one that answers, takes its place in one step, and can be sent back."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlite_utils.utils import sqlite3

from datasette_semantic import SemanticIndex
from datasette_semantic.errors import IndexChanged, IndexStateError, ModelError
from datasette_semantic.hookspecs import Profile, hookimpl, plugin_manager
from datasette_semantic.ingest import change
from datasette_semantic.ingest import train as training
from datasette_semantic.ingest.worker import drain_all
from datasette_semantic.laws.quoting import quote
from datasette_semantic.records import ChunkSpec, Progress
from datasette_semantic.store import catalog, cells, companions
from datasette_semantic.store.connection import connect, prepare

from .test_storms import STEP, take

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def notes(plain: Callable[..., Any], tmp_path: Path) -> Any:
    """A table of 60 rows, and a connection without sqlite-vec to write to it."""
    run = plain(tmp_path / "notes.db")
    run("create table notes (id text primary key, title text, body text)")
    for n in range(60):
        run("insert into notes values (?, ?, ?)", f"k{n}", f"robot number{n}", f"a garden with apple{n % 20}")
    run.path = tmp_path / "notes.db"
    return run


@pytest.fixture
def made(notes: Any) -> Iterator[SemanticIndex]:
    with SemanticIndex.create(notes.path, "notes", ["title"]) as index:
        index.update()
        yield index


def schema(run: Any) -> list[tuple[Any, ...]]:
    return run("select type, name, tbl_name, sql from sqlite_master order by name")  # type: ignore[no-any-return]


def keys(index: SemanticIndex, query: str, mode: str = "hybrid") -> list[Any]:
    return [hit.key[0] for hit in index.search(query, mode=mode, limit=5)]


# --- the whole way, over every kind of table -------------------------------------------------------------------------


@pytest.mark.parametrize("tokenize", ["unicode61", "english"])
def test_the_whole_way(shape: Any, plain: Any, writer: Any, tmp_path: Path, in_step: Any, tokenize: str) -> None:
    """Build beside, search and write meanwhile, exchange, send back, go again, drop: on every kind of table."""
    path = tmp_path / "t.db"
    run = plain(path)
    run.connection.executescript(shape.ddl)
    before = schema(run)
    write = writer(path, shape)
    for n in range(1, 9):
        write.insert(n, f"robot number{n}", "a garden")
    with SemanticIndex.create(path, shape.table, shape.columns, tokenize=tokenize) as index:
        index.update()
        in_step(index)
        old = index.record
        again = SemanticIndex.create(
            path, shape.table, shape.columns[:1], dimensions=64, chunks=ChunkSpec(max_tokens=9), tokenize=tokenize
        )
        assert again.record.id == old.id == index.record.id
        write.insert(11, "a late frost", "over the harbour")
        write.update(2, "the ship in the storm")
        write.delete(3)
        assert index.status().rows == 7  # a deleted row is gone at once
        again.update()
        assert (again.record.dimensions, again.record.text.columns) == (64, shape.columns[:1])
        assert again.record.vec_table == old.vec_table
        in_step(again)
        write.insert(12, "an orchard", "of apples")
        write.update(4, "a lighthouse")
        write.delete(5)
        again.rollback()
        assert (again.record.id, again.record.dimensions) == (old.id, 256)
        again.update()
        in_step(again)
        again.rollback()
        again.update()
        in_step(again)
        again.close()
        assert index.search("robot").total  # an index opened long before finds its way
        assert index.record.dimensions == 64
        index.drop()
    run(f"delete from {quote(shape.table)}")
    assert schema(run) == before


def test_the_old_one_answers_until_the_new_one_is_whole(notes: Any, made: SemanticIndex) -> None:
    """Every search, from other connections and in every manner, is answered whole by the one or by the other."""
    reader = SemanticIndex(notes.path, "notes")
    page = prepared(notes.path)
    seen: list[tuple[int, list[Any], int]] = []

    def look(_done: Progress | None = None) -> None:
        found = reader.search("robot number7", limit=60)
        dimensions = reader.record.dimensions
        by_sql = page.execute("select count(*) from json_each(hybrid_search('notes', 'robot number7', 60))").fetchone()
        raw = page.execute("select vec_length(embedding) from notes_vec limit 1").fetchone()[0]
        assert by_sql[0] == found.total == 60
        assert raw == dimensions
        seen.append((dimensions, [hit.key for hit in found][:1], found.total))

    with SemanticIndex.create(notes.path, "notes", ["title", "body"], dimensions=128) as other:
        look()
        other.update(progress=look)
        look()
    reader.close()
    page.close()
    assert [dimensions for dimensions, *_ in seen] == [256] * (len(seen) - 1) + [128]
    assert len(seen) > 2
    assert {tuple(best) for _, best, _ in seen} == {(("k7",),)}


def prepared(path: Path) -> Any:
    """A connection as Datasette has them, with the SQL functions, open across the change."""
    from datasette_semantic import prepare_connection

    connection = sqlite3.connect(str(path), check_same_thread=False)
    prepare_connection(connection)
    return connection


def test_searching_all_the_time_never_mixes(notes: Any, made: SemanticIndex) -> None:
    """A thread searches while indexes of one, two and four hundred bytes change places over and over."""
    wrong: list[BaseException] = []
    done = threading.Event()
    counted = 0

    def search() -> None:
        nonlocal counted
        try:
            with SemanticIndex(notes.path, "notes") as index:
                while not done.is_set():
                    found = index.search("robot number7", limit=60)
                    assert found.hits[0].key == ("k7",)
                    assert found.total == 60
                    counted += 1
        except BaseException as error:  # noqa: BLE001
            wrong.append(error)

    with SemanticIndex.create(notes.path, "notes", ["title", "body"], dimensions=64) as other:
        other.update()
        thread = threading.Thread(target=search)
        thread.start()
        for _ in range(30):
            other.rollback()
            time.sleep(0.01)
        done.set()
        thread.join()
    assert not wrong
    assert counted > 10


def test_a_vector_of_the_old_model_is_not_compared_with_the_new(notes: Any, made: SemanticIndex) -> None:
    vector = made._embedder().embed_query("robot")
    with SemanticIndex.create(notes.path, "notes", ["body"], document_prefix="passage: ") as other:
        other.update()
    assert made.record.dimensions == 256
    with pytest.raises(IndexChanged):
        made.search("robot", vector=vector)


# --- money -----------------------------------------------------------------------------------------------------------


def test_going_back_and_again_costs_nothing(notes: Any, demo_embed: Any, in_step: Any) -> None:
    with SemanticIndex.create(notes.path, "notes", ["title"], model="demo-embed") as index:
        index.update()
        assert sorted(set(demo_embed.texts)) == sorted(f"robot number{n}" for n in range(60))
        demo_embed.clear()
        with SemanticIndex.create(notes.path, "notes", ["title"], model="wordllama") as other:
            other.update()
            assert (other.record.model, demo_embed.texts) == ("wordllama", [])
            notes("update notes set title = 'a new title' where id = 'k3'")
            other.update()
            other.rollback()
        assert demo_embed.texts == []
        index.update()
        assert (index.record.model, demo_embed.texts) == ("demo-embed", ["a new title"])
        in_step(index)
        demo_embed.clear()
        # Declared as the one before was made: it comes back as it is.
        with SemanticIndex.create(notes.path, "notes", ["title"], model="wordllama") as back:
            assert (back.record.model, back.status().pending) == ("wordllama", 0)


def test_nothing_is_paid_twice_whatever_is_changed(notes: Any, demo_embed: Any, in_step: Any) -> None:
    """Texts that the index before, the one given up or the cache hold are taken from there."""
    SemanticIndex.create(notes.path, "notes", ["title"], model="demo-embed").update()
    demo_embed.clear()
    with SemanticIndex.create(notes.path, "notes", ["title"], where="id < 'k3'") as fewer:
        fewer.update()
        in_step(fewer)
        assert demo_embed.texts == []
    with SemanticIndex.create(notes.path, "notes", ["title", "body"]) as both:
        both.update()
        assert len(demo_embed.texts) == 60  # other texts
    demo_embed.clear()
    with SemanticIndex.create(notes.path, "notes", ["body"]) as body:
        body.update()  # `fewer` is given up; what it held alone is in the cache
        assert len(demo_embed.texts) == 20
    demo_embed.clear()
    with SemanticIndex.create(notes.path, "notes", ["title"], chunks=ChunkSpec(max_tokens=300)) as again:
        again.update()
        in_step(again)
        assert again.forget_previous()
        assert not again.forget_previous()
    with SemanticIndex.create(notes.path, "notes", ["title", "body"]) as last:
        last.update()
        in_step(last)
    assert demo_embed.texts == []


def test_a_new_process_need_not_ask_for_the_dimensions_again(notes: Any, demo_embed: Any) -> None:
    from datasette_semantic.embedding.models import embedder

    SemanticIndex.create(notes.path, "notes", ["title"], model="demo-embed").update()
    demo_embed.clear()
    embedder.cache_clear()
    SemanticIndex.create(notes.path, "notes", ["title"], where="id < 'k3'").update()
    assert demo_embed.texts == []


def test_the_plan_of_a_change_is_what_it_costs(notes: Any, made: SemanticIndex, demo_embed: Any) -> None:
    whole = SemanticIndex.plan(notes.path, "notes", ["title"], model="demo-embed", price=1.0)
    assert (whole.model, whole.rows, whole.texts) == ("demo-embed", 60, 60)
    assert whole.cost is not None
    assert whole.cost > 0
    with SemanticIndex.create(notes.path, "notes", ["title"], model="demo-embed") as other:
        left = SemanticIndex.plan(notes.path, "notes")
        assert (left.model, left.rows) == ("demo-embed", 60)
        other.update()
        assert len(set(demo_embed.texts)) == whole.texts
    back = SemanticIndex.plan(notes.path, "notes", ["title"], model="wordllama")
    assert (back.rows, back.texts, back.cost) == (0, 0, 0.0)
    fewer = SemanticIndex.plan(notes.path, "notes", ["title"], where="id < 'k3'", price=1.0)
    assert (fewer.texts, fewer.cost) == (0, 0.0)


# --- breaking off ----------------------------------------------------------------------------------------------------


def broken_off(index: SemanticIndex, *, after: int = 1) -> None:
    def stop(_done: Progress) -> None:
        nonlocal after
        after -= 1
        if not after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.update(progress=stop)


def test_a_broken_change_goes_on(notes: Any, made: SemanticIndex, demo_embed: Any, in_step: Any) -> None:
    with SemanticIndex.create(notes.path, "notes", ["title"], model="demo-embed") as other:
        broken_off(other)
        assert [status.state for status in made.statuses()] == ["ready", "next"]
        new = made.statuses()[1]
        assert (new.model, new.rows + new.pending) == ("demo-embed", 60)
        assert new.note is not None
        assert "--rollback" in new.note
        assert keys(made, "robot number7")[0] == "k7"
        paid = len(demo_embed.texts)
    with SemanticIndex(notes.path, "notes") as opened:
        assert opened.record.model == "wordllama"
        opened.update()  # as `embed DB` does
        assert opened.record.model == "demo-embed"
        assert len(demo_embed.texts) == 60 + (paid > 60)
        in_step(opened)
        assert [status.state for status in opened.statuses()] == ["ready", "previous"]


def test_a_broken_change_is_given_up(notes: Any, made: SemanticIndex, demo_embed: Any, in_step: Any) -> None:
    untouched = schema(notes)
    with SemanticIndex.create(notes.path, "notes", ["title"], model="demo-embed") as other:
        broken_off(other)
        other.rollback()
        assert schema(notes) == untouched
        in_step(other)
        assert other.record == made.record
        with pytest.raises(IndexStateError, match="nothing to go back to"):
            other.rollback()
    demo_embed.clear()
    SemanticIndex.create(notes.path, "notes", ["title"], model="demo-embed").update()
    assert len(demo_embed.texts) < 60  # what came back before the stop is in the cache


def test_asking_for_what_answers_gives_up_the_change(notes: Any, made: SemanticIndex, in_step: Any) -> None:
    SemanticIndex.create(notes.path, "notes", ["body"])
    with SemanticIndex.create(notes.path, "notes", ["body", "title"]) as third:
        assert catalog.beside(third._connection, "notes", "next") is not None
        assert len(third.statuses()) == 2
    with SemanticIndex.create(notes.path, "notes", ["title"]) as index:
        assert len(index.statuses()) == 1
        in_step(index)


def test_a_second_change_replaces_the_one_before(notes: Any, made: SemanticIndex, in_step: Any) -> None:
    for columns in (["body"], ["title", "body"]):
        SemanticIndex.create(notes.path, "notes", columns).update()
    statuses = made.statuses()
    assert [(status.state, status.columns) for status in statuses] == [
        ("ready", ("title", "body")),
        ("previous", ("body",)),
    ]
    in_step(made)
    assert len(notes("select 1 from sqlite_master where name like '_semantic_rows%' and type = 'table'")) == 2
    made.rollback()
    assert made.record.text.columns == ("body",)
    made.drop()
    assert {name for _, name, *_ in schema(notes)} == {"notes", "sqlite_autoindex_notes_1"}


def test_an_index_that_was_never_whole_is_replaced(notes: Any) -> None:
    SemanticIndex.create(notes.path, "notes", ["title"])
    with SemanticIndex.create(notes.path, "notes", ["body"]) as index:
        assert index.record.text.columns == ("body",)
        assert len(index.statuses()) == 1


def test_a_model_that_is_gone_can_be_changed(notes: Any, made: SemanticIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own rows wait; the change does not."""
    from datasette_semantic.ingest import update

    right = update.embedder_for

    def gone(record: Any) -> Any:
        if record.dimensions == 256:
            raise ModelError("no such model any more")
        return right(record)

    monkeypatch.setattr(update, "embedder_for", gone)
    notes("insert into notes values ('new', 'a zebra', 'x')")
    with pytest.raises(ModelError):
        made.update()
    with SemanticIndex.create(notes.path, "notes", ["title"], dimensions=64) as other:
        other.update()
        assert other.record.dimensions == 64
        assert keys(other, "zebra")[0] == "new"


# --- company ---------------------------------------------------------------------------------------------------------


def test_rows_written_while_the_new_one_is_built_are_found(
    notes: Any, made: SemanticIndex, in_step: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasette_semantic.ingest import update

    monkeypatch.setattr(update, "_KEEP_UP_SECONDS", 0.0)
    found: list[list[Any]] = []

    def meanwhile(_done: Progress) -> None:
        if not found:
            notes("insert into notes values ('z', 'a zebra in the meantime', 'x')")
            notes("delete from notes where id = 'k7'")
            notes("update notes set title = 'a giraffe' where id = 'k8'")
            found.append([])
        else:
            return

    with SemanticIndex.create(notes.path, "notes", ["title"], dimensions=64) as other:
        other.update(progress=meanwhile)
        assert other.record.dimensions == 64
        assert keys(other, "zebra")[0] == "z"
        assert keys(other, "robot number7")[0] != "k7"
        other.update()
        in_step(other)
        other.rollback()
        assert other.status().pending == 0  # kept up with meanwhile
        in_step(other)


def test_two_drains_build_one_index(notes: Any, made: SemanticIndex, demo_embed: Any, in_step: Any) -> None:
    SemanticIndex.create(notes.path, "notes", ["title"], model="demo-embed").close()
    demo_embed.clear()
    wrong: list[BaseException] = []

    def work() -> None:
        try:
            with SemanticIndex(notes.path, "notes") as index:
                index.update()
        except BaseException as error:  # noqa: BLE001
            wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    with SemanticIndex(notes.path, "notes") as index:
        index.update()
        assert index.record.model == "demo-embed"
        assert len(demo_embed.texts) == len(set(demo_embed.texts)) == 59
        in_step(index)


def test_a_drain_whose_index_is_exchanged_meanwhile_writes_to_the_right_one(
    notes: Any, made: SemanticIndex, in_step: Any
) -> None:
    """Another run lets the new index answer between two batches of ours on the old."""
    with SemanticIndex.create(notes.path, "notes", ["title", "body"], dimensions=64) as other:
        other.update()
        other.rollback()
        notes("update notes set title = title || ' again'")

        def exchange(_done: Progress) -> None:
            if made.record.dimensions == 256 and catalog.answers(other._connection, made.record):
                other.rollback()

        made.update(progress=exchange)
        assert made.record.dimensions == 64
        made.update()
        in_step(made)
        made.rollback()
        made.update()
        in_step(made)


def test_training_that_was_overtaken_leaves_the_other_index_alone(
    notes: Any, made: SemanticIndex, in_step: Any
) -> None:
    before = made.record
    with SemanticIndex.create(notes.path, "notes", ["title", "body"], document_prefix="x ") as other:
        other.update()
        with pytest.raises(IndexChanged):
            training.train(made._connection, before, vectors=60)
        in_step(other)


def test_the_worker_builds_what_was_declared(notes: Any, made: SemanticIndex) -> None:
    SemanticIndex.create(notes.path, "notes", ["body"]).close()
    connection = connect(notes.path)
    prepare(connection)
    assert len(drain_all(connection)) == 1
    assert drain_all(connection) == []
    connection.close()
    assert made.status().columns == ("body",)


# --- odd circumstances -----------------------------------------------------------------------------------------------


def test_cells_change_places_too(notes: Any, made: SemanticIndex, in_step: Any) -> None:
    made.record = training.train(made._connection, made.record, vectors=60)
    with SemanticIndex.create(notes.path, "notes", ["title", "body"], dimensions=64) as other:
        other.update()
        assert cells.cells_of(other.record) is None
        other.record = training.train(other._connection, other.record, vectors=60)
        for _ in range(3):
            other.rollback()
            trained = cells.cells_of(other.record)
            assert trained is not None
            assert keys(other, "robot number7")[0] == "k7"
            assert other.search("robot number7", mode="semantic", limit=60).total == 60
            assert not cells.unplaced(other._connection, other.record)
            indexed = notes("select tbl_name from sqlite_master where name = 'notes_vec_chunks_cell'")
            assert indexed == [("notes_vec_chunks",)]
            in_step(other)
        other.drop()
    assert {name for _, name, *_ in schema(notes)} == {"notes", "sqlite_autoindex_notes_1"}


def test_a_broken_view_and_views_of_the_user_are_left_alone(notes: Any, made: SemanticIndex) -> None:
    notes("create view broken as select * from nowhere")
    notes("create view words as select rowid from notes_fts where notes_fts match 'robot'")
    notes("create view near as select count(*) from notes_vec")
    views = notes("select name, sql from sqlite_master where type = 'view' and name not like '\\_%' escape '\\'")
    with SemanticIndex.create(notes.path, "notes", ["title", "body"]) as other:
        other.update()
    assert len(notes("select * from words")) == 60
    assert views == notes(
        "select name, sql from sqlite_master where type = 'view' and name not like '\\_%' escape '\\'"
    )


def test_a_keyword_index_of_the_users_is_shared(plain: Any, tmp_path: Path) -> None:
    run = plain(tmp_path / "own.db")
    run("create table t (id integer primary key, a text, b text)")
    run("insert into t values (1, 'robot', 'garden'), (2, 'ship', 'harbour')")
    run("create virtual table t_fts using fts5(a, b, content=t, content_rowid=id)")
    run("insert into t_fts (t_fts) values ('rebuild')")
    before = schema(run)
    with SemanticIndex.create(tmp_path / "own.db", "t", ["a"]) as index:
        index.update()
        with SemanticIndex.create(tmp_path / "own.db", "t", ["a", "b"]) as other:
            other.update()
            assert other.record.keyword == index.record.keyword
            assert keys(other, "harbour", "keyword") == [2]
            other.rollback()
        index.drop()
    assert schema(run) == before


def test_a_table_made_again_is_repaired_after_a_rollback(plain: Any, tmp_path: Path, in_step: Any) -> None:
    """The table loses the triggers of both; what answers is repaired, and the other when it comes back."""
    path = tmp_path / "again.db"
    run = plain(path)
    run("create table t (id integer primary key, title text, body text)")
    run("insert into t values (1, 'robot', 'garden'), (2, 'ship', 'harbour'), (3, 'tulip', 'rose')")
    SemanticIndex.create(path, "t", ["title"]).update()
    with SemanticIndex.create(path, "t", ["title", "body"]) as other:
        other.update()
        run("create table other (id integer primary key, title text, body text)")
        run("insert into other select * from t where id <> 2")
        run("drop table t")
        run("alter table other rename to t")
        run("insert into t values (4, 'yak', 'mountain')")
        other.update()
        in_step(other)
        run("insert into t values (5, 'zebra', 'savanna')")
        other.rollback()
        other.update()
        in_step(other)
        assert keys(other, "zebra", "keyword") == [5]


def test_a_file_made_before_there_was_a_beside(notes: Any, made: SemanticIndex, in_step: Any) -> None:
    """Nothing of what is new is in a file until an index is changed."""
    names = {name for _, name, *_ in schema(notes)}
    assert "_semantic_beside" not in names
    assert "_semantic_rows_notes" in names
    settings = catalog.settings(made._connection, made.record)
    settings = {name: value for name, value in settings.items() if name not in ("cut", "asked", "version")}
    catalog.save_settings(made._connection, made.record, settings)
    made._connection.commit()
    assert made.status().note is None
    with SemanticIndex.create(notes.path, "notes", ["body"]) as other:
        other.update()
        in_step(other)
        other.rollback()
        in_step(other)


def test_no_key_tables_are_not_repaired_for_our_own_changes(plain: Any, tmp_path: Path, in_step: Any) -> None:
    """VACUUM may renumber their rows, which shows in the schema's version; so do our own tables."""
    run = plain(tmp_path / "n.db")
    run("create table t (text text)")
    run("insert into t values ('robot'), ('garden')")
    with SemanticIndex.create(tmp_path / "n.db", "t", ["text"]) as index:
        index.update()
        SemanticIndex.create(tmp_path / "n.db", "t", ["text"], dimensions=64).close()
        assert index.update().rows == 2  # those of the new one only
        index.rollback()
        assert index.update().rows == 0
        run("vacuum")
        assert index.update().rows == 2
        in_step(index)


def test_what_is_leaving_is_cleared_away_by_the_next_run(
    notes: Any, made: SemanticIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SemanticIndex.create(notes.path, "notes", ["body"]) as other:
        other.update()

        def killed(*_arguments: Any, **_named: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(companions, "drop", killed)
            with pytest.raises(KeyboardInterrupt):
                other.forget_previous()
        assert [role for role, _ in catalog.all_beside(other._connection)] == ["leaving"]
        assert len(other.statuses()) == 1
        notes("insert into notes values ('after', 'a text', 'x')")
        other.update()
        assert not catalog.all_beside(other._connection)
        assert not notes("select 1 from sqlite_master where name like '_semantic_vec%'")


def test_two_runs_clear_away_at_once(notes: Any, made: SemanticIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    SemanticIndex.create(notes.path, "notes", ["body"]).update()
    right = change._empty

    def overtaken(connection: Any, index: Any) -> None:
        monkeypatch.setattr(change, "_empty", right)
        with SemanticIndex(notes.path, "notes") as other:
            change.clear_away(other._connection, other.source)
        right(connection, index)

    monkeypatch.setattr(change, "_empty", overtaken)
    assert made.forget_previous()
    assert not catalog.all_beside(made._connection)


def test_what_goes_wrong_in_a_search_is_told_as_it_is(notes: Any, made: SemanticIndex) -> None:
    """An error while the index stays the same is the error, also where time is up for asking whether it does."""
    connection = made._connection
    with pytest.raises(ZeroDivisionError), catalog.answering(connection, made.record):
        raise ZeroDivisionError
    connection.set_progress_handler(lambda: 1, 1)
    with pytest.raises(ZeroDivisionError), catalog.answering(connection, made.record):
        raise ZeroDivisionError
    connection.set_progress_handler(None, 0)


# --- stale -----------------------------------------------------------------------------------------------------------


class _Plugin:
    """Registers a profile for `demo-embed`, and a chunker."""

    prefix = "first: "
    step = 20

    @hookimpl
    def register_profiles(self, register: Callable[[Profile], None]) -> None:
        register(Profile("demo-embed", "", self.prefix))

    @hookimpl
    def register_chunkers(self, register: Any) -> None:
        from datasette_semantic.records import Chunk

        def steps(text: str, _spec: Any, _count: Any) -> list[Chunk]:
            return [
                Chunk(n, n + len(text[n : n + self.step]), text[n : n + self.step])
                for n in range(0, len(text), self.step)
            ]

        register("steps", steps)


@pytest.fixture
def plugin() -> Iterator[_Plugin]:
    from datasette_semantic import hookspecs

    made = _Plugin()
    manager = plugin_manager()
    manager.register(made, name="stale-test")
    clear = [each.cache_clear for each in vars(hookspecs).values() if hasattr(each, "cache_clear")]
    try:
        yield made
    finally:
        if manager.has_plugin("stale-test"):
            manager.unregister(name="stale-test")
        assert clear is not None


def test_another_profile_makes_an_index_stale(notes: Any, plugin: _Plugin, demo_embed: Any, in_step: Any) -> None:
    with SemanticIndex.create(notes.path, "notes", ["title"], model="demo-embed") as index:
        index.update()
        assert (index.status().state, index.status().note) == ("ready", None)
        with pytest.raises(IndexStateError, match="nothing to renew"):
            index.renew()
        plugin.prefix = "second: "
        status = index.status()
        assert status.state == "stale"
        assert status.note is not None
        assert "'first: ' to 'second: '" in status.note
        assert "sqlite-utils embed DB notes --renew" in status.note
        demo_embed.clear()
        index.update()
        SemanticIndex.create(notes.path, "notes", ["title"], model="demo-embed").close()
        assert demo_embed.texts == []  # it costs money, so nobody does it unasked
        index.renew()
        index.update()
        assert (index.status().state, len(set(demo_embed.texts))) == ("ready", 60)
        assert all(text.startswith("second: ") for text in demo_embed.texts)
        in_step(index)


def test_what_the_user_chose_is_not_stale(notes: Any, plugin: _Plugin, demo_embed: Any) -> None:
    with SemanticIndex.create(
        notes.path, "notes", ["title"], model="demo-embed", document_prefix="mine: ", query_prefix="mine: "
    ) as index:
        index.update()
        plugin.prefix = "second: "
        assert index.status().state == "ready"


def test_another_chunker_or_none_makes_an_index_stale(notes: Any, plugin: _Plugin, in_step: Any) -> None:
    with SemanticIndex.create(notes.path, "notes", ["title"], chunks=ChunkSpec("steps")) as index:
        index.update()
        assert index.status().state == "ready"
        plugin.step = 6
        status = index.status()
        assert (status.state, status.note is not None and "cuts otherwise" in status.note) == ("stale", True)
        index.renew()
        index.update()
        assert index.status().state == "ready"
        assert index.status().chunks > 60
        in_step(index)
        plugin_manager().unregister(name="stale-test")
        gone = index.status()
        assert gone.state == "stale"
        assert gone.note is not None
        assert "--chunker structure" in gone.note
        with SemanticIndex.create(notes.path, "notes", ["title"], chunks=ChunkSpec()) as other:
            other.update()
            assert other.status().state == "ready"


# --- storms and kills ------------------------------------------------------------------------------------------------

_CHANGE = st.tuples(st.sampled_from(["change", "finish", "roll back", "forget"]), st.integers(0, 3))
_SPECS: tuple[dict[str, Any], ...] = (
    {},
    {"dimensions": 64},
    {"chunks": ChunkSpec(max_tokens=9, overlap=2)},
    {"where": "other is null"},
)


@pytest.mark.parametrize("tokenize", ["unicode61", "english"])
@pytest.mark.parametrize("name", ["integer", "text", "without-rowid-compound", "no-key"])
@settings(
    max_examples=12,
    phases=[Phase.generate],
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(steps=st.lists(st.one_of(STEP, STEP, _CHANGE), min_size=5, max_size=40))
def test_any_storm_of_changes_ends_like_a_fresh_build(
    shapes: Any,
    writer: Any,
    tmp_path: Path,
    in_step: Any,
    fresh_build: Any,
    snapshot_of: Any,
    name: str,
    tokenize: str,
    steps: list[tuple[Any, ...]],
) -> None:
    shape = next(each for each in shapes if each.id == name)
    folder = tmp_path / "storm"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / "t.db"
    connection = sqlite3.connect(str(path))
    shape.create(connection)
    connection.close()
    write = writer(path, shape)
    write.insert(1, "the first robot", "of many")
    try:
        with SemanticIndex.create(path, shape.table, shape.columns, tokenize=tokenize) as index:
            index._connection.execute("pragma synchronous = off")
            index.update()
            for step in steps:
                if step[0] in ("change", "finish", "roll back", "forget"):
                    take(write, index, ("commit",))
                    turn(index, path, shape, tokenize, *step)
                else:
                    take(write, index, step)
            take(write, index, ("commit",))
            index.update()
            in_step(index)
            assert snapshot_of(index) == fresh_build(index)
            if catalog.beside(index._connection, shape.table, "previous"):
                index.rollback()
                index.update()
                in_step(index)
                assert snapshot_of(index) == fresh_build(index)
    finally:
        write.run.close()


def turn(index: SemanticIndex, path: Path, shape: Any, tokenize: str, verb: str, which: int) -> None:
    if verb == "change":
        options = {"chunks": ChunkSpec(), **_SPECS[which]}
        SemanticIndex.create(path, shape.table, shape.columns, tokenize=tokenize, allow_empty=True, **options).close()
    elif verb == "finish":
        index.update()
    elif verb == "forget":
        index.forget_previous()
    elif catalog.all_beside(index._connection, shape.table):
        index.rollback()


_VICTIM = """
import sys
sys.path.insert(0, {repository!r})
from datasette_semantic import SemanticIndex
from datasette_semantic.store import catalog
specs = [dict(columns=["title"]), dict(columns=["title", "body"], dimensions=64), dict(columns=["body"])]
index = SemanticIndex(sys.argv[1], "notes")
connection = index._connection
connection.execute("pragma synchronous = off")
print("go", flush=True)
turn = int(sys.argv[2])
while True:
    SemanticIndex.create(sys.argv[1], "notes", **specs[turn % 3]).update()
    connection.execute("update notes set title = title || ' again' where id in "
                       "(select id from notes order by random() limit 40)")
    connection.execute("delete from notes where id in (select id from notes order by random() limit 1)")
    connection.commit()
    if turn % 4 == 3 and catalog.all_beside(connection, "notes"):
        index.rollback()
    turn += 1
"""


@pytest.mark.slow
def test_killed_in_the_middle_of_changes(
    notes: Any, made: SemanticIndex, plain: Any, in_step: Any, fresh_build: Any, snapshot_of: Any
) -> None:
    """25 kills; after each the file is whole and answers, the next run goes on, and at the end all is right."""
    random.seed(3)
    for n in range(60, 400):
        notes("insert into notes values (?, ?, ?)", f"k{n}", f"robot number{n}", f"a garden with apple{n % 20}")
    made.update()
    made.close()
    for kill in range(25):
        victim = subprocess.Popen(
            [sys.executable, "-c", _VICTIM.format(repository=str(REPOSITORY)), str(notes.path), str(kill)],
            stdout=subprocess.PIPE,
        )
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"go\n"
        time.sleep(random.uniform(0, 0.3))
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        victim.stdout.close()
        fresh = plain(notes.path)
        assert fresh("pragma integrity_check") == [("ok",)]
        fresh("update _semantic_queue set lease_until = 0")  # as if the lease of two minutes had run out
        fresh.close()
        with SemanticIndex(notes.path, "notes") as index:
            assert index.search("robot garden apple7").total
            if kill % 5 == 4:
                index.update()
                assert catalog.beside(index._connection, "notes", "next") is None
                in_step(index)
    with SemanticIndex(notes.path, "notes") as index:
        index.update()
        assert snapshot_of(index) == fresh_build(index)
        change.clear_away(index._connection, index.source)
        index.drop()
    assert {name for _, name, *_ in schema(notes)} == {"notes", "sqlite_autoindex_notes_1"}


def test_another_tokenizer_is_another_index(made: SemanticIndex, notes: Any, in_step: Any) -> None:
    assert keys(made, "umber12", "keyword") == []
    with pytest.raises(IndexStateError, match=r"tokenize: 'porter .*' there, 'trigram' asked for"):
        SemanticIndex.create(notes.path, "notes", ["title"], tokenize="trigram", on_mismatch="error")
    with SemanticIndex.create(notes.path, "notes", ["title"], tokenize="trigram") as index:
        assert index.update().rows == 60
        assert keys(index, "umber12", "keyword") == ["k12"]
        in_step(index)
        for same in ("trigram", "auto"):
            SemanticIndex.create(notes.path, "notes", ["title"], tokenize=same, on_mismatch="error").close()
        index.rollback()
        assert keys(index, "umber12", "keyword") == []
    with SemanticIndex.create(notes.path, "notes", ["title"], tokenize="pairs english") as index:
        index.update()
        SemanticIndex.create(notes.path, "notes", ["title"], tokenize="english pairs", on_mismatch="error").close()
