"""Facets over the match set, by Datasette's own facet classes, plugins' included.

The classes do the counting; the addresses they make are not used. Theirs keep the page number, know nothing of a column
named like one of our keys, and carry the site's prefix twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import BadOption
from ..laws.quoting import quote
from ..records import IndexRecord, Source
from . import compat
from .query_string import OWN_KEYS, Pair, QueryString
from .row_sets import RowSet

__all__ = [
    "FacetBlock",
    "FacetValue",
    "Facets",
    "Wanted",
    "choose",
    "count_facets",
    "links_to_more",
    "suggest_facets",
    "wanted_facets",
]

_MOST_CHOSEN = 4
"""Facets shown where nobody has said which: a column of them that fits on a screen."""

_SAMPLE = 1_000
"""Rows by which it is judged what is worth counting, as many as Datasette looks at."""

_SUGGESTIONS_FRESH_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A facet that is to be counted."""

    type: str
    config: Any
    """A column's name, or the object that Datasette's configuration has in its place."""
    column: str
    who: Literal["site", "address", "data"]
    """Who asked for it; "data" where it only looked worth counting."""


@dataclass(frozen=True, slots=True)
class FacetValue:
    """One value of a facet."""

    value: Any
    label: str
    count: int
    selected: bool
    toggle_url: str


@dataclass(frozen=True, slots=True)
class FacetBlock:
    """One facet with its values, most frequent first."""

    name: str
    type: str
    """`column`, `array`, `date`, or a plugin's own."""
    results: tuple[FacetValue, ...]
    truncated: bool
    remove_url: str | None
    """The address of the page without this facet; None where the site chose it."""

    def as_dict(self) -> dict[str, Any]:
        """Return the facet as Datasette's JSON has it."""
        return {
            "name": self.name,
            "type": self.type,
            "hideable": self.remove_url is not None,
            "toggle_url": self.remove_url,
            "results": [
                {
                    "value": v.value,
                    "label": v.label,
                    "count": v.count,
                    "toggle_url": v.toggle_url,
                    "selected": v.selected,
                }
                for v in self.results
            ],
            "truncated": self.truncated,
        }


@dataclass(frozen=True, slots=True)
class Facets:
    """All facets of a page."""

    blocks: tuple[FacetBlock, ...] = ()
    timed_out: tuple[str, ...] = ()
    more: tuple[tuple[str, str, str], ...] = field(default=())
    """Facets that could be added: `(column, type, address)`."""


def wanted_facets(
    query: QueryString, source: Source, *, site: Sequence[Any], data: Sequence[Any]
) -> tuple[Wanted, ...]:
    """Return the facets to count: the site's own, else those that the data suggest, and what the address asks for.

    Raises BadOption for a column that the table does not have.
    """
    found: dict[tuple[str, str], Wanted] = {}
    for item in site:
        each = _wanted(item, "site")
        found.setdefault((each.type, each.column), each)
    for item in data:
        each = _wanted(item, "data")
        found.setdefault((each.type, each.column), each)
    for key, value in query.pairs:
        if key == "_facet" or (key.startswith("_facet_") and key != "_facet_size"):
            kind = "column" if key == "_facet" else key.removeprefix("_facet_")
            each = _wanted({kind: _read_config(value)}, "address")
            found.setdefault((each.type, each.column), each)
    for each in found.values():
        if each.column not in source.column_names:
            raise BadOption(f"cannot facet by {each.column!r}: the table has {', '.join(source.column_names)}")
    return tuple(found.values())


async def count_facets(
    datasette: Any, request: Any, query: QueryString, *, database: str, rows: RowSet, wanted: Sequence[Wanted]
) -> Facets:
    """Count each facet over the rows.

    One after the other, as Datasette does: each takes one of the few threads that all requests share.
    """
    blocks: list[FacetBlock] = []
    timed_out: list[str] = []
    for each in wanted:
        facets = await compat.facets_over(
            datasette,
            request,
            database=database,
            table=rows.source.table,
            sql=rows.select([each.column]),
            params=rows.params,
            row_count=rows.count,
            only=(each.type, each.config, each.column),
        )
        for facet in facets:
            results, late = await facet.facet_results()
            if each.who != "data":
                timed_out += late
            found = list(results.values()) if isinstance(results, dict) else results
            blocks += [_block(result, query, removable=each.who == "address") for result in found]
    return Facets(tuple(blocks), tuple(timed_out))


