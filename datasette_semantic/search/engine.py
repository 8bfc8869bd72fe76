"""The read journey: query -> two lists -> fused list -> page.

    request --parse--> query --keyword_list--> rows by words   \\
                       vector --semantic_list-> rows by nearness > candidates --fuse--> ranking --present--> hits
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from ..config import LIST_DEPTH, LOOKUP_DEPTH
from ..errors import NoSuchRow
from ..laws.calibration import set_weak_apart
from ..laws.candidates import Candidates, Column
from ..laws.fts_query import ParsedQuery, parse
from ..laws.fusion import Moments, fuse, rank_one_list
from ..laws.ranking import Ranked
from ..laws.vectors import FloatVector, normalise
from ..records import IndexRecord, ListWeights, RowKey, SearchRequest, SearchResults, Source
from ..store import chunks as chunk_store
from ..store import samples, vector_index
from ..store.connection import Connection
from ..store.memory import memory_of
from ..store.source import describe
from . import arranging, forgiving, lanes, lists
from .present import present
from .request import weights_of

__all__ = ["Ranking", "page_of", "rank", "row_vector", "search"]


@dataclass(slots=True)
class _Clock:
    """Seconds per stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - started


@dataclass(frozen=True, slots=True)
class Ranking:
    """A whole match set in its order: what every page of one search has in common."""

    rows: Ranked
    query: ParsedQuery
    """What was looked for: what was typed, unless that found nothing."""
    chunk_ids: Mapping[int, int]
    """row_id to the chunk nearest to the query."""
    truncated: bool
    weak: int
    notes: tuple[str, ...]
    did_you_mean: str | None
    timings: Mapping[str, float]


def search(
    connection: Connection,
    index: IndexRecord,
    request: SearchRequest,
    *,
    vector: FloatVector | None,
    warnings: Sequence[str] = (),
) -> SearchResults:
    """Answer a request. `vector` is the query's unit vector; without it only the keyword list answers.

    Raises SemanticError for bad filters, rows and options; never for what `query` holds.
    """
    return page_of(connection, index, request, rank(connection, index, request, vector=vector), warnings=warnings)


def rank(connection: Connection, index: IndexRecord, request: SearchRequest, *, vector: FloatVector | None) -> Ranking:
    """Return the whole match set, best first. Raises as `search`.

    It is the union of the two lists, each at most LIST_DEPTH rows, less the rows that only nearness found and from too
    far away (unless `weak`, or a filter narrows the choice already): it does not depend on the page asked for, so that
    pages joined are the whole ranking.
    """
    clock = _Clock()
    source = _source(connection, index)
    columns = index.keyword.columns if index.keyword else ()
    query = parse(request.query, columns=columns)
    allowed = lists.allowed_rows(source, index, request.filters)
    own_row: int | None = None
    weak = 0
    if request.like is not None:
        own_row, vector = row_vector(connection, source, index, request.like)
    by_words = request.mode != "semantic" and request.like is None
    by_meaning = vector is not None and (request.mode != "keyword" or request.like is not None)
    with clock("keyword"):
        found = (
            forgiving.keyword_list(connection, source, index, request.query, query, allowed=allowed, depth=LIST_DEPTH)
            if by_words
            else forgiving.Found([], query)
        )
        words, query = found.rows, found.query
    with clock("semantic"):
        near = (
            lists.semantic_list(connection, index, vector, allowed=allowed, depth=LIST_DEPTH, exact=request.exact)
            if by_meaning and vector is not None
            else vector_index.Nearby.nothing()
        )
        words_cut, near_cut = len(words) >= LIST_DEPTH, len(near) >= LIST_DEPTH
        near = _without(connection, source, index, query, near, own_row)
    with clock("fuse"):
        candidates, chunk_ids = _candidates(connection, source, index, request, query, words, near, vector, allowed)
        if by_words and by_meaning and not request.weak and not request.filters:
            candidates, weak = set_weak_apart(candidates, index.settings.get("floor"))
        candidates = _existing(connection, source, index, candidates)
        how = arranging.wishes(connection, source, index, request, candidates, chunk_ids)
        rows = _rank(connection, index, request, candidates, vector, how, by_words=by_words, by_meaning=by_meaning)
        rows = _within(connection, source, index, request, rows)
    return Ranking(
        rows,
        query,
        chunk_ids,
        # Where weak rows were left out, the semantic list reached down to them and so was not cut.
        truncated=words_cut or (near_cut and not weak),
        weak=weak,
        notes=(*found.notes, *(_doubts(index, request, words, near) if by_words and by_meaning else ())),
        did_you_mean=found.did_you_mean,
        timings=clock.seconds,
    )


