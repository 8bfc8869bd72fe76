"""One search over many tables, of a database or of everything: the page and the JSON show one answer."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from datasette import Forbidden, Response

from ..config import DEFAULT_MODEL
from ..errors import BadOption, SemanticError
from . import compat, page
from .across_searching import JointPage, Shown, page_across
from .across_spelling import did_you_mean
from .facets import FacetBlock, FacetValue
from .joint_order import JointOrder
from .permissions import visible_indexes
from .query_string import Place, QueryString, read
from .responses import add_common_headers, json_response
from .searching import Target, find_target
from .settings import settings_for
from .table_search import asset, card_of, modes_of, search_path

__all__ = ["address", "respond"]

_CARRIED = ("table", "_size", "weak", "_weights", "_fusion", "_rrf_k", "_diversity")
"""What the form takes along."""


async def respond(datasette: Any, request: Any, databases: Sequence[str] | None, format_: str) -> Any:
    """Answer a search over databases, all of them for None. Raises Forbidden or SemanticError."""
    if format_ == "csv":
        raise BadOption("a search over several tables is no CSV: its rows have different columns; ask for JSON")
    query = _read(datasette, request, databases, format_)
    targets = await _targets(datasette, request.actor, databases)
    found = await page_across(datasette, request.actor, query, targets, _picked(query))
    answers = [(each.target, each.answer.results) for each in found.order.shown]
    meant = await did_you_mean(datasette, query.q, answers)
    if format_ == "json":
        link = _page_url(query, found.next)
        next_url = None if link is None else str(datasette.absolute_url(request, link))
        body = _envelope(query, found, meant, next_url)
        return json_response(datasette, body, next_url=next_url, lines=query.lines)
    context = _context(datasette, query, databases, targets, found, meant)
    html = await datasette.render_template(
        "hybrid-search-across.html", context, request=request, view_name="hybrid-search-across"
    )
    response = Response.html(html)
    add_common_headers(datasette, response)
    return response


def _read(datasette: Any, request: Any, databases: Sequence[str] | None, format_: str) -> QueryString:
    """Read the query string. Raises BadOption, also for what means nothing across tables."""
    settings = settings_for(datasette, databases[0] if databases else None)
    path = address(datasette, databases, format_)
    query = read(request.query_string, path=path, mode=settings.mode, size=settings.size)
    if query.shape == "arrays":
        raise BadOption("_shape=arrays means nothing across tables: their rows have different columns")
    others = {"like": query.like, "_where": query.wheres, "_rerank": query.rerank, "_boost": query.boosts}
    odd = [key for key, _value in query.filters if key != "table"] + [key for key, given in others.items() if given]
    if odd:
        raise BadOption(f"{', '.join(odd)} means nothing across tables; use it on the search page of one table")
    return query


async def _targets(datasette: Any, actor: compat.Actor, databases: Sequence[str] | None) -> list[Target]:
    """Return the tables that the actor may search. Raises Forbidden where not even the database may be seen."""
    names = list(datasette.databases) if databases is None else list(databases)
    if databases is not None and not await compat.allowed_to_view_database(datasette, actor, databases[0]):
        raise Forbidden(f"You are not allowed to view {databases[0]}")
    if databases is None and not await compat.allowed_to_view_instance(datasette, actor):
        raise Forbidden("You are not allowed to view this site")
    targets = []
    for database in names:
        for index in await visible_indexes(datasette, actor, database):
            # A table that is gone while its index is not says so on its own page.
            with suppress(SemanticError):
                targets.append(await find_target(datasette, database, index.table))
    return targets


def address(datasette: Any, databases: Sequence[str] | None, format_: str = "html") -> str:
    """Return the address of a search over databases, as the browser sees it."""
    base = datasette.urls.path("/") if databases is None else f"{datasette.urls.database(databases[0])}/"
    return f"{base}-/hybrid-search{'' if format_ == 'html' else f'.{format_}'}"


def _picked(query: QueryString) -> frozenset[str]:
    """Return the tables that are picked, as "database/table"."""
    return frozenset(value for key, value in query.pairs if key == "table")


def _toggled(query: QueryString, table: str) -> str:
    pair = ("table", table)
    return query.link(remove=[pair]) if pair in query.pairs else query.link(add=[pair])


def _page_url(query: QueryString, place: Place | None) -> str | None:
    return None if place is None else query.link(replace={"_next": place.token()})


def _own_path(datasette: Any, target: Target) -> str:
    return search_path(datasette, target.database, target.source.table)


def _envelope(query: QueryString, found: JointPage, meant: str | None, next_url: str | None) -> Any:
    rows = [_record(each) for each in found.rows]
    if query.shape == "array":
        return rows
    return {
        "ok": True,
        "rows": rows,
        "total": found.order.total,
        "truncated": _truncated(found.order),
        "weak": _weak(found.order),
        "next": None if found.next is None else found.next.token(),
        "next_url": next_url,
        "facet_results": {"results": {"table": _facet(query, found.order).as_dict()}, "timed_out": []},
        "query": {"q": query.q, "mode": query.mode, "size": query.size, "did_you_mean": meant},
        "warnings": list(found.notices),
    }


def _facet(query: QueryString, order: JointOrder) -> FacetBlock:
    """Return how many matches each table holds, in the shape of Datasette's facets."""
    values = tuple(
        FacetValue(
            found.name,
            found.name,
            found.answer.results.total,
            found.name in order.picked,
            _toggled(query, found.name),
        )
        for found in order.found
    )
    return FacetBlock("table", "column", values, truncated=False, remove_url=None)


