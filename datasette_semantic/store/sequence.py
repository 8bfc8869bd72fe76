"""Taking back `sqlite_sequence`, which SQLite makes for the first AUTOINCREMENT table of a file and never drops.

vec0's shadow tables are such tables. Dropping an index is to leave the schema as it was, so where the file had no
`sqlite_sequence` before, it goes again. SQLite refuses to drop it under that name; under another it is a table like any
other.
"""

from __future__ import annotations

from ..config import OWN_PREFIX
from .connection import Connection, sqlite_errors

__all__ = ["exists", "remove"]

_NAME = f"{OWN_PREFIX}sequence"


def exists(connection: Connection) -> bool:
    """True where the file holds `sqlite_sequence`."""
    return connection.execute("select 1 from sqlite_master where name = 'sqlite_sequence'").fetchone() is not None


def remove(connection: Connection) -> bool:
    """Drop `sqlite_sequence` if no table needs it; return whether it is gone. Run it inside a transaction.

    A connection in defensive mode may not write to the schema: there an empty `sqlite_sequence` stays; it does no harm.
    """
    if not exists(connection) or _needed(connection):
        return False
    try:
        connection.execute("pragma writable_schema = on")
        connection.execute(
            f"update sqlite_master set name = '{_NAME}', tbl_name = '{_NAME}', sql = 'create table {_NAME}(name,seq)' "
            "where name = 'sqlite_sequence'"
        )
    except sqlite_errors():
        return False
    finally:
        connection.execute("pragma writable_schema = reset")
    connection.execute(f"drop table {_NAME}")
    return True


def _needed(connection: Connection) -> bool:
    """True where a table counts by it, or anything has been counted."""
    counting = "select 1 from sqlite_master where type = 'table' and sql like '%autoincrement%' limit 1"
    return any(connection.execute(sql).fetchone() for sql in (counting, "select 1 from sqlite_sequence limit 1"))
