"""Kills, company, bad rows and bad days."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from datasette_semantic import SemanticIndex
from datasette_semantic.embedding.models import embedder
from datasette_semantic.errors import ModelBusy, ModelError, ModelRefused
from datasette_semantic.records import ChunkSpec
from datasette_semantic.store import queue

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def table(plain: Callable[..., Any], tmp_path: Path) -> Any:
    run = plain(tmp_path / "t.db")
    run("create table t (id text primary key, text text)")
    run.path = tmp_path / "t.db"
    return run


def fill(run: Any, rows: int, *, start: int = 0) -> None:
    run("begin")
    for n in range(start, start + rows):
        run("insert into t values (?, ?)", f"k{n}", f"robot number{n} walks through garden{n % 50}")
    run("commit")


# --- a model that can be told how to behave --------------------------------------------------------------------------


class HttpError(Exception):
    """As httpx and the clients of providers have it: an exception with a response."""

    def __init__(self, status: int, body: Any = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status} for url https://example.com/v1?key=SECRET-KEY")

        class Response:
            status_code = status

            def json(self) -> Any:
                if body is None:
                    raise ValueError
                return body

        self.response = Response()
        self.response.headers = headers or {}  # type: ignore[attr-defined]


@pytest.fixture
def moody() -> Iterator[Any]:
    """`moody`: a model whose `mood(texts)` is called before each answer."""
    import llm
    from llm.plugins import pm

    class Model(llm.EmbeddingModel):
        model_id = "moody"
        batch_size = 10
        mood: Any = staticmethod(lambda texts: None)
        lock = threading.Lock()
        calls: list[tuple[float, list[str]]] = []  # noqa: RUF012

        def embed_batch(self, items: Any, *, key: str | None = None) -> Any:
            texts = list(items)
            with Model.lock:
                Model.calls.append((time.monotonic(), texts))
            Model.mood(texts)
            return ([1.0 + len(text), float(sum(map(ord, text)) % 97), 3.0] for text in texts)

    class Plugin:
        @llm.hookimpl
        def register_embedding_models(self, register: Any) -> None:
            register(Model())

    Model.calls = []
    pm.register(Plugin(), name="moody")
    embedder.cache_clear()  # one per name and process
    try:
        yield Model
    finally:
        pm.unregister(name="moody")
        embedder.cache_clear()


def declared(run: Any, **options: Any) -> SemanticIndex:
    return SemanticIndex.create(run.path, "t", ["text"], model="moody", **options)


def test_a_row_that_always_fails_is_set_aside_with_its_error(table: Any, moody: Any, in_step: Any) -> None:
    fill(table, 95)
    table("insert into t values ('bad', 'a poisonous text'), ('worse', 'another poisonous text')")

    def mood(texts: list[str]) -> None:
        if any("poison" in text for text in texts):
            raise ValueError("this text is not allowed")

    moody.mood = staticmethod(mood)
    with declared(table) as index:
        report = index.update()
        assert (report.rows, report.embedded, report.failed) == (97, 94, 2)
        in_step_but_two(index)
        assert index.status().failed == 2
        assert {failure.key: "not allowed" in failure.error for failure in index.failures()} == {
            ("bad",): True,
            ("worse",): True,
        }
        sent = [text for _, texts in moody.calls for text in texts]
        assert len(moody.calls) < 30  # found by halving, not one by one
        assert sent.count("another poisonous text") < 8
        moody.calls.clear()
        assert index.update().rows == 0  # they do not come back by themselves
        assert moody.calls == []
        assert index.update(retry_failed=True).failed == 2
        table("update t set text = 'a wholesome text' where id = 'bad'")
        assert index.update().embedded == 1
        moody.mood = staticmethod(lambda texts: None)
        assert index.update(retry_failed=True).failed == 0
        in_step(index)


def in_step_but_two(index: Any) -> None:
    count = index._connection.execute("select count(*) from t_vec").fetchone()[0]
    assert count == 95


def test_a_model_that_fails_altogether_stops_the_run(table: Any, moody: Any, in_step: Any) -> None:
    fill(table, 200)
    with declared(table) as index:

        def mood(texts: list[str]) -> None:
            raise ValueError("no such device")

        moody.mood = staticmethod(mood)
        moody.calls.clear()
        with pytest.raises(ModelError, match="no such device"):
            index.update()
        assert len(moody.calls) < 20
        assert index.status().failed == 0
        moody.mood = staticmethod(lambda texts: None)
        index.update()
        in_step(index)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_stops_at_once(table: Any, moody: Any, status: int) -> None:
    fill(table, 100)
    with declared(table) as index:

        def mood(texts: list[str]) -> None:
            raise HttpError(status)

        moody.mood = staticmethod(mood)
        moody.calls.clear()
        with pytest.raises(ModelRefused) as caught:
            index.update()
        assert len(moody.calls) == 1
        assert "SECRET-KEY" not in str(caught.value)
        assert queue.pending(index._connection, index.record) == (100, 0)
        assert table("select count(*) from _semantic_queue where claimed_by is not null") == [(0,)]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"retry-after": "0.4"}, None),
        ({"retry-after-ms": "400"}, None),
        ({}, {"error": {"message": "quota", "details": [{"@type": "x.RetryInfo", "retryDelay": "0.4s"}]}}),
    ],
    ids=["header", "milliseconds", "RetryInfo"],
)
def test_the_delay_that_the_server_asks_for_is_obeyed(
    table: Any, moody: Any, in_step: Any, headers: Any, body: Any
) -> None:
    fill(table, 60)
    with declared(table) as index:
        busy = [True, True]

        def mood(texts: list[str]) -> None:
            with moody.lock:
                if busy:
                    busy.pop()
                    raise HttpError(429, body, headers)

        moody.mood = staticmethod(mood)
        moody.calls.clear()
        pauses: list[float] = []
        report = index.update(on_pause=lambda seconds, why: pauses.append(seconds))
        assert pauses == [0.4, 0.4]
        times = [when for when, _ in moody.calls]
        assert times[1] - times[0] >= 0.39
        assert times[2] - times[1] >= 0.39
        assert report.failed == 0
        in_step(index)


def test_outages_are_waited_for_and_then_given_up(table: Any, moody: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from datasette_semantic.embedding import pace

    monkeypatch.setattr(pace, "_LONGEST", 0.01)
    fill(table, 30)
    with declared(table) as index:
        statuses = iter([500, 502, 503, 504, 429])

        def mood(texts: list[str]) -> None:
            if status := next(statuses, None):
                raise HttpError(status)

        moody.mood = staticmethod(mood)
        assert index.update().failed == 0
        fill(table, 30, start=1000)

        def dead(texts: list[str]) -> None:
            raise TimeoutError("the read timed out")

        moody.mood = staticmethod(dead)
        moody.calls.clear()
        with pytest.raises(ModelBusy, match="timed out"):
            index.update()
        assert len(moody.calls) == 8
        assert index.status().pending == 30
        assert index.status().failed == 0


def test_concurrency_is_worth_its_name(table: Any, moody: Any, in_step: Any) -> None:
    """Eight calls are under way at once, nearly all the time; what that saves is measured in benchmarks/ingest.py."""

    def at_once(concurrency: int) -> list[int]:
        under_way: list[int] = [0]
        seen: list[int] = []
        lock = threading.Lock()

        def mood(texts: list[str]) -> None:
            with lock:
                under_way[0] += 1
                seen.append(under_way[0])
            time.sleep(0.05)
            with lock:
                under_way[0] -= 1

        with declared(table) as index:
            moody.mood = staticmethod(mood)
            index.update(concurrency=concurrency)
            in_step(index)
            index.drop()
        return seen

    fill(table, 401)
    assert max(at_once(1)) == 1
    many = at_once(8)
    assert max(many) == 8
    assert sum(many) / len(many) > 5


def test_requests_a_minute(table: Any, moody: Any) -> None:
    fill(table, 61)
    with declared(table) as index:
        moody.calls.clear()
        began = time.monotonic()
        index.update(concurrency=4, max_rpm=600)
        assert time.monotonic() - began >= 0.45
        times = sorted(when for when, _ in moody.calls)
        assert all(later - earlier > 0.08 for earlier, later in pairwise(times))


def test_two_drains_share_the_work(table: Any, moody: Any, in_step: Any) -> None:
    fill(table, 3000)
    declared(table).close()
    moody.mood = staticmethod(lambda texts: time.sleep(0.01))
    moody.calls.clear()
    reports: list[Any] = []
    both_ready = threading.Barrier(2)

    def work() -> None:
        with SemanticIndex(table.path, "t") as index:
            index._connection.execute("pragma synchronous = off")
            both_ready.wait()
            reports.append(index.update())

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.rows for report in reports) == 3000
    assert all(report.rows > 0 for report in reports)
    sent = [text for _, texts in moody.calls for text in texts if text.startswith("robot number")]
    assert len(sent) == len(set(sent)) == 2999
    with SemanticIndex(table.path, "t") as index:
        in_step(index)


def test_a_slow_model_keeps_its_claims(table: Any, moody: Any, in_step: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from datasette_semantic.ingest import drain

    monkeypatch.setattr(drain, "LEASE_SECONDS", 0.4)
    monkeypatch.setattr(queue, "LEASE_SECONDS", 0.4)
    fill(table, 20)
    declared(table).close()
    moody.mood = staticmethod(lambda texts: time.sleep(1.0))
    moody.calls.clear()
    others: list[int] = []

    def watch() -> None:
        with SemanticIndex(table.path, "t") as index:
            for _ in range(12):
                time.sleep(0.1)
                claims = queue.claim(index._connection, index.record, worker="thief", limit=5)
                index._connection.rollback()
                others.append(len(claims))

    with SemanticIndex(table.path, "t") as index:
        thief = threading.Thread(target=watch)
        thief.start()
        index.update()
        thief.join()
        in_step(index)
    assert not any(others[3:])
    sent = [text for _, texts in moody.calls for text in texts]
    assert len(sent) == len(set(sent))


def test_a_change_that_comes_while_the_row_is_embedded_is_not_lost(table: Any, moody: Any, in_step: Any) -> None:
    fill(table, 10)
    with declared(table) as index:

        def mood(texts: list[str]) -> None:
            moody.mood = staticmethod(lambda texts: None)
            table.__class__(table.path)("update t set text = 'changed meanwhile' where id = 'k5'")
            table.__class__(table.path)("delete from t where id = 'k6'")

        moody.mood = staticmethod(mood)
        index.update()
        in_step(index)
        assert index.search("meanwhile").hits[0].key == ("k5",)


def test_other_writers_get_through(plain: Any, tmp_path: Path, in_step: Any) -> None:
    path = tmp_path / "w.db"
    run = plain(path)
    run("pragma journal_mode = wal")
    run("create table t (id text primary key, text text)")
    fill(run, 6000)
    index = SemanticIndex.create(path, "t", ["text"], chunks=ChunkSpec(max_tokens=400))
    written: list[int] = []
    done = threading.Event()

    def write() -> None:
        n = 0
        run = plain(path)
        while not done.is_set():
            run("insert into t values (?, 'written meanwhile')", f"w{n}")
            written.append(n)
            n += 1
            time.sleep(0.01)
        run.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        index.update()
    finally:
        done.set()
        writer.join()
    index.update()
    in_step(index)
    index.close()
    assert len(written) > 5  # none was refused; how long they wait is measured in benchmarks/ingest.py


# --- kill -9 ---------------------------------------------------------------------------------------------------------

_VICTIM = """
import sys, time
sys.path.insert(0, {repository!r})
from datasette_semantic import SemanticIndex
from datasette_semantic.embedding.models import embedder
index = SemanticIndex.create({path!r}, "t", ["text"], tokenize={tokenize!r})
index._connection.execute("pragma synchronous = off")
print("go", flush=True)
while True:
    index.update()
    index._connection.execute("update t set text = text || ' again' where id in "
                              "(select id from t order by random() limit 300)")
    index._connection.execute("delete from t where id in (select id from t order by random() limit 5)")
    index._connection.commit()
"""


@pytest.mark.slow
@pytest.mark.parametrize("tokenize", ["unicode61", "english"])
def test_killed_at_random_moments(
    table: Any, plain: Any, in_step: Any, fresh_build: Any, snapshot_of: Any, tokenize: str
) -> None:
    """25 kills for each kind of keyword index; after each the file is whole, at the end it equals a fresh build."""
    random.seed(tokenize)
    fill(table, 1500)
    script = _VICTIM.format(repository=str(REPOSITORY), path=str(table.path), tokenize=tokenize)
    for kill in range(25):
        victim = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"go\n"
        time.sleep(random.uniform(0, 0.35))
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        victim.stdout.close()
        # A connection that was open all the time may hold FTS5's structure as it was before: look with new eyes.
        fresh = plain(table.path)
        assert fresh("pragma quick_check") == [("ok",)]
        fresh.close()
        if kill % 5 == 4:
            table("update _semantic_queue set lease_until = 0")  # as if the lease of two minutes had run out
            with SemanticIndex(table.path, "t") as index:
                index.update()
                in_step(index)
    with SemanticIndex(table.path, "t") as index:
        assert snapshot_of(index) == fresh_build(index)
