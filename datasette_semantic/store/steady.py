"""Keeping the rowids of a table without a primary key as they are when VACUUM rewrites the file.

Such a table lends its rowids to the index. VACUUM numbers the rows of a table anew where it has no index at all, and
copies their rowids where it has one: an index that holds no row serves, and costs nothing. SQLite does not promise
this, so `reconcile` goes on looking for rows that were numbered anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..config import OWN_PREFIX
from ..laws.quoting import quote
from ..records import IndexRecord, Source
from .connection import Connection, transaction
from .source import table_names

__all__ = ["is_steady", "let_go", "make_steady", "rowids_kept"]


def make_steady(connection: Connection, source: Source, index: IndexRecord) -> None:
    """Give a table without a primary key an empty index."""
    if not source.declared_key:
        connection.execute(f"create index if not exists {quote(_name(index))} on {quote(source.table)} (1) where 0")


def let_go(connection: Connection, index: IndexRecord) -> None:
    """Take the empty index away, if there is one."""
    connection.execute(f"drop index if exists {quote(_name(index))}")


def is_steady(connection: Connection, source: Source, index: IndexRecord) -> bool:
    """True where the table needs no such index, or has it."""
    found = "select 1 from sqlite_master where type = 'index' and name = ?"
    return source.declared_key or connection.execute(found, (_name(index),)).fetchone() is not None


@contextmanager
def rowids_kept(connection: Connection) -> Iterator[None]:
    """Have a VACUUM in the body keep the rowids of every table of the file, though nobody has promised them: an FTS5
    table of the user's may well go by them."""
    tables = [table for table in table_names(connection) if _is_renumbered(connection, table)]
    names = {table: quote(f"{OWN_PREFIX}kept_{table}") for table in tables}
    with transaction(connection):
        for table, name in names.items():
            connection.execute(f"create index if not exists {name} on {quote(table)} (1) where 0")
    try:
        yield
    finally:
        with transaction(connection):
            for name in names.values():
                connection.execute(f"drop index if exists {name}")


def _is_renumbered(connection: Connection, table: str) -> bool:
    """True where a table has no index but, at most, one that an earlier, killed run has left."""
    rows = connection.execute("select name from pragma_index_list(?)", (table,)).fetchall()
    declared = connection.execute("select 1 from pragma_table_info(?) where pk", (table,)).fetchone()
    return declared is None and {row[0] for row in rows} <= {f"{OWN_PREFIX}kept_{table}"}


def _name(index: IndexRecord) -> str:
    return f"{index.row_table}_steady"
