"""One ranking over many tables: of a database, or of everything.

Scores of different tables do not compare: each is relative to its own lists. Ranks do, so a row adds
`table_weight / (60 + its rank in its table)`, and among equals the one nearer in meaning comes first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from datasette import Forbidden, Response

from ..config import DEFAULT_MODEL
from ..errors import BadOption, SemanticError
from ..records import Hit
from . import compat, page
from .across_spelling import did_you_mean
from .facets import FacetBlock, FacetValue
from .permissions import visible_indexes
from .query_string import Place, QueryString, read
from .responses import add_common_headers, json_response
from .searching import Answer, Target, answer, find_target
from .settings import Settings, settings_for
from .table_search import asset, card_of, label_column, modes_of, search_path

__all__ = ["respond"]

_CARRIED = ("table", "_size", "weak", "_weights", "_fusion", "_rrf_k", "_diversity")
"""What the form takes along."""

_RANK_CONSTANT = 60
_TABLE_SECONDS = 5.0
"""A table that takes longer is left out with a word of warning."""

_DEEPEST = 1_000
"""Rows taken from each table at most, and so the depth to which pages can be turned."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one table had to say."""

    target: Target
    settings: Settings
    answer: Answer
    label: str | None

    @property
    def name(self) -> str:
        return f"{self.target.database}/{self.target.source.table}"


@dataclass(frozen=True, slots=True)
class Ranked:
    """A row in the joint ranking."""

    found: Found
    hit: Hit
    score: float

    def order(self) -> tuple[Any, ...]:
        distance = self.hit.distance if self.hit.distance is not None else 2.0
        return (-self.score, distance, self.found.name, self.hit.rank)


async def respond(datasette: Any, request: Any, databases: Sequence[str] | None, format_: str) -> Any:
    """Answer a search over databases, all of them for None. Raises Forbidden or SemanticError."""
    if format_ == "csv":
        raise BadOption("a search over several tables is no CSV: its rows have different columns; ask for JSON")
    path = _path(datasette, databases, format_)
    settings = settings_for(datasette, databases[0] if databases else None)
    query = read(request.query_string, path=path, mode=settings.mode, size=settings.size)
    if query.shape == "arrays":
        raise BadOption("_shape=arrays means nothing across tables: their rows have different columns")
    if query.filters or query.like or query.wheres or query.rerank or query.boosts:
        others = {"like": query.like, "_where": query.wheres, "_rerank": query.rerank, "_boost": query.boosts}
        odd = ", ".join([*(key for key, _value in query.filters), *(key for key, given in others.items() if given)])
        if odd != "table":
            raise BadOption(f"{odd} means nothing across tables; use it on the search page of one table")
    targets = await _targets(datasette, request.actor, databases)
    chosen = _chosen(query)
    answers, notices = await _search_all(datasette, targets, query) if query.q.strip() else ([], ())
    searched = [found for found in answers if not chosen or found.name in chosen]
    ranking = _ranking(searched)
    meant = await did_you_mean(datasette, query.q, [(found.target, found.answer.results) for found in searched])
    offset = query.place.offset
    shown = ranking[offset : offset + query.size]
    total = sum(found.answer.results.total for found in searched)
    end = offset + len(shown)
    next_link = query.link(replace={"_next": Place(end).token()}) if shown and end < len(ranking) else None
    if format_ == "json":
        next_url = None if next_link is None else str(datasette.absolute_url(request, next_link))
        first = offset + 1
        body = _envelope(query, shown, answers, notices, meant, total=total, first=first, next_url=next_url)
        return json_response(datasette, body, next_url=next_url, lines=query.lines)
    context = _context(datasette, query, databases, targets, answers, shown, chosen, notices, meant, total, next_link)
    html = await datasette.render_template(
        "hybrid-search-across.html", context, request=request, view_name="hybrid-search-across"
    )
    response = Response.html(html)
    add_common_headers(datasette, response)
    return response


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


async def _search_all(
    datasette: Any, targets: Sequence[Target], query: QueryString
) -> tuple[list[Found], tuple[str, ...]]:
    """Search every table at once; one that is slow or broken becomes a notice."""
    depth = min(_DEEPEST, query.place.offset + query.size + 1)

    async def one(target: Target) -> Found | str:
        name = target.source.table
        try:
            settings = settings_for(datasette, target.database, name)
            label = await label_column(datasette, target, settings)
            wanted = replace(query, size=depth, place=Place(0))
            found = await asyncio.wait_for(
                answer(
                    datasette,
                    target,
                    wanted,
                    filters=(),
                    columns=() if label is None else (label,),
                    weights=settings.weights,
                ),
                _TABLE_SECONDS,
            )
        except asyncio.TimeoutError:
            return f"{name} is left out: it took longer than {_TABLE_SECONDS:.0f} seconds."
        except SemanticError as error:
            return f"{name} is left out: {error}."
        return Found(target, settings, found, label)

    outcomes = await asyncio.gather(*(one(target) for target in targets))
    answers = [each for each in outcomes if isinstance(each, Found) and each.settings.table_weight > 0]
    told = [each for each in outcomes if isinstance(each, str)]
    told += [f"{found.target.source.table}: {notice}" for found in answers for notice in found.answer.notices]
    return answers, tuple(told)


