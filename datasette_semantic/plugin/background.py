"""The background worker: brings indexes up to date inside Datasette, where the site says `auto_embed`.

One asyncio task per server. It looks every few seconds into the queues of the files, which triggers fill whoever
writes, and drains them in a thread, on a connection of its own: no page waits for it. It ends with the server; what it
had begun, the next one goes on with.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

from ..embedding.pace import Pace
from ..errors import SemanticError
from ..ingest.worker import drain_all
from ..records import IndexRecord, Progress
from ..store.connection import connect, prepare, translated
from .settings import levels_of, settings_for

__all__ = ["INTERVAL_SECONDS", "drain_once", "run", "wanted_anywhere"]

INTERVAL_SECONDS = 2.0
"""How long a change waits at most before the worker looks."""


class _StoppedError(Exception):
    """The server is going down."""


def wanted_anywhere(datasette: Any) -> bool:
    """True where any level of the configuration asks for the worker."""
    return any(settings_for(datasette, *level).auto_embed for level in levels_of(datasette))


async def run(datasette: Any) -> None:
    """Drain, for as long as the server runs. Cancelling it stops the thread at the end of its batch.

    Returns at once where nobody asked for the worker.
    """
    if not wanted_anywhere(datasette):
        return
    stop = threading.Event()
    told: dict[str, str] = {}
    try:
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            for name in list(datasette.databases):
                await asyncio.to_thread(_drain_quietly, datasette, name, stop, told)
    finally:
        stop.set()


def _drain_quietly(datasette: Any, database: str, stop: threading.Event, told: dict[str, str]) -> None:
    """Drain one database; a failure is told once on standard error, and tried again the next time."""
    try:
        drain_once(datasette, database, stop=stop)
    except SemanticError as error:
        if told.get(database) != str(error):
            print(f"datasette-semantic: {database} is not brought up to date: {error}", file=sys.stderr)  # noqa: T201
        told[database] = str(error)
    except _StoppedError:
        return
    else:
        told.pop(database, None)


def drain_once(datasette: Any, database: str, *, stop: threading.Event | None = None) -> int:
    """Bring the indexes of one database that want it up to date; return how many had something waiting.

    Databases that cannot be written to, or live in memory, are passed over. Raises SemanticError.
    """
    db = datasette.databases.get(database)
    if db is None or not db.is_mutable or not db.path or db.is_memory:
        return 0
    pace = Pace()

    def wanted(record: IndexRecord) -> bool:
        return settings_for(datasette, database, record.table).auto_embed

    def look(_progress: Progress) -> None:
        if stop is not None and stop.is_set():
            pace.stop()
            raise _StoppedError

    with translated(db.path):
        connection = connect(db.path)
        try:
            prepare(connection)
            return len(drain_all(connection, wanted=wanted, pace=pace, progress=look))
        finally:
            connection.close()
