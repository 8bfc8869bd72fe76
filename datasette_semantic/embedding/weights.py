"""The built-in model: a table of word-piece vectors, averaged over a text.

The weights and the tokenizer are the files inside the `wordllama` wheel (Apache/MIT licensed, 256 dimensions, 16 MB).
They are read with `safetensors` and `tokenizers`, not through wordllama's own loader: that one looks for the weights
in a folder where its wheel does not put them, then goes online, and importing it reconfigures the root logger.
Averaging text by text also avoids its padded batches, which cost more than the tokenizer does.

Model: https://github.com/dleemiller/WordLlama
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ModelError
from ..laws.vectors import FloatMatrix

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["DIMENSIONS", "WordPieceModel", "is_loaded", "load"]

DIMENSIONS = 256
_WEIGHTS = "weights/l2_supercat_256.safetensors"
_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
_SLICE = 4_096
"""Tokens averaged at a time: memory stays flat however long a text is."""


class WordPieceModel:
    """Texts to mean word-piece vectors. Safe to share between threads."""

    def __init__(self, tokenizer: Tokenizer, table: FloatMatrix) -> None:
        self._tokenizer = tokenizer
        self._table = table

    def embed(self, texts: Sequence[str]) -> FloatMatrix:
        """Return the sum of each text's word-piece vectors, shape (len(texts), 256), not yet of unit length.

        A text without any token gives a zero row.
        """
        out = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for row, encoding in enumerate(self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)):
            ids = encoding.ids
            for start in range(0, len(ids), _SLICE):
                piece = ids[start : start + _SLICE]
                out[row] += np.ones(len(piece), dtype=np.float32) @ self._table.take(piece, axis=0, mode="clip")
        return out

    def count_tokens(self, text: str) -> int:
        """Return the number of word pieces in `text`."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)


_loading = threading.Lock()


def load() -> WordPieceModel:
    """Return the model, read from disk once per process (about 0.3 s).

    Raises ModelError where the wordllama package or its files are missing.
    """
    with _loading:
        return _load_once()


def is_loaded() -> bool:
    """True once the model has been read from disk, so that `load` returns at once."""
    return _load_once.cache_info().currsize > 0


@lru_cache(maxsize=1)
def _load_once() -> WordPieceModel:
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    # find_spec of a top-level package does not import it.
    spec = importlib.util.find_spec("wordllama")
    if spec is None or spec.origin is None:
        raise ModelError("the built-in model needs the package wordllama: pip install wordllama")
    folder = Path(spec.origin).parent
    missing = [name for name in (_WEIGHTS, _TOKENIZER) if not (folder / name).is_file()]
    if missing:
        raise ModelError(
            f"the installed wordllama lacks {', '.join(missing)}: pip install --force-reinstall 'wordllama>=0.4'"
        )
    tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    (weights,) = load_file(folder / _WEIGHTS).values()
    return WordPieceModel(tokenizer, weights.astype(np.float32))
