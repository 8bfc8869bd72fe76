"""LanceDB: a columnar store of its own, in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..given import Given
from .peer import Peer

_BATCH = 20_000


def stored(given: Given, texts: Iterator[str] | None = None) -> Any:
    """Write the vectors, and texts where there are some, as a table; return it."""
    import lancedb
    import pyarrow as pa

    columns = [("id", pa.int64()), ("vector", pa.list_(pa.float32(), given.dimensions))]
    schema = pa.schema(columns if texts is None else [*columns, ("text", pa.string())])

    def batches() -> Iterator[Any]:
        base = np.load(given.data_folder / "base.npy", mmap_mode="r")
        for start in range(0, len(base), _BATCH):
            block = np.ascontiguousarray(base[start : start + _BATCH])
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(block.ravel()), given.dimensions)
            values = [pa.array(np.arange(start, start + len(block))), vectors]
            if texts is not None:
                values.append(pa.array([next(texts) for _ in block]))
            yield pa.RecordBatch.from_arrays(values, schema=schema)

    return lancedb.connect(given.place).create_table("items", batches(), schema=schema)


def opened(given: Given) -> Any:
    import lancedb

    return lancedb.connect(given.place).open_table("items")


class LancePq(Peer):
    """The index it makes by default: IVF with product quantisation, the best compared again in full."""

    name = "lancedb"
    title = "LanceDB, IVF_PQ"
    package = "lancedb"
    kind = "IVF_PQ"
    # (cells read, how many times ten rows are compared again in full)
    knobs: tuple[Any, ...] = (
        (10, 5), (20, 5), (20, 10), (20, 20), (40, 10), (40, 20), (40, 50), (80, 20), (80, 50), (160, 50), (320, 100),
    )  # fmt: skip

    def build(self, given: Given) -> None:
        stored(given).create_index(metric="cosine", vector_column_name="vector", index_type=self.kind)

    def open(self, given: Given) -> None:
        self._table = opened(given)

    def ask(self, query: Any) -> list[int]:
        asked = self._table.search(query).distance_type("cosine").limit(10).select(["id"])
        found: list[int] = self._set(asked).to_arrow()["id"].to_pylist()
        return found

    def turn(self, knob: Any) -> None:
        self._knob = knob

    def told(self, knob: Any) -> str:
        return f"nprobes={knob[0]}, refine_factor={knob[1]}"

    def _set(self, asked: Any) -> Any:
        return asked.nprobes(self._knob[0]).refine_factor(self._knob[1])


class LanceHnsw(LancePq):
    """Cells of HNSW graphs over one byte per value."""

    name = "lancedb-hnsw"
    title = "LanceDB, IVF_HNSW_SQ"
    kind = "IVF_HNSW_SQ"
    knobs: tuple[Any, ...] = ((16, 1), (32, 1), (64, 1), (64, 2), (128, 2), (256, 2), (256, 4), (512, 4))

    def told(self, knob: Any) -> str:
        return f"ef={knob[0]}, refine_factor={knob[1]}"

    def _set(self, asked: Any) -> Any:
        return asked.ef(self._knob[0]).refine_factor(self._knob[1])
