"""The pages of the file that nothing stands on, and how they are given back to the disk."""

from __future__ import annotations

from ..config import VACUUM_AT
from .connection import Connection, transaction
from .steady import rowids_kept

__all__ = ["file_bytes", "give_back"]

_PAGES = 1_000
"""Pages given back in one transaction where a file is made for that."""
_INCREMENTAL = 2
"""SQLite's `auto_vacuum` of a file whose pages can be given back some at a time."""


def file_bytes(connection: Connection) -> int:
    """Return the size of the database in bytes, the part of it that is still in the write-ahead log included."""
    return _pragma(connection, "page_count") * _pragma(connection, "page_size")


def give_back(connection: Connection) -> None:
    """Give the free pages of the file back to the disk. Call it outside a transaction.

    Page by page where the file has `auto_vacuum = incremental`; else by VACUUM, where enough is free for the file to be
    written anew. A kill leaves the file as it was before. While VACUUM runs nobody else writes, and in a file without
    a write-ahead log nobody reads either: they wait. Rowids stay as they are.
    """
    if _pragma(connection, "auto_vacuum") == _INCREMENTAL:
        _give_back_pages(connection)
    elif _pragma(connection, "freelist_count") >= VACUUM_AT * _pragma(connection, "page_count"):
        with rowids_kept(connection):
            connection.execute("vacuum")
    if str(connection.execute("pragma journal_mode").fetchone()[0]).lower() == "wal":
        connection.execute("pragma wal_checkpoint(truncate)").fetchall()


def _give_back_pages(connection: Connection) -> None:
    free = _pragma(connection, "freelist_count")
    while free:
        with transaction(connection):
            connection.execute(f"pragma incremental_vacuum({_PAGES})").fetchall()
        left = _pragma(connection, "freelist_count")
        if left >= free:
            return
        free = left


def _pragma(connection: Connection, name: str) -> int:
    return int(connection.execute(f"pragma {name}").fetchone()[0])
