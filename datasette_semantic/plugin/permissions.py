"""Who may see what: a companion table is seen by those who may view every table it tells about."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any

from . import compat
from .companions import look_at

__all__ = ["may_view_table", "rules_on_companions", "verdict_on_companion", "visible_indexes"]

_REASON = "datasette-semantic: made from a table that may not be viewed"

_asking: ContextVar[bool] = ContextVar("datasette_semantic_asking", default=False)
"""True while we ask Datasette about a source table, so that the question does not come back to us without end."""


def verdict_on_companion(
    datasette: Any, actor: compat.Actor, action: str, resource: Any
) -> Coroutine[Any, Any, bool | None] | None:
    """Answer 0.65: False for a companion table of a table the actor may not view, else None."""
    if _asking.get():
        return None
    if action == "view-database" and resource in datasette.databases:
        return _look_only(datasette, resource)
    if action == "view-table" and resource is not None:
        return _verdict(datasette, actor, *resource)
    return None


def rules_on_companions(datasette: Any, actor: compat.Actor, action: str) -> Coroutine[Any, Any, Any] | None:
    """Answer 1.0: rules that deny the companion tables of each table the actor may not view."""
    if action != "view-table" or _asking.get():
        return None
    return _rules(datasette, actor)


async def may_view_table(datasette: Any, actor: compat.Actor, database: str, table: str) -> bool:
    """True where the actor may see the rows of the table, as `compat.allowed_to_view_table` says.

    1.0 does not tell a hook which table is asked about, so our rules are about all companion tables, and to make them
    takes a question per indexed table. None of them is about an indexed table that is no companion of another: then
    they are left out.
    """
    view = await look_at(datasette, database)
    if table not in view.sources or any(each.lower() == table.lower() for each in view.companions):
        return await compat.allowed_to_view_table(datasette, actor, database, table)
    return await _may_view_all(datasette, actor, database, (table,))


async def visible_indexes(datasette: Any, actor: compat.Actor, database: str) -> tuple[Any, ...]:
    """Return the indexes of a database whose tables the actor may view. Nothing else may be searched."""
    indexes = (await look_at(datasette, database)).indexes
    allowed = await asyncio.gather(*(may_view_table(datasette, actor, database, index.table) for index in indexes))
    return tuple(index for index, may in zip(indexes, allowed, strict=True) if may)


async def _look_only(datasette: Any, database: str) -> None:
    # 0.65 reads the hidden tables from metadata right after this question: the look has to be fresh by then.
    await look_at(datasette, database)


async def _verdict(datasette: Any, actor: compat.Actor, database: str, table: str) -> bool | None:
    if database not in datasette.databases:
        return None
    sources = (await look_at(datasette, database)).companions.get(table)
    if sources is None:
        return None
    return None if sources and await _may_view_all(datasette, actor, database, sources) else False


async def _rules(datasette: Any, actor: compat.Actor) -> Any:
    denied = []
    for database in list(datasette.databases):
        companions = (await look_at(datasette, database)).companions
        may = {
            source: await _may_view_all(datasette, actor, database, (source,))
            for source in {source for sources in companions.values() for source in sources}
        }
        denied += [
            (database, table)
            for table, sources in companions.items()
            if not sources or not all(may[each] for each in sources)
        ]
    return compat.deny_rules(denied, reason=_REASON)


async def _may_view_all(datasette: Any, actor: compat.Actor, database: str, sources: tuple[str, ...]) -> bool:
    token = _asking.set(True)
    try:
        for source in sources:
            if not await compat.allowed_to_view_table(datasette, actor, database, source):
                return False
    finally:
        _asking.reset(token)
    return True
