"""Gemini over real HTTP: a server on this machine that checks requests as the API's reference describes them.

https://ai.google.dev/api/embeddings#method:-models.batchembedcontents
"""

from __future__ import annotations

import json
import logging
import math
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils.utils import sqlite3

from datasette_semantic import SemanticIndex
from datasette_semantic.embedding import gemini, pace
from datasette_semantic.embedding.models import embedder
from datasette_semantic.errors import BadModelOutput, BadOption, ModelBusy, ModelKeyMissing, ModelRefused

KEY = "AIza-very-secret-key"
TASK_TYPES = {
    "RETRIEVAL_QUERY",
    "RETRIEVAL_DOCUMENT",
    "SEMANTIC_SIMILARITY",
    "CLASSIFICATION",
    "CLUSTERING",
    "QUESTION_ANSWERING",
    "FACT_VERIFICATION",
    "CODE_RETRIEVAL_QUERY",
}
WIDTHS = {"gemini-embedding-001": 3072, "gemini-embedding-2": 3072}


class Server:
    """What the service does: `mood` may answer in its place."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.wrong: list[str] = []
        self.times: list[float] = []
        self.mood: Callable[[list[dict[str, Any]]], tuple[int, Any, dict[str, str]] | None] = lambda requests: None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status, answer, headers = outer.answer(self.path, dict(self.headers.items()), body)
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {"content-type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any, dict[str, str]]:
        self.times.append(time.monotonic())
        found = re.fullmatch(r"/v1beta/models/([\w.-]+):batchEmbedContents", path)
        lowered = {name.lower(): value for name, value in headers.items()}
        if found is None:
            self.wrong.append(f"address {path}")
            return 404, {"error": {"code": 404, "message": "not found", "status": "NOT_FOUND"}}, {}
        if lowered.get("x-goog-api-key") != KEY:
            said = f"API key not valid: {lowered.get('x-goog-api-key')}. Please pass a valid API key."
            return 400, {"error": {"code": 400, "message": said, "status": "INVALID_ARGUMENT"}}, {}
        data = json.loads(body)
        requests = data.get("requests", [])
        self._check(found[1], data, requests)
        self.requests += requests
        if (answer := self.mood(requests)) is not None:
            return answer
        return 200, {"embeddings": [{"values": self.vector(found[1], request)} for request in requests]}, {}

    def _check(self, model: str, data: dict[str, Any], requests: list[dict[str, Any]]) -> None:
        if set(data) != {"requests"} or not 1 <= len(requests) <= 100:
            self.wrong.append(f"keys {set(data)}, {len(requests)} requests")
        for request in requests:
            unknown = set(request) - {"model", "content", "taskType", "title", "outputDimensionality"}
            if unknown or request.get("model") != f"models/{model}":
                self.wrong.append(f"{unknown} {request.get('model')}")
            if [set(part) for part in request["content"]["parts"]] != [{"text"}]:
                self.wrong.append(f"content {request['content']}")
            if "taskType" in request and request["taskType"] not in TASK_TYPES:
                self.wrong.append(f"taskType {request['taskType']}")
            if not 1 <= request.get("outputDimensionality", 128) <= 3072:
                self.wrong.append(f"outputDimensionality {request['outputDimensionality']}")

    def vector(self, model: str, request: dict[str, Any]) -> list[float]:
        """Words make directions; shortened vectors are not of unit length, as 001's are not."""
        values = [0.0] * request.get("outputDimensionality", WIDTHS[model])
        for word in request["content"]["parts"][0]["text"].lower().split():
            values[zlib.crc32(word.encode()) % len(values)] += 0.3
        return values


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    running = Server()
    monkeypatch.setenv(gemini.URL_VARIABLE, running.url)
    monkeypatch.setenv("LLM_GEMINI_KEY", KEY)
    embedder.cache_clear()
    yield running
    running.http.shutdown()
    running.http.server_close()
    embedder.cache_clear()
    assert running.wrong == []


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "g.db"
    connection = sqlite3.connect(str(path))
    with connection:
        connection.execute("create table t (id integer primary key, text text)")
        connection.executemany(
            "insert into t (text) values (?)", [(f"robot number{n} in garden{n % 7}",) for n in range(250)]
        )
    connection.close()
    return path


def sent(server: Server, name: str) -> set[Any]:
    return {request.get(name) for request in server.requests}


@pytest.mark.parametrize(
    ("task", "document", "query"),
    [
        (None, "RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY"),
        ("question-answering", "RETRIEVAL_DOCUMENT", "QUESTION_ANSWERING"),
        ("FACT_VERIFICATION", "RETRIEVAL_DOCUMENT", "FACT_VERIFICATION"),
        ("code_retrieval_query", "RETRIEVAL_DOCUMENT", "CODE_RETRIEVAL_QUERY"),
        ("semantic-similarity", "SEMANTIC_SIMILARITY", "SEMANTIC_SIMILARITY"),
        ("classification", "CLASSIFICATION", "CLASSIFICATION"),
        ("clustering", "CLUSTERING", "CLUSTERING"),
    ],
)
def test_task_types_of_documents_and_queries(
    server: Server, database: Path, task: Any, document: str, query: str
) -> None:
    with SemanticIndex.create(
        database, "t", ["text"], model="gemini-embedding-001", task=task, dimensions=256
    ) as index:
        report = index.update()
        assert report.embedded == 250
        assert report.requests == 3
        assert index.record.dimensions == 256
        assert sent(server, "taskType") == {document}
        assert sent(server, "outputDimensionality") == {256}
        blob = index._connection.execute("select embedding from t_vec limit 1").fetchone()[0]
        import numpy as np

        assert math.isclose(float(np.linalg.norm(np.frombuffer(blob, "<f4"))), 1.0, rel_tol=1e-5)
    server.requests.clear()
    with SemanticIndex(database, "t") as again:  # as it was made, in another process or year
        assert again.search("number42", mode="semantic").hits[0].key == (43,)
    assert sent(server, "taskType") == {query}
    assert sent(server, "outputDimensionality") == {256}


