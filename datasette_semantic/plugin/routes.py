"""The addresses of the plugin, and what is the same for all of them: methods, errors, permissions, formats."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from datasette import Forbidden, NotFound, Response
from datasette.utils import filters_should_redirect, path_with_replaced_args, tilde_decode

from ..errors import SemanticError
from . import across, compat, judging, openapi, table_search
from .responses import add_common_headers, error_response, json_response

__all__ = ["routes"]

_NAME = r"[^/\.]+"
_END = r"hybrid-search(\.(?P<format>json|csv))?\Z"

Handler = Callable[..., Awaitable[Any]]


def routes() -> list[tuple[str, Handler]]:
    """Return what Datasette's `register_routes` takes."""
    return [
        (rf"^/(?P<database>{_NAME})/(?P<table>{_NAME})/-/{_END}", _table),
        (rf"^/(?P<database>{_NAME})/(?P<table>{_NAME})/-/judge-search\Z", _judge),
        (rf"^/(?P<database>{_NAME})/-/{_END}", _database),
        (rf"^/-/{_END}", _instance),
        (r"^/-/hybrid-search\.openapi\.(?P<format>json)\Z", _description),
    ]


async def _table(request: Any, datasette: Any) -> Any:
    async def respond() -> Any:
        database = _database_name(datasette, request)
        table = tilde_decode(request.url_vars["table"])
        return await table_search.respond(datasette, request, database, table, _format(request))

    return await _guarded(datasette, request, respond)


async def _judge(request: Any, datasette: Any) -> Any:
    async def respond() -> Any:
        database = _database_name(datasette, request)
        return await judging.respond(datasette, request, database, tilde_decode(request.url_vars["table"]))

    return await _guarded(datasette, request, respond, methods=("GET", "HEAD", "POST"))


async def _database(request: Any, datasette: Any) -> Any:
    async def respond() -> Any:
        return await across.respond(datasette, request, [_database_name(datasette, request)], _format(request))

    return await _guarded(datasette, request, respond)


async def _instance(request: Any, datasette: Any) -> Any:
    async def respond() -> Any:
        return await across.respond(datasette, request, None, _format(request))

    return await _guarded(datasette, request, respond)


async def _description(request: Any, datasette: Any) -> Any:
    from .. import __version__

    async def respond() -> Any:
        if not await compat.allowed_to_view_instance(datasette, request.actor):
            raise Forbidden("You are not allowed to view this site")
        return json_response(datasette, openapi.document(version=__version__, base_url=datasette.setting("base_url")))

    return await _guarded(datasette, request, respond)


async def _guarded(
    datasette: Any,
    request: Any,
    respond: Callable[[], Awaitable[Any]],
    *,
    methods: Sequence[str] = ("GET", "HEAD"),
) -> Any:
    """Answer a request, turning our errors into the shape that its format asks for."""
    data_format = _format(request) != "html"
    if request.method == "OPTIONS":
        response = Response.text("ok")
        add_common_headers(datasette, response)
        return response
    if request.method not in methods:
        return error_response(datasette, ["Method not allowed: a search is a GET request"], 405)
    redirect = filters_should_redirect(request.args)
    if redirect:  # the form's three fields of a new filter become one argument, as on Datasette's own table page
        path = datasette.urls.path(request.scope.get("route_path") or request.path)
        return Response.redirect(path_with_replaced_args(request, redirect, path=path))
    try:
        return await respond()
    except Forbidden as error:
        if data_format:
            return error_response(datasette, [_forbidden_text(error)], 403)
        raise
    except NotFound as error:
        if data_format:
            return error_response(datasette, [str(error)], 404)
        raise
    except SemanticError as error:
        if data_format:
            return error_response(datasette, [str(error)], error.status)
        return await _error_page(datasette, request, error)


async def _error_page(datasette: Any, request: Any, error: SemanticError) -> Response:
    """Say what is wrong and how to go on, on a page of our own."""
    database, table = (tilde_decode(request.url_vars.get(name) or "") or None for name in ("database", "table"))
    if database is not None and table is not None:
        action = table_search.search_path(datasette, database, table)
    else:
        action = across.address(datasette, None if database is None else [database])
    context = {
        "message": str(error),
        "status": error.status,
        "database": database,
        "table": table,
        "action": action,
        "q": request.args.get("q") or "",
        "stylesheet": table_search.asset(datasette, "semantic.css"),
    }
    html = await datasette.render_template("hybrid-search-error.html", context, request=request)
    response = Response.html(html, status=error.status)
    add_common_headers(datasette, response)
    return response


def _format(request: Any) -> str:
    return request.url_vars.get("format") or "html"


def _database_name(datasette: Any, request: Any) -> str:
    try:
        database = datasette.get_database(route=tilde_decode(request.url_vars["database"]))
    except KeyError as error:
        raise NotFound(f"Database not found: {tilde_decode(request.url_vars['database'])}") from error
    name: str = database.name
    return name


def _forbidden_text(error: Forbidden) -> str:
    return str(error) or "Permission denied"
