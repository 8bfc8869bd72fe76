"""The options of a request as people and programs give them, checked: each refusal is a BadOption naming the value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

from ..config import MAX_LIMIT
from ..errors import BadOption
from ..records import MODES, FusionMethod, IndexRecord, ListWeights, Mode

__all__ = ["JUDGED_WEIGHTS", "check_limit", "check_mode", "check_offset", "check_weights", "weights_of"]

JUDGED_WEIGHTS = "judged_weights"
"""The setting of an index that holds weights found by judgments."""


def weights_of(index: IndexRecord) -> ListWeights:
    """Return the weights of an index: those found by judgments, else by measuring it on itself, else the default."""
    stored = index.settings.get(JUDGED_WEIGHTS) or index.settings.get("weights")
    return ListWeights(**stored) if stored else ListWeights()


def check_mode(mode: Any) -> Mode:
    """Return `mode` if there is such a one."""
    if mode not in MODES:
        raise BadOption(f"unknown mode {mode!r}; there are: {', '.join(MODES)}")
    return mode  # type: ignore[no-any-return]


def check_limit(limit: Any) -> int:
    """Return `limit` if it is a whole number from 0 to MAX_LIMIT."""
    return _whole("a limit", limit, highest=MAX_LIMIT)


def check_offset(offset: Any) -> int:
    """Return `offset` if it is a whole number from 0 up."""
    return _whole("an offset", offset, highest=None)


def _whole(name: str, value: Any, *, highest: int | None) -> int:
    good = (
        isinstance(value, int) and not isinstance(value, bool) and value >= 0 and (highest is None or value <= highest)
    )
    if not good:
        span = f"between 0 and {highest}" if highest is not None else "from 0 up"
        raise BadOption(f"{name} is a whole number {span}, not {value!r}")
    return int(value)


def check_weights(weights: Any, *, fusion: Any, default: ListWeights) -> ListWeights:
    """Return weights given as `[keyword, semantic]` or `{"keyword": 0.7, "semantic": 0.3}`, or None for the default's.

    `fusion` is "score", "rrf" or None for the default's; ranks weigh alike unless weights are given.
    """
    if fusion not in (None, *get_args(FusionMethod)):
        raise BadOption(f"unknown fusion {fusion!r}; there are: {', '.join(get_args(FusionMethod))}")
    method: FusionMethod = fusion or default.fusion
    if weights is None:
        return ListWeights(1.0, 1.0, "rrf") if method == "rrf" else replace(default, fusion=method)
    keyword, semantic = _pair(weights)
    return ListWeights(keyword, semantic, method)


def _pair(weights: Any) -> tuple[float, float]:
    if isinstance(weights, Mapping) and set(weights) <= {"keyword", "semantic"}:
        weights = [weights.get("keyword", 0), weights.get("semantic", 0)]
    numbers = list(weights) if isinstance(weights, list | tuple) else []
    good = len(numbers) == 2 and all(isinstance(each, int | float) and 0 <= each < float("inf") for each in numbers)
    if not good or sum(numbers) <= 0:
        raise BadOption(f"weights are two numbers from 0 up, keyword and semantic, not both 0; not {weights!r}")
    return float(numbers[0]), float(numbers[1])
