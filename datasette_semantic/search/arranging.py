"""What a request wishes of the order besides relevance: columns that raise scores, variety, a second opinion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..laws.arranging import VARIED, by_opinion, varied
from ..laws.boosting import shares
from ..laws.candidates import Candidates
from ..laws.ranking import Added, Arrange, Fused, Term
from ..laws.vectors import FloatVector
from ..records import IndexRecord, SearchRequest, Source
from ..store import chunks as chunk_store
from ..store import vector_index
from ..store.connection import Connection, has_vec
from ..store.source import check_columns

__all__ = ["Wishes", "wishes"]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What `laws/ranking.py` is to do besides."""

    added: Added | None = None
    arrange: Arrange | None = None


def wishes(
    connection: Connection,
    source: Source,
    index: IndexRecord,
    request: SearchRequest,
    candidates: Candidates,
    chunk_ids: Mapping[int, int],
) -> Wishes:
    """Return a request's wishes, none of which costs anything where it is not made. Raises NoSuchColumn.

    `chunk_ids` maps row_id to the chunk nearest to the query; its vector stands for the row.
    """
    opinion, strength = request.opinion, request.diversity
    added = _added(connection, source, index, request, candidates) if request.boosts else None
    if not opinion and not strength:
        return Wishes(added)

    def arrange(ranking: list[Fused]) -> list[Fused]:
        if opinion:
            ranking = by_opinion(ranking, opinion)
        if strength and has_vec(connection):
            row_ids = [fused.candidate.row_id for fused in ranking[:VARIED]]
            ranking = varied(ranking, _vectors(connection, index, row_ids, chunk_ids), strength=strength)
        return ranking

    return Wishes(added, arrange)


def _added(
    connection: Connection,
    source: Source,
    index: IndexRecord,
    request: SearchRequest,
    candidates: Candidates,
) -> Added:
    columns = check_columns(source, [boost.column for boost in request.boosts])
    row_ids = candidates.row_ids.tolist()
    rows = chunk_store.read_rows_by_id(connection, source, index, row_ids, tuple(dict.fromkeys(columns)))
    added: dict[int, tuple[Term, ...]] = dict.fromkeys(row_ids, ())
    for boost, column in zip(request.boosts, columns, strict=True):
        cells = [rows[row_id][column] if row_id in rows else None for row_id in row_ids]
        values = shares(cells, half_life=boost.half_life, weight=boost.weight)
        for row_id, value in zip(row_ids, values, strict=True):
            added[row_id] += ((column, boost.weight, value),)
    return added


def _vectors(
    connection: Connection, index: IndexRecord, row_ids: Sequence[int], chunk_ids: Mapping[int, int]
) -> dict[int, FloatVector]:
    """Return a stored vector for each row that has one: of its chunk nearest to the query, else of its first."""
    unknown = [row_id for row_id in row_ids if row_id not in chunk_ids]
    first = {chunk.row_id: chunk.id for chunk in reversed(chunk_store.chunks_of_rows(connection, index, unknown))}
    wanted = {row_id: chunk_ids.get(row_id, first.get(row_id, -1)) for row_id in row_ids}
    found = vector_index.vectors(connection, index, list(wanted.values()))
    return {row_id: found[chunk_id] for row_id, chunk_id in wanted.items() if chunk_id in found}
