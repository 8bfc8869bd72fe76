"""The benchmark runs, and says of a peer that is not there that it is not there."""

from __future__ import annotations

import gzip
import importlib
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "vectors.py"
pytestmark = pytest.mark.skipif(not BENCHMARK.exists(), reason="the benchmarks are not part of this distribution")


@pytest.fixture
def windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Windows of 200 documents: half of words, half of characters, and a copy of each in another collection."""
    monkeypatch.syspath_prepend(str(BENCHMARK.parent))
    draw = random.Random(3)
    words = [f"word{n}" for n in range(500)]
    texts = [" ".join(draw.choices(words, k=draw.randint(20, 200))) for _ in range(100)]
    texts += ["".join(chr(0x4E00 + draw.randrange(500)) for _ in range(draw.randint(30, 300))) for _ in range(100)]
    for name, listed in (("one", texts), ("copies", texts[::2])):
        (tmp_path / name).mkdir()
        with gzip.open(tmp_path / name / "docs.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps({"title": None, "text": text}) + "\n" for text in listed)
    return importlib.import_module("speed.windows").Windows(tmp_path)


def test_fewer_windows_are_the_first_of_more_and_none_comes_twice(windows: Any) -> None:
    every = list(windows.rows(10**6))
    assert len(set(every)) == len(every) > 2_000
    assert list(windows.rows(70)) == every[:70]
    assert {len(window.split()) for window in every if " " in window} == set(range(20, 41))
    assert max(len(window) for window in every if " " not in window) == 60


def test_queries_have_nothing_long_in_common_with_rows(windows: Any) -> None:
    queries, rows = windows.queries(50), "\n".join(windows.rows(10**6))
    assert queries
    assert windows.queries(50) == queries
    for query in queries:
        pieces, joint, length = (query.split(), " ", 8) if " " in query else ([*query], "", 12)
        for start in range(len(pieces) - length + 1):
            assert joint.join(pieces[start : start + length]) not in rows


def test_vectors_of_another_model_can_be_given(tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    vectors = np.random.default_rng(0).standard_normal((700, 24)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.save(given / "base.npy", vectors[:300])
    np.save(given / "queries.npy", vectors[300:])
    (given / "told.json").write_text(json.dumps({"kind": "real passages, some model"}))
    result = _run(tmp_path, "vectors-24-250", "--rows", "250", "--given", str(given), "--only", "ours,sqlite-vec")
    assert result["set"]["kind"] == "real passages, some model"
    assert [each["recall"] for each in result["peers"]] == [1.0, 1.0]


@pytest.mark.slow
def test_peers_are_measured_and_the_missing_are_named(tmp_path: Path) -> None:
    options = "--rows 600 --dimensions 64 --seconds 2 --only ours,sqlite-vec,alpha-flat".split()
    result = _run(tmp_path, "vectors-64-600", *options)
    ours, flat, alpha = result["peers"]
    assert ours["recall"] == flat["recall"] == 1.0
    assert ours["median"] > 0
    assert flat["memory"] > 0
    assert alpha["error"] == "needs --alpha-python"
    assert f"| {alpha['title']} | not measured: needs --alpha-python |" in result["printed"]
    assert str(tmp_path) not in json.dumps({**result, "printed": ""})


def _run(folder: Path, name: str, *options: str) -> dict[str, Any]:
    places = ["--place", str(folder / "place"), "--results", str(folder / "results")]
    run = subprocess.run([sys.executable, BENCHMARK, *options, *places], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    result: dict[str, Any] = json.loads((folder / "results" / f"{name}.json").read_text())
    return {**result, "printed": run.stdout}
