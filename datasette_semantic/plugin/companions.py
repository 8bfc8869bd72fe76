"""Which tables in a database are ours, and whose contents each of them gives away."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from ..config import OWN_PREFIX
from ..errors import InputError
from ..records import IndexRecord, Source
from ..store.catalog import all_beside, all_indexes
from ..store.companions import companion_names
from ..store.connection import sqlite_errors
from ..store.names import content_view
from ..store.related_table import known
from ..store.source import describe
from . import compat
from .state import DatabaseView, state_of

__all__ = ["companions_of", "hidden_in_metadata", "look_at"]

_SEQUENCE = "sqlite_sequence"
"""vec0 makes SQLite keep this table, and in it the names of vec0's own tables."""

_FRESH_SECONDS = 1.0
"""How long a look at a database holds good: as long as 1.0 trusts its own catalog of tables."""


async def look_at(datasette: Any, database: str) -> DatabaseView:
    """Return what a database holds of ours, at most a second old."""
    views = state_of(datasette).databases
    kept = views.get(database)
    if kept is not None and time.monotonic() - kept.looked_at < _FRESH_SECONDS:
        return kept
    view: DatabaseView = await datasette.get_database(database).execute_fn(_read)
    views[database] = view
    compat.hide_tables(datasette, database, _hidden(view))
    return view


def companions_of(indexes: Iterable[IndexRecord], names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return each table or view of ours among `names` with the source tables it tells about.

    The catalog and the queue tell about every indexed table, and so, to be safe, does whatever bears our prefix and
    belongs to no known index. A table of related rows tells about the table whose rows they are. The view from which
    FTS5 reads a table's text is nobody's business: it gets no source.
    """
    records = tuple(indexes)
    everything = tuple(dict.fromkeys(record.table for record in records))
    views = {content_view(record) for record in records}
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        owners = tuple(dict.fromkeys(record.table for record in records if _belongs(name, record)))
        owners += tuple(record.table for record in records if name in known(record) and record.table not in owners)
        if name in views:
            found[name] = ()
        elif owners:
            found[name] = owners
        elif name.startswith(OWN_PREFIX) or (name == _SEQUENCE and everything):
            found[name] = everything
    return found


def hidden_in_metadata(datasette: Any) -> dict[str, Any]:
    """Return metadata that hides our tables: how 0.65 is told. It asks synchronously, so the last look must do."""
    views = state_of(datasette).databases
    return {
        "databases": {
            database: {"tables": {table: {"hidden": True} for table in _hidden(view)}}
            for database, view in views.items()
            if view.companions
        }
    }


def _hidden(view: DatabaseView) -> list[str]:
    """Return the tables that are kept off lists: all of ours but those that were written for people to read."""
    to_read = {name for index in view.indexes for name in known(index)}
    return [table for table in view.companions if table not in to_read]


def _belongs(name: str, record: IndexRecord) -> bool:
    virtual = [record.vec_table, f"{record.vec_table}_cells"]
    if record.keyword is not None and record.keyword.owned:
        virtual.append(record.keyword.fts_table)
    return name in companion_names(record) or any(name.startswith(f"{table}_") for table in virtual)


def _read(conn: Any) -> DatabaseView:
    try:
        indexes = tuple(all_indexes(conn))
        beside = tuple(index for _role, index in all_beside(conn))
        names = [
            str(name) for (name,) in conn.execute("select name from sqlite_master where type in ('table', 'view')")
        ]
    except sqlite_errors():
        return DatabaseView(looked_at=time.monotonic())
    sources = {index.table: source for index in indexes if (source := _source(conn, index.table)) is not None}
    return DatabaseView(indexes, sources, companions_of((*indexes, *beside), names), looked_at=time.monotonic())


def _source(conn: Any, table: str) -> Source | None:
    try:
        return describe(conn, table)
    except InputError:  # dropped or replaced by a view since it was indexed
        return None
