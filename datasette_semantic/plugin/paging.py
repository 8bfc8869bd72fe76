"""Pages of a match set, by relevance or by a column: joined they are all of it, also while rows come and go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..laws.quoting import quote
from ..records import IndexRecord, RowKey, SearchRequest, SearchResults, Source
from ..search.engine import Ranking, page_of
from ..store.source import describe
from .query_string import Place, key_path
from .row_sets import rows_condition

__all__ = ["page_at"]


def page_at(
    conn: Any,
    index: IndexRecord,
    request: SearchRequest,
    ranking: Ranking,
    place: Place,
    *,
    by: str | None = None,
    descending: bool = False,
) -> tuple[SearchResults, int]:
    """Return the page of a ranking that begins at a place, and its offset: best first, or sorted by the column `by`.

    It begins after the row with which the page before ended, even where rows before that have come or gone since.
    Sorted, rows keep the rank that relevance gives them; it also decides between equals.
    """
    keys = ranking.rows.keys
    if by is not None:
        keys = _sorted_keys(conn, describe(conn, index.table), keys, by=by, descending=descending)
    offset = _offset(keys, place)
    asked = replace(request, offset=offset)
    return page_of(conn, index, asked, ranking, keys=None if by is None else keys), offset


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
