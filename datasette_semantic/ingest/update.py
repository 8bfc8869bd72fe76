"""The write journey, whole: reconcile, fill the queue, drain it, measure what searching needs to know."""

from __future__ import annotations

from collections.abc import Callable

from ..embedding.models import Embedder
from ..records import IndexRecord, Progress, Source, UpdateReport
from ..store import catalog, chunks, samples
from ..store.connection import Connection, transaction
from .drain import drain
from .fill import fill
from .reconcile import note_schema, reconcile
from .train import needs_training, train

__all__ = ["update"]

_GROWTH = 1.5
"""A sample is drawn anew when the index has grown by this factor since."""


def update(
    connection: Connection,
    source: Source,
    index: IndexRecord,
    embedder: Embedder,
    *,
    progress: Callable[[Progress], None] | None = None,
) -> UpdateReport:
    """Bring an index up to date with its table; return what was done.

    May be stopped at any moment: the next run goes on where this one was.
    """
    index = reconcile(connection, source, index)
    index = fill(connection, source, index)
    report = drain(connection, source, index, embedder, progress=progress)
    index = _measure(connection, catalog.find(connection, source.table))
    index = _train(connection, index)
    if index.state != "ready":
        with transaction(connection):
            catalog.set_state(connection, index, "ready")
    note_schema(connection, source, index)
    return report


def _train(connection: Connection, index: IndexRecord) -> IndexRecord:
    """Give a large index its cells, or new ones when it has outgrown them."""
    _rows, count = chunks.count(connection, index)
    return train(connection, index, vectors=count) if needs_training(index, vectors=count) else index


def _measure(connection: Connection, index: IndexRecord) -> IndexRecord:
    """Draw the sample by which searches judge distances, when there is none or the index has outgrown it."""
    _rows, count = chunks.count(connection, index)
    sampled = int(index.settings.get("sampled_at", 0))
    if sampled and sampled / _GROWTH <= count <= sampled * _GROWTH:
        return index
    sample = samples.draw(connection, index)
    with transaction(connection):
        samples.save(connection, index, sample)
        catalog.save_settings(connection, index, {**index.settings, "sampled_at": count})
    return catalog.find(connection, index.table)
