"""The write journey, whole: reconcile, fill the queue, drain it, measure what searching needs to know.

Where an index is being built beside the one that answers, both are brought up to date, and then the new one answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from ..config import PARTED_TRAIN_AT, TRAIN_AT
from ..embedding.models import Embedder, embedder_for
from ..embedding.pace import Pace
from ..errors import IndexChanged, ModelError
from ..records import IndexRecord, Progress, Source, UpdateReport
from ..store import catalog, chunks, queue, samples
from ..store.blocks import is_partitioned
from ..store.connection import Connection
from .adopt import adopt, set_rest_aside
from .calibrate import calibrate
from .change import clear_away, take_over
from .drain import drain
from .parting import typical_part
from .reconcile import note_schema, reconcile
from .train import choose_probes, needs_probes, needs_training, train

__all__ = ["update"]

_GROWTH = 1.5
"""Sample, weights and floor are measured anew when the index has grown or shrunk by this factor since."""
_ROUNDS = 3
"""How often an index that was built beside is drained again because others went on writing."""
_KEEP_UP_SECONDS = 5.0
"""How long a row waits at most to be found in the index that answers while another is being built."""


def update(
    connection: Connection,
    source: Source,
    index: IndexRecord,
    *,
    progress: Callable[[Progress], None] | None = None,
    pace: Pace | None = None,
    concurrency: int = 1,
) -> UpdateReport:
    """Bring the index that answers for a table up to date; return what was done.

    An index being built beside it is finished and takes its place. May be stopped at any moment: the next run goes on
    where this one was. `pace` holds limits and pauses, `concurrency` is the number of calls of the model at a time.
    """
    run = _Run(connection, source, pace or Pace(), concurrency)
    clear_away(connection, source)
    coming = catalog.beside(connection, source.table, "next")
    if coming is None:
        return run.bring_up(index, progress)
    report = run.keep_up(index)
    for _round in range(_ROUNDS):
        report = _joined(report, run.bring_up(coming, run.keeping_up(index, progress)))
        if take_over(connection, source, coming) is not None:
            clear_away(connection, source)
            break
        following = catalog.beside(connection, source.table, "next")
        if following is None or following.id != coming.id:
            break  # another run has let it answer, or it was given up
    return report


class _Run:
    """How this run works, for one index and the other."""

    def __init__(self, connection: Connection, source: Source, pace: Pace, concurrency: int) -> None:
        self.connection = connection
        self.source = source
        self.pace = pace
        self.concurrency = concurrency

    def bring_up(self, index: IndexRecord, progress: Callable[[Progress], None] | None) -> UpdateReport:
        """Bring one index up to date."""
        connection, source = self.connection, self.source
        embedder = embedder_for(index)
        try:
            index, adopted = adopt(connection, source, reconcile(connection, source, catalog.again(connection, index)))
        except IndexChanged:
            index, adopted = catalog.again(connection, index), 0  # another run has just put it into its place
        report, aside = self.drained(index, embedder, progress, adopted=adopted)
        try:
            index = _count(connection, catalog.again(connection, index))
            outgrown = _outgrown(connection, index)
            if outgrown:
                index = _sample(connection, index)
            index = _train(connection, index)
            if outgrown and not aside:
                index = calibrate(connection, source, index, embedder)
            if index.state != "ready":
                with catalog.writing(connection, index):
                    catalog.set_state(connection, index, "ready")
            note_schema(connection, source, index)
        except IndexChanged:
            pass  # another run, which finished at the same time, has done all this and let the index answer
        return report

    def drained(
        self, index: IndexRecord, embedder: Embedder, progress: Callable[[Progress], None] | None, *, adopted: int
    ) -> tuple[UpdateReport, int]:
        """Work the queue off; return what was done, and how many rows wait for a model that cannot be had.

        Where rows have got vectors that existed already, the rest is set aside rather than all given up.
        """
        aside = 0
        how: dict[str, Any] = {"progress": progress, "concurrency": self.concurrency}
        try:
            report = drain(self.connection, self.source, index, embedder, pace=self.pace.part(), **how)
        except ModelError as error:
            if not adopted:
                raise
            aside = set_rest_aside(self.connection, self.source, index, error)
            report = drain(self.connection, self.source, index, embedder, pace=self.pace.part(), **how)
        return replace(report, adopted=adopted, failed=report.failed + aside), aside

    def keep_up(self, index: IndexRecord) -> UpdateReport:
        """Bring the index that answers up to date while another is built; its model may well be gone."""
        try:
            return self.bring_up(index, None)
        except ModelError:
            return _nothing(self.source)

    def keeping_up(self, index: IndexRecord, progress: Callable[[Progress], None] | None) -> Callable[[Progress], None]:
        """Return `progress` such that rows written meanwhile get into the index that answers, too."""
        looked = time.monotonic()

        def told(done: Progress) -> None:
            nonlocal looked
            if progress is not None:
                progress(done)
            if time.monotonic() - looked > _KEEP_UP_SECONDS:
                if catalog.answers(self.connection, index) and queue.pending(self.connection, index)[0]:
                    self.keep_up(index)
                looked = time.monotonic()

        return told


def _nothing(source: Source) -> UpdateReport:
    return UpdateReport(source.table, rows=0, embedded=0, reused=0, deleted=0, failed=0, seconds=0.0)


def _joined(first: UpdateReport, second: UpdateReport) -> UpdateReport:
    sums = {
        each.name: getattr(first, each.name) + getattr(second, each.name)
        for each in fields(UpdateReport)
        if each.name != "table"
    }
    return replace(first, **sums)


def _train(connection: Connection, index: IndexRecord) -> IndexRecord:
    """Give a large index its cells, or new ones when it has outgrown them; have it read more or fewer of them where
    another recall is wanted."""
    _rows, vectors = chunks.count(connection, index)
    least = TRAIN_AT
    if is_partitioned(index):
        vectors, least = typical_part(connection, index, vectors=vectors) or 0, PARTED_TRAIN_AT
    if needs_training(index, vectors=vectors, least=least):
        return train(connection, index, vectors=vectors)
    return choose_probes(connection, index) if needs_probes(index) else index


def _count(connection: Connection, index: IndexRecord) -> IndexRecord:
    """Note how many rows and chunks there are, which is slow to count for every search."""
    rows, count = chunks.count(connection, index)
    size = {"rows": rows, "chunks": count}
    if index.settings.get("size") == size:
        return index
    with catalog.writing(connection, index) as index:
        catalog.save_settings(connection, index, {**index.settings, "size": size})
    return catalog.again(connection, index)


def _outgrown(connection: Connection, index: IndexRecord) -> bool:
    """True where what was measured on the index was measured on one of another size."""
    _rows, count = chunks.count(connection, index)
    sampled = int(index.settings.get("sampled_at", 0))
    return not sampled or not sampled / _GROWTH <= count <= sampled * _GROWTH


def _sample(connection: Connection, index: IndexRecord) -> IndexRecord:
    """Draw the sample by which searches judge distances."""
    _rows, count = chunks.count(connection, index)
    sample = samples.draw(connection, index)
    with catalog.writing(connection, index) as index:
        samples.save(connection, index, sample)
        catalog.save_settings(connection, index, {**index.settings, "sampled_at": count})
    return catalog.again(connection, index)
