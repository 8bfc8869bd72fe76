"""Space comes back after deletes, results stay what they are, and nothing is lost on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datasette_semantic import SemanticIndex
from datasette_semantic.api import compact
from datasette_semantic.errors import IndexStateError
from datasette_semantic.ingest import train as training
from datasette_semantic.store import chunks as chunk_store
from datasette_semantic.store import packing
from datasette_semantic.store.connection import transaction

REPOSITORY = Path(__file__).parents[2]
ROWS = 3_000
FEW_CELLS = 100
"""An index trained for so many vectors has 16 cells: with 3,000 each has several of vec0's chunks."""
WORDS = "robot garden harbour apple frost love steam engine ship orchard lamp storm river market".split()
QUERIES = ("robot love", "a ship in the storm", "apple orchard", "steam")


def text(n: int) -> str:
    return " ".join(WORDS[(n * step + n // 7) % len(WORDS)] for step in range(1, 6)) + f" {n}"


@pytest.fixture
def big(plain: Callable[..., Any], tmp_path: Path) -> Any:
    """A table of 3,000 rows with its index, and a connection without sqlite-vec to write to it."""
    run = plain(tmp_path / "big.db")
    run("create table t (id integer primary key, text text)")
    run("begin")
    for n in range(ROWS):
        run("insert into t values (?, ?)", n, text(n))
    run("commit")
    run.path = tmp_path / "big.db"
    with SemanticIndex.create(run.path, "t", ["text"]) as index:
        index.update()
    return run


def results(index: SemanticIndex) -> list[Any]:
    """What searches say, to the last number."""
    return [index.search(query, mode=mode, limit=200).hits for query in QUERIES for mode in ("hybrid", "semantic")] + [
        index.search(query, limit=50, where={"id__gte": 1500}, exact=True).hits for query in QUERIES
    ]


def forget_most(run: Any, index: SemanticIndex) -> None:
    """Delete nine rows of ten, and let the index know."""
    run("delete from t where id % 10")
    index.update()


@pytest.mark.parametrize("cells_too", [False, True])
def test_ninety_percent_deleted(big: Any, in_step: Any, cells_too: bool) -> None:
    with SemanticIndex(big.path, "t") as index:
        if cells_too:
            training.train(index._connection, index.record, vectors=FEW_CELLS)
        forget_most(big, index)
        before, size = results(index), big.path.stat().st_size
        done = index.compact()
        assert (done.bytes_before, done.bytes_after) == (size, big.path.stat().st_size)
        assert done.bytes_after < size * (0.6 if cells_too else 0.33)
        assert results(index) == before
        assert not packing.sparse(index._connection, index.record)
        assert index.update().rows == 0
        in_step(index)
        again = index.compact()
        assert again.moved == 0
        assert again.bytes_after == done.bytes_after
    with SemanticIndex(big.path, "t") as index:
        assert results(index) == before
        big("insert into t values (?, 'a walrus')", ROWS)
        index.update()
        assert index.search("walrus", limit=1).hits[0].key == (ROWS,)


def test_only_as_many_chunks_as_it_takes(big: Any) -> None:
    with SemanticIndex(big.path, "t") as index:
        training.train(index._connection, index.record, vectors=FEW_CELLS)
        forget_most(big, index)
        index.compact()
        rows = index._connection.execute("select partition00, validity from t_vec_chunks").fetchall()
        held: dict[int, list[int]] = {}
        for cell, taken in map(tuple, rows):
            held.setdefault(cell, []).append(int.from_bytes(taken, "little").bit_count())
        assert sum(map(sum, held.values())) == ROWS / 10
        assert all(len(counts) == -(-sum(counts) // 128) for counts in held.values())


def test_orphans_and_strays_go(big: Any) -> None:
    with SemanticIndex(big.path, "t") as index:
        big("delete from t where id >= 1000")
        assert big("select count(*) from _semantic_orphans") == [(2000,)]
        big("insert into _semantic_queue (index_id, row_id) values (77, 1)")
        big("insert into _semantic_samples values (77, x'00')")
        index.compact()
        assert big("select count(*) from _semantic_orphans") == [(0,)]
        assert big("select count(*) from _semantic_queue") == [(0,)]
        assert big("select index_id from _semantic_samples") == [(index.record.id,)]
        assert big("select count(*) from t_vec_rowids") == [(1000,)]


def test_paid_vectors_of_deleted_rows_are_kept(plain: Any, demo_embed: Any, tmp_path: Path) -> None:
    run = plain(tmp_path / "paid.db")
    run("create table t (id integer primary key, text text)")
    for n in range(20):
        run("insert into t values (?, ?)", n, text(n))
    with SemanticIndex.create(tmp_path / "paid.db", "t", ["text"], model="demo-embed") as index:
        index.update()
        run("delete from t where id >= 5")
        index.compact()
        for n in range(5, 20):
            run("insert into t values (?, ?)", n, text(n))
        assert index.update().embedded == 0


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_others_read_and_write_meanwhile(big: Any, in_step: Any, mode: str) -> None:
    big(f"pragma journal_mode = {mode}")
    with SemanticIndex(big.path, "t") as index, SemanticIndex(big.path, "t") as other:
        forget_most(big, index)
        expected = [hit.key for hit in other.search("robot love", mode="semantic", limit=20).hits]
        answers: list[bool] = []
        wrong: list[BaseException] = []
        done = threading.Event()

        def ask() -> None:
            try:
                while not done.is_set():
                    found = [hit.key for hit in other.search("robot love", mode="semantic", limit=20).hits]
                    answers.append(found == expected)
            except Exception as error:  # noqa: BLE001 whatever it is, the test must hear of it
                wrong.append(error)

        def write() -> None:
            try:
                for n in range(30):
                    big("update t set text = ? where id = ?", f"zebra {n}", 2990)
                    time.sleep(0.005)
            except Exception as error:  # noqa: BLE001 whatever it is, the test must hear of it
                wrong.append(error)

        threads = [threading.Thread(target=ask), threading.Thread(target=write)]
        for thread in threads:
            thread.start()
        report = index.compact()
        threads[1].join()
        done.set()
        threads[0].join()
        assert not wrong
        assert answers
        assert all(answers)
        assert report.bytes_after < report.bytes_before / 2
        index.update()
        in_step(index)


def test_incremental_vacuum(plain: Any, tmp_path: Path) -> None:
    run = plain(tmp_path / "own.db")
    run("pragma auto_vacuum = incremental")
    run("create table t (id integer primary key, text text)")
    run("begin")
    for n in range(ROWS):
        run("insert into t values (?, ?)", n, text(n))
    run("commit")
    with SemanticIndex.create(tmp_path / "own.db", "t", ["text"]) as index:
        index.update()
        forget_most(run, index)
        before = results(index)
        report = index.compact()
        assert report.bytes_after < report.bytes_before / 3
        assert index._connection.execute("pragma freelist_count").fetchone() == (0,)
        assert results(index) == before


def test_rowids_of_tables_without_a_key_stay(plain: Any, tmp_path: Path, in_step: Any) -> None:
    """Of the table that is indexed, and of one that is not ours at all and whose rowids an FTS5 table goes by."""
    run = plain(tmp_path / "keyless.db")
    run("create table t (text text)")
    run("create table theirs (text text)")
    run("begin")
    for n in range(ROWS):
        run("insert into t values (?)", text(n))
        run("insert into theirs values (?)", text(n))
    run("commit")
    run("create virtual table theirs_fts using fts5(text, content='theirs')")
    run("insert into theirs_fts (theirs_fts) values ('rebuild')")
    schema = "select type, name, tbl_name, sql from sqlite_master order by name"
    with SemanticIndex.create(tmp_path / "keyless.db", "t", ["text"]) as index:
        index.update()
        run("delete from t where rowid % 10")
        run("delete from theirs where rowid % 10")
        index.update()
        before, there = results_of_keyless(index), run(schema)
        report = index.compact()
        assert report.bytes_after < report.bytes_before / 2
        assert run(schema) == there
        assert run("select rowid from theirs") == [(n,) for n in range(10, ROWS + 1, 10)]
        assert index.update().rows == 0  # nothing has to be looked at again
        assert results_of_keyless(index) == before
        in_step(index)


def results_of_keyless(index: SemanticIndex) -> list[Any]:
    return [index.search(query, limit=100).hits for query in QUERIES]


def test_a_file_with_a_previous_index(big: Any, in_step: Any) -> None:
    with SemanticIndex(big.path, "t") as index:
        with SemanticIndex.create(big.path, "t", ["text"], dimensions=64) as other:
            other.update()
        big("delete from t where id % 10")
        index.update()
        index.compact()
        for _version in range(2):
            index.rollback()
            index.update()
            in_step(index)


def test_all_indexes_of_a_file_and_none(big: Any, plain: Any, tmp_path: Path) -> None:
    big("create table u (id integer primary key, text text)")
    big("insert into u values (1, 'robot')")
    with SemanticIndex.create(big.path, "u", ["text"]) as index:
        index.update()
    assert compact(big.path).tables == ("t", "u")
    plain(tmp_path / "bare.db")("create table t (x)")
    assert compact(tmp_path / "bare.db").tables == ()


def test_within_a_transaction_it_is_refused(big: Any) -> None:
    with (
        SemanticIndex(big.path, "t") as index,
        transaction(index._connection),
        pytest.raises(IndexStateError, match="commit first"),
    ):
        index.compact()


KILLED = """
import os, signal, sys
from datasette_semantic import SemanticIndex
from datasette_semantic.store import cells, packing, space, steady

left = int(sys.argv[2])

def counted(function):
    def call(*arguments, **options):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call

cells.place = counted(cells.place)
packing.merge_words = counted(packing.merge_words)
space.give_back = counted(space.give_back)
with SemanticIndex(sys.argv[1], "t") as index:
    index._connection.set_progress_handler(counted(lambda: 0), 500)
    index.compact()
"""


def test_killed_at_any_moment(big: Any, in_step: Any) -> None:
    with SemanticIndex(big.path, "t") as index:
        training.train(index._connection, index.record, vectors=FEW_CELLS)
        forget_most(big, index)
        expected = results(index)
    killed = 0
    for step in (0, 1, 2, 4, 8, 16, 1_000_000):
        run = subprocess.run(
            [sys.executable, "-c", KILLED, str(big.path), str(step)],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            check=False,
        )
        killed += run.returncode == -signal.SIGKILL
        with SemanticIndex(big.path, "t") as index:
            assert results(index) == expected
            in_step(index)
    assert killed == 6
    assert run.returncode == 0
    with SemanticIndex(big.path, "t") as index:
        assert not packing.sparse(index._connection, index.record)
        assert chunk_store.count(index._connection, index.record) == (ROWS / 10, ROWS / 10)
