"""The bar on a terminal, and what happens when a run ends early."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from datasette_semantic.commands.progress import progress_bar
from datasette_semantic.records import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_rows_rate_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar("articles") as report:
        assert report is not None
        report(Progress(done=250, total=1000))
        report(Progress(done=1200, total=1200))  # rows may be added meanwhile
    shown = terminal.getvalue()
    assert "articles" in shown
    assert "1200/1200" in shown
    assert "rows/s" in shown


def test_nobody_else_sees_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress_bar("articles") as report:
        assert report is None


def test_quiet_is_quiet_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress_bar("articles", quiet=True) as report:
        assert report is None


class Faults:
    """What the model `faulty` raises from its second call on, while there is something."""

    error: BaseException | None = None


@pytest.fixture
def faults(register_model) -> Faults:
    import llm

    faults = Faults()
    calls = []

    class Faulty(llm.EmbeddingModel):
        model_id = "faulty"
        batch_size = 2

        def embed_batch(self, items, *, key=None):
            calls.append(list(items))
            if len(calls) > 1 and faults.error:
                raise faults.error
            return [[1.0, float(len(item))] for item in calls[-1]]

    register_model(Faulty())
    return faults


def test_ctrl_c_says_how_to_go_on(run, articles: Path, faults: Faults) -> None:
    faults.error = KeyboardInterrupt()
    result = run("embed", articles, "articles", "title", "-m", "faulty")
    assert result.exit_code == 1
    assert "run the same command again" in result.stderr
    faults.error = None
    assert run("embed", articles, "articles", "title").exit_code == 0
    (record,) = json.loads(run("embeddings", articles).stdout)
    assert (record["model"], record["chunks"], record["pending"]) == ("faulty", 6, 0)


def test_a_model_that_fails_is_told_in_one_line(run, articles: Path, faults: Faults) -> None:
    faults.error = RuntimeError("503 from the far side")
    result = run("embed", articles, "articles", "title", "-m", "faulty")
    assert result.exit_code == 1
    assert len(result.stderr.strip().splitlines()) == 1
    assert "503 from the far side" in result.stderr
    faults.error = None
    assert run("embed", articles).exit_code == 0
    (record,) = json.loads(run("embeddings", articles).stdout)
    assert (record["chunks"], record["pending"]) == (6, 0)
