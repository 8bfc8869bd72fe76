"""Repairing an index whose triggers could not see what happened to the table.

Two things escape triggers: a table that was dropped and made again (sqlite-utils `transform` does so) has lost them,
and VACUUM may renumber the rowids of a table without a primary key. Either shows in the schema: missing triggers,
another schema version.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..laws.quoting import quote
from ..records import IndexRecord, Source
from ..store import catalog, companions, keyword_index, names, partitions
from ..store import chunks as chunk_store
from ..store.connection import Connection, transaction
from ..store.source import describe

__all__ = ["note_schema", "noting_schema", "reconcile", "schema_version"]


def reconcile(connection: Connection, source: Source, index: IndexRecord) -> IndexRecord:
    """Bring triggers and row lines back in step with the table where that may be needed; return the record as it then
    stands.

    Rows are then all looked at again; those whose text is unchanged cost no call of the model.
    """
    if companions.has_triggers(connection, source, index) and not _may_be_renumbered(connection, source, index):
        return index
    with catalog.writing(connection, index) as index:
        companions.drop_triggers(connection, index)
        _drop_lost_rows(connection, source, index)
        keyword_index.clear(connection, index)
        companions.create_triggers(connection, source, index)
        partitions.refit(connection, describe(connection, source.table), index)
        settings = {name: value for name, value in index.settings.items() if name != "after"} | {"filled": False}
        catalog.save_settings(connection, index, settings)
        return catalog.again(connection, index)


def _may_be_renumbered(connection: Connection, source: Source, index: IndexRecord) -> bool:
    if source.declared_key or "schema_version" not in index.settings:
        return False
    return bool(schema_version(connection) != index.settings["schema_version"])


def note_schema(connection: Connection, source: Source, index: IndexRecord) -> IndexRecord:
    """Remember the schema version for a table whose rowids VACUUM may renumber."""
    version = schema_version(connection)
    if source.declared_key or index.settings.get("schema_version") == version:
        return index
    with catalog.writing(connection, index) as index:
        catalog.save_settings(connection, index, {**index.settings, "schema_version": version})
    return catalog.again(connection, index)


@contextmanager
def noting_schema(connection: Connection, source: Source) -> Iterator[None]:
    """A transaction that changes the schema without moving rows: indexes that were in step with it stay so."""
    with transaction(connection):
        before = schema_version(connection)
        yield
        if source.declared_key:
            return
        after = schema_version(connection)
        answering = catalog.find_or_none(connection, source.table)
        beside = [index for _role, index in catalog.all_beside(connection, source.table)]
        for index in ([answering] if answering else []) + beside:
            if index.settings.get("schema_version") == before:
                catalog.save_settings(connection, index, {**index.settings, "schema_version": after})


def schema_version(connection: Connection) -> int:
    """Return the number that SQLite gives the schema anew with every change of it."""
    return int(connection.execute("pragma schema_version").fetchone()[0])


def _drop_lost_rows(connection: Connection, source: Source, index: IndexRecord) -> None:
    """Remove the lines of rows that are not in the table any more."""
    table, rows = quote(source.table), quote(index.row_table)
    direct = names.direct_key(source)
    match = (
        f"s.{quote(direct)} = r.row_id"
        if direct
        else names.key_match(source, source_alias="s", row_alias="r", source_first=True)
    )
    lost = connection.execute(
        f"select r.row_id from {rows} r where not exists (select 1 from {table} s where {match})"
    ).fetchall()
    chunk_store.remove_rows(connection, index, [row[0] for row in lost])