def _truncated(order: JointOrder) -> bool:
    """Return whether some table that is shown has more matches than are ranked."""
    return any(found.answer.results.truncated for found in order.shown)


def _weak(order: JointOrder) -> int:
    """Return how many weaker matches the tables that are shown have left out."""
    return sum(found.answer.results.weak for found in order.shown)


def _record(each: Shown) -> dict[str, Any]:
    target = each.found.target
    record = each.hit.as_dict(target.source.key_columns)
    where = {"database": target.database, "table": target.source.table}
    return where | record | {"score": each.score, "rank": each.rank}


def _context(
    datasette: Any,
    query: QueryString,
    databases: Sequence[str] | None,
    targets: Sequence[Target],
    found: JointPage,
    meant: str | None,
) -> dict[str, Any]:
    order = found.order

    def named(target: Target) -> str:
        return target.name if databases is None else target.source.table

    def alone(target: Target) -> page.Link:
        """Return the same search of one table alone."""
        return page.Link(named(target), query.link(path=_own_path(datasette, target), replace={"table": None}))

    cards = [
        card_of(
            datasette,
            each.found.target,
            each.hit,
            replace(query, pairs=(), path=_own_path(datasette, each.found.target)),
            label=each.found.label,
            rank=each.rank,
            place=alone(each.found.target),
        )
        for each in found.rows
    ]
    tables = [
        page.TableCount(
            name=named(each.target),
            count=each.answer.results.total,
            selected=each.name in order.picked,
            url=_toggled(query, each.name),
        )
        for each in order.found
    ]
    return page.AcrossPage(
        database=databases[0] if databases else None,
        scope=databases[0] if databases else "everything",
        color=compat.database_color(datasette, databases[0]) if databases else None,
        action=query.path,
        stylesheet=asset(datasette, "semantic.css"),
        script=asset(datasette, "semantic.js"),
        q=query.q,
        modes=modes_of(query),
        hidden_fields=tuple(pair for pair in query.pairs if pair[0] in _CARRIED),
        live=all(target.index.model == DEFAULT_MODEL for target in targets),
        searching=bool(query.q.strip()),
        cards=tuple(cards),
        total=order.total,
        truncated=_truncated(order),
        weak=_weak(order),
        weak_url=query.link(replace={"weak": "1"}),
        strong_url=query.link(replace={"weak": None}) if query.weak else None,
        first=found.offset + 1,
        milliseconds=max(1, round(found.seconds * 1_000)),
        notices=found.notices,
        did_you_mean=None if meant is None else page.Link(meant, query.link(replace={"q": meant})),
        tables=tuple(tables),
        shown=len(order.shown),
        places=tuple(page.Link(named(target), _own_path(datasette, target)) for target in targets),
        previous_url=(_page_url(query, found.previous) or query.link()) if found.offset else None,
        next_url=_page_url(query, found.next),
        json_url=query.link(path=address(datasette, databases, "json"), keep_place=True),
    ).context()
