"""One search for one table on behalf of a request: model first, in a thread; then SQL, in Datasette's executor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from datasette.utils import sqlite_timelimit

from ..config import DEFAULT_MODEL
from ..embedding.models import embedder_for
from ..embedding.profiles import Manner, manner_of
from ..errors import (
    BadFilter,
    BadOption,
    BadVector,
    DatabaseProblem,
    IndexChanged,
    ModelError,
    NoSuchIndex,
    NoSuchTable,
)
from ..laws.fts_query import parse
from ..laws.quoting import quote
from ..records import IndexRecord, ListWeights, Rerank, RowFilter, RowKey, SearchRequest, SearchResults, Source
from ..search.engine import Ranking, rank, search
from ..search.request import check_weights, weights_of
from ..search.reranking import first_rows, opinion_on
from ..store.catalog import answering
from ..store.connection import sqlite_errors
from ..store.memory import shared
from ..store.source import check_filter, conjunction, parse_key
from .companions import look_at
from .connections import missing_extension
from .paging import Order, in_order, offset_of, page_at
from .query_string import Place, QueryString, key_parts, key_path
from .rankings import identity
from .state import PluginState, state_of

__all__ = ["Answer", "Target", "answer", "count_rows", "find_target", "query_vector"]

_MODEL_SECONDS = 10.0
"""How long a page waits for a model before it shows what the words alone find."""

_VECTORS_KEPT = 512

_TRIES = 10
"""How often a search begins anew because another index has taken the place of the one that was looked at."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is searched."""

    database: str
    source: Source
    index: IndexRecord

    @property
    def name(self) -> str:
        """The table's name on the whole site."""
        return f"{self.database}/{self.source.table}"


@dataclass(frozen=True, slots=True)
class Answer:
    """One page of a ranking, as a request asked for it."""

    results: SearchResults
    order: Order
    """The order from which the page was cut."""
    notices: tuple[str, ...]
    """What a reader should know: why search by meaning is missing, that the index is not complete ..."""
    offset: int
    end: int
    """Where the next page begins: further than the rows shown where some are gone since the first page."""
    ranking: str
    """The name under which further pages find the same order again."""
    seconds: float

    @property
    def next_place(self) -> Place | None:
        """Where the next page begins; None on the last."""
        return self.place_at(self.end) if self.offset < self.end < self.results.total else None

    def place_at(self, offset: int) -> Place:
        """Return the place in this order after so many rows."""
        keys = self.results.match_keys
        after = key_path(keys[offset - 1]) if 0 < offset <= len(keys) else ""
        return Place(offset, after, self.ranking)


async def find_target(datasette: Any, database: str, table: str) -> Target:
    """Return what a search of the table needs. Raises NoSuchTable or NoSuchIndex, with the command that makes one."""
    view = await look_at(datasette, database)
    for index in view.indexes:
        if index.table == table:
            if table not in view.sources:
                raise NoSuchTable(f"table {table!r} is gone; clear its index away: sqlite-utils drop-embeddings")
            return Target(database, view.sources[table], index)
    command = f"sqlite-utils embed {database}.db {table} COLUMN..."
    raise NoSuchIndex(f"table {table!r} cannot be searched by meaning yet. Make its index: {command}")


async def answer(
    datasette: Any,
    target: Target,
    query: QueryString,
    *,
    filters: Sequence[RowFilter],
    within: Sequence[RowFilter] = (),
    columns: Sequence[str] | None,
    weights: ListWeights | None,
    rerankers: Collection[str] = (),
    paged: bool = False,
    order: Order | None = None,
) -> Answer:
    """Search. What is missing for search by meaning becomes a notice, and the words are searched all the same.

    `rerankers` are those that the site lets a request ask for; `paged` says that further pages may be asked for, so
    that the order is to be remembered; `order` is the one to cut the page from, where the caller kept it. Raises
    SemanticError where the request makes no sense (BadFilter, BadOption, NoSuchRow) or the database fails.
    """
    if query.rerank is not None and query.rerank.name not in rerankers:
        allowed = ", ".join(rerankers) or 'none; its configuration may name some as "rerankers"'
        raise BadOption(f"this site does not rerank by {query.rerank.name!r}; it allows {allowed}")
    for _try in range(_TRIES - 1):
        try:
            return await _answer(datasette, target, query, filters, within, columns, weights, paged, order)
        except IndexChanged:  # noqa: PERF203
            state_of(datasette).databases.pop(target.database, None)
            target, order = await find_target(datasette, target.database, target.source.table), None
    return await _answer(datasette, target, query, filters, within, columns, weights, paged, order)


