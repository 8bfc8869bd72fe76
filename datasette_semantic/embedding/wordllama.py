"""The built-in model as a true llm model: `llm embed -m wordllama -c "words"` works as for any other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import llm

from ..config import DEFAULT_MODEL

__all__ = ["WordLlama", "register_embedding_models"]


class WordLlama(llm.EmbeddingModel):
    """wordllama through llm. Vectors have 256 dimensions and unit length; a text without words gives zeros."""

    model_id = DEFAULT_MODEL
    batch_size = 512

    def embed_batch(self, items: Iterable[str | bytes], *, key: str | None = None) -> Iterator[list[float]]:
        """Yield one vector per text."""
        from ..laws.vectors import unit_rows
        from .weights import load

        texts = [item if isinstance(item, str) else item.decode("utf-8", "replace") for item in items]
        if not texts:
            return
        matrix, _usable = unit_rows(load().embed(texts), count=len(texts), model=self.model_id)
        yield from matrix.tolist()


@llm.hookimpl
def register_embedding_models(register: Any) -> None:
    register(WordLlama())
