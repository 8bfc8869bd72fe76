"""Facets over the match set, by Datasette's own facet classes, plugins' included.

The classes do the counting; the addresses they make are not used. Theirs keep the page number, know nothing of a column
named like one of our keys, and carry the site's prefix twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import BadOption
from ..laws.quoting import quote
from ..records import IndexRecord, RowFilter, RowKey, Source
from ..store.source import conjunction
from . import compat
from .query_string import OWN_KEYS, Pair, QueryString

__all__ = [
    "FacetBlock",
    "FacetValue",
    "Facets",
    "RowSet",
    "choose",
    "count_facets",
    "facet_columns",
    "links_to_more",
    "rows_condition",
    "rows_that_pass",
    "rows_with_keys",
    "suggest_facets",
    "wanted_columns",
]

_MOST_CHOSEN = 4
"""Facets shown where nobody has said which: a column of them that fits on a screen."""

_SAMPLE = 1_000
"""Rows by which it is judged what is worth counting, as many as Datasette looks at."""

_SUGGESTIONS_FRESH_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class RowSet:
    """The rows that facets count over, as a select without order or limit."""

    sql: str
    params: Mapping[str, Any]
    count: int


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


def rows_condition(source: Source, keys: Sequence[RowKey], parameter: str) -> tuple[str, str]:
    """Return SQL that picks the rows with these keys, and the value of its one parameter."""
    names = [quote(column) for column in source.key_columns]
    if len(names) == 1:
        left, right, packed = names[0], "value", json.dumps([key[0] for key in keys], default=_as_text)
    else:
        left, right = f"({', '.join(names)})", ", ".join(f"value ->> {place}" for place in range(len(names)))
        packed = json.dumps([list(key) for key in keys], default=_as_text)
    return f"{left} in (select {right} from json_each(:{parameter}))", packed


def rows_with_keys(source: Source, keys: Sequence[RowKey], columns: Sequence[str]) -> RowSet:
    """Return the rows with these keys; their order plays no part in counting."""
    condition, packed = rows_condition(source, keys, "semantic_keys")
    return RowSet(_select(source, columns, condition), {"semantic_keys": packed}, len(keys))


def rows_that_pass(source: Source, filters: Sequence[RowFilter], columns: Sequence[str], count: int) -> RowSet:
    """Return the rows of the whole table that pass the filters."""
    condition, params = conjunction(filters)
    return RowSet(_select(source, columns, condition), dict(params), count)


def _select(source: Source, columns: Sequence[str], condition: str) -> str:
    # Only what is counted, and the key by which rows differ: Datasette's array facet sorts everything it is given.
    names = ", ".join(quote(name) for name in dict.fromkeys(columns))
    return f"select {names} from {quote(source.table)} where {condition}"


async def count_facets(
    datasette: Any,
    request: Any,
    query: QueryString,
    *,
    database: str,
    source: Source,
    rows: RowSet,
    configured: Sequence[Any],
) -> Facets:
    """Count each facet, asked for or configured, over the rows; `wanted_columns` has checked them."""
    blocks: list[FacetBlock] = []
    timed_out: list[str] = []
    for facet in compat.facets_over(
        datasette,
        request,
        database=database,
        table=source.table,
        sql=rows.sql,
        params=rows.params,
        configured=configured,
        row_count=rows.count,
    ):
        # One after the other, as Datasette does: each takes one of the few threads that all requests share.
        results, late = await facet.facet_results()
        timed_out += late
        found = list(results.values()) if isinstance(results, dict) else results
        blocks += [_block(each, query, configured) for each in found]
    order = {name: place for place, name in enumerate(facet_columns(configured))}
    blocks.sort(key=lambda block: order.get(block.name, len(order)))
    return Facets(tuple(dict.fromkeys(blocks)), tuple(timed_out))


def wanted_columns(query: QueryString, source: Source, configured: Sequence[Any]) -> tuple[str, ...]:
    """Return the columns that are counted. Raises BadOption for one that the table does not have."""
    asked = [
        _column_of(value)
        for key, value in query.pairs
        if key == "_facet" or (key.startswith("_facet_") and key != "_facet_size")
    ]
    columns = tuple(dict.fromkeys((*facet_columns(configured), *asked)))
    for column in columns:
        if column not in source.column_names:
            raise BadOption(f"cannot facet by {column!r}: the table has {', '.join(source.column_names)}")
    return columns


def facet_columns(configured: Sequence[Any]) -> list[str]:
    """Return the column that each configured facet is about."""
    return [_column_of(item if isinstance(item, str) else next(iter(item.values()))) for item in configured]


async def suggest_facets(
    datasette: Any, request: Any, *, database: str, source: Source, index: IndexRecord, memory: dict[Any, Any]
) -> tuple[Any, ...]:
    """Return the facets that Datasette would suggest for the whole table, in the form of its configuration.

    Columns that are searched, or that are the key, are left out: every value there is its own.
    """
    key = (database, source.table, source.column_names)
    kept = memory.get(key)
    if kept is not None and time.monotonic() - kept[0] < _SUGGESTIONS_FRESH_SECONDS:
        found: tuple[Any, ...] = kept[1]
        return found
    dull = {*source.key_columns, *index.text.columns}
    suggested: list[Any] = []
    sample = await _sample(datasette, database, source, [name for name in source.column_names if name not in dull])
    for facet in compat.facets_over(
        datasette,
        request,
        database=database,
        table=source.table,
        sql=sample.sql,
        params=sample.params,
        configured=(),
        row_count=sample.count,
    ):
        for each in await facet.suggest():
            if each["name"] not in dull:
                kind = each.get("type", "column")
                suggested.append(each["name"] if kind == "column" else {kind: each["name"]})
    in_table_order = tuple(sorted(suggested, key=lambda item: source.column_names.index(facet_columns([item])[0])))
    memory[key] = (time.monotonic(), in_table_order)
    return in_table_order


async def _sample(datasette: Any, database: str, source: Source, columns: Sequence[str]) -> RowSet:
    """Return about a thousand rows from all over the table: its first rows are often all of one kind."""
    names = (*source.key_columns, *columns)
    if not source.has_rowid:
        return RowSet(_select(source, names, "1"), {}, _SAMPLE)
    table = quote(source.table)

    def spread(conn: Any) -> list[int]:
        lowest, highest = conn.execute(f"select min(_rowid_), max(_rowid_) from {table}").fetchone()
        if lowest is None:
            return []
        step = max(1, (highest - lowest) // _SAMPLE)
        return list(range(lowest, highest + 1, step))

    rowids = await datasette.get_database(database).execute_fn(spread)
    condition = "_rowid_ in (select value from json_each(:semantic_sample))"
    return RowSet(_select(source, names, condition), {"semantic_sample": json.dumps(rowids)}, len(rowids))


def choose(suggested: Sequence[Any]) -> tuple[Any, ...]:
    """Return the facets to show where neither the site nor the address says which."""
    return tuple(suggested[:_MOST_CHOSEN])


def links_to_more(query: QueryString, suggested: Sequence[Any], shown: Facets) -> tuple[tuple[str, str, str], ...]:
    """Return suggested facets that are not on the page, with the address that adds each."""
    present = {(block.name, block.type) for block in shown.blocks}
    more = []
    for item in suggested:
        kind, column = ("column", item) if isinstance(item, str) else next(iter(item.items()))
        column = _column_of(column)
        if (column, kind) not in present and column not in shown.timed_out:
            key = "_facet" if kind == "column" else f"_facet_{kind}"
            more.append((column, kind, query.link(add=[(key, column)])))
    return tuple(more)


def _block(found: Mapping[str, Any], query: QueryString, configured: Sequence[Any]) -> FacetBlock:
    name, kind = found["name"], found["type"]
    key = "_facet" if kind == "column" else f"_facet_{kind}"
    removable = (key, name) in query.pairs
    values = tuple(_value(each, name, kind, query) for each in found["results"])
    return FacetBlock(
        name, kind, values, bool(found.get("truncated")), query.link(remove=[(key, name)]) if removable else None
    )


def _value(found: Mapping[str, Any], name: str, kind: str, query: QueryString) -> FacetValue:
    value = found["value"]
    label = found["label"]
    pairs = _pairs_that_select(name, kind, str(value))
    selected = [pair for pair in pairs if pair in query.pairs]
    url = query.link(remove=selected) if selected else query.link(add=[pairs[0]])
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


def _column_of(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("column") or value.get("simple"))
    if isinstance(value, str) and value.startswith("{"):
        try:
            return str(json.loads(value).get("column"))
        except (ValueError, AttributeError) as error:
            raise BadOption(f"_facet={value} is not an object with a column") from error
    return str(value)


def _as_text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