def _doubts(
    index: IndexRecord, request: SearchRequest, words: Sequence[tuple[int, float]], near: vector_index.Nearby
) -> tuple[str, ...]:
    """Say so where only nearness found anything, and from so far away that chance may have brought it."""
    floor = index.settings.get("floor")
    if words or not len(near) or request.filters or floor is None or 1.0 - near.distances[0] >= floor:
        return ()
    return ("No row holds any of these words, and none is near in meaning: these are the least far away.",)


def page_of(
    connection: Connection,
    index: IndexRecord,
    request: SearchRequest,
    ranking: Ranking,
    *,
    keys: Sequence[RowKey] | None = None,
    warnings: Sequence[str] = (),
) -> SearchResults:
    """Return the page of a ranking that a request asks for.

    `keys` are those of the ranking in another order, by which the page is then cut; each row keeps the rank that
    relevance gives it.
    """
    clock = _Clock()
    source = _source(connection, index)
    first, end = request.offset, request.offset + request.limit
    if keys is None:
        page = list(enumerate(ranking.rows[first:end], first + 1))
    else:
        place_of = {key: place for place, key in enumerate(ranking.rows.keys)}
        page = [(place_of[key] + 1, ranking.rows[place_of[key]]) for key in keys[first:end]]
    with clock("present"):
        hits = present(connection, source, index, request, ranking.query, page, ranking.chunk_ids)
    return SearchResults(
        hits=hits,
        total=len(ranking.rows),
        match_keys=ranking.rows.keys if keys is None else tuple(keys),
        key_columns=source.key_columns,
        truncated=ranking.truncated,
        weak=ranking.weak,
        warnings=(*warnings, *ranking.notes),
        did_you_mean=ranking.did_you_mean,
        timings={**ranking.timings, **clock.seconds},
    )


def row_vector(connection: Connection, source: Source, index: IndexRecord, key: RowKey) -> tuple[int, FloatVector]:
    """Return a row's row_id and one vector for it: the mean direction of its chunks. Raises NoSuchRow."""
    row_id = chunk_store.row_ids_of(connection, source, index, [key]).get(key)
    named = ", ".join(map(str, key))
    if row_id is None:
        raise NoSuchRow(f"the index of {source.table!r} has no row {named}")
    found = vector_index.vectors(
        connection, index, [chunk.id for chunk in chunk_store.chunks_of_rows(connection, index, [row_id])]
    )
    if not found:
        raise NoSuchRow(f"row {named} of {source.table!r} has no vector: it holds no text, or is not embedded yet")
    return row_id, normalise(sum(found.values()))


def _source(connection: Connection, index: IndexRecord) -> Source:
    memory = memory_of(connection, index)
    if memory.source is None:
        memory.source = describe(connection, index.table)
    return memory.source


def _without(
    connection: Connection,
    source: Source,
    index: IndexRecord,
    query: ParsedQuery,
    near: vector_index.Nearby,
    own_row: int | None,
) -> vector_index.Nearby:
    """Leave out the row that the others are to be like, and rows that hold an excluded word."""
    dropped = lists.excluded_rows(connection, source, index, query, near.row_ids.tolist())
    if own_row is not None:
        dropped = dropped | {own_row}
    return near.only(~np.isin(near.row_ids, list(dropped))) if dropped else near


