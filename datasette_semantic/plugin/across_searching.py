"""One page of a search over many tables: every table is searched once, and rows are cut only for the page."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeVar

from ..errors import SemanticError
from ..records import Hit
from . import compat
from .joint_order import Asked, Found, JointOrder, Notice, Turn, in_words, offset_after
from .query_string import Place, QueryString
from .searching import Answer, Target, answer
from .settings import Settings, settings_for
from .state import state_of
from .table_search import label_column

__all__ = ["JointPage", "Shown", "page_across"]

T = TypeVar("T")

_TABLE_SECONDS = 12.0
"""A table that takes longer is left out with a word of warning. More than a model may take, without which the words are
searched all the same."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A row on the page."""

    found: Found
    hit: Hit
    rank: int
    """Its place in the joint order, from 1."""
    score: float


@dataclass(frozen=True, slots=True)
class JointPage:
    """One page of a joint order."""

    order: JointOrder
    """From which it was cut."""
    rows: tuple[Shown, ...]
    """Without those that are gone since they were ranked."""
    offset: int
    previous: Place | None
    """Where the page before begins; None for the beginning."""
    next: Place | None
    notices: tuple[str, ...]
    seconds: float


async def page_across(
    datasette: Any, actor: compat.Actor, query: QueryString, targets: Sequence[Target], picked: frozenset[str]
) -> JointPage:
    """Return the page that a query asks for. `targets` are all that the actor may search, `picked` those to show.

    Raises BadOption where a setting of the site makes no sense.
    """
    started = time.perf_counter()
    orders = state_of(datasette).joint_orders
    asked = Asked(_search_of(query, picked), actor, {target.name: target.index for target in targets})
    known = orders.remembered(query.place, asked)
    if known is not None:
        order, offset = known
    else:
        order = replace(await _search_all(datasette, targets, query), picked=picked)
        offset = offset_after(order, query.place)
    end = min(offset + query.size, order.total)
    turns = list(islice(order.turns(), end))
    rows, doubts = await _rows(datasette, query, turns[offset:], offset + 1)
    name = orders.remember(asked, order) if query.size < order.total else ""

    def place(at: int) -> Place:
        return Place(at, turns[at - 1].path if at else "", name)

    before = max(0, min(offset, end) - max(1, query.size))
    return JointPage(
        order,
        rows,
        offset,
        previous=place(before) if before else None,
        next=place(end) if offset < end < order.total else None,
        notices=(*order.notices, *doubts),
        seconds=time.perf_counter() - started,
    )


def _search_of(query: QueryString, picked: frozenset[str]) -> str:
    """Return what pages of the same order have in common."""
    joined = (query.weights, query.fusion, query.rrf_k, query.diversity)
    return repr((query.path.removesuffix(".json"), query.q, query.mode, query.weak, joined, sorted(picked)))


async def _search_all(datasette: Any, targets: Sequence[Target], query: QueryString) -> JointOrder:
    """Search every table at once; one that is slow or broken becomes a notice."""
    if not query.q.strip():
        return JointOrder((), ())
    wanted = replace(query, size=0, place=Place(0))

    async def search(target: Target, settings: Settings) -> Found:
        label = await label_column(datasette, target, settings)
        found = await answer(datasette, target, wanted, filters=(), columns=(), weights=settings.weights)
        return Found(target, settings, found, label)

    settings = [(target, settings_for(datasette, target.database, target.source.table)) for target in targets]
    searches = [(target, search(target, own)) for target, own in settings if own.table_weight > 0]
    outcomes = await asyncio.gather(*(_or_notice(target, work) for target, work in searches))
    found = tuple(outcome for outcome in outcomes if isinstance(outcome, Found))
    return JointOrder(found, tuple(_told(outcomes)))


def _told(outcomes: Iterable[Found | Notice]) -> Iterator[Notice]:
    for outcome in outcomes:
        if isinstance(outcome, Notice):
            yield outcome
        else:
            yield from (Notice(outcome.target, each) for each in outcome.answer.notices)


async def _rows(
    datasette: Any, query: QueryString, turns: Sequence[Turn], first: int
) -> tuple[tuple[Shown, ...], tuple[str, ...]]:
    """Return the rows whose turn it is, from each table a stretch of its own order; `first` is the rank of the first.

    Also return what there is to say of tables that could not be read.
    """
    of_table: dict[str, list[Turn]] = {}
    for turn in turns:
        of_table.setdefault(turn.found.name, []).append(turn)

    def cut(mine: Sequence[Turn]) -> Coroutine[Any, Any, Answer | Notice]:
        found, wanted = mine[0].found, replace(query, size=len(mine), place=Place(mine[0].rank - 1))
        page = answer(
            datasette,
            found.target,
            wanted,
            filters=(),
            columns=() if found.label is None else (found.label,),
            weights=found.settings.weights,
            order=found.answer.order,
        )
        return _or_notice(found.target, page)

    outcomes = await asyncio.gather(*map(cut, of_table.values()))
    hits: Mapping[tuple[str, int], Hit] = {
        (name, hit.rank): hit
        for name, outcome in zip(of_table, outcomes, strict=True)
        if isinstance(outcome, Answer)
        for hit in outcome.results.hits
    }
    shown = (
        Shown(turn.found, hit, rank, turn.score)
        for rank, turn in enumerate(turns, first)
        if (hit := hits.get((turn.found.name, turn.rank))) is not None
    )
    return tuple(shown), in_words(outcome for outcome in outcomes if isinstance(outcome, Notice))


async def _or_notice(target: Target, work: Coroutine[Any, Any, T]) -> T | Notice:
    """Return what a table answers, or why it is left out."""
    try:
        return await asyncio.wait_for(work, _TABLE_SECONDS)
    except asyncio.TimeoutError:
        return Notice(target, f"left out, for it took longer than {_TABLE_SECONDS:.0f} seconds.")
    except SemanticError as error:
        return Notice(target, f"left out: {error}.")
