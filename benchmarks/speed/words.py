"""Words, words with meaning, and the JSON page over a table of passages; ours at several sizes make the cost curve."""

from __future__ import annotations

import http.client
import json
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np

from .compare import Manner, disk_megabytes
from .given import Given
from .processes import own_megabytes, run
from .sets import VectorSet
from .words_peers import FILE, TABLE

_WARM = 20
TITLES = {"ours": "**datasette-semantic**", "lancedb": "LanceDB"}


def words(texts: VectorSet, names: tuple[str, ...], manner: Manner) -> list[dict[str, Any]]:
    """Build and ask each of the peers; return a record for each."""
    found = []
    for name in names:
        place = manner.place / f"words-{name}"
        shutil.rmtree(place, ignore_errors=True)
        record = {"name": name, "title": TITLES[name], **_measured(name, texts, place, manner)}
        if name == "ours" and "error" not in record:
            record["page"] = pages(place / FILE, Path(texts.folder) / "questions.json", manner.seconds)
        shutil.rmtree(place, ignore_errors=True)
        print(_line(record), flush=True)
        found.append(record)
    return found


def _measured(name: str, texts: VectorSet, place: Path, manner: Manner) -> dict[str, Any]:
    given = Given(name, "words-build", texts.folder, str(place), texts.rows, texts.dimensions, 0.95, manner.seconds)
    built = run(given, limit=manner.limit)
    if built.error is not None:
        return {"error": f"building: {built.error}"}
    disk = disk_megabytes(place)
    searched = run(Given(**{**asdict(given), "step": "words-search"}), limit=manner.limit)
    if searched.error is not None:
        return {"error": f"searching: {searched.error}"}
    return {
        **searched.answer,
        "build": round(built.seconds, 2),
        "build_memory": round(built.megabytes, 1),
        "disk": disk,
        "memory": round(searched.megabytes, 1),
    }


def pages(file: Path, questions: Path, seconds: float) -> dict[str, float]:
    """Return milliseconds that Datasette takes for the JSON of ten rows, every question another one, and its memory.

    An answer refused, as for its time limit, took as long as it took, and is counted. Raises Refused where they are
    more than one in ten.
    """
    from serving import Refused, Server

    asked: list[str] = json.loads(questions.read_text(encoding="utf-8"))
    with Server(file) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)

        def ask(text: str) -> float:
            query, began = urlencode({"q": text, "_size": 10}), time.perf_counter()
            try:
                server.get(connection, f"/{file.stem}/{TABLE}/-/hybrid-search.json?{query}")
            except Refused as error:
                refused.append(str(error))
            return 1e3 * (time.perf_counter() - began)

        refused: list[str] = []
        for text in asked[:_WARM]:
            ask(text)
        refused.clear()
        taken, end = [], time.perf_counter() + seconds
        for text in asked[_WARM:]:
            taken.append(ask(text))
            if time.perf_counter() > end:
                break
        memory = own_megabytes([server.pid])
    for error in refused:
        print(error, file=sys.stderr)
    if 10 * len(refused) > len(taken):
        raise Refused(refused[-1])
    return {
        "median": round(float(np.median(taken)), 3),
        "most": round(float(np.quantile(taken, 0.95)), 3),
        "slowest": round(max(taken), 3),
        "asked": len(taken),
        "refused": len(refused),
        "memory": round(memory, 1),
    }


def _line(record: dict[str, Any]) -> str:
    if "error" in record:
        return f"SKIPPED {record['name']}: {record['error']}"
    parts = [
        f"{part} {record[part]['median']:.2f} ms (slowest {record[part]['slowest']:.1f})"
        for part in ("vector", "exact", "keyword", "hybrid", "page")
        if part in record
    ]
    return f"{record['name']}: {', '.join(parts)}, built in {record['build']:.1f} s, {record['memory']:.0f} MB"
