"""datasette-semantic: hybrid search for any SQLite table, in Datasette and with sqlite-utils.

The door. It declares Datasette's hooks and opens a floor only when a hook is called, so that `datasette --version` and
`sqlite-utils --help` stay quick. For use without Datasette:

    import datasette_semantic
    datasette_semantic.prepare_connection(conn)              # sqlite-vec, embed(), hybrid_search(), similar_rows()
    datasette_semantic.SemanticIndex(conn, "articles")       # the same from Python
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from .adapters.aio import AsyncSemanticIndex
    from .api import SemanticIndex

__all__ = ["AsyncSemanticIndex", "SemanticIndex", "__version__", "hookimpl", "prepare_connection"]

hookimpl = pluggy.HookimplMarker("datasette")
"""Datasette's own marker, made here because importing it would import all of Datasette."""


def prepare_connection(conn: Any, *, allow_models: Collection[str] = ()) -> None:
    """Load sqlite-vec and register our SQL functions on any SQLite connection; doing it twice is harmless.

    `allow_models` are the models that SQL functions may call although they may reach the network.
    Raises ExtensionMissing, with the cure, where this SQLite cannot load extensions; the functions are registered
    all the same, because search by words needs no extension.
    """
    from .sql_functions import register
    from .store.connection import prepare

    register(conn, allow_models=allow_models)
    prepare(conn)


def __getattr__(name: str) -> Any:
    if name == "SemanticIndex":
        from .api import SemanticIndex

        return SemanticIndex
    if name == "AsyncSemanticIndex":
        from .adapters.aio import AsyncSemanticIndex

        return AsyncSemanticIndex
    if name == "__version__":
        from importlib.metadata import version

        return version("datasette-semantic")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# --- Datasette's hooks -----------------------------------------------------------------------------------------------


@hookimpl(specname="prepare_connection")
def on_connection(conn: Any, database: str, datasette: Any) -> None:
    from .plugin.connections import prepare_quietly

    prepare_quietly(datasette, database, conn, prepare_connection)


@hookimpl
def register_routes() -> Any:
    from .plugin.routes import routes

    return routes()


@hookimpl
def filters_from_request(request: Any, database: str, table: str, datasette: Any) -> Any:
    from .plugin.table_filter import filter_table

    return filter_table(datasette, request, database, table)


@hookimpl
def table_actions(datasette: Any, actor: Any, database: str, table: str) -> Any:
    from .plugin.menus import table_links

    return table_links(datasette, actor, database, table)


@hookimpl
def database_actions(datasette: Any, actor: Any, database: str) -> Any:
    from .plugin.menus import database_links

    return database_links(datasette, actor, database)


@hookimpl
def menu_links(datasette: Any, actor: Any) -> Any:
    from .plugin.menus import instance_links

    return instance_links(datasette, actor)


@hookimpl(optionalhook=True)
def homepage_actions(datasette: Any, actor: Any) -> Any:
    from .plugin.menus import instance_links

    return instance_links(datasette, actor)


@hookimpl(optionalhook=True)
def top_homepage(datasette: Any, request: Any) -> Any:
    from markupsafe import Markup

    from .plugin.home import home_box

    async def inner() -> Any:
        html = await home_box(datasette, request.actor)
        return None if html is None else Markup(html)

    return inner()


@hookimpl(optionalhook=True)
def row_actions(datasette: Any, actor: Any, database: str, table: str, row: Any) -> Any:
    from .plugin.menus import row_links

    return row_links(datasette, actor, database, table, row)


@hookimpl(optionalhook=True)
def jump_items_sql(datasette: Any, actor: Any) -> Any:
    from .plugin.menus import jump_items

    return jump_items(datasette, actor)


@hookimpl(optionalhook=True)
def top_row(datasette: Any, request: Any, database: str, table: str, row: Any) -> Any:
    from markupsafe import Markup

    from .plugin.related import panel

    async def inner() -> Any:
        html = await panel(datasette, request, database, table, row)
        return None if html is None else Markup(html)

    return inner()


@hookimpl
def extra_body_script(datasette: Any, request: Any, database: Any, table: Any, view_name: Any) -> Any:
    from .plugin import compat

    if view_name == "index" and not compat.has_slot("top_homepage"):
        from .plugin.home import home_script

        return home_script(datasette, request.actor)
    if view_name == "row" and table is not None and not compat.has_slot("top_row"):
        from .plugin.related import panel_script

        return panel_script(datasette, request, database, table)
    return ""


@hookimpl(trylast=True, optionalhook=True)
def permission_allowed(datasette: Any, actor: Any, action: str, resource: Any) -> Any:
    if action == "semantic-judge":
        return True if (actor or {}).get("id") == "root" else None
    # 0.65 keeps the last verdict that is not None: a denial has to come after every allowance.
    from .plugin.permissions import verdict_on_companion

    return verdict_on_companion(datasette, actor, action, resource)


@hookimpl(optionalhook=True)
def register_actions(datasette: Any) -> Any:
    from .plugin import compat

    return compat.judging_action("semantic-judge")


@hookimpl(optionalhook=True)
def permission_resources_sql(datasette: Any, actor: Any, action: str) -> Any:
    from .plugin.permissions import rules_on_companions

    return rules_on_companions(datasette, actor, action)


@hookimpl(optionalhook=True)
def get_metadata(datasette: Any) -> Any:
    from .plugin.companions import hidden_in_metadata

    return hidden_in_metadata(datasette)


@hookimpl(optionalhook=True)
def register_agent_tools(datasette: Any) -> Any:
    from .plugin.agent import agent_tools

    return agent_tools()


@hookimpl
def startup(datasette: Any) -> None:
    from .plugin import background, compat
    from .plugin.settings import check_all

    check_all(datasette)
    compat.run_with_server(datasette, background.run)


@hookimpl
def asgi_wrapper(datasette: Any) -> Any:
    from .plugin import background, compat

    def wrap(app: Any) -> Any:
        return compat.run_with_lifespan(app, datasette, background.run)

    return wrap
