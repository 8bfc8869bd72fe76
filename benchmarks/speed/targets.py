"""What was set as a goal, and what was measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .tables import figure

SIZES = (100_000, 1_000_000)

Value = float | None
Results = Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Target:
    what: str
    unit: str
    goals: tuple[float | None, float]
    """At 100,000 rows, where there is one, and at 1,000,000; below it is met, or above it where `more`."""
    value: Callable[[Results, Results, int], Value]
    """From comparisons, the curve and rows."""
    more: bool = False


def targets_table(comparisons: Results, curve: Results) -> str:
    lines = ["| | 100,000 rows: goal | measured | 1,000,000 rows: goal | measured |", "|---|---:|---:|---:|---:|"]
    for target in TARGETS:
        cells = []
        for rows, goal in zip(SIZES, target.goals, strict=True):
            least = "at least" if target.more else "under"
            cells.append("–" if goal is None else f"{least} {goal:g}{target.unit}")
            cells.append(_told(target, goal, target.value(comparisons, curve, rows)))
        lines.append(f"| {target.what} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _told(target: Target, goal: float | None, value: Value) -> str:
    if value is None:
        return "not measured"
    if goal is None:
        return f"{figure(value)}{target.unit}"
    if goal < 1:  # a recall
        return f"{value:.3f}, {'met' if value >= goal else '**missed**'}"
    met = value >= goal if target.more else value < goal
    verdict = "met" if met else f"**missed** by a factor of {figure(max(value, goal) / min(value, goal))}"
    return f"{figure(value)}{target.unit}, {verdict}"


def _compared(comparisons: Results, rows: int, dimensions: int, name: str) -> dict[str, Any] | None:
    for result in comparisons:
        if (result["set"]["rows"], result["set"]["dimensions"]) == (rows, dimensions):
            found = (each for each in result["peers"] if each["name"] == name and "error" not in each)
            return next(found, None)
    return None


def _vector_list(dimensions: int) -> Callable[[Results, Results, int], Value]:
    def value(comparisons: Results, curve: Results, rows: int) -> Value:
        ours = _compared(comparisons, rows, dimensions, "ours")
        return None if ours is None else ours["median"]

    return value


def _ratio(dimensions: int, peer: str, what: str, *, theirs_first: bool) -> Callable[[Results, Results, int], Value]:
    def value(comparisons: Results, curve: Results, rows: int) -> Value:
        ours = _compared(comparisons, rows, dimensions, "ours")
        other = _compared(comparisons, rows, dimensions, peer)
        if ours is None or other is None:
            return None
        ratio = float(other[what] / ours[what])
        return ratio if theirs_first else 1 / ratio

    return value


def _recall(dimensions: int) -> Callable[[Results, Results, int], Value]:
    def value(comparisons: Results, curve: Results, rows: int) -> Value:
        ours = _compared(comparisons, rows, dimensions, "ours")
        return None if ours is None else ours["recall"]

    return value


def _of_curve(*path: str) -> Callable[[Results, Results, int], Value]:
    def value(comparisons: Results, curve: Results, rows: int) -> Value:
        found: Any = next((each["peers"][0] for each in curve if each["set"]["rows"] == rows), None)
        for name in path:
            found = None if found is None else found.get(name)
        return None if found is None else float(found)

    return value


def _each_dimension() -> list[Target]:
    found = []
    for dimensions, goals in ((256, (1.0, 2.0)), (768, (2.0, 4.0))):
        at = f"{dimensions} dimensions"
        found += [
            Target(f"vector list, {at}", " ms", goals, _vector_list(dimensions)),
            Target(f"its recall@10, {at}", "", (0.95, 0.95), _recall(dimensions), more=True),
            Target(
                f"quicker than an exact scan of the same file, {at}",
                " times",
                (20, 100),
                _ratio(dimensions, "flat-in-our-file", "median", theirs_first=True),
                more=True,
            ),
            Target(
                f"slower than usearch at the same recall, {at}",
                " times",
                (4, 4),
                _ratio(dimensions, "usearch", "median", theirs_first=False),
            ),
            Target(
                f"built quicker than usearch, {at}",
                " times",
                (None, 4),
                _ratio(dimensions, "usearch", "build", theirs_first=True),
                more=True,
            ),
        ]
    return found


TARGETS = (
    *_each_dimension(),
    Target("keyword list, natural questions, slowest of 200", " ms", (30, 80), _of_curve("keyword", "slowest")),
    Target("hybrid with passages of 10 rows", " ms", (10, 25), _of_curve("hybrid", "median")),
    Target("JSON page, warm, the built-in model", " ms", (25, 45), _of_curve("page", "median")),
    Target("training and filling, beyond embedding", " s", (20, 240), _of_curve("build")),
    Target("memory of a process that searches", " MB", (250, 400), _of_curve("memory")),
)
