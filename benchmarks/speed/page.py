"""`docs/speed.md`: its tables and plots made anew from the results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .machine import told
from .plots import curve_plot, peers_plot
from .results import load
from .tables import between_marks, codes_table, curve_table, peers_table, words_table
from .targets import targets_table


def write_page(page: Path) -> None:
    """Put every result between the marks of the page, and the plots into `images/` beside it."""
    comparisons, words, curve, coded = (load(kind) for kind in ("vectors", "words", "curve", "codes"))
    blocks = [
        ("targets", targets_table(comparisons, curve)),
        ("machine", _machine([*comparisons, *words, *curve, *coded])),
        ("vectors", "\n\n".join(_comparison(each, page) for each in comparisons)),
        ("words", "\n\n".join(_words(each) for each in words)),
        ("curve", _curve(curve, page)),
        ("codes", "\n\n".join(f"{_set(each)}\n\n{codes_table(each)}" for each in coded)),
    ]
    told_blocks = [(name, block or "Not measured yet.") for name, block in blocks]
    page.write_text(between_marks(page.read_text(encoding="utf-8"), told_blocks), encoding="utf-8")


def _machine(results: list[dict[str, Any]]) -> str:
    lines = dict.fromkeys(told(each["machine"]) for each in results)
    return "\n\n".join(lines)


def _comparison(result: dict[str, Any], page: Path) -> str:
    name = f"speed-{result['set']['dimensions']}-{result['set']['rows']}.svg"
    peers_plot(result, page.parent / "images" / name)
    title = f"### {result['set']['rows']:,} × {result['set']['dimensions']}"
    versions = ", ".join(dict.fromkeys(each["version"] for each in result["peers"] if "version" in each))
    return "\n\n".join(
        [title, _set(result), f"![Median times of the peers](images/{name})", peers_table(result), f"With {versions}."]
    )


def _words(result: dict[str, Any]) -> str:
    return f"### {result['set']['rows']:,} rows\n\n{_set(result)}\n\n{words_table(result)}"


def _curve(curve: list[dict[str, Any]], page: Path) -> str:
    if not curve:
        return ""
    curve_plot(curve, page.parent / "images" / "speed-curve.svg")
    return f"![Times by number of rows](images/speed-curve.svg)\n\n{_texts(curve)}\n\n{curve_table(curve)}"


def _texts(curve: list[dict[str, Any]]) -> str:
    """Return of what kind the texts are, with their sizes where they are not all of one."""
    sizes: dict[str, list[str]] = {}
    for each in curve:
        sizes.setdefault(each["set"]["kind"], []).append(f"{each['set']['rows']:,}")
    if len(sizes) == 1:
        return f"Texts: {next(iter(sizes))}."
    parts = [f"{kind} ({', '.join(rows)} rows)" for kind, rows in sizes.items()]
    return f"Texts: {'; '.join(parts)}."


def _set(result: dict[str, Any]) -> str:
    given = result["set"]
    return (
        f"{given['rows']:,} rows, {given['dimensions']} dimensions; {given['kind']}; intrinsic dimension "
        f"{given['intrinsic']:g}. Measured on {result['day']}; load of the machine before it {result.get('load', '?')}."
    )
