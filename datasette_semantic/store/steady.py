"""Keeping the rowids of a table without a primary key as they are when VACUUM rewrites the file.

Such a table lends its rowids to the index. VACUUM numbers the rows of a table anew where it has no index at all, and
copies their rowids where it has one: an index that holds no row serves, and costs nothing. SQLite does not promise
this, so `reconcile` goes on looking for rows that were numbered anew.
"""

from __future__ import annotations

from ..laws.quoting import quote
from ..records import IndexRecord, Source
from .connection import Connection

__all__ = ["is_steady", "let_go", "make_steady"]


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


def _name(index: IndexRecord) -> str:
    return f"{index.row_table}_steady"
