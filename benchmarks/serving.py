"""How many requests a second the search answers as JSON, beside Datasette's own `?_search=` on the same rows.

    python benchmarks/serving.py                   12,593 films, if the collections are there, else generated rows
    python benchmarks/serving.py --rows 100000     as many rows, the films repeated with a number behind each
    python benchmarks/serving.py --pages           the page with three facets, cold and warm, in milliseconds

One server, one run, queries drawn alike. Datasette's own search asks a copy of the table with its own
FTS5 index, made as `sqlite-utils enable-fts` makes it. Two kinds of traffic: every query another one, which nobody has
asked in any mode, and twenty queries asked again and again, as a site's visitors and the pages of one search do.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

FILMS = Path(__file__).parents[2] / "shared" / "corpora" / "movies-facets" / "docs.jsonl.gz"
MODES = ("hybrid", "keyword", "semantic")
ASKED = 400
"""Requests of each kind."""
FACETS = [("_facet", "decade"), ("_facet", "year"), ("_facet_array", "genres")]


def films() -> list[dict[str, Any]]:
    if FILMS.exists():
        with gzip.open(FILMS, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]
    words = "robot garden harbour steam engine apple frost letter keeper night century machine ship lamp".split()
    return [
        {
            "id": f"film-{n}",
            "title": f"Film {n}",
            "text": " ".join(words[(n * k) % len(words)] for k in range(1, 90)),
            "year": 1970 + n % 50,
            "decade": f"{197 + n % 50 // 10}0s",
            "genres": [words[n % 7], words[7 + n % 7]],
        }
        for n in range(12_593)
    ]


def rows(source: Sequence[dict[str, Any]], count: int | None) -> Iterator[dict[str, Any]]:
    if count is None:
        yield from source
        return
    for n in range(count):
        film = source[n % len(source)]
        yield {**film, "id": f"{film['id']}-{n}", "text": f"{film['text']} {n}"}


def write(path: Path, source: Sequence[dict[str, Any]], count: int | None) -> None:
    """Write `films`, embedded, and `plain`, the same rows with Datasette's own search."""
    from sqlite_utils import Database

    from datasette_semantic import SemanticIndex

    database = Database(path, execute_plugins=False)
    for table in ("films", "plain"):
        database.table(table).insert_all(rows(source, count), pk="id", alter=True)
    database.table("plain").enable_fts(["title", "text"], create_triggers=True)
    database.close()
    with SemanticIndex.create(path, "films", ["title", "text"]) as index:
        index.update()


def questions(source: Sequence[dict[str, Any]], count: int) -> list[str]:
    """Return queries of two or three words that stand together in some film; the same ones in every run."""
    chance = random.Random(7)
    found: list[str] = []
    while len(found) < count:
        words = [word for word in chance.choice(source)["text"].split() if word.isalpha() and len(word) > 3]
        if len(words) >= 3:
            found.append(" ".join(chance.sample(words, chance.choice((2, 3)))))
    return found


class Refused(SystemExit):
    """A request that was not answered with what it asked for; nothing else can be measured by it."""


class Server:
    """A Datasette over one file, for as long as the block lasts."""

    def __init__(self, path: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        command = [sys.executable, "-m", "datasette", "serve", str(path), "--port", str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self._process.pid

    def __enter__(self) -> Server:
        for _ in range(300):
            try:
                self.get(http.client.HTTPConnection("127.0.0.1", self.port), "/-/versions.json")
            except OSError:  # noqa: PERF203
                time.sleep(0.1)
            else:
                return self
        raise SystemExit("the server does not answer")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=10)

    def get(self, connection: http.client.HTTPConnection, path: str) -> float:
        """Ask; return seconds. Raises Refused."""
        began = time.perf_counter()
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise Refused(f"{response.status} for {path}: {body[:300]!r}")
        return time.perf_counter() - began

    def rate(self, paths: Sequence[str], connections: int) -> float:
        """Ask all paths over as many connections at once; return requests a second."""
        waiting = iter(paths)
        lock = threading.Lock()

        def work() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port)
            while True:
                with lock:
                    path = next(waiting, None)
                if path is None:
                    return
                self.get(connection, path)

        threads = [threading.Thread(target=work) for _ in range(connections)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(paths) / (time.perf_counter() - began)


def core_path(question: str) -> str:
    return f"/films/plain.json?{urlencode({'_search': question, '_shape': 'objects', '_size': 20})}"


def our_path(question: str, mode: str) -> str:
    return f"/films/films/-/hybrid-search.json?{urlencode({'q': question, 'mode': mode})}"


def throughput(server: Server, source: Sequence[dict[str, Any]], connections: int) -> None:
    listed = questions(source, 40 + ASKED * (1 + len(MODES)))
    warming, distinct = listed[:40], [listed[start : start + ASKED] for start in range(40, len(listed), ASKED)]
    again = [warming[:20] * (ASKED // 20)] * (1 + len(MODES))
    for name, warm, traffic in (
        ("every query another", warming[20:], distinct),
        ("20 queries again and again", warming[:20], again),
    ):
        print(f"\n{name}, {connections} connections, requests a second")
        for question in warm:
            for path in (core_path(question), *(our_path(question, mode) for mode in MODES)):
                server.get(http.client.HTTPConnection("127.0.0.1", server.port), path)
        asked, *further = traffic
        core = server.rate([core_path(each) for each in asked], connections)
        print(f"  Datasette's ?_search=    {core:7.0f}   1.00")
        for mode, asked in zip(MODES, further, strict=True):
            ours = server.rate([our_path(each, mode) for each in asked], connections)
            print(f"  {mode:<24} {ours:7.0f}   {ours / core:.2f}")


def pages(server: Server, source: Sequence[dict[str, Any]]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    paths = [f"/films/films/-/hybrid-search?{urlencode([('q', each), *FACETS])}" for each in questions(source, 41)]
    first = server.get(connection, paths[0])
    cold = [1000 * server.get(connection, path) for path in paths[1:]]
    warm = [1000 * server.get(connection, path) for path in paths[-20:]]
    print(f"\nthe page with three facets: the very first {1000 * first:.0f} ms")
    for name, taken in (("a new query", cold), ("a query asked before", warm)):
        print(f"  {name:<24} half under {statistics.median(taken):.0f} ms, slowest {max(taken):.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--pages", action="store_true", help="time the page instead of the JSON")
    arguments = parser.parse_args()
    source = films()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "films.db"
        write(path, source, arguments.rows)
        with Server(path) as server:
            print(f"{arguments.rows or len(source):,} rows")
            if arguments.pages:
                pages(server, source)
            else:
                throughput(server, source, arguments.connections)


if __name__ == "__main__":
    main()
