"""A process per step, so that each peer starts cold and its memory is its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .given import Given

WATCH = "watched-processes"
"""A file in a peer's place: ids of processes that work for it besides the one that was started."""
_REPOSITORY = Path(__file__).resolve().parents[2]
_LOOK_EVERY = 0.02


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a step."""

    seconds: float
    megabytes: float
    """The most memory it held at a time, pages mapped from files not counted."""
    answer: dict[str, Any] = field(default_factory=dict)
    error: str | None = None


def run(given: Given, *, python: str = sys.executable, limit: float) -> Outcome:
    """Run one step of one peer in a process of its own; `limit` is in seconds. What goes wrong is in the outcome."""
    given.place_folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        asked, answered, told = Path(folder) / "given.json", Path(folder) / "answer.json", Path(folder) / "stderr"
        given.write(asked)
        path = os.pathsep.join([str(_REPOSITORY / "benchmarks"), str(_REPOSITORY)])
        began = time.perf_counter()
        with told.open("wb") as errors:
            process = subprocess.Popen(
                [python, "-m", "speed.worker", str(asked), str(answered)],
                stdout=errors,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": path, "LLM_USER_PATH": folder},
            )
            most, in_time = _watch(process, given, limit)
        spent = time.perf_counter() - began
        if not in_time:
            return Outcome(spent, most, error=f"not done within {limit:,.0f} s")
        if process.returncode or not answered.exists():
            return Outcome(spent, most, error=_what_failed(told, process.returncode))
        answer = json.loads(answered.read_text(encoding="utf-8"))
        return Outcome(float(answer.pop("seconds", spent)), most, answer)


def _watch(process: subprocess.Popen[bytes], given: Given, limit: float) -> tuple[float, bool]:
    """Wait for a process; return its greatest memory in megabytes, and whether it was done in time."""
    watched = given.place_folder / WATCH
    watched.unlink(missing_ok=True)
    end, most = time.monotonic() + limit, 0.0
    while process.poll() is None:
        others = [int(line) for line in watched.read_text().split()] if watched.exists() else []
        most = max(most, own_megabytes([process.pid, *others]))
        if time.monotonic() > end:
            _stop(process, others)
            return most, False
        time.sleep(_LOOK_EVERY)
    return most, True


def _stop(process: subprocess.Popen[bytes], others: list[int]) -> None:
    """Have a process end as by Ctrl-C, then by force; and the servers that it started, which asked to be watched."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid in others:
        if Path(f"/proc/{pid}").exists():
            os.kill(pid, signal.SIGINT)


def own_megabytes(pids: list[int]) -> float:
    """Return the memory of processes and their children: their own pages, and what they share counted once.

    0 where the system does not tell.
    """
    own, shared = 0, 0
    waiting = list(pids)
    while waiting:
        pid = waiting.pop()
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
            waiting += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        except OSError:
            continue
        sizes = {line.split(":")[0]: int(line.split()[1]) for line in status.splitlines() if line.startswith("Rss")}
        own += sizes.get("RssAnon", 0)
        shared = max(shared, sizes.get("RssShmem", 0))
    return (own + shared) / 1024


def _what_failed(told: Path, status: int) -> str:
    """Return the last exception that a process told of, or else its last line."""
    lines = [line.strip() for line in told.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    raised = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line)]
    return [f"ended with status {status}", *lines, *raised][-1][:300]