async def _answer(
    datasette: Any,
    target: Target,
    query: QueryString,
    filters: Sequence[RowFilter],
    within: Sequence[RowFilter],
    columns: Sequence[str] | None,
    weights: ListWeights | None,
    paged: bool,
    given: Order | None,
) -> Answer:
    started = time.perf_counter()
    vector, notices = await _meaning(datasette, target, query)
    request = SearchRequest(
        query=query.q,
        mode="keyword" if notices else query.mode,
        limit=query.size,
        offset=query.place.offset,
        filters=tuple(filters),
        within=tuple(within),
        weights=_joined(query, weights or weights_of(target.index)) or weights,
        boosts=query.boosts,
        diversity=query.diversity,
        weak=query.weak,
        columns=columns,
    )

    opinion, doubts = await _opinion(datasette, target, query, request, vector)
    request = replace(request, opinion=opinion)
    kept = state_of(datasette).rankings_of(target.database)

    def run(conn: Any) -> tuple[SearchResults, Order, int, str]:
        for each in (*filters, *within):
            check_filter(conn, target.source, each)
        like = None if query.like is None else parse_key(conn, target.source, key_parts(query.like))
        asked = replace(request, like=like)

        def make() -> Ranking:
            return rank(conn, target.index, asked, vector=vector)

        by = {"by": query.sort, "descending": query.descending}
        same = identity(target.index, asked, by_meaning=vector is not None, order=by)
        with answering(conn, target.index):
            order = given or kept.remembered(query.place.ranking, same, target.index)
            offset = query.place.offset
            if order is None:
                if query.wheres:
                    ranking = make()
                else:
                    ranking = kept.get(conn, target.index, asked, by_meaning=vector is not None, make=make)
                order = in_order(conn, target.index, ranking, by=query.sort, descending=query.descending)
                offset = offset_of(order, query.place)

            def cut() -> SearchResults:
                return page_at(conn, target.index, asked, order, offset)

            name = (same, offset, asked.limit, asked.columns and tuple(asked.columns))
            results = cut() if query.wheres else kept.page(conn, name, order, make=cut)
        further = paged and results.total > query.size
        return results, order, offset, kept.remember(same, target.index, order) if further else ""

    async with state_of(datasette).turns.one():
        results, order, offset, name = await in_database(datasette, target.database, run)
    told = (*notices, *results.warnings, *doubts)
    if target.index.state != "ready":
        told += ("This index is still being built, so rows are missing here. Finish it with: sqlite-utils embed.",)
    end = min(offset + query.size, results.total)
    return Answer(results, order, tuple(dict.fromkeys(told)), offset, end, name, time.perf_counter() - started)


async def _opinion(
    datasette: Any, target: Target, query: QueryString, request: SearchRequest, vector: Any
) -> tuple[Mapping[RowKey, float] | None, tuple[str, ...]]:
    """Return what the reranker that is asked for says of the first rows, or None and why it says nothing."""
    if query.rerank is None or not query.q.strip() or query.like is not None:
        return None, ()
    rerank = replace(query.rerank, seconds=min(query.rerank.seconds, Rerank(query.rerank.name).seconds))
    first = first_rows(request, rerank, target.index)

    def run(conn: Any) -> SearchResults:
        for each in request.filters:
            check_filter(conn, target.source, each)
        with answering(conn, target.index):
            return search(conn, target.index, first, vector=vector)

    results = await in_database(datasette, target.database, run)
    return await asyncio.to_thread(opinion_on, rerank, target.index, query.q, results.hits)


def _joined(query: QueryString, default: ListWeights) -> ListWeights | None:
    """Return how the request wants the lists joined, None where it does not say."""
    if query.weights is None and query.fusion is None and query.rrf_k is None:
        return None
    return check_weights(query.weights, fusion=query.fusion, rrf_k=query.rrf_k, default=default)