def _ranking(answers: Sequence[Found]) -> list[Ranked]:
    ranked = [
        Ranked(found, hit, found.settings.table_weight / (_RANK_CONSTANT + hit.rank))
        for found in answers
        for hit in found.answer.results.hits
    ]
    return sorted(ranked, key=Ranked.order)


def _path(datasette: Any, databases: Sequence[str] | None, format_: str) -> str:
    base = datasette.urls.path("/") if databases is None else f"{datasette.urls.database(databases[0])}/"
    return f"{base}-/hybrid-search{'' if format_ == 'html' else f'.{format_}'}"


def _chosen(query: QueryString) -> set[str]:
    """Return the tables that are picked, as "database/table"."""
    return {value for key, value in query.pairs if key == "table"}


def _toggled(query: QueryString, table: str, chosen: set[str]) -> str:
    pair = ("table", table)
    return query.link(remove=[pair]) if table in chosen else query.link(add=[pair])


def _own_path(datasette: Any, target: Target) -> str:
    return search_path(datasette, target.database, target.source.table)


def _envelope(
    query: QueryString,
    shown: Sequence[Ranked],
    answers: Sequence[Found],
    notices: tuple[str, ...],
    meant: str | None,
    *,
    total: int,
    first: int,
    next_url: str | None,
) -> Any:
    rows = [_record(each, rank) for rank, each in enumerate(shown, first)]
    if query.shape == "array":
        return rows
    return {
        "ok": True,
        "rows": rows,
        "total": total,
        "truncated": any(found.answer.results.truncated for found in answers),
        "weak": _weak(query, answers),
        "next": None if next_url is None else Place(first - 1 + len(shown)).token(),
        "next_url": next_url,
        "facet_results": {"results": {"table": _facet(query, answers).as_dict()}, "timed_out": []},
        "query": {"q": query.q, "mode": query.mode, "size": query.size, "did_you_mean": meant},
        "warnings": list(notices),
    }


def _facet(query: QueryString, answers: Sequence[Found]) -> FacetBlock:
    """Return how many matches each table holds, in the shape of Datasette's facets."""
    chosen = _chosen(query)
    values = tuple(
        FacetValue(
            found.name,
            found.name,
            found.answer.results.total,
            found.name in chosen,
            _toggled(query, found.name, chosen),
        )
        for found in answers
    )
    return FacetBlock("table", "column", values, truncated=False, remove_url=None)


def _weak(query: QueryString, answers: Sequence[Found]) -> int:
    """Return how many weaker matches the tables that are shown have left out."""
    chosen = _chosen(query)
    return sum(found.answer.results.weak for found in answers if not chosen or found.name in chosen)


def _record(each: Ranked, rank: int) -> dict[str, Any]:
    source = each.found.target.source
    record = each.hit.as_dict(source.key_columns)
    where = {"database": each.found.target.database, "table": source.table}
    return where | record | {"score": each.score, "rank": rank}


def _context(
    datasette: Any,
    query: QueryString,
    databases: Sequence[str] | None,
    targets: Sequence[Target],
    answers: Sequence[Found],
    shown: Sequence[Ranked],
    chosen: set[str],
    notices: tuple[str, ...],
    meant: str | None,
    total: int,
    next_link: str | None,
) -> dict[str, Any]:
    offset = query.place.offset
    cards = [
        card_of(
            datasette,
            each.found.target,
            each.hit,
            replace(query, pairs=(), path=_own_path(datasette, each.found.target)),
            label=each.found.label,
            rank=rank,
            place=each.found.name if databases is None else each.found.target.source.table,
        )
        for rank, each in enumerate(shown, offset + 1)
    ]
    tables = [
        page.TableCount(
            name=found.name if databases is None else found.target.source.table,
            count=found.answer.results.total,
            selected=found.name in chosen,
            url=_toggled(query, found.name, chosen),
            only_url=_own_path(datasette, found.target),
        )
        for found in answers
    ]
    before = max(0, offset - max(1, query.size))
    previous = query.link(replace={"_next": Place(before).token()}) if before else query.link()
    return page.AcrossPage(
        database=databases[0] if databases else None,
        scope=databases[0] if databases else "everything",
        action=query.path,
        stylesheet=asset(datasette, "semantic.css"),
        script=asset(datasette, "semantic.js"),
        q=query.q,
        modes=modes_of(query),
        hidden_fields=tuple(pair for pair in query.pairs if pair[0] in _CARRIED),
        live=all(target.index.model == DEFAULT_MODEL for target in targets),
        searching=bool(query.q.strip()),
        cards=tuple(cards),
        total=total,
        truncated=any(found.answer.results.truncated for found in answers if not chosen or found.name in chosen),
        weak=_weak(query, answers),
        weak_url=query.link(replace={"weak": "1"}),
        strong_url=query.link(replace={"weak": None}) if query.weak else None,
        first=offset + 1,
        milliseconds=max([1, *(round(found.answer.seconds * 1_000) for found in answers)]),
        notices=notices,
        did_you_mean=None if meant is None else page.Link(meant, query.link(replace={"q": meant})),
        tables=tuple(tables),
        places=tuple(
            page.Link(
                target.source.table if databases else f"{target.database}/{target.source.table}",
                _own_path(datasette, target),
            )
            for target in targets
        ),
        previous_url=previous if offset else None,
        next_url=next_link,
        json_url=query.link(path=_path(datasette, databases, "json"), keep_place=True),
    ).context()
