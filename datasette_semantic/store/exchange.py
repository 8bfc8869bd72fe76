"""One index in the place of another, by name only: no vector is read or written.

`TABLE_vec` and `TABLE_fts` are the names under which everybody knows the index that answers. FTS5 knows `alter table
... rename`; vec0 does so from 0.1.10 only. But what a vec0 table holds lies in ordinary tables beside it, so those are
renamed: under the new name an empty vec0 table is made and given the full tables in the place of its own, and under the
old one what is left is dropped with empty ones in theirs. Other connections see the schema change and open the tables
afresh.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from ..laws.quoting import quote
from ..records import IndexRecord, Source
from . import catalog, companions, names
from .connection import Connection
from .keyword_index import free_name

__all__ = ["exchange", "names_only"]

_PARTS = ("_info", "_chunks", "_rowids", "_vector_chunks00")
"""The ordinary tables in which vec0 keeps a table of one vector column."""


def exchange(
    connection: Connection, source: Source, *, leaving: IndexRecord, coming: IndexRecord, role: catalog.Role
) -> IndexRecord:
    """Let `coming` answer in the place of `leaving`, which takes the role; return the first as it then stands.

    Run it inside a transaction: it takes some hundredths of a second, however large the two are. Triggers that an index
    has lost it does not get back here: the next run finds them missing and repairs what they missed.
    """
    guarded = [each.id for each in (leaving, coming) if companions.has_triggers(connection, source, each)]
    for each in (leaving, coming):
        companions.drop_triggers(connection, each)
    table = leaving.table
    with names_only(connection):
        version = names.version_of(leaving)
        known_fts = _own_fts(leaving)
        left = _renamed(connection, leaving, names.aside_vec(table, version), names.aside_fts(table, version))
        came = _renamed(connection, coming, leaving.vec_table, known_fts or free_name(connection, table))
    catalog.place(connection, left, role)
    catalog.place(connection, came, None)
    for each in (left, came):
        if each.id in guarded:
            companions.create_triggers(connection, source, each)
    return came


@contextmanager
def names_only(connection: Connection) -> Iterator[None]:
    """Have `alter table ... rename` leave the rest of the schema alone: nobody else is meant, and a view of the user's
    that is broken must not stop it."""
    (before,) = connection.execute("pragma legacy_alter_table").fetchone()
    connection.execute("pragma legacy_alter_table = on")
    try:
        yield
    finally:
        connection.execute(f"pragma legacy_alter_table = {before}")


def _own_fts(index: IndexRecord) -> str | None:
    return index.keyword.fts_table if index.keyword is not None and index.keyword.owned else None


def _renamed(connection: Connection, index: IndexRecord, vec: str, fts: str) -> IndexRecord:
    """Give the tables of vectors and words other names; return the record with these."""
    _rename_vec(connection, index.vec_table, vec)
    _rename_vec(connection, f"{index.vec_table}_cells", f"{vec}_cells")
    keyword = index.keyword
    if keyword is not None and keyword.owned:
        connection.execute(f"alter table {quote(keyword.fts_table)} rename to {quote(fts)}")
        keyword = replace(keyword, fts_table=fts)
    return replace(index, vec_table=vec, keyword=keyword)


def _rename_vec(connection: Connection, old: str, new: str) -> None:
    """Rename a vec0 table, where there is one of that name."""
    row = connection.execute("select sql from sqlite_master where type = 'table' and name = ?", (old,)).fetchone()
    if row is None:
        return
    definition = row[0].rpartition(" using vec0(")[2]
    connection.execute(f"create virtual table {quote(new)} using vec0({definition}")
    for part in _PARTS:
        indexes = _take_indexes(connection, old + part)
        connection.execute(f"drop table {quote(new + part)}")
        connection.execute(f"alter table {quote(old + part)} rename to {quote(new + part)}")
        connection.execute(f"create table {quote(old + part)} (gone)")
        for name, columns in indexes:
            renamed = new + name.removeprefix(old)
            connection.execute(f"create index {quote(renamed)} on {quote(new + part)} ({columns})")
    connection.execute(f"drop table {quote(old)}")


def _take_indexes(connection: Connection, table: str) -> list[tuple[str, str]]:
    """Drop the indexes on a table of vec0's; return their names and columns. They are small, and their names are not
    renamed with the table."""
    rows = connection.execute(
        "select i.name, json_group_array(c.name) from sqlite_master i, pragma_index_info(i.name) c "
        "where i.type = 'index' and i.tbl_name = ? and i.sql is not null group by i.name",
        (table,),
    ).fetchall()
    found = [(name, ", ".join(map(quote, json.loads(columns)))) for name, columns in map(tuple, rows)]
    for name, _columns in found:
        connection.execute(f"drop index {quote(name)}")
    return found
