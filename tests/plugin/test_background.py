"""The worker that brings indexes up to date inside a running Datasette."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from datasette.app import Datasette

from datasette_semantic.api import SemanticIndex
from datasette_semantic.plugin import background


@pytest.fixture
def indexed(articles: Path) -> Path:
    with SemanticIndex.create(articles, "articles", ["title", "body"], model="wordllama") as index:
        index.update()
    return articles


def insert(path: Path) -> None:
    database = sqlite3.connect(path)
    with database:
        database.execute(
            "insert into articles values (7, 'Volcanoes', 'Lava and ash over the villages', 2020, 'earth')"
        )
    database.close()


def waiting(path: Path) -> int:
    with SemanticIndex(path, "articles") as index:
        return index.status().pending


def config(**settings: Any) -> dict[str, Any]:
    return {"plugins": {"datasette-semantic": settings}}


@pytest.mark.asyncio
async def test_only_where_the_site_says_so(indexed: Path) -> None:
    insert(indexed)
    quiet = Datasette([str(indexed)])
    assert not background.wanted_anywhere(quiet)
    assert background.drain_once(quiet, "articles") == 0
    assert waiting(indexed) == 1
    busy = Datasette([str(indexed)], metadata=config(auto_embed=True))
    await busy.invoke_startup()
    assert background.wanted_anywhere(busy)
    assert background.drain_once(busy, "articles") == 1
    assert waiting(indexed) == 0


@pytest.mark.asyncio
async def test_immutable_databases_are_passed_over(indexed: Path) -> None:
    insert(indexed)
    datasette = Datasette([], immutables=[str(indexed)], metadata=config(auto_embed=True))
    await datasette.invoke_startup()
    assert background.drain_once(datasette, "articles") == 0


def test_a_real_server_keeps_up_and_stops(indexed: Path, tmp_path: Path) -> None:
    settings = tmp_path / "metadata.json"
    settings.write_text(json.dumps(config(auto_embed=True)))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "datasette", "serve", str(indexed), "-m", str(settings), "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _until(lambda: _answers(f"http://127.0.0.1:{port}/-/versions.json"))
        insert(indexed)
        _until(lambda: waiting(indexed) == 0)
    finally:
        server.terminate()
    assert server.wait(15) is not None
    with SemanticIndex(indexed, "articles") as index:
        assert index.search("lava", mode="semantic", limit=1).hits[0].key == (7,)


def _answers(url: str) -> bool:
    with urlopen(url, timeout=2) as response:
        return bool(response.status == 200)


def _until(condition: Any, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.2)
    pytest.fail("nothing happened in time")
