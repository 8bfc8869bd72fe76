"""What is remembered between searches changes how long they take, and nothing else."""

from __future__ import annotations

import gc
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasette_semantic.api import SemanticIndex
from datasette_semantic.laws.fts_query import parse, phrases, telling, to_match
from datasette_semantic.records import SearchResults
from datasette_semantic.search import by_words, lists
from datasette_semantic.store import blocks, chunks, keyword_index, memory, vector_index
from datasette_semantic.store.memory import Memory, Postings, StoredCell, memory_of, remembered
from datasette_semantic.store.postings import postings

QUERIES = ("robot love winter", "steam engine of the century", "tulip", "violin doctor", 'robot "steam engine"', "rob*")


def answers(index: SemanticIndex) -> list[SearchResults]:
    return [index.search(query, mode=mode, limit=50) for query in QUERIES for mode in ("hybrid", "keyword", "semantic")]


def plain(results: SearchResults) -> Any:
    return results.total, [(hit.key, hit.score, hit.distance, hit.why, hit.passage) for hit in results.hits]


@pytest.fixture
def notes(corpus_path: Path, tmp_path: Path) -> Iterator[SemanticIndex]:
    """The index of a table of one's own."""
    path = tmp_path / "own.db"
    shutil.copy(corpus_path, path)
    with SemanticIndex(path, "notes") as index:
        yield index


@pytest.fixture
def other(notes: SemanticIndex) -> Iterator[SemanticIndex]:
    """The same index over another connection."""
    (path,) = [row[2] for row in notes._connection.execute("pragma database_list") if row[1] == "main"]
    with SemanticIndex(path, "notes") as index:
        yield index


def without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (blocks, chunks, keyword_index, vector_index):
        monkeypatch.setattr(module, "memory_of", lambda *_: Memory(keeps=False))
    monkeypatch.setattr(by_words, "_known", lambda *_arguments, **_options: None)


