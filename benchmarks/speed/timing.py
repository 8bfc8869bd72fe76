"""Asking a peer its queries, one after another, by the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Timed:
    """Milliseconds per query."""

    median: float
    most: float
    """95% of the queries took less."""
    slowest: float
    asked: int
    answers: tuple[Any, ...]


def timed(ask: Callable[[Any], Any], queries: Sequence[Any], *, seconds: float) -> Timed:
    """Ask the queries in order, until the time is over."""
    taken: list[float] = []
    answers: list[Any] = []
    end = time.perf_counter() + seconds
    for query in queries:
        began = time.perf_counter()
        answers.append(ask(query))
        now = time.perf_counter()
        taken.append(1e3 * (now - began))
        if now > end:
            break
    return Timed(
        round(float(np.median(taken)), 4),
        round(float(np.quantile(taken, 0.95)), 4),
        round(max(taken), 4),
        len(taken),
        tuple(answers),
    )


def recall(answers: Sequence[Sequence[int]], truth: NDArray[np.int64]) -> float:
    """Return the share of the true neighbours that was found; `truth` may have more lines than there are answers."""
    lines = truth[: len(answers)].tolist()
    found = sum(len(set(answer) & set(line)) for answer, line in zip(answers, lines, strict=True))
    return found / (len(lines) * int(truth.shape[1]))
