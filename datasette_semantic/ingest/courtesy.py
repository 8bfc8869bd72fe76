"""Courtesy to other programs that write to the same file while an index is built.

SQLite's writers do not queue: one that finds the file locked tries again, after 1, 3, 8, 18, 33, 53, 78, 103 ... ms,
and gets its turn only where a try falls into a gap between two transactions.
"""

from __future__ import annotations

import time

from ..config import WRITE_SECONDS
from ..store.connection import Connection

__all__ = ["Courtesy"]

_GAP_SECONDS = 0.026
"""No two of a waiting writer's first tries lie further apart, so that one of them falls into the gap."""
_REMEMBERED_SECONDS = 10.0
"""Who has written so lately may well write again."""


class Courtesy:
    """How long a write transaction may take, and what is left between two of them: shorter steps and a gap while
    others write, full speed where nobody does."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._version = self._data_version()
        self._others_wrote = float("-inf")

    @property
    def seconds(self) -> float:
        """What one transaction should take."""
        return WRITE_SECONDS / 2 if self._company() else WRITE_SECONDS

    def pause(self) -> None:
        """Call it after each transaction."""
        version = self._data_version()
        if version != self._version:  # changed by other connections only
            self._version = version
            self._others_wrote = time.monotonic()
        if self._company():
            time.sleep(_GAP_SECONDS)

    def _company(self) -> bool:
        return time.monotonic() - self._others_wrote < _REMEMBERED_SECONDS

    def _data_version(self) -> int:
        return int(self._connection.execute("pragma data_version").fetchone()[0])
