"""`embed DB --watch`, as a process of its own, while another writes without any extension."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from datasette_semantic import SemanticIndex

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to another process here")

PATIENCE = 60.0
"""Seconds after which something has not happened; on a quiet machine each takes one or two."""


class Watch:
    """The command under way; what it says is read as it comes."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sqlite_utils", "embed", *arguments, "--watch"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        self.said: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(iter(self.process.stderr.readline, ""))

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=PATIENCE)


@pytest.fixture
def watch() -> Iterator[Callable[..., Watch]]:
    started: list[Watch] = []
    # What a shell runs in the background ignores Ctrl-C, and so would the children of these tests.
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)

    def start(*arguments: object) -> Watch:
        started.append(Watch(*map(str, arguments)))
        return started[-1]

    yield start
    signal.signal(signal.SIGINT, ours)
    for each in started:
        each.process.kill()
        each.process.wait()
        for stream in (each.process.stdout, each.process.stderr):
            if stream is not None:
                stream.close()


def until(true: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def test_what_others_write_is_found(run: Any, embedded: Path, watch: Callable[..., Watch]) -> None:
    run("semantic-demo", embedded, "--table", "docs", "--quiet")
    writer = sqlite3.connect(embedded, timeout=30, isolation_level=None)  # Python's own: it knows no vec0
    writer.execute("delete from docs where id > 50")
    run("embed", embedded, "docs", "name", "text")
    watching = watch(embedded)
    until(lambda: any("watching" in line for line in watching.said))
    writer.execute("insert into articles (id, title, body) values (7, 'Glaciers', 'Ice that flows down a valley')")
    writer.execute("update articles set body = 'A robot grows old and rusts' where id = 1")
    writer.execute("delete from articles where id = 3")
    writer.execute("insert into docs (id, name, text) values (60, 'volcano', 'Mountains of fire')")

    def found(table: str, query: str) -> list[Any]:
        with SemanticIndex(embedded, table) as index:
            return [hit.key[0] for hit in index.search(query, mode="semantic", limit=3)]

    assert 3 not in found("articles", "harbours and ships")
    until(lambda: found("articles", "frozen river of ice")[0] == 7)
    until(lambda: 60 in found("docs", "eruption of a mountain"))
    until(lambda: found("articles", "rusty old robot")[0] == 1)
    with SemanticIndex(embedded, "articles") as index:
        until(lambda: (index.status().pending, index.status().rows) == (0, 6))
    assert watching.interrupt() == 0
    until(lambda: watching.said[-1] == "stopped\n")
    lines = "".join(watching.said)
    assert "Traceback" not in lines
    assert re.search(r"articles: \d rows looked at, .*\d texts embedded", lines)
    assert re.search(r"docs: 1 rows looked at, 1 texts embedded", lines)
    assert writer.execute("pragma integrity_check").fetchall() == [("ok",)]
    writer.close()


def test_quiet_watching(embedded: Path, watch: Callable[..., Watch]) -> None:
    writer = sqlite3.connect(embedded, timeout=30, isolation_level=None)
    watching = watch(embedded, "articles", "--quiet")
    writer.execute("insert into articles (id, body) values (7, 'Ice that flows down a valley')")
    with SemanticIndex(embedded, "articles") as index:
        until(lambda: (index.status().pending, index.status().rows) == (0, 7))
    assert watching.interrupt() == 0
    assert watching.said == []
    writer.close()
