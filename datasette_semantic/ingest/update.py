"""The write journey, whole: reconcile, fill the queue, drain it, measure what searching needs to know."""

from __future__ import annotations

from collections.abc import Callable

from ..embedding.models import Embedder
from ..embedding.pace import Pace
from ..records import IndexRecord, Progress, Source, UpdateReport
from ..store import catalog, chunks, samples
from ..store.connection import Connection, transaction
from .calibrate import calibrate
from .drain import drain
from .fill import fill
from .reconcile import note_schema, reconcile
from .train import needs_training, train

__all__ = ["update"]

_GROWTH = 1.5
"""Sample, weights and floor are measured anew when the index has grown or shrunk by this factor since."""


def update(
    connection: Connection,
    source: Source,
    index: IndexRecord,
    embedder: Embedder,
    *,
    progress: Callable[[Progress], None] | None = None,
    pace: Pace | None = None,
    concurrency: int = 1,
) -> UpdateReport:
    """Bring an index up to date with its table; return what was done.

    May be stopped at any moment: the next run goes on where this one was. `pace` holds limits and pauses,
    `concurrency` is the number of calls of the model at a time.
    """
    index = reconcile(connection, source, index)
    index = fill(connection, source, index)
    report = drain(connection, source, index, embedder, progress=progress, pace=pace, concurrency=concurrency)
    index = _count(connection, catalog.find(connection, source.table))
    outgrown = _outgrown(connection, index)
    if outgrown:
        index = _sample(connection, index)
    index = _train(connection, index)
    if outgrown:
        index = calibrate(connection, source, index, embedder)
    if index.state != "ready":
        with transaction(connection):
            catalog.set_state(connection, index, "ready")
    note_schema(connection, source, index)
    return report


def _train(connection: Connection, index: IndexRecord) -> IndexRecord:
    """Give a large index its cells, or new ones when it has outgrown them."""
    _rows, count = chunks.count(connection, index)
    return train(connection, index, vectors=count) if needs_training(index, vectors=count) else index


def _count(connection: Connection, index: IndexRecord) -> IndexRecord:
    """Note how many rows and chunks there are, which is slow to count for every search."""
    rows, count = chunks.count(connection, index)
    size = {"rows": rows, "chunks": count}
    if index.settings.get("size") == size:
        return index
    with transaction(connection):
        catalog.save_settings(connection, index, {**index.settings, "size": size})
    return catalog.find(connection, index.table)


def _outgrown(connection: Connection, index: IndexRecord) -> bool:
    """True where what was measured on the index was measured on one of another size."""
    _rows, count = chunks.count(connection, index)
    sampled = int(index.settings.get("sampled_at", 0))
    return not sampled or not sampled / _GROWTH <= count <= sampled * _GROWTH


def _sample(connection: Connection, index: IndexRecord) -> IndexRecord:
    """Draw the sample by which searches judge distances."""
    _rows, count = chunks.count(connection, index)
    sample = samples.draw(connection, index)
    with transaction(connection):
        samples.save(connection, index, sample)
        catalog.save_settings(connection, index, {**index.settings, "sampled_at": count})
    return catalog.find(connection, index.table)
