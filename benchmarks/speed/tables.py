"""Results as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

_EMPTY = "–"


def peers_table(result: dict[str, Any]) -> str:
    """Return a line per peer of a comparison, with ratios to ours."""
    records = result["peers"]
    ours = next((each for each in records if each["name"] == "ours"), {})
    head = (
        "| | recall@10 | median ms | 95% under | × ours | first answer ms | building s | × ours | disk MB "
        "| memory MB | setting |"
    )
    lines = [head, "|---|" + "---:|" * 9 + "---|", *(peer_line(each, ours) for each in records)]
    return "\n".join(lines)


def peer_line(record: dict[str, Any], ours: dict[str, Any]) -> str:
    if "error" in record:
        return f"| {record['title']} | not measured: {_inline(record['error'])} |"
    few = f" ({record['asked']} queries)" if record["asked"] < 200 else ""
    cells = (
        f"{record['recall']:.3f}",
        figure(record["median"]) + few,
        figure(record["most"]),
        _ratio(record, ours, "median"),
        figure(record["first"]),
        figure(record.get("build")),
        _ratio(record, ours, "build"),
        f"{record['disk']:,.0f}",
        f"{record['memory']:,.0f}",
        record["setting"] or "",
    )
    return f"| {record['title']} | {' | '.join(cells)} |"


def words_table(result: dict[str, Any]) -> str:
    lines = [
        "| | keyword: median ms | slowest | hybrid: median ms | slowest | building s | disk MB | memory MB |",
        "|---|" + "---:|" * 7,
    ]
    for record in result["peers"]:
        if "error" in record:
            lines.append(f"| {record['title']} | not measured: {_inline(record['error'])} |")
            continue
        timings = [record[part][which] for part in ("keyword", "hybrid") for which in ("median", "slowest")]
        cells = [*map(figure, timings), figure(record["build"]), f"{record['disk']:,.0f}", f"{record['memory']:,.0f}"]
        lines.append(f"| {record['title']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def curve_table(results: Sequence[dict[str, Any]]) -> str:
    """Return a line per size, times in milliseconds; `results` are those of words, of which ours comes first."""
    head = (
        "| rows | vector list | recall@10 | exact | keyword list | slowest | hybrid | 95% under | JSON page "
        "| building s | disk MB | memory MB |"
    )
    lines = [
        head,
        "|---:|" + "---:|" * 11,
    ]
    for result in results:
        ours = result["peers"][0]
        if "error" in ours:
            lines.append(f"| {result['set']['rows']:,} | not measured: {_inline(ours['error'])} |")
            continue
        cells = [
            figure(ours["vector"]["median"]),
            f"{ours['recall']:.3f}",
            figure(ours["exact"]["median"]),
            figure(ours["keyword"]["median"]),
            figure(ours["keyword"]["slowest"]),
            figure(ours["hybrid"]["median"]),
            figure(ours["hybrid"]["most"]),
            figure(ours["page"]["median"]) + _refused(ours["page"]),
            figure(ours["build"]),
            f"{ours['disk']:,.0f}",
            f"{ours['memory']:,.0f}",
        ]
        lines.append(f"| {result['set']['rows']:,} | {' | '.join(cells)} |")
    return "\n".join(lines)


def codes_table(result: dict[str, Any]) -> str:
    plain = result["codes"][0]
    lines = ["| code | fetched | recall@10, rescored | median ms | × float32 | disk MB |", "|---|" + "---:|" * 5]
    for each in result["codes"]:
        ratio = f"{each['median'] / plain['median']:.1f}"
        cells = (f"{each['depth']:,}", f"{each['recall']:.3f}", figure(each["median"]), ratio, f"{each['disk']:,.0f}")
        lines.append(f"| {each['code']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def figure(value: float | None) -> str:
    """Return a number with about three digits that count."""
    if value is None:
        return _EMPTY
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _ratio(record: dict[str, Any], ours: dict[str, Any], name: str) -> str:
    if record is ours or name not in record or name not in ours:
        return _EMPTY
    ratio = record[name] / ours[name]
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"


def _refused(page: dict[str, Any]) -> str:
    """Return how many answers were refused, where any were."""
    return f" ({page['refused']} of {page['asked']} refused)" if page.get("refused") else ""


def _inline(text: str) -> str:
    return text.replace("|", "\\|")


def between_marks(text: str, blocks: Iterable[tuple[str, str]]) -> str:
    """Return a page with each block put between its marks, `<!-- NAME:begin -->` and `<!-- NAME:end -->`."""
    for name, block in blocks:
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise SystemExit(f"the page has no marks {begin} and {end}")
        text = f"{before}{begin}\n\n{block}\n\n{end}{after}"
    return text
