"""Every difference between Datasette 0.65 and 1.0, in one file.

Features are looked for, versions are never compared. The names here mean the same in both.

| matter | 0.65 | 1.0 |
|---|---|---|
| permission | `check_visibility(permissions=[...])` over a chain | `allowed(action=, resource=)` cascades by itself |
| facet settings | `Facet(metadata=)` | `Facet(table_config=)` |
| table settings | `table_metadata()`, not a coroutine | `table_config()`, a coroutine |
| foreign key labels | `expand_foreign_keys(database, ...)` | `expand_foreign_keys(actor, database, ...)` |
| a task that runs with the server | `lifespan` messages of ASGI, seen by `asgi_wrapper` | `add_background_task()` |
| hiding a table | the `get_metadata` hook | `hidden` in the configuration |
| the panel on a row's page | a script | the slot `top_row` |
| forgery tokens, JSON errors | differ, and are not used | |
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

from datasette import hookspecs
from datasette.plugins import pm

__all__ = [
    "Actor",
    "allowed_to_judge",
    "allowed_to_run_sql",
    "allowed_to_view_database",
    "allowed_to_view_instance",
    "allowed_to_view_table",
    "database_color",
    "deny_rules",
    "facets_over",
    "foreign_key_labels",
    "has_slot",
    "hide_tables",
    "judging_action",
    "jump_items",
    "plugin_settings",
    "run_with_lifespan",
    "run_with_server",
    "table_settings",
]

Actor = Mapping[str, Any] | None

_PLUGIN = "datasette-semantic"


# --- permissions -----------------------------------------------------------------------------------------------------


async def allowed_to_view_table(datasette: Any, actor: Actor, database: str, table: str) -> bool:
    """True where the actor may see the rows of the table, by Datasette's own full chain of rules."""
    if _cascades(datasette):
        from datasette.resources import TableResource

        resource = TableResource(database=database, table=table)
        return bool(await datasette.allowed(action="view-table", resource=resource, actor=actor))
    chain = [("view-table", (database, table)), ("view-database", database), "view-instance"]
    return await _chain_allows(datasette, actor, chain)


async def allowed_to_view_database(datasette: Any, actor: Actor, database: str) -> bool:
    """True where the actor may see that the database exists."""
    if _cascades(datasette):
        from datasette.resources import DatabaseResource

        resource = DatabaseResource(database=database)
        return bool(await datasette.allowed(action="view-database", resource=resource, actor=actor))
    return await _chain_allows(datasette, actor, [("view-database", database), "view-instance"])


async def allowed_to_view_instance(datasette: Any, actor: Actor) -> bool:
    """True where the actor may see the site at all."""
    if _cascades(datasette):
        return bool(await datasette.allowed(action="view-instance", actor=actor))
    return await _chain_allows(datasette, actor, ["view-instance"])


async def allowed_to_judge(datasette: Any, actor: Actor, database: str, table: str, *, action: str) -> bool:
    """True where the actor may judge results of the table; on 0.65 only where a plugin, or being root, allows it."""
    if _cascades(datasette):
        from datasette.resources import TableResource

        resource = TableResource(database=database, table=table)
        return bool(await datasette.allowed(action=action, resource=resource, actor=actor))
    return bool(await datasette.permission_allowed(actor, action, resource=(database, table), default=False))


def judging_action(action: str) -> list[Any]:
    """Return what 1.0's `register_actions` takes; 0.65 has no such hook."""
    from datasette.permissions import Action
    from datasette.resources import TableResource

    return [Action(name=action, description="Judge search results", resource_class=TableResource)]


async def allowed_to_run_sql(datasette: Any, actor: Actor, database: str) -> bool:
    """True where the actor may run SQL of their own: the condition for `?_where=`."""
    if _cascades(datasette):
        from datasette.resources import DatabaseResource

        resource = DatabaseResource(database=database)
        return bool(await datasette.allowed(action="execute-sql", resource=resource, actor=actor))
    if not await allowed_to_view_database(datasette, actor, database):
        return False  # execute-sql alone does not look at the database's own rule
    return bool(await datasette.permission_allowed(actor, "execute-sql", resource=database, default=True))


def deny_rules(pairs: Sequence[tuple[str, str]], *, reason: str) -> Any:
    """Return 1.0's permission rules that deny each `(database, table)`; None for no pairs."""
    from datasette.permissions import PermissionSQL

    if not pairs:
        return None
    rows = []
    params: dict[str, str] = {"semantic_reason": reason}
    for number, (database, table) in enumerate(pairs):
        params |= {f"semantic_db_{number}": database, f"semantic_table_{number}": table}
        rows.append(
            f"select :semantic_db_{number} as parent, :semantic_table_{number} as child, 0 as allow, "
            ":semantic_reason as reason"
        )
    return PermissionSQL(sql=" union all ".join(rows), params=params)


def _cascades(datasette: Any) -> bool:
    return hasattr(datasette, "allowed")


async def _chain_allows(datasette: Any, actor: Actor, chain: Sequence[Any]) -> bool:
    visible, _private = await datasette.check_visibility(actor, permissions=chain)
    return bool(visible)


# --- settings --------------------------------------------------------------------------------------------------------


def plugin_settings(datasette: Any, database: str | None = None, table: str | None = None) -> dict[str, Any]:
    """Return the plugin's configuration for a table: instance, database and table level, the nearer key winning."""
    levels: list[dict[str, str]] = [{}]
    if database is not None:
        levels.append({"database": database})
        if table is not None:
            levels.append({"database": database, "table": table})
    merged: dict[str, Any] = {}
    for level in levels:
        found = datasette.plugin_config(_PLUGIN, **level, fallback=False)
        if isinstance(found, Mapping):
            merged |= found
    return merged


