"""Databases whose every connection has sqlite-vec and our functions, with extension loading switched off again."""

from __future__ import annotations

import os
import weakref
from typing import Any

from peewee import OperationalError, SqliteDatabase
from playhouse.pool import PooledSqliteDatabase

from .. import hits

__all__ = ["PooledSemanticDatabase", "SemanticConnections", "SemanticDatabase"]

_databases: weakref.WeakSet[Any] = weakref.WeakSet()
_inherited: list[Any] = []


class SemanticConnections:
    """Put it before any of Peewee's SQLite databases: `class Database(SemanticConnections, SqliteQueueDatabase)`.

    Connecting raises ExtensionMissing, with the cure, where this SQLite cannot load extensions. A forked child forgets
    the connections it inherited, which SQLite must not see used there.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _databases.add(self)

    def _add_conn_hooks(self, conn: Any) -> None:
        super()._add_conn_hooks(conn)  # type: ignore[misc]
        hits.prepare(conn)

    def execute_sql(self, *args: Any, **kwargs: Any) -> Any:
        """As in Peewee, but for searches: what SQLite hides behind its own words is raised as itself."""
        try:
            return super().execute_sql(*args, **kwargs)  # type: ignore[misc]
        except OperationalError as error:
            if hits.RAISED not in str(error):
                raise
            (told,) = super().execute_sql(f"select {hits.LAST_ERROR}()").fetchone()  # type: ignore[misc]
            ours = hits.last_error(told)
            if ours is None:
                raise
            raise ours from error


class SemanticDatabase(SemanticConnections, SqliteDatabase):
    """Peewee's SqliteDatabase, prepared for search."""


class PooledSemanticDatabase(SemanticConnections, PooledSqliteDatabase):
    """Peewee's PooledSqliteDatabase, prepared for search."""


def _forget_inherited() -> None:
    """Leave a parent's connections alone in a forked child: not used, not closed, not even collected."""
    for database in list(_databases):
        _inherited.append((database._state.conn, getattr(database, "_connections", None)))
        _inherited.append(getattr(database, "_in_use", None))
        database._state.reset()
        if isinstance(database, PooledSqliteDatabase):
            database._connections, database._in_use = [], {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_inherited)
