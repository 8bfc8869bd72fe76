"""Names to embedders: the one interface through which the rest of the package meets a model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from ..config import DEFAULT_MODEL
from ..errors import BadModelOutput, BadOption, BadVector, ModelKeyMissing, NoSuchModel
from ..hookspecs import Profile
from ..laws.vectors import FloatMatrix, FloatVector, unit_rows
from ..records import IndexRecord
from .faults import explained
from .profiles import Manner, manner_of, profile_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Embedder", "default_model", "embedder", "embedder_for"]

_PLAIN = Manner()

_SHORT = 200
"""Characters of a query that the built-in model reads in 0.02 to 0.13 ms, whatever they are; 4,000 may take 50 ms."""


class Embedder(Protocol):
    """Texts to unit vectors, in one index's manner. Safe to share between threads."""

    model_id: str
    dimensions: int | None
    """None until the model has been asked once."""
    remote: bool
    """True where a call may reach the network or cost money."""
    keyless: bool
    """True where the model needs no key, so that calls cost time only."""
    batch_size: int
    """Texts per call that suit the model."""
    manner: Manner
    profile: Profile

    def embed_documents(self, texts: Sequence[str]) -> tuple[FloatMatrix, NDArray[np.bool_]]:
        """Return unit vectors, shape (len(texts), n), and a mask of the usable ones, shape (len(texts),).

        Raises ModelError: ModelBusy where trying again may help, ModelRefused and ModelKeyMissing where it does not,
        BadModelOutput for the wrong number or length of vectors.
        """
        ...

    def embed_query(self, text: str) -> FloatVector:
        """Return the unit vector, shape (n,), of a query. Raises ModelError; BadVector for a text without meaning."""
        ...

    def at_once(self, text: str) -> bool:
        """True where `embed_query` takes less time for this text than handing it to another thread does."""
        ...

    def token_counter(self) -> Callable[[str], int] | None:
        """Return what counts the model's tokens in a text, None where the model does not say."""
        ...


class _Common:
    """What all embedders share: prefixes before the call; the count, the cut and unit length after it."""

    def __init__(self, model_id: str, manner: Manner, dimensions: int | None = None) -> None:
        self.model_id = model_id
        self.manner = manner
        self.profile = profile_of(model_id)
        self.dimensions: int | None = manner.dimensions or dimensions

    def embed_documents(self, texts: Sequence[str]) -> tuple[FloatMatrix, NDArray[np.bool_]]:
        return self._embed(texts, self.manner.document_prefix, self.manner.document_type)

    def embed_query(self, text: str) -> FloatVector:
        vectors, usable = self._embed([text], self.manner.query_prefix, self.manner.query_type)
        if not usable[0]:
            raise BadVector(f"model {self.model_id!r} sees no meaning in this text")
        vector: FloatVector = vectors[0]
        return vector

    def at_once(self, text: str) -> bool:
        return False

    def token_counter(self) -> Callable[[str], int] | None:
        return None

    def _embed(self, texts: Sequence[str], prefix: str, task_type: str | None) -> tuple[FloatMatrix, NDArray[np.bool_]]:
        import numpy as np

        if not texts:
            return np.zeros((0, self.dimensions or 0), dtype=np.float32), np.zeros(0, dtype=bool)
        asked = [prefix + text for text in texts] if prefix else texts
        vectors, usable = unit_rows(self._cut(self._call(asked, task_type)), count=len(texts), model=self.model_id)
        width = int(vectors.shape[1])
        if self.dimensions not in (None, width):
            raise BadModelOutput(f"model {self.model_id!r} returned {width} dimensions where {self.dimensions} belong")
        self.dimensions = width
        return vectors, usable

    def _cut(self, vectors: Any) -> Any:
        if self.manner.dimensions is None:
            return vectors
        return [vector[: self.manner.dimensions] for vector in vectors]

    def _call(self, texts: Sequence[str], task_type: str | None) -> Any:
        """Return the model's vectors, a matrix or a list of lists."""
        raise NotImplementedError


