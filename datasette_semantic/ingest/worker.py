"""What a background worker does, over and over: bring every index of a file up to date that has something waiting."""

from __future__ import annotations

from collections.abc import Callable

from ..embedding.pace import Pace
from ..errors import NoSuchTable
from ..records import IndexRecord, Progress, UpdateReport
from ..store import catalog, queue
from ..store.connection import Connection
from ..store.source import describe
from .update import update

__all__ = ["drain_all"]


def drain_all(
    connection: Connection,
    *,
    wanted: Callable[[IndexRecord], bool] = lambda record: True,
    pace: Pace | None = None,
    concurrency: int = 1,
    progress: Callable[[Progress], None] | None = None,
) -> list[UpdateReport]:
    """Drain every index that `wanted` picks and that has rows waiting or is being changed; return what was done, often
    nothing.

    Run it in a thread, on a connection of its own with sqlite-vec loaded: it calls models, and holds short write
    transactions only. `pace.stop()` from another thread ends the waiting for a busy model. Raises ModelError,
    DatabaseProblem's causes as SQLite raises them; the other indexes are drained when it is called again.
    """
    reports = []
    for record in catalog.all_indexes(connection):
        waiting, _aside = queue.pending(connection, record)
        changing = any(role != "previous" for role, _index in catalog.all_beside(connection, record.table))
        if not (waiting or changing) or not wanted(record):
            continue
        try:
            source = describe(connection, record.table)
        except NoSuchTable:
            continue  # the table was dropped: `embeddings` lists its index, `drop-embeddings` removes it
        reports.append(update(connection, source, record, pace=pace, concurrency=concurrency, progress=progress))
    return reports
