"""A real browser against a real server, on films with facets. Where either is missing the tests are skipped, loudly."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", action="store_true", help="write the pictures of the README anew")


@pytest.fixture(scope="session")
def films(corpora: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`films.db` with `movies_facets`, embedded over title and text by the built-in model."""
    from datasette_semantic.api import SemanticIndex

    path: Path = corpora("movies-facets").write(tmp_path_factory.mktemp("browser") / "films.db")
    index = SemanticIndex.create(path, "movies_facets", ["title", "text"])
    index.update()
    index.close()
    return path


@pytest.fixture(scope="session")
def server(films: Path) -> Iterator[str]:
    """The address of a Datasette that serves the films."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "datasette", "serve", str(films), "--port", str(port)]
    # No other plugin: what it puts into every page is not ours to mend (as datasette-agent 0.4a0 does).
    environment = {**os.environ, "DATASETTE_LOAD_PLUGINS": "datasette-semantic"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            if _answers(address):
                break
            assert process.poll() is None, "the server ended"
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=10)


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(f"{address}/-/versions.json").close()
    except urllib.error.URLError:
        return False
    return True


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="NO PLAYWRIGHT: the browser tests are SKIPPED")
    if CHROMIUM is None:
        pytest.skip("NO CHROMIUM on this machine: the browser tests are SKIPPED")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


Open = Callable[..., Any]


@pytest.fixture
def open_page(chromium: Any, server: str) -> Iterator[Open]:
    """`open_page("?q=robot", width=390)` opens the search of the films; a page that logs an error fails its test."""
    contexts: list[Any] = []
    troubles: list[str] = []

    def open_it(
        query: str = "", *, path: str = "/films/movies_facets/-/hybrid-search", width: int = 1280, **options: Any
    ) -> Any:
        context = chromium.new_context(viewport={"width": width, "height": 860}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(f"{server}{path}{query}")
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert troubles == []
