"""Words, and words with meaning, over a table of passages: ours and LanceDB's, in processes of their own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from .given import WARMING, Given
from .peers.files import connect
from .sets import texts_of
from .timing import Timed, recall, timed

_WARM = 20
TABLE = "passages"
FILE = "passages.db"


def words_step(given: Given) -> dict[str, Any]:
    steps: dict[str, Callable[[Given], dict[str, Any]]] = {
        "ours words-build": _build_ours,
        "ours words-search": _search_ours,
        "lancedb words-build": _build_lance,
        "lancedb words-search": _search_lance,
    }
    return steps[f"{given.peer} {given.step}"](given)


def _build_ours(given: Given) -> dict[str, Any]:
    """Take over the vectors, which is all of `embed` but the model: table, words, vectors, cells, measuring itself."""
    from datasette_semantic import SemanticIndex

    file = given.place_folder / FILE
    connection = connect(file)
    with connection:
        connection.execute(f"create table {TABLE} (id integer primary key, text text)")
        connection.executemany(f"insert into {TABLE} (text) values (?)", ((text,) for text in texts_of(_data(given))))
    connection.close()
    vectors = _data(given) / "base.npy"
    began = time.perf_counter()
    with SemanticIndex.create(file, TABLE, ["text"], model="wordllama", vectors_from=vectors) as index:
        index.update()
    return {"seconds": time.perf_counter() - began}


def _search_ours(given: Given) -> dict[str, Any]:
    from datasette_semantic import SemanticIndex

    (for_words, for_both), queries, truth = _questions(given), np.load(_data(given) / "queries.npy"), _truth(given)
    began = time.perf_counter()
    index = SemanticIndex(given.place_folder / FILE, TABLE)
    index.search(for_words[0], limit=10)
    first = 1e3 * (time.perf_counter() - began)

    def measured(ask: Callable[[Any], Any], listed: Any) -> Timed:
        timed(ask, listed[:_WARM], seconds=given.seconds / 4)
        return timed(ask, listed[_WARM:], seconds=given.seconds)

    near = measured(lambda vector: [each.key[0] - 1 for each in index.nearest(vector, k=10)], queries[WARMING:])
    exact = measured(lambda vector: index.nearest(vector, k=10, exact=True), queries[WARMING:])
    keyword = measured(lambda text: index.search(text, mode="keyword", limit=10), for_words)
    hybrid = measured(lambda text: index.search(text, limit=10), for_both)
    parts = {
        part: round(float(np.median([1e3 * found.timings.get(part, 0.0) for found in hybrid.answers])), 3)
        for part in sorted({name for found in hybrid.answers for name in found.timings})
    }
    index.close()
    return {
        "version": f"sqlite-vec {version('sqlite-vec')}",
        "first": round(first, 1),
        "recall": round(recall(near.answers, truth[WARMING + _WARM :]), 4),
        "vector": _figures(near),
        "exact": _figures(exact),
        "keyword": _figures(keyword),
        "hybrid": _figures(hybrid),
        "hybrid_parts": parts,
    }


def _build_lance(given: Given) -> dict[str, Any]:
    from .peers.lance import stored

    began = time.perf_counter()
    table = stored(given, texts_of(_data(given)))
    table.create_index(metric="cosine", vector_column_name="vector")
    table.create_fts_index("text")
    return {"seconds": time.perf_counter() - began}


def _search_lance(given: Given) -> dict[str, Any]:
    """Ask for ten rows with their text. The model is ours, and is asked within the time, as it is in ours."""
    from datasette_semantic.embedding.weights import load

    from .peers.lance import opened

    (for_words, for_both), table, model = _questions(given), opened(given), load()

    def keyword(text: str) -> Any:
        return table.search(_plain(text), query_type="fts").limit(10).select(["id", "text"]).to_list()

    def hybrid(text: str) -> Any:
        vector = model.embed([text])[0]
        found = table.search(query_type="hybrid").vector(vector).text(_plain(text)).limit(10)
        return found.select(["id", "text"]).to_list()

    figures = {}
    for name, ask, asked in (("keyword", keyword, for_words), ("hybrid", hybrid, for_both)):
        timed(ask, asked[:_WARM], seconds=given.seconds / 4)
        figures[name] = _figures(timed(ask, asked[_WARM:], seconds=given.seconds))
    return {"version": f"lancedb {version('lancedb')}", **figures}


def _plain(text: str) -> str:
    """Return a question without the signs that LanceDB takes for its query language."""
    return "".join(character if character.isalnum() else " " for character in text)


def _figures(found: Timed) -> dict[str, float]:
    return {"median": found.median, "most": found.most, "slowest": found.slowest, "asked": found.asked}


def _questions(given: Given) -> tuple[list[str], list[str]]:
    """Return the questions for the words alone and others for words with meaning: nothing is asked twice."""
    listed: list[str] = json.loads((_data(given) / "questions.json").read_text(encoding="utf-8"))
    half = len(listed) // 2
    return listed[:half], listed[half:]


def _truth(given: Given) -> Any:
    return np.load(_data(given) / "truth.npy")


def _data(given: Given) -> Path:
    return given.data_folder
