"""The companion tables of an index: made together, dropped together.

An index is whole in itself, triggers included, whether it answers or stands beside one that does: what is done to one
of them is never felt by another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ..config import BESIDE_TABLE, CACHE_TABLE, CATALOG_TABLE, ORPHAN_TABLE, QUEUE_TABLE, SAMPLE_TABLE, VEC_CHUNK_SIZE
from ..errors import IndexStateError
from ..laws.quoting import quote
from ..records import IndexRecord, Source
from . import catalog, names, partitions, sequence, vocabulary
from .cells import RECALL
from .connection import Connection
from .keyword_index import create_sql, needs_view, view_sql
from .source import json_list, unique_keys
from .steady import is_steady, let_go, make_steady
from .triggers import trigger_sql

__all__ = [
    "RELATED",
    "bulky_tables",
    "companion_names",
    "create",
    "create_triggers",
    "drop",
    "drop_all",
    "drop_triggers",
    "free_version",
    "has_triggers",
    "inherited",
    "own_fts",
]

_SHARED = {
    QUEUE_TABLE: f"""create table if not exists {QUEUE_TABLE} (
  index_id integer not null,
  row_id integer not null,
  stamp integer not null default 0,
  claimed_by text,
  lease_until real,
  attempts integer not null default 0,
  error text,
  primary key (index_id, row_id)
) without rowid""",
    ORPHAN_TABLE: f"""create table if not exists {ORPHAN_TABLE} (
  index_id integer not null,
  id integer not null,
  hash blob not null
)""",
    CACHE_TABLE: f"""create table if not exists {CACHE_TABLE} (
  model text not null,
  dimensions integer not null,
  purpose text not null,
  hash blob not null,
  vector blob not null,
  primary key (model, dimensions, purpose, hash)
) without rowid""",
    SAMPLE_TABLE: f"create table if not exists {SAMPLE_TABLE} (index_id integer primary key, vectors blob not null)",
}
"""Tables that all indexes of a file share. `stamp` counts the changes of a row, so that one which comes while the row
is being embedded is not lost."""

_COUNTED = "sqlite_sequence"
"""The setting that says whether the file had `sqlite_sequence` before the first index."""


RELATED = "related_tables"
"""The setting that names the tables of related rows which were written from an index."""

_INHERITED = (_COUNTED, RECALL, RELATED, catalog.COLUMN_WEIGHTS)
"""Settings that outlive an index: what is asked of whatever answers for the table."""


def create(
    connection: Connection, source: Source, record: IndexRecord, *, role: catalog.Role | None = None
) -> IndexRecord:
    """Make the catalog entry, the companion tables and the triggers of a new index; return the record with its id.

    Without a role it is the one that answers. Run it inside a transaction. Raises IndexStateError where a table of
    that name stands in the way.
    """
    _refuse_taken(connection, record)
    counted = _counted_before(connection, record)
    record = replace(record, settings={**record.settings, _COUNTED: counted})
    connection.execute(catalog.CREATE_CATALOG if role is None else catalog.CREATE_BESIDE)
    for sql in _SHARED.values():
        connection.execute(sql)
    index = replace(record, id=catalog.insert(connection, record, role=role))
    for sql in _own_tables(source, index, _key_types(connection, source)):
        connection.execute(sql)
    partitions.create(connection, source, index)
    create_triggers(connection, source, index)
    return index


def inherited(index: IndexRecord) -> dict[str, Any]:
    """Return the settings that an index in the place of this one takes over."""
    return {name: index.settings[name] for name in _INHERITED if name in index.settings}


def own_fts(connection: Connection, table: str) -> set[str]:
    """Return the names of the FTS5 tables that are ours, of all indexes of a table."""
    answering = catalog.find_or_none(connection, table)
    found = [*([answering] if answering else []), *(index for _role, index in catalog.all_beside(connection, table))]
    return {index.keyword.fts_table for index in found if index.keyword is not None and index.keyword.owned}


def free_version(connection: Connection, table: str) -> int:
    """Return the lowest version that no index of a table has."""
    taken = {names.version_of(index) for _role, index in catalog.all_beside(connection, table)}
    answering = catalog.find_or_none(connection, table)
    if answering is not None:
        taken.add(names.version_of(answering))
    return next(version for version in range(1, len(taken) + 2) if version not in taken)


def _counted_before(connection: Connection, record: IndexRecord) -> bool:
    """True where `sqlite_sequence` is not there because of us."""
    if _COUNTED in record.settings:
        return bool(record.settings[_COUNTED])
    others = catalog.all_indexes(connection)
    return bool(others[0].settings.get(_COUNTED, True)) if others else sequence.exists(connection)


def _refuse_taken(connection: Connection, record: IndexRecord) -> None:
    for name in (record.vec_table, record.row_table, record.chunk_table):
        if connection.execute("select 1 from sqlite_master where name = ? collate nocase", (name,)).fetchone():
            raise IndexStateError(f"the file already holds {name!r}, which is not ours; rename it or drop it first")


def _own_tables(source: Source, index: IndexRecord, types: Sequence[str]) -> Iterator[str]:
    rows, chunks = quote(index.row_table), quote(index.chunk_table)
    keys = "".join(f"k{n} {kind}, " for n, kind in enumerate(types))
    unique = f", unique ({', '.join(f'k{n}' for n in range(len(types)))})" if keys else ""
    partition = partitions.partition_of(index)
    keys += "keyword integer not null default 0, hash blob" + (", part integer" if partition is not None else "")
    yield f"create table {rows} (row_id integer primary key, {keys}{unique})"
    yield (
        f"create table {chunks} (id integer primary key, row_id integer not null, ordinal integer not null, "
        "start integer not null, end integer not null, hash blob not null)"
    )
    yield f"create index {quote(index.chunk_table + '_row_id')} on {chunks} (row_id)"
    yield f"create index {quote(index.chunk_table + '_hash')} on {chunks} (hash)"
    yield (
        f"create virtual table {quote(index.vec_table)} using vec0(id integer primary key, cell integer partition key, "
        f"{'' if partition is None else 'part integer partition key, '}embedding float[{index.dimensions}], "
        f"chunk_size={VEC_CHUNK_SIZE if partition is None else partition.chunk_size})"
    )
    spec = index.keyword
    external = spec is not None and spec.owned and spec.analyzer is None
    words = "".join(f", c{n}" for n in range(len(spec.columns))) if external and spec is not None else ""
    aside = f"row_id integer primary key{words}, lost integer not null default 0"
    yield f"create table {quote(names.replaced_table(index))} ({aside})"
    if spec is not None and spec.owned:
        if spec.analyzer is None and needs_view(source, spec):
            yield view_sql(source, index, spec)
        yield create_sql(source, index, spec)


def _key_types(connection: Connection, source: Source) -> tuple[str, ...]:
    """The types and collations of the key columns: with the same on both sides a comparison can use an index, and
    the row table finds two keys equal exactly where the user's table does."""
    if names.direct_key(source) is not None:
        return ()
    declared = {column.name: column.type for column in source.columns}
    keys = (dict(key) for key in unique_keys(connection, source))
    collations = next((key for key in keys if tuple(key) == source.key_columns), {})
    return tuple(
        f"{quote(declared[name]) if declared[name] else ''} collate {quote(collations.get(name, 'BINARY'))}"
        for name in source.key_columns
    )