async def table_settings(datasette: Any, database: str, table: str) -> dict[str, Any]:
    """Return Datasette's own settings of a table: facets, label_column, sortable_columns ..."""
    if hasattr(datasette, "table_config"):
        return dict(await datasette.table_config(database, table) or {})
    return dict(datasette.table_metadata(database, table) or {})


def hide_tables(datasette: Any, database: str, tables: Iterable[str]) -> None:
    """Keep tables off the database page where that is a matter of configuration; 0.65 asks `get_metadata` instead."""
    if not _cascades(datasette):
        return
    # 1.0 hides a leading underscore and shadow tables by itself, but knows no other way to hide `articles_vec`.
    settings = datasette.config.setdefault("databases", {}).setdefault(database, {}).setdefault("tables", {})
    for table in tables:
        settings.setdefault(table, {}).setdefault("hidden", True)


def database_color(datasette: Any, database: str) -> str:
    """Return the colour by which Datasette marks a database, six hexadecimal digits."""
    return str(getattr(datasette.get_database(database), "color", "ff0000"))


# --- facets and labels -----------------------------------------------------------------------------------------------


class _WithoutFacets:
    """A request that asks for no facets: Datasette's classes would count every facet of the query string each time."""

    def __init__(self, request: Any) -> None:
        self._request = request
        pairs = parse_qsl(request.query_string, keep_blank_values=True)
        self.query_string = urlencode(
            [pair for pair in pairs if pair[0] == "_facet_size" or not pair[0].startswith("_facet")]
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)


async def facets_over(
    datasette: Any,
    request: Any,
    *,
    database: str,
    table: str,
    sql: str,
    params: Mapping[str, Any],
    row_count: int,
    only: tuple[str, Any, str] | None = None,
) -> list[Any]:
    """Return an instance of each facet class, of plugins too, over the rows that `sql` selects.

    With `only` (type, configuration, column) that one facet, else none: an instance still suggests some.
    """
    classes = [found for group in pm.hook.register_facet_classes() for found in group]
    configured: list[Any] = []
    labelled_table: str | None = table
    if only is not None:
        kind, config, column = only
        classes = [each for each in classes if each.type == kind]
        configured = [config if kind == "column" and isinstance(config, str) else {kind: config}]
        if not await _labels_may_be_seen(datasette, request.actor, database, table, column):
            labelled_table = None
    keyword = "table_config" if _cascades(datasette) else "metadata"
    return [
        facet(
            datasette,
            _WithoutFacets(request),
            database,
            sql=sql,
            table=labelled_table,
            params=dict(params),
            row_count=row_count,
            **{keyword: {"facets": configured}},
        )
        for facet in classes
    ]


async def foreign_key_labels(
    datasette: Any, actor: Actor, database: str, table: str, column: str, values: Sequence[Any]
) -> dict[Any, str]:
    """Return `{value: label}` for a foreign key column; empty where it is none or its target may not be seen."""
    if _cascades(datasette):
        found = await datasette.expand_foreign_keys(actor, database, table, column, values)
    elif await _labels_may_be_seen(datasette, actor, database, table, column):
        found = await datasette.expand_foreign_keys(database, table, column, values)
    else:
        return {}
    return {value: str(label) for (_column, value), label in found.items()}


async def _labels_may_be_seen(datasette: Any, actor: Actor, database: str, table: str, column: str) -> bool:
    """True where the column's foreign key, if it is one, leads to a table that the actor may view."""
    if _cascades(datasette):
        return True  # 1.0 asks by itself, 0.65 does not
    for key in await datasette.get_database(database).foreign_keys_for_table(table):
        if key["column"] == column and not await allowed_to_view_table(datasette, actor, database, key["other_table"]):
            return False
    return True


# --- Datasette's own pages -------------------------------------------------------------------------------------------


def has_slot(hook: str) -> bool:
    """True where a plugin can put something on a page by this hook, as `top_row`."""
    return hasattr(hookspecs, hook)


def jump_items(items: Sequence[Mapping[str, str]]) -> Any:
    """Return entries, `{"label", "url", "description"}`, for 1.0's "jump to" box."""
    from datasette.jump import JumpSQL

    sql = (
        "select 'menu' as type, value ->> 'label' as label, value ->> 'description' as description, "
        "value ->> 'url' as url, value ->> 'label' || ' ' || (value ->> 'description') as search_text, "
        "null as display_name from json_each(:items)"
    )
    return JumpSQL(sql=sql, params={"items": json.dumps(list(items))})


# --- a task that runs with the server --------------------------------------------------------------------------------


def run_with_server(datasette: Any, task: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
    """Have 1.0 run `task(datasette)` until it shuts down; 0.65 leaves that to `run_with_lifespan`."""
    if hasattr(datasette, "add_background_task"):
        datasette.add_background_task(task, name=_PLUGIN)


def run_with_lifespan(app: Any, datasette: Any, task: Callable[[Any], Coroutine[Any, Any, None]]) -> Any:
    """Return an ASGI application that runs `task(datasette)` from start-up to shutdown; 1.0 does that by itself.

    0.65 calls its `startup` hooks in an event loop that is thrown away before the server begins, so a task begun there
    would never go on: the lifespan messages come in the loop that stays.
    """

    if hasattr(datasette, "add_background_task"):
        return app

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        running: list[asyncio.Task[None]] = []

        async def watched(message: Any) -> None:
            if message["type"] == "lifespan.startup.complete":
                running.append(asyncio.create_task(task(datasette)))
            elif message["type"].startswith("lifespan.shutdown"):
                for each in running:
                    each.cancel()
            await send(message)

        await app(scope, receive, watched)

    return wrapped
