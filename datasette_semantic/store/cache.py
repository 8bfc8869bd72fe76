"""The cache of vectors that were paid for: what nothing can use any more is cleared away when the user says so."""

from __future__ import annotations

from ..config import CACHE_TABLE
from ..records import ClearedVectors
from . import catalog
from .chunks import purpose
from .connection import Connection, transaction

__all__ = ["clear_abandoned"]

_BATCH = 1_000


def clear_abandoned(connection: Connection) -> list[ClearedVectors]:
    """Remove the vectors that no index of the file could use again, because none asks their model as they were asked
    for; return what there was, by model. Vectors that one may use are kept. Each transaction is short."""
    if not catalog.exists(connection):
        return []
    answering = catalog.all_indexes(connection)
    beside = [index for each in answering for _role, index in catalog.all_beside(connection, each.table)]
    kinds = {(index.model, index.dimensions, purpose(index)) for index in (*answering, *beside)}
    held = connection.execute(
        f"select model, dimensions, purpose, count(*) from {CACHE_TABLE} group by model, dimensions, purpose"
    ).fetchall()
    cleared: dict[tuple[str, int], int] = {}
    for model, dimensions, asked, count in map(tuple, held):
        if (model, dimensions, asked) not in kinds:
            _clear(connection, model, dimensions, asked)
            cleared[model, dimensions] = cleared.get((model, dimensions), 0) + count
    return [ClearedVectors(model, dimensions, count) for (model, dimensions), count in cleared.items()]


def _clear(connection: Connection, model: str, dimensions: int, asked: str) -> None:
    found = _BATCH
    while found == _BATCH:
        with transaction(connection):
            kind = "model = ? and dimensions = ? and purpose = ?"
            found = connection.execute(
                f"delete from {CACHE_TABLE} where {kind} and hash in "
                f"(select hash from {CACHE_TABLE} where {kind} order by hash limit {_BATCH})",
                (model, dimensions, asked) * 2,
            ).rowcount
