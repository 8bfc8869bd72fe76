"""One step of one peer. Run as `python -m speed.worker GIVEN.json ANSWER.json`, in whatever Python the peer needs."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from .given import WARMING, Given
from .peers import Peer, peer
from .timing import recall, timed

_TUNING_SECONDS = 30.0


def main() -> None:
    given = Given.read(Path(sys.argv[1]))
    if given.step.startswith("words"):
        from .words_peers import words_step

        answer = words_step(given)
    else:
        answer = build(given) if given.step == "build" else search(given)
    Path(sys.argv[2]).write_text(json.dumps(answer), encoding="utf-8")


def build(given: Given) -> dict[str, Any]:
    """Make the peer's files. What only prepares, such as a table of rows, is not counted."""
    chosen = peer(given.peer)
    chosen.prepare(given)
    began = time.perf_counter()
    chosen.build(given)
    return {"seconds": time.perf_counter() - began, "version": chosen.version()}


def search(given: Given) -> dict[str, Any]:
    """Open the peer's files, tune it, measure it."""
    chosen = peer(given.peer)
    queries = [chosen.encode(query) for query in np.load(given.data_folder / "queries.npy")]
    truth = np.load(given.data_folder / "truth.npy")
    began = time.perf_counter()
    chosen.open(given)
    for knob in chosen.knobs[:1]:
        chosen.turn(knob)
    chosen.ask(queries[0])
    first = 1e3 * (time.perf_counter() - began)
    timed(chosen.ask, queries[:WARMING], seconds=given.seconds / 4)
    knob = tune(chosen, queries[WARMING:], truth[WARMING:], given.recall)
    found = timed(chosen.ask, queries[WARMING:], seconds=given.seconds)
    chosen.close()
    return {
        "version": chosen.version(),
        "setting": knob,
        "recall": round(recall(found.answers, truth[WARMING:]), 4),
        "median": found.median,
        "most": found.most,
        "slowest": found.slowest,
        "asked": found.asked,
        "first": round(first, 2),
    }


def tune(chosen: Peer, queries: list[Any], truth: Any, wanted: float) -> str | None:
    """Set the least that reaches the recall wanted, else the most there is; return its name."""
    knob = None
    for knob in chosen.knobs:
        chosen.turn(knob)
        found = timed(chosen.ask, queries, seconds=_TUNING_SECONDS)
        if recall(found.answers, truth) >= wanted:
            break
    return None if knob is None else chosen.told(knob)


if __name__ == "__main__":
    main()