def test_it_changes_no_answer(notes: SemanticIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = answers(notes), answers(notes)
    without_memory(monkeypatch)
    fresh = answers(notes)
    assert list(map(plain, first)) == list(map(plain, fresh))
    assert list(map(plain, second)) == list(map(plain, fresh))


def test_phrases_add_up_to_what_fts5_gives_for_all(notes: SemanticIndex) -> None:
    for typed in (*QUERIES, "robot robot robots", "a-b steam/engine winter"):
        asked = telling(parse(typed))
        match, each = to_match(asked), phrases(asked)
        if asked.required:
            continue
        assert match is not None
        connection, record = notes._connection, notes.record
        found = by_words.keyword_list(
            connection, notes.source, record, parse(typed), allowed=lists.Allowed(), depth=600
        )
        assert memory_of(connection, record).postings(each).keys() >= {phrase for phrase in each if "steam" in phrase}
        assert found == keyword_index.search(connection, notes.source, record, match, k=600)


def test_no_more_rows_are_scored_than_allowed(notes: SemanticIndex) -> None:
    def known(*phrases: str, most: int) -> set[str]:
        counts = {phrase: keyword_index.count_matching(connection, record, phrase, limit=10**6) for phrase in phrases}
        return set(postings(connection, notes.source, record, counts, most=most) or ())

    connection, record = notes._connection, notes.record
    assert known('"robot"', most=1) == set()
    robots = keyword_index.count_matching(connection, record, '"robot"', limit=10**6)
    assert known('"robot"', '"tulip"', most=robots) == {'"robot"'}
    assert known('"robot"', '"tulip"', most=0) == {'"robot"'}, "known by now"
    assert known('"tulip"', most=10**6) == {'"tulip"'}


def test_a_write_of_another_connection_is_seen(notes: SemanticIndex, other: SemanticIndex) -> None:
    before = answers(other)
    (gone,) = before[0].hits[0].key
    notes._connection.execute("delete from notes where slug = ?", (gone,))
    notes._connection.commit()
    after = answers(other)
    assert all((gone,) not in results.match_keys for results in after)
    assert any(results.total < old.total for results, old in zip(after, before, strict=True))


def test_a_write_of_the_same_connection_is_seen(notes: SemanticIndex) -> None:
    (gone,) = answers(notes)[0].hits[0].key
    notes._connection.execute("delete from notes where slug = ?", (gone,))
    assert notes._connection.in_transaction
    assert all((gone,) not in results.match_keys for results in answers(notes))
    notes._connection.rollback()
    assert (gone,) in answers(notes)[0].match_keys
    notes._connection.execute("delete from notes where slug = ?", (gone,))
    notes._connection.commit()
    assert all((gone,) not in results.match_keys for results in answers(notes))


def test_a_row_that_is_replaced_without_triggers_is_seen(notes: SemanticIndex, other: SemanticIndex) -> None:
    before = other.search("tulip", mode="keyword")
    (key,) = before.hits[0].key
    notes._connection.execute("update notes set slug = 'moved' where slug = ?", (key,))
    notes._connection.commit()
    assert (key,) not in other.search("tulip", mode="keyword").match_keys


def test_connections_of_one_file_share_it(notes: SemanticIndex, other: SemanticIndex) -> None:
    with memory.shared():
        ours = memory_of(notes._connection, notes.record)
        theirs = memory_of(other._connection, other.record)
        assert theirs is not ours, "a connection that is met for the first time begins a new one"
        assert memory_of(notes._connection, notes.record) is theirs
        assert memory_of(other._connection, other.record) is theirs
    assert memory_of(notes._connection, notes.record) is not memory_of(other._connection, other.record)


def test_what_is_seen_through_an_open_statement_serves_nobody_else(notes: SemanticIndex, other: SemanticIndex) -> None:
    """Such a connection sees a row that is gone for all others."""
    notes._connection.execute("pragma journal_mode = wal").fetchone()
    (gone,) = notes.search("tulip").hits[0].key
    for index in (notes, other):
        index.search("robot")
    reading = other._connection.execute("select slug from notes")
    reading.fetchone()
    notes._connection.execute("delete from notes where slug = ?", (gone,))
    notes._connection.commit()
    with memory.shared():
        assert (gone,) not in notes.search("robot").match_keys
    assert (gone,) in other.search("tulip").match_keys
    with memory.shared():
        for mode in ("hybrid", "keyword", "semantic"):
            assert (gone,) not in notes.search("tulip", mode=mode).match_keys
    reading.close()
    assert (gone,) not in other.search("tulip").match_keys


def test_nothing_is_kept_inside_a_transaction(notes: SemanticIndex) -> None:
    known = memory_of(notes._connection, notes.record)
    notes._connection.execute("begin")
    try:
        inside = memory_of(notes._connection, notes.record)
        assert inside is not known
        assert not inside.keeps
        inside.keep({1: StoredCell(np.arange(3), (), 24)})
        assert inside.cells([1]) == {}
    finally:
        notes._connection.execute("rollback")
    assert memory_of(notes._connection, notes.record) is known


def test_what_a_connection_held_goes_with_it(tmp_path: Path, notes: SemanticIndex) -> None:
    copy = tmp_path / "copy.db"
    notes._connection.execute("vacuum into ?", (str(copy),))
    with SemanticIndex(copy, "notes") as index:
        answers(index)
        owner = memory_of(index._connection, index.record)._owner
        assert any(name[0] == owner for name in memory._shelf._things)
        del index
    gc.collect()
    memory._shelf.put(0, {})
    assert not any(name[0] == owner for name in memory._shelf._things)


def test_it_takes_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = memory._Shelf()
    monkeypatch.setattr(memory, "REMEMBERED_BYTES", 1_000)
    for n in range(20):
        shelf.put(1, {n: Postings(np.arange(10), np.zeros(10))})
        shelf.get(1, [0])
    assert shelf._bytes == sum(thing.bytes for thing in shelf._things.values()) <= 1_000
    assert set(shelf.get(1, range(20))) == {0, 15, 16, 17, 18, 19}, "those used last, and the first, which is in use"
    shelf.drop(1)
    shelf.put(2, {0: Postings(np.arange(1), np.zeros(1))})
    assert set(shelf._things) == {(2, 0)}
    assert shelf._bytes == 16


def test_rows_are_remembered_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "REMEMBERED_ROWS", 5)
    known: dict[int, int] = {}
    asked: list[int] = []

    def read(missing: Any) -> dict[int, int]:
        asked.extend(missing)
        return {key: 10 * key for key in missing if key != 3}

    assert remembered(known, [1, 2, 3], read) == [10, 20, None]
    assert remembered(known, [2, 1], read) == [20, 10]
    assert asked == [1, 2, 3]
    assert remembered(known, [1, 4, 5, 6, 7], read) == [10, 40, 50, 60, 70]
    assert len(known) <= 5


def test_many_threads_and_a_writer(notes: SemanticIndex) -> None:
    (path,) = [row[2] for row in notes._connection.execute("pragma database_list") if row[1] == "main"]
    faults: list[BaseException] = []
    over = threading.Event()

    def read() -> None:
        try:
            with SemanticIndex(path, "notes") as index:
                while not over.is_set():
                    for results in answers(index):
                        assert len(set(results.match_keys)) == len(results.match_keys) == results.total
        except BaseException as fault:  # noqa: BLE001 - told below, in the thread that can fail the test
            faults.append(fault)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(60):
        notes._connection.execute("delete from notes where slug = ?", (f"n{number:03}",))
        notes._connection.commit()
    over.set()
    for thread in threads:
        thread.join()
    assert faults == []
    assert all(str(key) >= "n060" for results in answers(notes) for (key,) in results.match_keys)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_is_not_kept_waiting() -> None:
    with memory._shelf._lock, memory._lock:
        child = os.fork()
        if child == 0:
            with memory._lock:
                memory._shelf.get(0, [0])
            os._exit(0)
    for _ in range(200):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.05)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
        pytest.fail("the child waits for a lock")
    assert os.waitstatus_to_exitcode(status) == 0