def create_triggers(connection: Connection, source: Source, index: IndexRecord) -> None:
    """Make the triggers on the user's table."""
    make_steady(connection, source, index)
    for sql in trigger_sql(source, index, unique_keys(connection, source)).values():
        connection.execute(sql)


def drop_triggers(connection: Connection, index: IndexRecord) -> None:
    """Take an index's triggers off its table; those that are not there are passed over."""
    for name in names.trigger_names(index):
        connection.execute(f"drop trigger if exists {quote(name)}")


def has_triggers(connection: Connection, source: Source, index: IndexRecord) -> bool:
    """True where every trigger, and what keeps rowids steady, is in place and as it should be.

    A table that was dropped and made again has lost them; a new unique key, or another version of ours, changes them.
    """
    if not is_steady(connection, source, index):
        return False
    wanted = trigger_sql(source, index, unique_keys(connection, source))
    found = connection.execute(
        "select name, sql from sqlite_master where type = 'trigger' and name in (select value from json_each(?))",
        (json_list(list(wanted)),),
    ).fetchall()
    # SQLite stores the text as it was given, but for "create trigger", which it writes itself.
    return {name: sql[14:] for name, sql in map(tuple, found)} == {name: sql[14:] for name, sql in wanted.items()}


def companion_names(index: IndexRecord) -> list[str]:
    """Return the names of the tables and the view that belong to one index, shadow tables left out."""
    keyword = [index.keyword.fts_table] if index.keyword is not None and index.keyword.owned else []
    return [
        index.vec_table,
        f"{index.vec_table}_cells",
        *keyword,
        index.row_table,
        index.chunk_table,
        names.replaced_table(index),
        names.content_view(index),
        names.parts_table(index),
    ]


def drop(connection: Connection, index: IndexRecord, *, keep_shared: bool = False) -> None:
    """Remove an index and, with the last one, the shared tables, so that the schema is as it was before.

    `keep_shared` leaves those be, for an index that comes in its place.
    """
    drop_triggers(connection, index)
    let_go(connection, index)
    if index.keyword is not None:
        vocabulary.forget(connection, index.keyword.fts_table)
    for name in companion_names(index):
        found = connection.execute("select type from sqlite_master where name = ?", (name,)).fetchone()
        if found is not None:
            connection.execute(f"drop {found[0]} {quote(name)}")
    catalog.remove(connection, index)
    for table in (QUEUE_TABLE, ORPHAN_TABLE, SAMPLE_TABLE):
        connection.execute(f"delete from {table} where index_id = ?", (index.id,))
    if not catalog.all_beside(connection):
        _drop_tables(connection, (BESIDE_TABLE,))
    if not keep_shared and not catalog.all_indexes(connection):
        _drop_tables(connection, (*_SHARED, CATALOG_TABLE))
        if not index.settings.get(_COUNTED, True):
            sequence.remove(connection)


def bulky_tables(connection: Connection, index: IndexRecord) -> list[str]:
    """Return the ordinary tables of an index that grow with its vectors, the largest first."""
    names_ = [f"{index.vec_table}_vector_chunks00", f"{index.vec_table}_chunks", f"{index.vec_table}_rowids"]
    names_ += [index.chunk_table, index.row_table]
    rows = connection.execute(
        "select name from sqlite_master where type = 'table' and name in (select value from json_each(?))",
        (json_list(names_),),
    ).fetchall()
    found = {row[0] for row in rows}
    return [name for name in names_ if name in found]


def drop_all(connection: Connection, index: IndexRecord) -> None:
    """Remove the index that answers for a table and whatever stands beside it."""
    for _role, other in catalog.all_beside(connection, index.table):
        drop(connection, other)
    drop(connection, catalog.find_or_none(connection, index.table) or index)
    _drop_tables(connection, (names.saving_table(index.table),))


def _drop_tables(connection: Connection, tables: Iterable[str]) -> None:
    for table in tables:
        connection.execute(f"drop table if exists {quote(table)}")
