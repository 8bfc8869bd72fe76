"""Searches take turns, for a while: side by side they only take the interpreter from each other.

A search goes to and fro between Python and SQLite some thousand times, and lets go of the interpreter each time. With
another thread in want of it, each time is a change of threads: four searches in three threads took half as long again
as one after the other. But a quick search does not wait long for a slow one: its time over, it goes ahead.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["Turns"]

_SECONDS = 0.25
"""How long a search waits for others: as long as ten of them usually take."""


class Turns:
    """Who may go ahead. Used from one event loop."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Run the body when no other one runs, or when it has waited for long enough."""
        ours = await self._acquired()
        try:
            yield
        finally:
            if ours:
                self._lock.release()

    async def _acquired(self) -> bool:
        if not self._lock.locked():
            return await self._lock.acquire()
        waiting = asyncio.ensure_future(self._lock.acquire())
        try:
            done, _ = await asyncio.wait({waiting}, timeout=_SECONDS)
        except BaseException:
            if not waiting.cancel():  # it is ours already, and nobody will run under it
                self._lock.release()
            raise
        return bool(done) or not waiting.cancel()
