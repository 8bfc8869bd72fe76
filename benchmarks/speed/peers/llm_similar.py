"""llm's own collections: what `llm similar` does, a comparison in Python with every stored vector."""

from __future__ import annotations

from typing import Any

from ..given import Given
from ..stand_in import register
from .peer import Peer


class LlmSimilar(Peer):
    """A collection, filled and asked through llm's own class."""

    name = "llm"
    title = "llm, `llm similar`"
    package = "llm"

    def build(self, given: Given) -> None:
        self._opened(given).embed_multi((str(place), f"row {place + 1}") for place in range(given.rows))

    def open(self, given: Given) -> None:
        self._collection = self._opened(given)

    def encode(self, vector: Any) -> list[float]:
        listed: list[float] = vector.tolist()
        return listed

    def ask(self, query: Any) -> list[int]:
        return [int(entry.id) for entry in self._collection.similar_by_vector(query, number=10)]

    def _opened(self, given: Given) -> Any:
        import llm
        import sqlite_utils

        return llm.Collection(
            "items", sqlite_utils.Database(given.place_folder / "embeddings.db"), model_id=register(given)
        )
