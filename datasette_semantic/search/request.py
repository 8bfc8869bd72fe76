"""The options of a request as people and programs give them, checked: each refusal is a BadOption naming the value."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, get_args

from ..config import MAX_LIMIT, MAX_RERANKED
from ..errors import BadOption, NoSuchColumn
from ..records import MODES, Boost, FusionMethod, IndexRecord, ListWeights, Mode, Rerank

__all__ = [
    "JUDGED_WEIGHTS",
    "check_boosts",
    "check_column_weights",
    "check_diversity",
    "check_limit",
    "check_mode",
    "check_number",
    "check_offset",
    "check_rerank",
    "check_weights",
    "weights_of",
]

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


def check_column_weights(weights: Any, *, columns: Collection[str], table: str) -> dict[str, float]:
    """Return how much words count in columns: numbers above 0, by column. Raises NoSuchColumn too."""
    if not isinstance(weights, Mapping):
        raise BadOption(f"column weights go by column, as in {{'title': 3}}, not {weights!r}")
    for column, weight in weights.items():
        if column not in columns:
            raise NoSuchColumn(f"the index of {table!r} holds no column {column!r}; it holds: {', '.join(columns)}")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < math.inf:
            raise BadOption(f"the weight of column {column!r} is a number above 0, not {weight!r}")
    return {column: float(weight) for column, weight in weights.items()}


def check_weights(weights: Any, *, fusion: Any, default: ListWeights, rrf_k: Any = None) -> ListWeights:
    """Return weights given as `[keyword, semantic]`, `{"keyword": 0.7, "semantic": 0.3}` or "0.7,0.3", or None for the
    default's.

    `fusion` is "score", "rrf" or None for the default's, "rrf" where `rrf_k` is given; ranks weigh alike unless weights
    are given.
    """
    if rrf_k is not None and fusion is None:
        fusion = "rrf"
    if fusion not in (None, *get_args(FusionMethod)):
        raise BadOption(f"unknown fusion {fusion!r}; there are: {', '.join(get_args(FusionMethod))}")
    method: FusionMethod = fusion or default.fusion
    k = default.rrf_k if rrf_k is None else check_number("rrf_k", rrf_k, least=0.0)
    if weights is None:
        return ListWeights(1.0, 1.0, "rrf", k) if method == "rrf" else replace(default, fusion=method)
    keyword, semantic = _pair(weights)
    return ListWeights(keyword, semantic, method, k)


def check_number(name: str, value: Any, *, least: float, most: float = math.inf) -> float:
    """Return a number, which may be given as text, if it lies between these."""
    number = _number(value)
    if number is None or not least <= number <= most:
        raise BadOption(f"{name} is a number {_span(least, most)}, not {value!r}")
    return number


def _span(least: float, most: float) -> str:
    return f"from {least:g} to {most:g}" if most < math.inf else f"from {least:g} up"


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def check_diversity(value: Any) -> float:
    """Return the strength of the wish for variety, 0 where none is given."""
    return 0.0 if value is None or value == "" else check_number("diversity", value, least=0.0, most=1.0)


def check_boosts(boosts: Any) -> tuple[Boost, ...]:
    """Return boosts given as "year:0.2" or "written:0.3:365", column, weight and half-life, or several of these.

    Also as a mapping of column to weight, or to `[weight, half-life]`.
    """
    if boosts is None or boosts == "":
        return ()
    if isinstance(boosts, Mapping):
        return tuple(_boost(str(column), each) for column, each in boosts.items())
    if isinstance(boosts, str | Boost):
        boosts = [boosts]
    if not isinstance(boosts, list | tuple):
        raise BadOption(f"a boost is COLUMN:WEIGHT or COLUMN:WEIGHT:HALF-LIFE, not {boosts!r}")
    return tuple(each if isinstance(each, Boost) else _typed_boost(each) for each in boosts)


def check_rerank(rerank: Any) -> Rerank | None:
    """Return a reranker given as "NAME", "NAME:DEPTH" or "NAME:DEPTH:SECONDS"."""
    if rerank is None or rerank == "" or isinstance(rerank, Rerank):
        return rerank or None
    match = _RERANK.fullmatch(str(rerank))
    if match is None:
        raise BadOption(f"a reranker is NAME, NAME:DEPTH or NAME:DEPTH:SECONDS, as llm:20, not {rerank!r}")
    plain = Rerank(match["name"])
    depth = int(match["depth"] or plain.depth)
    if not 1 <= depth <= MAX_RERANKED:
        raise BadOption(f"a reranker reads 1 to {MAX_RERANKED} rows, not {depth}")
    return replace(plain, depth=depth, seconds=float(match["seconds"] or plain.seconds))


_RERANK = re.compile(r"(?P<name>.+?)(?::(?P<depth>[0-9]{1,9})(?::(?P<seconds>[0-9]{1,5}))?)?", re.DOTALL)


def _typed_boost(text: Any) -> Boost:
    match = _BOOST.fullmatch(str(text))
    if match is None:
        raise BadOption(f"a boost is COLUMN:WEIGHT or COLUMN:WEIGHT:HALF-LIFE, as year:0.2, not {text!r}")
    return _boost(match["column"], [match["weight"], match["half_life"]])


def _boost(column: str, numbers: Any) -> Boost:
    weight, half_life = [*numbers, None][:2] if isinstance(numbers, list | tuple) and numbers else (numbers, None)
    if half_life is not None:
        half_life = check_number(f"the half-life of {column}", half_life, least=1e-9)
    return Boost(column, check_number(f"the weight of {column}", weight, least=-10.0, most=10.0), half_life)


_NUMBER = r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?"
_BOOST = re.compile(rf"(?P<column>.+?):(?P<weight>{_NUMBER})(?::(?P<half_life>{_NUMBER}))?", re.DOTALL)


def _pair(weights: Any) -> tuple[float, float]:
    if isinstance(weights, str):
        weights = [_number(each) for each in weights.split(",")]
    if isinstance(weights, Mapping) and set(weights) <= {"keyword", "semantic"}:
        weights = [weights.get("keyword", 0), weights.get("semantic", 0)]
    numbers = list(weights) if isinstance(weights, list | tuple) else []
    good = len(numbers) == 2 and all(isinstance(each, int | float) and 0 <= each < float("inf") for each in numbers)
    if not good or sum(numbers) <= 0:
        raise BadOption(f"weights are two numbers from 0 up, keyword and semantic, not both 0; not {weights!r}")
    return float(numbers[0]), float(numbers[1])