def _candidates(
    connection: Connection,
    source: Source,
    index: IndexRecord,
    request: SearchRequest,
    query: ParsedQuery,
    words: list[tuple[int, float]],
    near: vector_index.Nearby,
    vector: FloatVector | None,
    allowed: lists.Allowed,
) -> tuple[Candidates, dict[int, int]]:
    """Join the lists into candidates, without keys as yet; also return row_id to nearest chunk."""
    by_words = np.fromiter((row_id for row_id, _ in words), dtype=np.int64, count=len(words))
    row_ids, near_places = _joined(by_words, near.row_ids)
    bm25, cosine = np.full((2, len(row_ids)), np.nan)
    keyword_rank, semantic_rank = np.zeros((2, len(row_ids)), dtype=np.int64)
    bm25[: len(words)] = [value for _, value in words]
    keyword_rank[: len(words)] = np.arange(1, len(words) + 1)
    cosine[near_places] = 1.0 - near.distances
    semantic_rank[near_places] = np.arange(1, len(near) + 1)
    chunk_ids = dict(zip(near.row_ids.tolist(), near.ids.tolist(), strict=True))
    if vector is not None and request.mode == "hybrid":
        unknown = {row_id: place for place, (row_id, _) in enumerate(words[:LOOKUP_DEPTH]) if row_id not in chunk_ids}
        found = lists.cosines(connection, index, vector, list(unknown), compared=near.compared)
        for row_id, (chunk_id, value) in found.items():
            cosine[unknown[row_id]] = value
            chunk_ids[row_id] = chunk_id
    exact = sole = np.zeros(len(row_ids), dtype=np.bool_)
    if request.mode == "hybrid" and words:
        exact = np.isin(row_ids, list(lanes.exact_rows(connection, source, index, request.query, allowed=allowed)))
        sole = np.isin(row_ids, list(lanes.sole_rows(connection, source, index, query)))
    columns = (bm25, cosine, keyword_rank, semantic_rank, exact, sole)
    return Candidates(row_ids, {}, *columns), chunk_ids


def _joined(first: Column, second: Column) -> tuple[Column, Column]:
    """Return two columns of distinct numbers as one, without those of the second that the first holds too; and the
    places that the numbers of the second have in it."""
    order = np.argsort(first)
    places = np.searchsorted(first, second, sorter=order)
    places = order[np.minimum(places, len(first) - 1)] if len(first) else np.zeros(len(second), dtype=np.intp)
    new = first[places] != second if len(first) else np.ones(len(second), dtype=np.bool_)
    places[new] = len(first) + np.arange(np.count_nonzero(new))
    return np.concatenate([first, second[new]]), places


def _existing(connection: Connection, source: Source, index: IndexRecord, candidates: Candidates) -> Candidates:
    """Return the candidates whose row is in the table now, with their keys.

    Triggers see to it that hardly any is not; but `insert or replace` can take a row away without firing them.
    """
    row_ids = candidates.row_ids.tolist()
    keys = chunk_store.known_keys_of(connection, source, index, row_ids)
    if len(keys) < len(row_ids):
        there = np.fromiter((row_id in keys for row_id in row_ids), dtype=np.bool_, count=len(row_ids))
        candidates = candidates.only(there)
    return replace(candidates, keys=keys)


def _rank(
    connection: Connection,
    index: IndexRecord,
    request: SearchRequest,
    candidates: Candidates,
    vector: FloatVector | None,
    how: arranging.Wishes,
    *,
    by_words: bool,
    by_meaning: bool,
) -> Ranked:
    if not by_meaning:
        return rank_one_list(candidates, "keyword", added=how.added, arrange=how.arrange)
    if not by_words:
        return rank_one_list(candidates, "semantic", added=how.added, arrange=how.arrange)
    weights, moments = _weights(index, request), _moments(connection, index, vector)
    return fuse(candidates, weights=weights, moments=moments, added=how.added, arrange=how.arrange)


def _within(
    connection: Connection, source: Source, index: IndexRecord, request: SearchRequest, ranking: Ranked
) -> Ranked:
    """Keep the rows of the match set that pass the request's inner conditions; scores stay as they are."""
    if not request.within:
        return ranking
    allowed = lists.allowed_rows(source, index, request.within)
    return ranking.only(lists.those_allowed(connection, ranking.row_ids, allowed))


def _weights(index: IndexRecord, request: SearchRequest) -> ListWeights:
    """The request's weights, else the index's own."""
    return weights_of(index) if request.weights is None else request.weights


def _moments(connection: Connection, index: IndexRecord, vector: FloatVector | None) -> Moments | None:
    """How near the query is to the table at large, from the index's sample of vectors."""
    sample = samples.load(connection, index)
    if vector is None or sample is None:
        return None
    values = sample @ vector
    return Moments(float(values.mean()), float(values.std()))
