"""Changing an index that answers, without a moment in which nothing does.

    declared otherwise --> next, built beside --take_over--> answers     the old one: previous
                                             <--roll_back--

Each step is one short transaction that changes names and roles; vectors are neither moved nor made. What is not wanted
any more is `leaving`: its triggers are taken off at once, and it is cleared away in short steps that a kill leaves
resumable. Vectors that were paid for go to the cache first.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ..config import DEFAULT_MODEL
from ..embedding.models import Embedder
from ..errors import IndexStateError
from ..laws.quoting import quote
from ..records import Adoption, ChunkSpec, IndexRecord, Source, TextSpec
from ..store import catalog, companions, queue
from ..store import chunks as chunk_store
from ..store.connection import Connection, sqlite_errors, transaction
from ..store.exchange import exchange
from .courtesy import Courtesy
from .declare import declare, redeclared
from .reconcile import noting_schema

__all__ = ["all_of", "change", "clear_away", "forget", "roll_back", "take_over", "wanted"]

_LEFT_AT_A_TIME = 500
"""Lines of a table that are deleted in one transaction, to begin with."""


def wanted(connection: Connection, answering: IndexRecord) -> IndexRecord:
    """Return the index that was asked for last: the one being built beside, else the one that answers."""
    return catalog.beside(connection, answering.table, "next") or answering


def all_of(connection: Connection, table: str) -> list[IndexRecord]:
    """Return every index of a table that is kept, the one that answers first."""
    answering = catalog.find_or_none(connection, table)
    beside = [index for role, index in catalog.all_beside(connection, table) if role != "leaving"]
    return ([] if answering is None else [answering]) + beside


def change(
    connection: Connection,
    source: Source,
    answering: IndexRecord,
    *,
    text: TextSpec,
    chunks: ChunkSpec,
    embedder: Embedder,
    asked: Mapping[str, Any] | None,
    tokenize: str = "auto",
    allow_empty: bool = False,
    anew: bool = False,
    adoption: Adoption | None = None,
    partition_by: str | None = None,
) -> None:
    """Have a table's index made otherwise than the one asked for last.

    An index that has never been whole is replaced where it stands. What answered before and was made just so comes
    back; anything else is declared beside the index that answers. `anew` builds in any case. Raises what `declare`
    raises.
    """

    def same(index: IndexRecord | None) -> bool:
        return (
            index is not None
            and not anew
            and not redeclared(
                index, text=text, chunks=chunks, embedder=embedder, partition_by=partition_by, tokenize=tokenize
            )
        )

    if not _answers_well(answering, text):
        declare(
            connection,
            source,
            text=text,
            chunks=chunks,
            embedder=embedder,
            tokenize=tokenize,
            asked=asked,
            replacing=answering,
            allow_empty=allow_empty,
            adoption=adoption,
            partition_by=partition_by,
        )
        return
    if catalog.beside(connection, source.table, "next") is not None:
        _dismiss(connection, source, "next")
    if same(answering):
        clear_away(connection, source)
    elif same(catalog.beside(connection, source.table, "previous")):
        roll_back(connection, source)
    else:
        declare(
            connection,
            source,
            text=text,
            chunks=chunks,
            embedder=embedder,
            tokenize=tokenize,
            asked=asked,
            beside=answering,
            allow_empty=allow_empty,
            adoption=adoption,
            partition_by=partition_by,
        )
        clear_away(connection, source)


def _answers_well(index: IndexRecord, text: TextSpec) -> bool:
    """True where an index is worth keeping while another is built."""
    # FTS5 takes no column with the table's own name, and aside the table bears another.
    fts = index.keyword.fts_table.lower() if index.keyword is not None and index.keyword.owned else None
    clash = fts in {column.lower() for column in text.columns}
    return index.state == "ready" and not index.settings.get("provisional") and not clash


def take_over(connection: Connection, source: Source, coming: IndexRecord) -> IndexRecord | None:
    """Let the index that was built beside answer; return it as it then stands.

    None where it knows fewer rows than the one that answers, because others still work on it or go on writing, or where
    it is not the next one any more. Others who search see either index, whole.
    """
    with noting_schema(connection, source):
        coming = catalog.again(connection, coming)
        answering = catalog.find(connection, source.table)
        following = catalog.beside(connection, source.table, "next")
        if following is None or following.id != coming.id or coming.state != "ready":
            return None
        if queue.pending(connection, coming)[0] > queue.pending(connection, answering)[0]:
            return None
        _leave(connection, source, "previous")
        return exchange(connection, source, leaving=answering, coming=coming, role="previous")


def roll_back(connection: Connection, source: Source) -> IndexRecord:
    """Undo the last change: give up the index that is being built, or have the one before answer again.

    Return the index that answers. Nothing is embedded; the one that answered until now is kept in its turn. Raises
    IndexStateError where there is nothing to go back to.
    """
    answering = catalog.find(connection, source.table)
    if catalog.beside(connection, source.table, "next") is not None:
        _dismiss(connection, source, "next")
        clear_away(connection, source)
        return answering
    with noting_schema(connection, source):
        answering = catalog.find(connection, source.table)
        previous = catalog.beside(connection, source.table, "previous")
        if previous is None:
            raise IndexStateError(
                f"the index of {source.table!r} has nothing to go back to: no other was in its place before"
            )
        return exchange(connection, source, leaving=answering, coming=previous, role="previous")


def forget(connection: Connection, source: Source) -> bool:
    """Give up the index that a rollback would bring back, and its space; return whether there was one."""
    there = catalog.beside(connection, source.table, "previous") is not None
    if there:
        _dismiss(connection, source, "previous")
    clear_away(connection, source)
    return there


def _dismiss(connection: Connection, source: Source, role: catalog.Role) -> None:
    with noting_schema(connection, source):
        _leave(connection, source, role)


def _leave(connection: Connection, source: Source, role: catalog.Role) -> None:
    """Have the index in a role, where there is one, wait to be cleared away; whoever writes is done with it."""
    index = catalog.beside(connection, source.table, role)
    if index is not None:
        companions.drop_triggers(connection, index)
        catalog.place(connection, index, "leaving")


def clear_away(connection: Connection, source: Source) -> None:
    """Remove what is leaving. What was paid for goes to the cache first. A kill leaves the rest for the next run."""
    for role, index in catalog.all_beside(connection, source.table):
        if role != "leaving":
            continue
        try:
            if index.model != DEFAULT_MODEL:
                chunk_store.keep_all(connection, index)
            _empty(connection, index)
            with noting_schema(connection, source):
                companions.drop(connection, index, keep_shared=True)
        except sqlite_errors():
            if index.id in {each.id for _role, each in catalog.all_beside(connection, source.table)}:
                raise  # else another run has cleared it away at the same time


def _empty(connection: Connection, index: IndexRecord) -> None:
    """Delete the vectors in short transactions: dropped as they are, a million would stop every writer for seconds."""
    courtesy = Courtesy(connection)
    for table in companions.bulky_tables(connection, index):
        size, deleted = _LEFT_AT_A_TIME, _LEFT_AT_A_TIME
        while deleted:
            began = time.monotonic()
            with transaction(connection):
                deleted = connection.execute(
                    f"delete from {quote(table)} where rowid in (select rowid from {quote(table)} limit ?)", (size,)
                ).rowcount
            size = max(1, size // 2) if time.monotonic() - began > courtesy.seconds else 2 * size
            courtesy.pause()
