"""Links to the search from Datasette's own menus. Nobody is shown a link to what they may not view."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any
from urllib.parse import urlencode

from . import compat
from .companions import look_at
from .permissions import may_view_table, visible_indexes
from .query_string import key_path
from .table_search import search_path

__all__ = ["database_links", "instance_links", "jump_items", "row_links", "table_links"]

Links = Coroutine[Any, Any, list[dict[str, str]]]


def table_links(datasette: Any, actor: compat.Actor, database: str, table: str) -> Links:
    """Return the table's search, where it has one."""

    async def inner() -> list[dict[str, str]]:
        if not await _may_search(datasette, actor, database, table):
            return []
        url = search_path(datasette, database, table)
        return [_link(url, "Search this table", "By meaning and by words, with facets")]

    return inner()


def row_links(datasette: Any, actor: compat.Actor, database: str, table: str, row: Any) -> Links:
    """Return "more like this" for a row of a table that can be searched (1.0)."""

    async def inner() -> list[dict[str, str]]:
        if not await _may_search(datasette, actor, database, table):
            return []
        source = (await look_at(datasette, database)).sources[table]
        like = urlencode({"like": key_path(tuple(row[column] for column in source.key_columns))})
        return [
            _link(
                f"{search_path(datasette, database, table)}?{like}", "More like this", "Rows near this one in meaning"
            )
        ]

    return inner()


def database_links(datasette: Any, actor: compat.Actor, database: str) -> Links:
    """Return the search of the whole database, where anything in it can be searched."""

    async def inner() -> list[dict[str, str]]:
        if not await visible_indexes(datasette, actor, database):
            return []
        url = f"{datasette.urls.database(database)}/-/hybrid-search"
        return [_link(url, "Search this database", "All its searchable tables in one ranking")]

    return inner()


def instance_links(datasette: Any, actor: compat.Actor) -> Links:
    """Return the search of everything, where there is anything to search."""

    async def inner() -> list[dict[str, str]]:
        for database in list(datasette.databases):
            if await visible_indexes(datasette, actor, database):
                url = datasette.urls.path("/-/hybrid-search")
                return [_link(url, "Search everything", "All searchable tables in one ranking")]
        return []

    return inner()


async def jump_items(datasette: Any, actor: compat.Actor) -> Any:
    """Return the searches of all tables that the actor may view, and of everything, for 1.0's "jump to" box."""
    items = await instance_links(datasette, actor)
    for database in list(datasette.databases):
        for index in await visible_indexes(datasette, actor, database):
            url = search_path(datasette, database, index.table)
            items.append(_link(url, f"Search {index.table}", f"in {database}, by meaning and by words"))
    named = [{**item, "url": item["href"]} for item in items]
    return compat.jump_items(named) if named else None


async def _may_search(datasette: Any, actor: compat.Actor, database: str, table: str) -> bool:
    if table not in (await look_at(datasette, database)).sources:
        return False
    return await may_view_table(datasette, actor, database, table)


def _link(href: str, label: str, description: str) -> dict[str, str]:
    return {"href": href, "label": label, "description": description}
