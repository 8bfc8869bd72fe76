"""Plots as SVG, the same bytes for the same results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

_OURS, _OTHERS, _INK = "#b5482a", "#8a9199", "#333333"


def peers_plot(result: dict[str, Any], file: Path) -> None:
    """Draw a dot per peer, from the quickest: its median time, its recall written beside it."""
    records = sorted((each for each in result["peers"] if "error" not in each), key=lambda each: -each["median"])
    figure, axes = _canvas(9, 0.8 + 0.36 * len(records))
    names = [each["title"].replace("*", "").replace("`", "") for each in records]
    colours = [_OURS if each["name"].startswith("ours") else _OTHERS for each in records]
    times = [each["median"] for each in records]
    axes.scatter(times, names, color=colours, s=45, zorder=2)
    axes.grid(axis="both", color="#e4e4e4", zorder=1)
    axes.set_xscale("log")
    axes.set_xlim(min(times) / 1.6, max(times) * 14)
    axes.set_ylim(-0.6, len(records) - 0.4)
    axes.xaxis.set_major_formatter("{x:g}")
    for line, each in enumerate(records):
        text = f"{each['median']:.3g} ms, recall {each['recall']:.3f}"
        axes.annotate(text, (each["median"], line), xytext=(9, 0), textcoords="offset points", va="center")
    described = f"{result['set']['rows']:,} vectors, {result['set']['dimensions']} dimensions ({result['set']['kind']})"
    axes.set_title(described, loc="left")
    axes.set_xlabel("milliseconds, median")
    _save(figure, file)


def curve_plot(results: Sequence[dict[str, Any]], file: Path) -> None:
    """Draw what each part of a search takes by the number of rows."""
    figure, axes = _canvas(9, 5)
    told = [(each["set"]["rows"], each["peers"][0]) for each in results if "error" not in each["peers"][0]]
    rows = [size for size, _ in told]
    for part, name, which, colour in (
        ("exact", "compared with every vector", "median", _OTHERS),
        ("keyword", "keyword list, slowest of 200 questions", "slowest", "#c9a227"),
        ("page", "JSON page", "median", "#4a7a8c"),
        ("hybrid", "hybrid search, ten rows with passages", "median", "#5b8c5a"),
        ("vector", "vector list", "median", _OURS),
    ):
        axes.plot(rows, [ours[part][which] for _, ours in told], marker="o", label=name, color=colour)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("rows")
    axes.set_ylabel("milliseconds")
    axes.grid(which="major", color="#e4e4e4")
    axes.legend(frameon=False)
    _save(figure, file)


def _canvas(width: float, height: float) -> tuple[Any, Any]:
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    mpl.rcParams.update({"svg.hashsalt": "speed", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10})
    figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=_INK)
    return figure, axes


def _save(figure: Any, file: Path) -> None:
    import matplotlib.pyplot as plt

    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None}, facecolor="white")
    plt.close(figure)
