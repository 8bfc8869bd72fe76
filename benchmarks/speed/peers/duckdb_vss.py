"""DuckDB with its extension vss: an HNSW graph, all in memory. DuckDB fetches the extension from the network."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..given import Given
from .peer import Peer

_BATCH = 20_000


class DuckDB(Peer):
    """Its HNSW index in a file, which it calls experimental."""

    name = "duckdb"
    title = "DuckDB, vss HNSW"
    package = "duckdb"
    knobs = (10, 16, 32, 64, 96, 128, 192, 256, 384, 512)

    def build(self, given: Given) -> None:
        import pyarrow as pa

        connection = self._connected(given)
        connection.execute("set hnsw_enable_experimental_persistence = true")
        connection.execute(f"create table items (id integer, embedding float[{given.dimensions}])")
        base = np.load(given.data_folder / "base.npy", mmap_mode="r")
        for start in range(0, len(base), _BATCH):
            block = np.ascontiguousarray(base[start : start + _BATCH])
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(block.ravel()), given.dimensions)
            batch = pa.table({"id": np.arange(start, start + len(block)), "embedding": vectors})
            connection.register("batch", batch)
            connection.execute("insert into items select * from batch")
        connection.execute("create index items_embedding on items using hnsw (embedding) with (metric = 'ip')")
        connection.close()

    def open(self, given: Given) -> None:
        self._connection = self._connected(given)
        self._sql = (
            "select id from items "
            f"order by array_negative_inner_product(embedding, ?::float[{given.dimensions}]) limit 10"
        )

    def encode(self, vector: Any) -> list[float]:
        listed: list[float] = vector.tolist()
        return listed

    def ask(self, query: Any) -> list[int]:
        return [row[0] for row in self._connection.execute(self._sql, [query]).fetchall()]

    def turn(self, knob: Any) -> None:
        self._connection.execute(f"set hnsw_ef_search = {int(knob)}")

    def told(self, knob: Any) -> str:
        return f"ef_search={knob}"

    def close(self) -> None:
        self._connection.close()

    def _connected(self, given: Given) -> Any:
        import duckdb

        connection = duckdb.connect(str(given.place_folder / "items.duckdb"))
        connection.execute("install vss")
        connection.execute("load vss")
        return connection
