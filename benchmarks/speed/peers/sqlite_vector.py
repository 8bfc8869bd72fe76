"""sqlite-vector (the package sqliteai-vector): BLOBs in an ordinary table, and a scan over one byte per value."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..given import Given
from .files import connect, numbered
from .peer import Peer


class SqliteVector(Peer):
    """Its quantised scan, with the codes loaded into memory at the start, as it recommends."""

    name = "sqlite-vector"
    title = "sqlite-vector, quantised scan"
    package = "sqliteai-vector"

    def build(self, given: Given) -> None:
        connection = self._connected(given)
        with connection:
            connection.execute("create table items (id integer primary key, embedding blob)")
            connection.executemany("insert into items values (?, ?)", numbered(given))
        self._announce(connection, given)
        connection.execute("select vector_quantize('items', 'embedding')").fetchone()
        connection.commit()
        connection.close()

    def open(self, given: Given) -> None:
        self._connection = self._connected(given)
        self._announce(self._connection, given)
        self._connection.execute("select vector_quantize_preload('items', 'embedding')").fetchone()

    def encode(self, vector: Any) -> bytes:
        return bytes(vector.tobytes())

    def ask(self, query: Any) -> list[int]:
        sql = "select rowid from vector_quantize_scan('items', 'embedding', ?, 10)"
        return [row[0] - 1 for row in self._connection.execute(sql, (query,)).fetchall()]

    def close(self) -> None:
        self._connection.close()

    def _connected(self, given: Given) -> Any:
        found = find_spec("sqlite_vector")
        if found is None or not found.submodule_search_locations:
            raise ModuleNotFoundError("No module named 'sqlite_vector'")
        connection = connect(given.place_folder / "vector.db")
        connection.load_extension(str(Path(next(iter(found.submodule_search_locations))) / "binaries" / "vector"))
        return connection

    def _announce(self, connection: Any, given: Given) -> None:
        options = f"dimension={given.dimensions},type=FLOAT32,distance=COSINE"
        connection.execute("select vector_init('items', 'embedding', ?)", (options,)).fetchone()