def test_gemini_2_takes_the_task_as_a_prefix(server: Server, database: Path) -> None:
    with SemanticIndex.create(
        database, "t", ["text"], model="gemini-embedding-2", task="question answering", dimensions=128
    ) as index:
        index.update()
        texts = [request["content"]["parts"][0]["text"] for request in server.requests]
        assert all(text.startswith("title: none | text: robot") for text in texts)
        assert sent(server, "taskType") == {None}
        server.requests.clear()
        index.search("which robot", mode="semantic")
    (request,) = server.requests
    assert request["content"]["parts"][0]["text"] == "task: question answering | query: which robot"


def test_an_unknown_task_is_refused_before_anything_is_written(server: Server, database: Path) -> None:
    with pytest.raises(BadOption, match="clustering"):
        SemanticIndex.create(database, "t", ["text"], model="gemini-embedding-001", task="juggling")
    assert server.requests == []


def quota(delay: str) -> dict[str, Any]:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]
    return {"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED", "details": details}}


def test_its_own_delay_is_obeyed(server: Server, database: Path) -> None:
    with SemanticIndex.create(database, "t", ["text"], model="gemini-embedding-001", dimensions=128) as index:
        answers = iter([(429, quota("0.5s"), {}), (500, {"error": {"message": "internal"}}, {"retry-after": "0.3"})])
        server.mood = lambda requests: next(answers, None)
        server.times.clear()
        assert index.update().failed == 0
        gaps = [later - earlier for earlier, later in zip(server.times, server.times[1:], strict=False)]
        assert gaps[0] >= 0.5
        assert gaps[1] >= 0.3


def test_answers_that_cannot_be_read(server: Server, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "_LONGEST", 0.01)
    with SemanticIndex.create(database, "t", ["text"], model="gemini-embedding-001", dimensions=128) as index:
        answers = iter([(200, b"<html>", {}), (200, {"embeddings": [{}]}, {}), (200, b"", {}), (503, b"no", {})])
        server.mood = lambda requests: next(answers, None)
        assert index.update().failed == 0
        server.mood = lambda requests: (200, {"unexpected": 1}, {})
        with pytest.raises(ModelBusy):
            index._embedder().embed_query("robot")


def test_too_few_vectors_and_wrong_lengths(server: Server) -> None:
    model = embedder("gemini-embedding-001")
    model.embed_documents(["one"])
    server.mood = lambda requests: (200, {"embeddings": [{"values": [1.0] * 3072}]}, {})
    with pytest.raises(BadModelOutput, match="1 vectors for 2 texts"):
        model.embed_documents(["one", "two"])
    server.mood = lambda requests: (200, {"embeddings": [{"values": [1.0] * 7}]}, {})
    with pytest.raises(BadModelOutput, match="7 dimensions"):
        model.embed_documents(["one"])


def test_a_slow_server_is_not_waited_for_for_ever(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx

    monkeypatch.setattr(gemini, "_TIMEOUT", httpx.Timeout(0.2))

    def slow(requests: Any) -> None:
        time.sleep(0.6)

    server.mood = slow  # type: ignore[assignment]
    with pytest.raises(ModelBusy, match="ReadTimeout"):
        embedder("gemini-embedding-001").embed_query("robot")


def test_no_server_at_all(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(gemini.URL_VARIABLE, "http://127.0.0.1:9")
    with pytest.raises(ModelBusy, match="cannot be reached"):
        embedder("gemini-embedding-001").embed_query("robot")


def test_a_wrong_key_stops_at_once_and_is_never_told(
    server: Server, database: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with SemanticIndex.create(database, "t", ["text"], model="gemini-embedding-001", dimensions=128) as index:
        wrong = "AIza-another-secret"
        monkeypatch.setenv("LLM_GEMINI_KEY", wrong)
        server.times.clear()
        with caplog.at_level(logging.DEBUG), pytest.raises(ModelRefused, match="API key not valid") as caught:
            index.update()
        assert len(server.times) == 1
        text = str(caught.value) + repr(caught.value.__cause__) + caplog.text
        index.close()
    data = database.read_bytes()
    for key in (wrong, KEY):
        assert key not in text
        assert key.encode() not in data


def test_no_key(server: Server, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLM_GEMINI_KEY")
    with pytest.raises(ModelKeyMissing, match="gemini"):
        SemanticIndex.create(database, "t", ["text"], model="gemini-embedding-001")
    connection = sqlite3.connect(str(database))
    assert connection.execute("select count(*) from sqlite_master").fetchone() == (1,)
    connection.close()
