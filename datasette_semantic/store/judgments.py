"""What people judged by hand: which row answers which query. `sqlite-utils evaluate-search` reads it.

The table is the judges' own and stays when an index is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..laws.quoting import quote
from .connection import Connection

__all__ = ["exists", "judged_by", "write"]

_COLUMNS = """
  table_name text not null,
  query text not null,
  key text not null,
  relevance integer not null,
  actor text not null,
  time text not null,
  primary key (table_name, query, key, actor)"""


def exists(connection: Connection, name: str) -> bool:
    """True where somebody has judged something."""
    sql = "select 1 from sqlite_master where type = 'table' and name = ?"
    return connection.execute(sql, (name,)).fetchone() is not None


def judged_by(connection: Connection, name: str, *, table: str, query: str, actor: str) -> Mapping[str, int]:
    """Return what one person judged for a query: doc_id to relevance."""
    if not exists(connection, name):
        return {}
    rows = connection.execute(
        f"select key, relevance from {quote(name)} where table_name = ? and query = ? and actor = ?",
        (table, query, actor),
    )
    return {row[0]: row[1] for row in rows.fetchall()}


def write(
    connection: Connection, name: str, *, table: str, query: str, key: str, actor: str, relevance: int | None
) -> None:
    """Note a judgment in the place of the person's last one; None takes that back. The caller has the transaction."""
    connection.execute(f"create table if not exists {quote(name)} ({_COLUMNS}\n)")
    place = (table, query, key, actor)
    connection.execute(f"delete from {quote(name)} where table_name = ? and query = ? and key = ? and actor = ?", place)
    if relevance is not None:
        connection.execute(
            f"insert into {quote(name)} (table_name, query, key, actor, relevance, time) "
            "values (?, ?, ?, ?, ?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))",
            (*place, relevance),
        )
