"""The benchmark runs, and says of a peer that is not there that it is not there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "vectors.py"


@pytest.mark.slow
@pytest.mark.skipif(not BENCHMARK.exists(), reason="the benchmarks are not part of this distribution")
def test_peers_are_measured_and_the_missing_are_named(tmp_path: Path) -> None:
    options = "--rows 600 --dimensions 64 --seconds 2 --only ours,sqlite-vec,alpha-flat".split()
    places = ["--place", str(tmp_path / "place"), "--results", str(tmp_path / "results")]
    run = subprocess.run([sys.executable, BENCHMARK, *options, *places], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    result = json.loads((tmp_path / "results" / "vectors-64-600.json").read_text())
    ours, flat, alpha = result["peers"]
    assert ours["recall"] == flat["recall"] == 1.0
    assert ours["median"] > 0
    assert flat["memory"] > 0
    assert alpha["error"] == "needs --alpha-python"
    assert f"| {alpha['title']} | not measured: needs --alpha-python |" in run.stdout
    assert str(tmp_path) not in json.dumps(result)
