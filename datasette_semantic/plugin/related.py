"""Rows like a row, on the row's own page: its stored vectors are compared, no model is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from datasette import NotFound

from ..errors import SemanticError
from ..records import RowKey
from ..store.source import parse_key
from .companions import look_at
from .page import Link
from .permissions import may_view_table
from .query_string import key_parts, key_path, read
from .searching import Target, answer, find_target, in_database
from .settings import settings_for
from .slots import below_heading
from .table_search import asset, label_column, search_path

__all__ = ["panel", "panel_script"]

_LONGEST_LABEL = 60


async def panel(datasette: Any, request: Any, database: str, table: str, row: Mapping[str, Any]) -> str | None:
    """Return the panel for a row of 1.0's row page; None where there is nothing to show."""
    source = (await look_at(datasette, database)).sources.get(table)
    if source is None:
        return None
    names = row.keys()
    if any(column not in names for column in source.key_columns):
        return None
    return await _panel(datasette, request, database, table, tuple(row[column] for column in source.key_columns))


async def panel_script(datasette: Any, request: Any, database: str, table: str) -> dict[str, str]:
    """Return the script that puts the panel on 0.65's row page; an empty one where there is nothing to show."""
    key: RowKey | None = None
    source = (await look_at(datasette, database)).sources.get(table)
    if source is not None:
        parts = key_parts(request.url_vars["pks"])

        def run(conn: Any) -> RowKey:
            return parse_key(conn, source, parts)

        with suppress(SemanticError):
            key = await in_database(datasette, database, run)
    return below_heading(None if key is None else await _panel(datasette, request, database, table, key))


async def _panel(datasette: Any, request: Any, database: str, table: str, key: RowKey) -> str | None:
    count = settings_for(datasette, database, table).related
    if count == 0 or not await may_view_table(datasette, request.actor, database, table):
        return None
    path = search_path(datasette, database, table)
    like = urlencode({"like": key_path(key)})
    try:
        target = await find_target(datasette, database, table)
        links = await _links(datasette, target, like, count)
    except (SemanticError, NotFound):  # no vector yet, no extension, no time: the row's page is whole without it
        return None
    if not links:
        return None
    context = {"links": links, "all_url": f"{path}?{like}", "stylesheet": asset(datasette, "semantic.css")}
    html: str = await datasette.render_template("_hybrid_search_related.html", context, request=request)
    return html


async def _links(datasette: Any, target: Target, like: str, count: int) -> Sequence[Link]:
    database, table = target.database, target.source.table
    settings = settings_for(datasette, database, table)
    label = await label_column(datasette, target, settings)
    query = read(like, path=search_path(datasette, database, table), mode="semantic", size=count)
    columns = () if label is None else (label,)
    found = await answer(datasette, target, query, filters=(), columns=columns, weights=settings.weights)
    table_url = datasette.urls.table(database, table)
    return [
        Link(_named(hit.row.get(label or "")) or key_path(hit.key), f"{table_url}/{key_path(hit.key)}")
        for hit in found.results.hits
    ]


def _named(value: Any) -> str:
    text = "" if value is None or isinstance(value, bytes) else " ".join(str(value).split())
    return text if len(text) <= _LONGEST_LABEL else f"{text[:_LONGEST_LABEL].rstrip()}…"