async def in_database(datasette: Any, database: str, run: Any) -> Any:
    """Run `run(conn)` in Datasette's executor under its time limit. Raises DatabaseProblem when time is up."""
    limit = datasette.setting("sql_time_limit_ms")

    def timed(conn: Any) -> Any:
        with sqlite_timelimit(conn, limit), shared():
            return run(conn)

    try:
        return await datasette.get_database(database).execute_fn(timed)
    except sqlite_errors() as error:
        if "interrupted" in str(error):
            raise DatabaseProblem(
                f"the search took longer than {limit} ms; narrow it with a filter, or raise sql_time_limit_ms"
            ) from error
        if "malformed JSON" in str(error):
            raise BadFilter("a filter looks into arrays, and some row holds no JSON array in that column") from error
        raise DatabaseProblem(str(error)) from error


async def count_rows(datasette: Any, target: Target, filters: Sequence[RowFilter]) -> int:
    """Return how many rows of the table pass the filters."""

    def run(conn: Any) -> int:
        for each in filters:
            check_filter(conn, target.source, each)
        condition, params = conjunction(filters)
        (count,) = conn.execute(
            f"select count(*) from {quote(target.source.table)} where {condition}", dict(params)
        ).fetchone()
        return int(count)

    counted: int = await in_database(datasette, target.database, run)
    return counted


async def query_vector(datasette: Any, index: IndexRecord, text: str) -> Any:
    """Return the unit vector of a query, shape (dimensions,). Raises ModelError; BadVector for an empty meaning."""
    state = state_of(datasette)
    key = (index.model, manner_of(index), text)
    known = state.query_vectors.get(key)
    if known is not None:
        return known

    vector = _at_once(index, text)
    if vector is None:
        task = state.being_embedded.get(key)
        if task is None:
            task = state.being_embedded[key] = asyncio.ensure_future(_embedded(index, text))
            task.add_done_callback(partial(_embedding_ended, state, key))
        vector = await asyncio.shield(task)  # others may wait for it, although this request has no more time
    _keep(state, key, vector)
    return vector


def _embedding_ended(state: PluginState, key: tuple[str, Manner, str], task: asyncio.Task[Any]) -> None:
    state.being_embedded.pop(key, None)
    if not task.cancelled():
        task.exception()  # looked at here, for by now nobody may be waiting for it


def _at_once(index: IndexRecord, text: str) -> Any:
    """Return the vector where it takes no time worth a thread; None elsewhere."""
    if index.model != DEFAULT_MODEL:  # any other takes a while even to be looked up
        return None
    embedder = embedder_for(index)
    return embedder.embed_query(text) if embedder.at_once(text) else None


async def _embedded(index: IndexRecord, text: str) -> Any:
    def embed() -> Any:
        return embedder_for(index).embed_query(text)

    try:
        return await asyncio.wait_for(asyncio.to_thread(embed), _MODEL_SECONDS)
    except asyncio.TimeoutError as error:
        raise ModelError(f"model {index.model!r} has not answered for {_MODEL_SECONDS:.0f} seconds") from error


async def _meaning(datasette: Any, target: Target, query: QueryString) -> tuple[Any, tuple[str, ...]]:
    """Return the vector of the query, or None and why there is none."""
    if query.mode == "keyword" and query.like is None:
        return None, ()
    missing = missing_extension(datasette, target.database)
    if missing is not None:
        return None, (f"Search by meaning is not available here: {missing}. These results are by words only.",)
    meant = parse(query.q).text
    if query.like is not None or not meant.strip():
        return None, ()
    try:
        return await query_vector(datasette, target.index, meant), ()
    except BadVector:
        return None, ("The model sees no meaning in these words: these results are by words only.",)
    except ModelError as error:
        return None, (f"Search by meaning is not available now: {error}. These results are by words only.",)


def _keep(state: PluginState, key: tuple[str, Manner, str], vector: Any) -> None:
    state.query_vectors[key] = vector
    while len(state.query_vectors) > _VECTORS_KEPT:
        state.query_vectors.popitem(last=False)
