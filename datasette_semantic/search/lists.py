"""Rows by nearness, and what both lists have in common: the rows that filters leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..laws import analysis
from ..laws.fts_query import ParsedQuery, Tokens, excluded_match
from ..laws.quoting import quote
from ..laws.vectors import FloatVector
from ..records import IndexRecord, RowFilter, Source
from ..store import blocks, keyword_index, names, partitions, vector_index
from ..store import chunks as chunk_store
from ..store.connection import Connection
from ..store.source import conjunction, json_list

__all__ = [
    "Allowed",
    "allowed_rows",
    "cosines",
    "excluded_rows",
    "query_tokens",
    "semantic_list",
    "those_allowed",
]


@dataclass(frozen=True, slots=True)
class Allowed:
    """The rows that filters leave, as a subquery that yields row_ids."""

    sql: str | None = None
    """None where every row may be found."""
    params: Mapping[str, Any] | None = None
    filters: tuple[RowFilter, ...] = ()
    """The same as they were given."""


def allowed_rows(source: Source, index: IndexRecord, filters: Sequence[RowFilter]) -> Allowed:
    """Turn conditions on the user's table into a subquery over row_ids, for both lists alike."""
    if not filters:
        return Allowed()
    condition, params = conjunction(filters)
    direct = names.direct_key(source)
    if direct is not None:
        return Allowed(f"select {quote(direct)} from {quote(source.table)} where {condition}", params, tuple(filters))
    keys = ", ".join(map(quote, source.key_columns))
    ours = ", ".join(f"k{n}" for n in range(len(source.key_columns)))
    return Allowed(
        f"select row_id from {quote(index.row_table)} where ({ours}) in "
        f"(select {keys} from {quote(source.table)} where {condition})",
        params,
        tuple(filters),
    )


def those_allowed(connection: Connection, row_ids: Sequence[int], allowed: Allowed) -> set[int]:
    """Return which of these rows are allowed."""
    if allowed.sql is None:
        return set(row_ids)
    values = {**(allowed.params or {}), "semantic_rows": json_list(row_ids)}
    sql = f"select value from json_each(:semantic_rows) where value in ({allowed.sql})"
    return {row[0] for row in connection.execute(sql, values).fetchall()}


def query_tokens(index: IndexRecord) -> Tokens | None:
    """Return how a query's terms become the tokens of this keyword index; None where FTS5 does that itself."""
    if index.keyword is None or index.keyword.analyzer is None:
        return None
    return partial(analysis.tokens, analyzer=index.keyword.analyzer)


def semantic_list(
    connection: Connection,
    index: IndexRecord,
    vector: FloatVector,
    *,
    allowed: Allowed,
    depth: int,
    exact: bool = False,
) -> vector_index.Nearby:
    """Return up to `depth` rows by nearness, nearest first: for each row its nearest chunk.

    Rows of many chunks share k, and vectors whose row is gone take part of it: k grows until there are rows enough, or
    no more to be had.
    """
    size = index.settings.get("size") or {"rows": 1, "chunks": 1}
    k = -(-depth * max(size["chunks"], size["rows"]) // max(size["rows"], 1)) + depth // 10
    within = partitions.within(connection, index, allowed.filters)
    while True:
        found = _nearby(connection, index, vector, k=k, allowed=allowed, within=within, exact=exact)
        nearest = found.only(np.sort(np.unique(found.row_ids, return_index=True)[1]))
        if len(nearest) >= depth or len(found) + vector_index.orphans(connection, index) < k:
            return nearest.only(np.arange(min(depth, len(nearest))))
        k *= 2


def _nearby(
    connection: Connection,
    index: IndexRecord,
    vector: FloatVector,
    *,
    k: int,
    allowed: Allowed,
    within: partitions.Within | None,
    exact: bool,
) -> vector_index.Nearby:
    if within is None or allowed.sql is None:
        return vector_index.nearby(
            connection, index, vector, k=k, allowed=allowed.sql, params=allowed.params, exact=exact
        )
    params = allowed.params or {}
    return partitions.nearby(
        connection, index, vector, k=k, within=within, allowed=allowed.sql, params=params, exact=exact
    )


def cosines(
    connection: Connection,
    index: IndexRecord,
    vector: FloatVector,
    row_ids: Sequence[int],
    *,
    compared: tuple[NDArray[np.int64], NDArray[np.float32]],
) -> dict[int, tuple[int, float]]:
    """Return, for rows that nearness did not find, row_id to (nearest chunk id, cosine).

    `compared` are the chunks with which the query has been compared already, and their cosines; the vectors of others
    are looked up.
    """
    if not row_ids:
        return {}
    stored = chunk_store.chunks_of_rows(connection, index, row_ids)
    known = _known([chunk.id for chunk in stored], *compared)
    known |= _looked_up(connection, index, vector, [chunk.id for chunk in stored if chunk.id not in known])
    best: dict[int, tuple[int, float]] = {}
    for chunk in stored:
        value = known.get(chunk.id)
        if value is not None and (chunk.row_id not in best or value > best[chunk.row_id][1]):
            best[chunk.row_id] = (chunk.id, value)
    return best


def _known(wanted: Sequence[int], ids: NDArray[np.int64], cosines: NDArray[np.float32]) -> dict[int, float]:
    """Return those of the wanted ids that are among `ids`, with their cosines."""
    few = np.unique(np.array(wanted, dtype=np.int64))
    places: NDArray[np.intp] = (
        np.flatnonzero(few[np.minimum(np.searchsorted(few, ids), len(few) - 1)] == ids)
        if len(few)
        else np.zeros(0, dtype=np.intp)
    )
    return dict(zip(ids[places].tolist(), cosines[places].tolist(), strict=True))


def _looked_up(connection: Connection, index: IndexRecord, vector: FloatVector, ids: Sequence[int]) -> dict[int, float]:
    if not ids:
        return {}
    found = vector_index.vectors(connection, index, ids)
    matrix = vector_index.stack(found, list(found), dimensions=index.dimensions)
    return dict(zip(found, blocks.products(matrix, vector).tolist(), strict=True))


def excluded_rows(
    connection: Connection, source: Source, index: IndexRecord, query: ParsedQuery, row_ids: Sequence[int]
) -> set[int]:
    """Return those of `row_ids` that hold a word which the query excludes."""
    match = excluded_match(query, tokens=query_tokens(index))
    if match is None or index.keyword is None or not row_ids:
        return set()
    found = keyword_index.search(
        connection,
        source,
        index,
        match,
        k=len(row_ids),
        allowed="select value from json_each(:semantic_rows)",
        params={"semantic_rows": json_list(row_ids)},
    )
    return {row_id for row_id, _bm25 in found}
