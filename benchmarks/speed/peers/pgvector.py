"""PostgreSQL with pgvector, as the package pgserver carries them: a server started here and stopped again.

pgserver runs the server as a user of its own where it is started as root; that user must be able to reach the place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..given import Given
from ..processes import WATCH
from .peer import Peer

_BATCH = 10_000
_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""How PostgreSQL's binary COPY begins: its signature, no flags, no extension."""


class PgVector(Peer):
    """An HNSW index with pgvector's defaults, built in enough memory, asked over a local socket."""

    name = "pgvector"
    title = "PostgreSQL, pgvector HNSW"
    package = "pgserver"
    knobs = (10, 20, 40, 60, 80, 120, 160, 240, 320, 480, 640, 1000)
    memory = "1GB"

    def version(self) -> str:
        return f"{super().version()}, {self._version}"

    def build(self, given: Given) -> None:
        connection = self._connected(given)
        connection.execute("create extension vector")
        connection.execute(f"create table items (id integer, embedding vector({given.dimensions}))")
        with connection.cursor() as cursor, cursor.copy("copy items from stdin (format binary)") as copy:
            copy.write(_SIGNATURE)
            for block in _binary(given):
                copy.write(block)
            copy.write(b"\xff\xff")
        connection.execute("set maintenance_work_mem = '4GB'")
        connection.execute("create index on items using hnsw (embedding vector_ip_ops)")
        connection.execute(f"alter system set shared_buffers = '{self.memory}'")  # from the next start on
        self._tell(connection)
        self.close()

    def open(self, given: Given) -> None:
        connection = self._connected(given)
        self._tell(connection)
        self._connection.prepare_threshold = 0

    def encode(self, vector: Any) -> str:
        return "[" + ",".join(map(str, vector.tolist())) + "]"

    def ask(self, query: Any) -> list[int]:
        sql = "select id from items order by embedding <#> %s::vector limit 10"
        return [row[0] for row in self._connection.execute(sql, (query,)).fetchall()]

    def turn(self, knob: Any) -> None:
        self._connection.execute(f"set hnsw.ef_search = {int(knob)}")

    def told(self, knob: Any) -> str:
        return f"ef_search={knob}"

    def close(self) -> None:
        self._connection.close()
        self._server.cleanup()

    def _connected(self, given: Given) -> Any:
        import pgserver
        import psycopg

        self._server = pgserver.get_server(given.place_folder / "pgdata", cleanup_mode="stop")
        (given.place_folder / WATCH).write_text(str(self._server.get_pid()))
        self._connection = psycopg.connect(self._server.get_uri(), autocommit=True)
        return self._connection

    def _tell(self, connection: Any) -> None:
        (server,) = connection.execute("show server_version").fetchone()
        (vector,) = connection.execute("select extversion from pg_extension where extname = 'vector'").fetchone()
        self._version = f"PostgreSQL {server.split()[0]}, pgvector {vector}"


def _binary(given: Given) -> Iterator[bytes]:
    """Yield rows of (id, vector) as PostgreSQL's binary COPY wants them."""
    base = np.load(given.data_folder / "base.npy", mmap_mode="r")
    size = given.dimensions
    row = np.dtype(
        [
            ("columns", ">i2"), ("id_size", ">i4"), ("id", ">i4"),
            ("size", ">i4"), ("dimensions", ">i2"), ("unused", ">i2"), ("values", ">f4", (size,)),
        ]
    )  # fmt: skip
    for start in range(0, len(base), _BATCH):
        block = base[start : start + _BATCH]
        rows = np.zeros(len(block), dtype=row)
        rows["columns"], rows["id_size"], rows["size"], rows["dimensions"] = 2, 4, 4 + 4 * size, size
        rows["id"], rows["values"] = np.arange(start, start + len(block)), block
        yield rows.tobytes()
