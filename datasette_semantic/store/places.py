"""Which line of a file belongs to which id: a look-up that is kept on disk, so that memory stays flat."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import islice

from .source import json_list

__all__ = ["Places"]

_BATCH = 10_000


class Places:
    """Ids, each with its place in a file, counted from 0."""

    def __init__(self, ids: Iterable[str]) -> None:
        """Keep `ids` in a temporary database of SQLite's own, which goes when it is closed.

        Raises ValueError with the id where one comes twice.
        """
        self._connection = sqlite3.connect("")
        self._connection.execute("create table place (id text primary key, n integer not null) without rowid")
        self.count = 0
        lines = iter(ids)
        while batch := list(islice(lines, _BATCH)):
            self._add(batch)
        self._connection.commit()

    def _add(self, batch: Sequence[str]) -> None:
        for id_ in batch:
            try:
                self._connection.execute("insert into place values (?, ?)", (id_, self.count))
            except sqlite3.IntegrityError as error:
                raise ValueError(id_) from error
            self.count += 1

    def find(self, ids: Sequence[str]) -> dict[str, int]:
        """Return id to place, for the ids that are there."""
        rows = self._connection.execute(
            "select id, n from place where id in (select value from json_each(?))", (json_list(ids),)
        )
        return dict(map(tuple, rows.fetchall()))

    def first(self) -> str | None:
        """Return any one id."""
        row = self._connection.execute("select id from place limit 1").fetchone()
        return None if row is None else str(row[0])

    def close(self) -> None:
        self._connection.close()
