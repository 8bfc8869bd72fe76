"""A page on which people say of results whether they are relevant: `/{database}/{table}/-/judge-search`.

    GET   ?q=words                       the results, each with what you said of it
    POST  q, judge="1 KEY"               KEY is relevant; "0 KEY": it is not; "- KEY": I take it back

It is for whoever has the permission `semantic-judge` for the table, or is among the setting `judges`; nobody has it by
default but root. The judgments go into a table of the same database, which `sqlite-utils evaluate-search` reads.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from datasette import Forbidden, Response
from datasette.utils import actor_matches_allow

from ..errors import BadOption, DatabaseProblem
from ..evaluation.doc_ids import doc_id
from ..records import RowKey
from ..store import judgments
from ..store.connection import sqlite_errors
from ..store.source import parse_key, read_rows
from . import compat, page
from .permissions import may_view_table
from .query_string import QueryString, key_parts, key_path, read
from .responses import add_common_headers
from .searching import Answer, Target, answer, find_target, in_database
from .settings import Settings, settings_for

__all__ = ["JUDGE", "JudgePage", "judge_path", "may_judge", "respond"]

JUDGE = "semantic-judge"
"""The permission."""

_RELEVANCE = {"1": 1, "0": 0, "-": None}


@dataclass(frozen=True, slots=True)
class Judged:
    """A result, and what the reader said of it."""

    card: page.Card
    key: str
    """The path of the row."""
    relevance: int | None


@dataclass(frozen=True, slots=True)
class JudgePage:
    """The variables of `judge-search.html`; those named as in `SearchPage` mean the same."""

    database: str
    table: str
    color: str
    stylesheet: str
    action: str
    q: str
    modes: tuple[page.Choice, ...]
    hidden_fields: tuple[tuple[str, str], ...]
    query_string: str
    """The state that the page returns to after a judgment."""
    searching: bool
    judged: tuple[Judged, ...]
    notices: tuple[str, ...]
    previous_url: str | None
    next_url: str | None
    search_url: str
    judgments_table: str

    def context(self) -> dict[str, Any]:
        """Return the variables as the template engine takes them."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


async def may_judge(datasette: Any, actor: compat.Actor, database: str, table: str) -> bool:
    """True where the actor may judge results of the table, and the judgment could be written down."""
    if not datasette.get_database(database).is_mutable:
        return False
    judges = settings_for(datasette, database, table).judges
    if judges is not None and actor_matches_allow(actor, judges):
        return True
    return await compat.allowed_to_judge(datasette, actor, database, table, action=JUDGE)


def judge_path(datasette: Any, database: str, table: str) -> str:
    """Return the address of the page, as the browser sees it."""
    return f"{datasette.urls.table(database, table)}/-/judge-search"


async def respond(datasette: Any, request: Any, database: str, table: str) -> Response:
    """Show results to judge, or note a judgment. Raises Forbidden, SemanticError."""
    if not await may_view_table(datasette, request.actor, database, table):
        raise Forbidden(f"You are not allowed to view {table}")
    if not await may_judge(datasette, request.actor, database, table):
        raise Forbidden(f"You are not allowed to judge results of {table}: that takes the permission {JUDGE}")
    target = await find_target(datasette, database, table)
    settings = settings_for(datasette, database, table)
    if request.method == "POST":
        return await _note(datasette, request, target, settings)
    query = _read(datasette, request.query_string, target, settings)
    found = None
    if query.q.strip():
        label = await _label(datasette, target, settings)
        columns = () if label is None else (label,)
        found = await answer(datasette, target, query, filters=(), columns=columns, weights=settings.weights)
    context = (await _page(datasette, request, target, settings, query, found)).context()
    html = await datasette.render_template("judge-search.html", context, request=request)
    response = Response.html(html)
    add_common_headers(datasette, response)
    return response


def _read(datasette: Any, query_string: str, target: Target, settings: Settings) -> QueryString:
    return read(
        query_string,
        path=judge_path(datasette, target.database, target.source.table),
        mode=settings.mode,
        size=settings.size,
        columns=target.source.column_names,
    )


async def _label(datasette: Any, target: Target, settings: Settings) -> str | None:
    from .table_search import label_column

    return await label_column(datasette, target, settings)


async def _page(
    datasette: Any, request: Any, target: Target, settings: Settings, query: QueryString, found: Answer | None
) -> JudgePage:
    from .table_search import asset, modes_of, pages_of, search_path

    database, table = target.database, target.source.table
    previous_url, next_url = pages_of(query, found)
    return JudgePage(
        database=database,
        table=table,
        color=compat.database_color(datasette, database),
        stylesheet=asset(datasette, "semantic.css"),
        action=query.path,
        q=query.q,
        modes=modes_of(query),
        hidden_fields=tuple(pair for pair in query.pairs if pair[0] == "_size"),
        query_string=request.query_string,
        searching=found is not None,
        judged=() if found is None else await _judged(datasette, request, target, settings, query, found),
        notices=() if found is None else found.notices,
        previous_url=previous_url,
        next_url=next_url,
        search_url=query.link(path=search_path(datasette, database, table), keep_place=True),
        judgments_table=settings.judgments,
    )


async def _judged(
    datasette: Any, request: Any, target: Target, settings: Settings, query: QueryString, found: Answer
) -> tuple[Judged, ...]:
    table, hits = target.source.table, found.results.hits

    def said(conn: Any) -> Any:
        return judgments.judged_by(
            conn, settings.judgments, table=table, query=_words(query.q), actor=_name(request.actor)
        )

    known = await in_database(datasette, target.database, said)
    label = await _label(datasette, target, settings)
    table_url = datasette.urls.table(target.database, table)
    return tuple(
        Judged(
            page.make_card(
                hit, query, label=label, columns=(), table_url=table_url, search_path=query.path, foreign={}
            ),
            key_path(hit.key),
            known.get(doc_id(hit.key)),
        )
        for hit in hits
    )


# --- noting ----------------------------------------------------------------------------------------------------------


async def _note(datasette: Any, request: Any, target: Target, settings: Settings) -> Response:
    """Note the judgment that a button sent, and go back to where it stood."""
    sent = await request.post_vars()
    query = _read(datasette, sent.get("back", ""), target, settings)
    words = _words(query.q)
    mark, _, path = sent.get("judge", "").partition(" ")
    if mark not in _RELEVANCE or not path or not words:
        raise BadOption("a judgment is 1, 0 or -, a space and a row's key, on the words of a search")
    key = await in_database(datasette, target.database, lambda conn: _existing_key(conn, target, path))

    def write(conn: Any) -> None:
        with conn:  # 0.65 commits nothing by itself
            judgments.write(
                conn,
                settings.judgments,
                table=target.source.table,
                query=words,
                key=doc_id(key),
                actor=_name(request.actor),
                relevance=_RELEVANCE[mark],
            )

    try:
        await datasette.get_database(target.database).execute_write_fn(write)
    except sqlite_errors() as error:
        raise DatabaseProblem(f"the judgment could not be written to {settings.judgments}: {error}") from error
    response = Response.redirect(query.link(keep_place=True))
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _existing_key(conn: Any, target: Target, path: str) -> RowKey:
    key = parse_key(conn, target.source, key_parts(path))
    if not read_rows(conn, target.source, [key], target.source.key_columns):
        raise BadOption(f"{target.source.table} has no row {path}")
    return key


def _words(typed: str) -> str:
    return " ".join(typed.split())


def _name(actor: compat.Actor) -> str:
    return str((actor or {}).get("id") or "")
