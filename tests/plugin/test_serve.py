"""A real `datasette serve`: the in-process client hides failures at start-up, on shutdown and in packaging."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def server(articles_file: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "datasette", "serve", str(articles_file), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(address, process)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=10)
        assert "Traceback" not in output, output


def _wait(address: str, process: subprocess.Popen[str]) -> None:
    for _ in range(200):
        if _answers(address):
            return
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    raise AssertionError("the server did not answer in 20 seconds")


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(f"{address}/-/versions.json").close()
    except urllib.error.URLError:
        return False
    return True


def fetch(address: str) -> str:
    with urllib.request.urlopen(address) as response:
        assert response.status == 200
        return str(response.read().decode())


def test_serves_the_page_its_style_and_the_json(server: str) -> None:
    base = f"{server}/articles/articles/-/hybrid-search"
    page = fetch(f"{base}?q=a+robot+in+a+factory")
    assert "semantic-results" in page
    assert "--ink" in fetch(f"{server}/-/static-plugins/datasette-semantic/semantic.css")
    assert "semantic-live" in fetch(f"{server}/-/static-plugins/datasette-semantic/semantic.js")
    body = json.loads(fetch(f"{base}.json?q=a+robot+in+a+factory"))
    assert body["warnings"] == []
    assert body["rows"][0]["semantic_rank"] is not None


def test_is_quick_once_warm(server: str) -> None:
    address = f"{server}/articles/articles/-/hybrid-search.json?q=storm"
    fetch(address)
    times = []
    for _ in range(20):
        started = time.perf_counter()
        fetch(address)
        times.append(time.perf_counter() - started)
    assert min(times) < 0.25
