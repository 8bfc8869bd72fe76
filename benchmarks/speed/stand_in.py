"""A model that stands for the one that made the vectors of a set: llm has to know one by name.

It gives the text `row N` the N-th vector of the set, and any other text a vector drawn by the text's checksum.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from .given import Given
from .sets import MODEL_DIMENSIONS


def model_for(given: Given) -> str:
    """Return the model of a set: the built-in one where it has as many dimensions, which spares loading llm."""
    return "wordllama" if given.dimensions == MODEL_DIMENSIONS else register(given)


def register(given: Given) -> str:
    """Make llm know the stand-in for a set; return its name."""
    import llm
    from llm.plugins import load_plugins, pm

    class StandIn(llm.EmbeddingModel):
        model_id = f"stand-in-{given.dimensions}"
        batch_size = 1_000

        def embed_batch(self, items: Iterable[str | bytes]) -> Iterator[list[float]]:
            base = np.load(given.data_folder / "base.npy", mmap_mode="r")
            for item in items:
                text = item if isinstance(item, str) else item.decode()
                first, _, number = text.partition(" ")
                if first == "row" and number.isdigit() and 0 < int(number) <= len(base):
                    yield base[int(number) - 1].tolist()
                else:
                    drawn = np.random.default_rng(zlib.crc32(text.encode()))
                    yield drawn.standard_normal(given.dimensions).tolist()

    class Plugin:
        @llm.hookimpl
        def register_embedding_models(self, register: Callable[..., Any]) -> None:
            register(StandIn())

    load_plugins()
    pm.register(Plugin(), name=StandIn.model_id)
    return StandIn.model_id
