"""Names to embedders: the one interface through which the rest of the package meets a model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from ..config import DEFAULT_MODEL
from ..errors import BadModelOutput, BadVector, ModelError, ModelKeyMissing, NoSuchModel
from ..laws.vectors import FloatMatrix, FloatVector, normalise, unit_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Embedder", "default_model", "embedder"]


class Embedder(Protocol):
    """Texts to unit vectors."""

    model_id: str
    dimensions: int | None
    """None until the model has been asked once."""
    remote: bool
    """True where a call may reach the network or cost money."""
    keyless: bool
    """True where the model needs no key, so that calls cost time only."""
    batch_size: int
    """Texts per call that suit the model."""

    def embed_documents(self, texts: Sequence[str]) -> tuple[FloatMatrix, NDArray[np.bool_]]:
        """Return unit vectors, shape (len(texts), n), and a mask of the usable ones, shape (len(texts),).

        Raises ModelError (also ModelKeyMissing, BadModelOutput).
        """
        ...

    def embed_query(self, text: str) -> FloatVector:
        """Return the unit vector, shape (n,), of a query. Raises ModelError; BadVector for a text without meaning."""
        ...

    def token_counter(self) -> Callable[[str], int] | None:
        """Return what counts the model's tokens in a text, None where the model does not say."""
        ...


class BuiltInEmbedder:
    """wordllama, straight from its weights: no llm is imported, which saves a third of a second at start-up."""

    model_id = DEFAULT_MODEL
    dimensions: int | None = 256
    remote = False
    keyless = True
    batch_size = 512

    def embed_documents(self, texts: Sequence[str]) -> tuple[FloatMatrix, NDArray[np.bool_]]:
        from .weights import load

        return unit_rows(load().embed(texts), count=len(texts), model=self.model_id)

    def embed_query(self, text: str) -> FloatVector:
        from .weights import load

        return normalise(load().embed([text])[0])

    def token_counter(self) -> Callable[[str], int] | None:
        from .weights import load

        return load().count_tokens


class LlmEmbedder:
    """Any embedding model that llm knows."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._lock = threading.Lock()  # llm sets the key on the model object for models of the older kind
        self.model_id: str = model.model_id
        self.dimensions: int | None = None
        self.keyless: bool = not model.needs_key
        self.remote = True  # llm does not say which models stay on this machine, so none is trusted to
        self.batch_size: int = model.batch_size or 100

    def embed_documents(self, texts: Sequence[str]) -> tuple[FloatMatrix, NDArray[np.bool_]]:
        import numpy as np

        if not texts:
            return np.zeros((0, self.dimensions or 0), dtype=np.float32), np.zeros(0, dtype=bool)
        vectors, usable = unit_rows(self._call(texts), count=len(texts), model=self.model_id)
        width = int(vectors.shape[1])
        if self.dimensions not in (None, width):
            raise BadModelOutput(f"model {self.model_id!r} returned {width} dimensions after {self.dimensions} before")
        self.dimensions = width
        return vectors, usable

    def embed_query(self, text: str) -> FloatVector:
        vectors, usable = self.embed_documents([text])
        if not usable[0]:
            raise BadVector(f"model {self.model_id!r} sees no meaning in this text")
        vector: FloatVector = vectors[0]
        return vector

    def token_counter(self) -> Callable[[str], int] | None:
        return None

    def _call(self, texts: Sequence[str]) -> list[list[float]]:
        import llm

        try:
            with self._lock:
                return list(self._model.embed_multi(list(texts)))
        except llm.NeedsKeyException as error:
            raise ModelKeyMissing(f"model {self.model_id!r}: {error}") from error
        except Exception as error:  # a plugin may raise anything at all; its own words are the best there are
            raise ModelError(f"model {self.model_id!r} failed: {type(error).__name__}: {error}") from error


@lru_cache(maxsize=32)
def embedder(model: str) -> Embedder:
    """Return the embedder for an llm model id or alias; one per name and process.

    Raises NoSuchModel where no installed llm plugin knows the name.
    """
    if model == DEFAULT_MODEL:
        return BuiltInEmbedder()
    import llm

    try:
        found = llm.get_embedding_model(model)
    except llm.UnknownModelError as error:
        known = sorted({each.model.model_id for each in llm.get_embedding_models_with_aliases()})
        raise NoSuchModel(
            f"no embedding model {model!r}; installed: {', '.join(known)}. "
            "Install its llm plugin, or leave out -m for the built-in one"
        ) from error
    if found.model_id == DEFAULT_MODEL:
        return BuiltInEmbedder()
    return LlmEmbedder(found)


def default_model() -> str:
    """Return llm's default embedding model if the user set one, else the built-in model's name."""
    import llm

    return llm.get_default_embedding_model() or DEFAULT_MODEL
