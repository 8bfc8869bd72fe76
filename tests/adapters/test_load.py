"""Pools, threads, forks and async sessions, with a writer at work: no error, no lost update, no door left open."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from datasette_semantic.adapters import sqlalchemy as semantic
from datasette_semantic.adapters.peewee import SemanticModel
from datasette_semantic.api import SemanticIndex
from datasette_semantic.laws.vectors import from_blob
from datasette_semantic.store.connection import connect

from .conftest import TOPICS, Note, stored

THREADS = 8
SIZES = [25, pytest.param(500, marks=pytest.mark.slow)]


def storm(search: Callable[[int], int], write: Callable[[int], Any], *, searches: int) -> int:
    """Search from eight threads while this one writes; return how often it wrote. Raises what any of them raised."""
    errors: list[BaseException] = []
    left = threading.Semaphore(0)

    def reader(thread: int) -> None:
        try:
            for number in range(searches):
                assert search(thread + number) == 5
        except BaseException as error:  # noqa: BLE001
            errors.append(error)
        finally:
            left.release()

    threads = [threading.Thread(target=reader, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    written = 0
    while any(thread.is_alive() for thread in threads) or written < 10:
        write(written)
        written += 1
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return written


def changed(number: int) -> tuple[int, str]:
    """The write of that number: which note, and its new content."""
    return 1 + number % 40, f"{TOPICS[number % 5]}, written {number} times over"


def check_nothing_is_lost(path: Path, written: int) -> None:
    """Each note has the text that was written to it last, and the vector of that text."""
    with SemanticIndex(path, "notes") as index:
        index.update()
        status = index.status()
        assert (status.rows, status.chunks, status.pending, status.failed) == (40, 40, 0, 0)
        contents = dict(index._connection.execute("select id, content from notes").fetchall())
        assert contents == contents | dict(changed(number) for number in range(written))
    kept = stored(path)
    afresh = path.with_name("afresh.db")
    with closing(connect(path)) as connection:
        connection.execute("vacuum into ?", (str(afresh),))
    SemanticIndex(afresh, "notes").drop()
    with SemanticIndex.create(afresh, "notes", ["title", "content"]) as index:
        index.update()
    made = stored(afresh)
    assert set(kept) == set(made)
    for id_, blob in kept.items():
        assert from_blob(blob, dimensions=256)[0] @ from_blob(made[id_], dimensions=256)[0] > 0.9999


@pytest.mark.parametrize("searches", SIZES)
def test_threads_over_a_pool_of_sqlalchemy(engine: Engine, path: Path, searches: int) -> None:
    def search(number: int) -> int:
        with Session(engine) as session:
            return len(session.execute(semantic.hybrid_search(Note, TOPICS[number % 5], k=5)).all())

    def write(number: int) -> None:
        id_, content = changed(number)
        with Session(engine) as session:
            session.get_one(Note, id_).content = content
            session.commit()
        semantic.update(engine, Note)

    check_nothing_is_lost(path, storm(search, write, searches=searches))


@pytest.mark.parametrize("searches", SIZES)
def test_threads_over_a_pool_of_peewee(peewee_note: type[SemanticModel], path: Path, searches: int) -> None:
    database = peewee_note._meta.database

    def search(number: int) -> int:
        with database.connection_context():
            return len(list(peewee_note.hybrid_search(TOPICS[number % 5], k=5)))

    def write(number: int) -> None:
        id_, content = changed(number)
        with database.connection_context():
            peewee_note.update(content=content).where(peewee_note.id == id_).execute()
            peewee_note.update_index()

    check_nothing_is_lost(path, storm(search, write, searches=searches))


@pytest.mark.parametrize("searches", SIZES)
def test_threads_with_an_index_each(path: Path, searches: int) -> None:
    own = threading.local()
    opened: list[SemanticIndex] = []

    def index() -> SemanticIndex:
        if not hasattr(own, "index"):
            own.index = SemanticIndex(connect(path, timeout=30), "notes")
            opened.append(own.index)
        return own.index

    def write(number: int) -> None:
        id_, content = changed(number)
        connection = index()._connection
        connection.execute("update notes set content = ? where id = ?", (content, id_))
        connection.commit()
        index().update()

    written = storm(lambda number: len(index().search(TOPICS[number % 5], limit=5)), write, searches=searches)
    for each in opened:
        each._connection.close()
    check_nothing_is_lost(path, written)


@pytest.mark.parametrize("searches", [100])
def test_async_sessions_side_by_side(path: Path, searches: int) -> None:
    async def main() -> int:
        engine = semantic.create_async_engine(f"sqlite+aiosqlite:///{path}", connect_args={"timeout": 30})

        async def search(number: int) -> None:
            async with AsyncSession(engine) as session:
                found = await session.execute(semantic.hybrid_search(Note, TOPICS[number % 5], k=5))
                assert len(found.all()) == 5

        async def write() -> int:
            for number in range(10):
                id_, content = changed(number)
                async with AsyncSession(engine) as session:
                    (await session.get_one(Note, id_)).content = content
                    await session.commit()
                    await session.run_sync(semantic.update, Note)
                    await session.commit()
            return 10

        written, *_ = await asyncio.gather(write(), *(search(number) for number in range(searches)))
        async with engine.connect() as one, engine.connect() as two:
            for connection in (one, two):
                with pytest.raises(DBAPIError, match="not authorized"):
                    await connection.exec_driver_sql("select load_extension('vec0')")
        await engine.dispose()
        return written

    check_nothing_is_lost(path, asyncio.run(main()))


def test_no_connection_may_load_extensions(engine: Engine, peewee_note: type[SemanticModel], path: Path) -> None:
    with ExitStack() as stack:
        for _ in range(8):
            connection = stack.enter_context(engine.connect())
            assert connection.exec_driver_sql("select vec_version()").scalar()
            with pytest.raises(DBAPIError, match="not authorized"):
                connection.exec_driver_sql("select load_extension('vec0')")
    refused = []

    def peewee_thread() -> None:
        database = peewee_note._meta.database
        with database.connection_context():
            assert database.execute_sql("select vec_version()").fetchone()
            try:
                database.execute_sql("select load_extension('vec0')")
            except Exception as error:  # noqa: BLE001
                refused.append(str(error))

    threads = [threading.Thread(target=peewee_thread) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ["not authorized"] * THREADS
    with SemanticIndex(path, "notes") as index, pytest.raises(Exception, match="not authorized"):
        index._connection.execute("select load_extension('vec0')")


FORKS = """
    import os, sys
    from tests.adapters.conftest import Note, TOPICS
    from datasette_semantic.adapters import sqlalchemy as semantic
    from datasette_semantic.adapters.peewee import Declaration, PooledSemanticDatabase, SemanticModel
    import peewee
    from sqlalchemy.orm import Session

    path = sys.argv[1]
    engine = semantic.create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})
    pool = PooledSemanticDatabase(path, timeout=30)

    class PeeweeNote(SemanticModel):
        id = peewee.AutoField()
        title = peewee.TextField()
        content = peewee.TextField()

        class Meta:
            database = pool
            table_name = "notes"
            semantic = Declaration(["title", "content"])

    def search():
        with Session(engine) as session:
            for topic in TOPICS * 3:
                assert len(session.execute(semantic.hybrid_search(Note, topic, k=5)).all()) == 5
                assert len(list(PeeweeNote.hybrid_search(topic, k=5))) == 5

    def write(number):
        with Session(engine) as session:
            session.get_one(Note, number).content = f"changed by child {number}"
            session.commit()
        PeeweeNote.update(title=f"title {number}").where(PeeweeNote.id == number).execute()
        semantic.update(engine, Note)
        PeeweeNote.update_index()

    search()
    before = pool.connection()
    children = []
    for number in range(1, 5):
        child = os.fork()
        if child == 0:
            try:
                assert pool.is_closed()
                search()
                write(number)
                search()
                os._exit(0)
            except BaseException:
                import traceback
                traceback.print_exc()
                os._exit(1)
        children.append(child)
    search()
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)
    assert pool.connection() is before
    search()
    print("all well")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_children_open_connections_of_their_own(path: Path) -> None:
    """In a process of its own: pytest's has threads, and threads do not survive a fork."""
    root = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FORKS), str(path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root), "TOKENIZERS_PARALLELISM": "false"},
    )
    assert result.stdout == "all well\n", result.stderr
    with SemanticIndex(path, "notes") as index:
        index.update()
        assert index.status().pending == 0
        for number in range(1, 5):
            (hit,) = index.search(f'"changed by child {number}"', mode="keyword")
            assert (hit.key, hit.row["title"]) == ((number,), f"title {number}")