async def suggest_facets(
    datasette: Any, request: Any, *, database: str, source: Source, index: IndexRecord, memory: dict[Any, Any]
) -> tuple[Any, ...]:
    """Return the facets that Datasette would suggest for the table, in the form of its configuration.

    Columns that are searched, or that are the key, are left out: every value there is its own. A column of arrays is
    suggested by its items alone, not by whole arrays too.
    """
    key = (database, source.table, source.column_names)
    kept = memory.get(key)
    if kept is not None and time.monotonic() - kept[0] < _SUGGESTIONS_FRESH_SECONDS:
        found: tuple[Any, ...] = kept[1]
        return found
    dull = {*source.key_columns, *index.text.columns}
    sample = await _sample(datasette, database, source)
    facets = await compat.facets_over(
        datasette,
        request,
        database=database,
        table=source.table,
        sql=sample.select([name for name in source.column_names if name not in dull]),
        params=sample.params,
        row_count=sample.count,
    )
    suggested = [each for facet in facets for each in await facet.suggest() if each["name"] not in dull]
    suggested.sort(key=lambda each: source.column_names.index(each["name"]))
    arrays = {each["name"] for each in suggested if each.get("type") == "array"}
    items = tuple(
        each["name"] if kind == "column" else {kind: each["name"]}
        for each in suggested
        if (kind := each.get("type", "column")) != "column" or each["name"] not in arrays
    )
    memory[key] = (time.monotonic(), items)
    return items


async def _sample(datasette: Any, database: str, source: Source) -> RowSet:
    """Return about a thousand rows from all over the table: its first rows are often all of one kind."""
    if not source.has_rowid:
        return RowSet(source, "1", {}, _SAMPLE)
    table = quote(source.table)

    def spread(conn: Any) -> list[int]:
        lowest, highest = conn.execute(f"select min(_rowid_), max(_rowid_) from {table}").fetchone()
        if lowest is None:
            return []
        return list(range(lowest, highest + 1, max(1, (highest - lowest) // _SAMPLE)))

    rowids = await datasette.get_database(database).execute_fn(spread)
    condition = "_rowid_ in (select value from json_each(:semantic_sample))"
    return RowSet(source, condition, {"semantic_sample": json.dumps(rowids)}, len(rowids))


def choose(suggested: Sequence[Any]) -> tuple[Any, ...]:
    """Return the facets to show where neither the site nor the address says which: dates, which seldom repeat, last."""
    return tuple(sorted(suggested, key=lambda item: isinstance(item, Mapping) and "date" in item)[:_MOST_CHOSEN])


def links_to_more(
    query: QueryString, suggested: Sequence[Any], wanted: Sequence[Wanted]
) -> tuple[tuple[str, str, str], ...]:
    """Return suggested facets that are not on the page, with the address that adds each."""
    present = {(each.type, each.column) for each in wanted}
    more = [each for each in (_wanted(item, "data") for item in suggested) if (each.type, each.column) not in present]
    return tuple((each.column, each.type, query.link(add=[(_facet_key(each.type), each.column)])) for each in more)


def _block(found: Mapping[str, Any], query: QueryString, *, removable: bool) -> FacetBlock:
    name, kind = found["name"], found["type"]
    values = tuple(_value(each, name, kind, query) for each in found["results"])
    remove_url = query.link(remove=[(_facet_key(kind), name)]) if removable else None
    return FacetBlock(name, kind, values, bool(found.get("truncated")), remove_url)


def _facet_key(kind: str) -> str:
    return "_facet" if kind == "column" else f"_facet_{kind}"


def _value(found: Mapping[str, Any], name: str, kind: str, query: QueryString) -> FacetValue:
    value = found["value"]
    label = found["label"]
    pairs = _pairs_that_select(name, kind, str(value))
    selected = [pair for pair in pairs if pair in query.pairs]
    facet = (_facet_key(kind), name)  # beside its facet a value narrows the very match set that was counted
    added = [pairs[0]] if facet in query.pairs else [facet, pairs[0]]
    url = query.link(remove=selected) if selected else query.link(add=added)
    return FacetValue(value, str(label), found["count"], bool(selected), url)


def _pairs_that_select(name: str, kind: str, value: str) -> list[Pair]:
    """Return the ways of saying in an address that only this value is wanted; the first is the one we write."""
    if kind == "array":
        return [(f"{name}__arraycontains", value)]
    if kind == "date":
        return [(f"{name}__date", value)]
    plain, exact = (name, value), (f"{name}__exact", value)
    must_be_exact = name.startswith("_") or name in OWN_KEYS or "__" in name
    return [exact] if must_be_exact else [plain, exact]


def _wanted(item: Any, who: Literal["site", "address", "data"]) -> Wanted:
    kind, config = ("column", item) if isinstance(item, str) else next(iter(item.items()))
    column = config if isinstance(config, str) else str(config.get("column") or config.get("simple"))
    return Wanted(kind, config, column, who)


def _read_config(value: str) -> Any:
    """Read the value of `_facet=`: a column, or JSON that names one."""
    if not value.startswith("{"):
        return value
    try:
        config = json.loads(value)
    except ValueError as error:
        raise BadOption(f"_facet={value} is neither a column nor JSON") from error
    return config