class BuiltInEmbedder(_Common):
    """wordllama, straight from its weights: no llm is imported, which saves a third of a second at start-up."""

    remote = False
    keyless = True
    batch_size = 512

    def __init__(self, manner: Manner) -> None:
        super().__init__(DEFAULT_MODEL, manner)
        if manner.dimensions not in (None, 64, 128, 256):
            raise BadOption(f"{DEFAULT_MODEL} can be cut to 64, 128 or 256 dimensions, not {manner.dimensions}")
        self.dimensions = manner.dimensions or 256

    def at_once(self, text: str) -> bool:
        from .weights import is_loaded

        return len(text) <= _SHORT and is_loaded()

    def token_counter(self) -> Callable[[str], int] | None:
        from .weights import load

        return load().count_tokens

    def _call(self, texts: Sequence[str], task_type: str | None) -> FloatMatrix:
        from .weights import load

        return load().embed(texts)

    def _cut(self, vectors: Any) -> Any:
        return vectors if self.manner.dimensions is None else vectors[:, : self.manner.dimensions]


class LlmEmbedder(_Common):
    """Any embedding model that llm knows."""

    remote = True  # llm does not say which models stay on this machine, so none is trusted to

    def __init__(self, name: str, model: Any, manner: Manner, dimensions: int | None = None) -> None:
        super().__init__(model.model_id, manner, dimensions)
        self._name = name
        self._models = threading.local()  # llm sets the key on the model object of older plugins: one per thread
        self._models.own = model
        self.keyless: bool = not model.needs_key
        self.batch_size: int = model.batch_size or 100

    def _call(self, texts: Sequence[str], task_type: str | None) -> list[list[float]]:
        import llm

        model = self._model()
        try:
            return list(model.embed_multi(list(texts), batch_size=max(len(texts), 1)))
        except llm.NeedsKeyException as error:
            raise ModelKeyMissing(f"model {self.model_id!r}: {error}") from error
        except Exception as error:  # a plugin may raise anything at all; its own words are the best there are
            raise explained(error, model=self.model_id, key=_key_of(model)) from error

    def _model(self) -> Any:
        found = getattr(self._models, "own", None)
        if found is None:
            found = self._models.own = _llm_model(self._name)
        return found


class GeminiEmbedder(_Common):
    """Google's models over our own client, which knows task types; llm's plugin supplies the names and the key."""

    remote = True
    keyless = False
    batch_size = 100

    def __init__(self, model: Any, manner: Manner, dimensions: int | None = None) -> None:
        super().__init__(model.model_id, manner, dimensions)
        self._model = model
        self._width: int | None = manner.dimensions or model.output_dimensionality

    def _call(self, texts: Sequence[str], task_type: str | None) -> list[list[float]]:
        import llm

        from .gemini import embed

        try:
            key = self._model.get_key()
        except llm.NeedsKeyException as error:
            raise ModelKeyMissing(f"model {self.model_id!r}: {error}") from error
        return embed(texts, model=self._model.gemini_model_id, key=key, task_type=task_type, dimensions=self._width)


def embedder_for(record: IndexRecord) -> Embedder:
    """Return the embedder of an index: its model, asked in its manner, held to its dimensions. Raises NoSuchModel."""
    return embedder(record.model, manner_of(record), record.dimensions)


@lru_cache(maxsize=32)
def embedder(model: str, manner: Manner = _PLAIN, dimensions: int | None = None) -> Embedder:
    """Return the embedder for an llm model id or alias; one per name, manner, dimensions and process.

    `dimensions`: those that its vectors must have, where they are known already.
    Raises NoSuchModel where no installed llm plugin knows the name.
    """
    if model == DEFAULT_MODEL:
        return BuiltInEmbedder(manner)
    found = _llm_model(model)
    if found.model_id == DEFAULT_MODEL:
        return BuiltInEmbedder(manner)
    if hasattr(found, "gemini_model_id"):
        return GeminiEmbedder(found, manner, dimensions)
    return LlmEmbedder(model, found, manner, dimensions)


def _llm_model(name: str) -> Any:
    import llm

    try:
        return llm.get_embedding_model(name)
    except llm.UnknownModelError as error:
        known = sorted({each.model.model_id for each in llm.get_embedding_models_with_aliases()})
        raise NoSuchModel(
            f"no embedding model {name!r}; installed: {', '.join(known)}. "
            "Install its llm plugin, or leave out -m for the built-in one"
        ) from error


def _key_of(model: Any) -> str | None:
    """Return the model's key, so that it can be kept out of messages."""
    import llm

    try:
        key = model.get_key()
    except llm.NeedsKeyException:
        return None
    return key if isinstance(key, str) else None


def default_model() -> str:
    """Return llm's default embedding model if the user set one, else the built-in model's name."""
    import llm

    return llm.get_default_embedding_model() or DEFAULT_MODEL
