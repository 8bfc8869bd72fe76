"""Whether a file may have changed since it was last looked at: what was read of its schema and catalog can be kept
until then."""

from __future__ import annotations

from .connection import Connection

__all__ = ["Version", "version"]

Version = tuple[int, int, int]
"""Means nothing by itself, and nothing on another connection."""


def version(connection: Connection) -> Version:
    """Return a mark that differs from an earlier one wherever anything may have been written in between.

    By other connections, by this one, or to the schema. It costs microseconds; within a transaction it is that of the
    transaction's view.
    """
    (others,) = connection.execute("pragma data_version").fetchone()
    (schema,) = connection.execute("pragma schema_version").fetchone()
    return others, schema, connection.total_changes
