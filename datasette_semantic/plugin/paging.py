"""Pages of a match set, by relevance or by a column: joined they are all of it, also while rows come and go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..config import LIST_DEPTH
from ..laws.quoting import quote
from ..records import IndexRecord, RowKey, SearchRequest, SearchResults, Source
from ..search.engine import search
from ..store.source import describe
from .query_string import Place, key_path
from .row_sets import rows_condition

__all__ = ["ranked_page", "sorted_page"]

_WHOLE_SET = 2 * LIST_DEPTH
"""The most rows that the union of the two lists can hold."""


def ranked_page(
    conn: Any, index: IndexRecord, request: SearchRequest, vector: Any, place: Place
) -> tuple[SearchResults, int]:
    """Return the page that begins at a place, best first, and its offset.

    It begins after the row with which the page before ended, even where rows before that have come or gone since.
    """
    results = search(conn, index, request, vector=vector)
    offset = _offset(results.match_keys, place)
    if offset == request.offset:
        return results, offset
    return search(conn, index, replace(request, offset=offset), vector=vector), offset


def sorted_page(
    conn: Any, index: IndexRecord, request: SearchRequest, vector: Any, place: Place, *, by: str, descending: bool
) -> tuple[SearchResults, int]:
    """Return the page that begins at a place when the match set is sorted by a column, and its offset.

    Rows keep the rank that relevance gives them; it also decides between equals.
    """
    results = search(conn, index, replace(request, offset=0, limit=_WHOLE_SET), vector=vector)
    hits = {hit.key: hit for hit in results.hits}
    source = describe(conn, index.table)
    keys = _sorted_keys(conn, source, list(hits), by=by, descending=descending)
    offset = _offset(keys, place)
    page = tuple(hits[key] for key in keys[offset : offset + request.limit])
    return replace(results, hits=page, match_keys=keys), offset


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


def _offset(keys: Sequence[RowKey], place: Place) -> int:
    expected = place.offset - 1
    if not place.after or (0 <= expected < len(keys) and key_path(keys[expected]) == place.after):
        return place.offset
    return next((position + 1 for position, key in enumerate(keys) if key_path(key) == place.after), place.offset)
