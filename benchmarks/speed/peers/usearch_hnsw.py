"""usearch: an HNSW graph held in memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..given import Given
from .peer import Peer

_BATCH = 50_000


class Usearch(Peer):
    """Its default graph, saved, and loaded into memory by the process that searches."""

    name = "usearch"
    title = "usearch, HNSW in memory"
    package = "usearch"
    knobs = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)

    def build(self, given: Given) -> None:
        index = self._empty(given)
        base = np.load(given.data_folder / "base.npy", mmap_mode="r")
        for start in range(0, len(base), _BATCH):
            block = base[start : start + _BATCH]
            index.add(np.arange(start, start + len(block)), np.ascontiguousarray(block))
        index.save(str(given.place_folder / "items.usearch"))

    def open(self, given: Given) -> None:
        self._index = self._empty(given)
        self._index.load(str(given.place_folder / "items.usearch"))

    def ask(self, query: Any) -> list[int]:
        found: list[int] = self._index.search(query, 10).keys.tolist()
        return found

    def turn(self, knob: Any) -> None:
        self._index.expansion_search = knob

    def told(self, knob: Any) -> str:
        return f"expansion={knob}"

    def _empty(self, given: Given) -> Any:
        from usearch.index import Index

        return Index(ndim=given.dimensions, metric="ip", dtype="f32")
