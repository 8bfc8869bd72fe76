"""Pages of a match set, by relevance or by a column: joined they are all of it, also while rows come and go.

A page is cut from the very order from which the page before was cut, as long as the server remembers it: rows that
have gone since are passed over, rows that have come are for the next search. Where it is forgotten, the page begins
after the row with which the page before ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..laws.quoting import quote
from ..records import IndexRecord, RowKey, SearchRequest, SearchResults, Source
from ..search.engine import Ranking, page_of
from ..store.source import describe
from .query_string import Place, key_path
from .row_sets import rows_condition

__all__ = ["Order", "in_order", "offset_of", "page_at"]


@dataclass(frozen=True, slots=True)
class Order:
    """A match set in the order in which its pages show it."""

    ranking: Ranking
    keys: tuple[RowKey, ...] | None
    """The keys in another order than that of relevance, None for that."""


def in_order(conn: Any, index: IndexRecord, ranking: Ranking, *, by: str | None, descending: bool) -> Order:
    """Return a match set best first, or sorted by the column `by`; relevance then decides between equals."""
    if by is None:
        return Order(ranking, None)
    source = describe(conn, index.table)
    return Order(ranking, _sorted_keys(conn, source, ranking.rows.keys, by=by, descending=descending))


def page_at(conn: Any, index: IndexRecord, request: SearchRequest, order: Order, offset: int) -> SearchResults:
    """Return the page that begins after so many rows. Sorted, rows keep the rank that relevance gives them."""
    return page_of(conn, index, replace(request, offset=offset), order.ranking, keys=order.keys)


def _sorted_keys(conn: Any, source: Source, keys: Sequence[RowKey], *, by: str, descending: bool) -> tuple[RowKey, ...]:
    """Return keys in the order of a column, as SQLite sorts it; equals stay in the order in which they came."""
    condition, packed = rows_condition(source, keys, "semantic_keys")
    names = ", ".join(map(quote, source.key_columns))
    direction = "desc" if descending else "asc"
    rows = conn.execute(
        f"select {names}, dense_rank() over (order by {quote(by)} {direction}) from {quote(source.table)} "
        f"where {condition}",
        {"semantic_keys": packed},
    )
    place_of = {row[:-1]: row[-1] for row in map(tuple, rows)}
    return tuple(sorted((key for key in keys if key in place_of), key=place_of.__getitem__))


def offset_of(order: Order, place: Place) -> int:
    """Return where in an order that is not the one before the next page begins: after the row that was shown last."""
    keys = order.ranking.rows.keys if order.keys is None else order.keys
    expected = place.offset - 1
    if not place.after or (0 <= expected < len(keys) and key_path(keys[expected]) == place.after):
        return place.offset
    return next((position + 1 for position, key in enumerate(keys) if key_path(key) == place.after), place.offset)
