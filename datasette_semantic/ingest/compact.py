"""Giving back the space of what was deleted: in the index first, in short steps, then in the file.

    orphans --> vec0's sparse chunks --> FTS5's segments --> free pages --> the disk

Every step is a transaction of its own and leaves an index that answers as it did: the vectors, the words and their
cells are the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from ..config import DEFAULT_MODEL
from ..errors import IndexChanged, NoSuchIndex
from ..records import Compaction, IndexRecord, Source
from ..store import catalog, packing, space
from ..store import chunks as chunk_store
from ..store.blocks import blocks
from ..store.connection import Connection, transaction
from .change import all_of, clear_away
from .courtesy import Courtesy
from .moving import gathered, move
from .reconcile import schema_version

__all__ = ["compact"]

_ORPHANS = 1_000
"""Vectors of rows that are gone, taken out of vec0 in one transaction."""


def compact(connection: Connection, sources: Sequence[Source]) -> Compaction:
    """Give back the space that the indexes of tables do not need any more, and what is free in their file.

    Searches answer meanwhile; a kill leaves what was done. Call it outside a transaction.
    """
    began, before = time.monotonic(), space.file_bytes(connection)
    if catalog.exists(connection):
        with transaction(connection):
            packing.drop_strays(connection)
    moved = 0
    for source in sources:
        clear_away(connection, source)
        for index in all_of(connection, source.table):
            with suppress(IndexChanged, NoSuchIndex):  # what has changed places meanwhile is left to the next run
                moved += _pack(connection, index)
    with _in_step(connection):
        space.give_back(connection)
    return Compaction(
        tables=tuple(source.table for source in sources),
        moved=moved,
        bytes_before=before,
        bytes_after=space.file_bytes(connection),
        seconds=time.monotonic() - began,
    )


def _pack(connection: Connection, index: IndexRecord) -> int:
    """Close the holes of one index; return how many vectors were moved for it."""
    courtesy = Courtesy(connection)
    _drop_orphans(connection, index, courtesy)
    moved = 0
    with catalog.writing(connection, index) as current:
        sparse = packing.sparse(connection, current)
    for some in gathered(blocks(connection, index, sparse)):
        numbers = [block.cell for block in some for _ in block.ids]
        move(connection, index, some, numbers, courtesy)
        moved += len(numbers)
    _merge_words(connection, index, courtesy)
    return moved


def _drop_orphans(connection: Connection, index: IndexRecord, courtesy: Courtesy) -> None:
    dropped = _ORPHANS
    while dropped == _ORPHANS:
        with catalog.writing(connection, index) as current:
            paid = current.model != DEFAULT_MODEL
            dropped = chunk_store.drop_orphans(connection, current, keep=paid, limit=_ORPHANS)
        courtesy.pause()


def _merge_words(connection: Connection, index: IndexRecord, courtesy: Courtesy) -> None:
    begin, more = True, True
    while more:
        with catalog.writing(connection, index) as current:
            more = packing.merge_words(connection, current, begin=begin)
        begin = False
        courtesy.pause()


@contextmanager
def _in_step(connection: Connection) -> Iterator[None]:
    """Let indexes that are in step with the schema stay so, though VACUUM gives it another version: rowids are kept."""
    before = schema_version(connection)
    everywhere = [*catalog.all_indexes(connection), *(index for _role, index in catalog.all_beside(connection))]
    in_step = [index for index in everywhere if index.settings.get("schema_version") == before]
    yield
    after = schema_version(connection)
    with transaction(connection):
        for index in in_step:
            current = catalog.settings(connection, index)
            if current.get("schema_version") == before:
                catalog.save_settings(connection, index, {**current, "schema_version": after})
