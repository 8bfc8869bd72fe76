"""The semantic list by itself: keys and distances. No words, no scores, no passages; no row is read."""

from __future__ import annotations

from ..laws.vectors import FloatVector
from ..records import IndexRecord, Neighbour, Source
from ..store import chunks as chunk_store
from ..store.connection import Connection
from . import lists

__all__ = ["neighbours"]


def neighbours(
    connection: Connection,
    source: Source,
    index: IndexRecord,
    vector: FloatVector,
    *,
    k: int,
    allowed: lists.Allowed,
    exact: bool = False,
) -> list[Neighbour]:
    """Return up to `k` rows, nearest first, each with its nearest chunk. `vector` is of unit length."""
    if k == 0:
        return []
    near = lists.semantic_list(connection, index, vector, allowed=allowed, depth=k, exact=exact)
    keys = chunk_store.known_keys_of(connection, source, index, near.row_ids.tolist())
    spans = chunk_store.spans(connection, index, near.ids.tolist())
    return [
        Neighbour(keys[row_id], distance, spans[chunk_id].start, spans[chunk_id].end)
        for row_id, chunk_id, distance in near.listed()
        if row_id in keys and chunk_id in spans
    ]
