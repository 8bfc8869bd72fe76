"""Text to chunks: by our own chunkers, or by one that a plugin registers."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import BadOption
from ..hookspecs import chunkers
from ..laws.chunking import CHUNKERS, chunk_text, estimate_tokens
from ..records import Chunk, ChunkSpec

__all__ = ["check_chunks", "cut"]


def cut(text: str, spec: ChunkSpec, count_tokens: Callable[[str], int] | None) -> tuple[Chunk, ...]:
    """Return the chunks of a text, in its order. Raises BadOption for an unknown chunker, or one that breaks its
    promise."""
    if spec.chunker in CHUNKERS:
        # Most texts fit, and the estimate, which is rather too high, says so in a hundredth of a tokenizer's time.
        if count_tokens is not None and text and estimate_tokens(text) <= spec.max_tokens:
            count_tokens = None
        return chunk_text(text, spec, count_tokens)
    chunker = chunkers().get(spec.chunker)
    if chunker is None:
        raise BadOption(_unknown(spec.chunker))
    found = tuple(chunker(text, spec, count_tokens or estimate_tokens)) if text.strip() else ()
    for chunk in found:
        if text[chunk.start : chunk.end] != chunk.text:
            raise BadOption(
                f"the chunker {spec.chunker!r} returned a chunk whose text is not what stands "
                f"at characters {chunk.start} to {chunk.end}"
            )
    return found


def check_chunks(spec: ChunkSpec, *, longest: int | None, model: str) -> None:
    """Raise BadOption for an unknown chunker, an overlap without room, and chunks longer than the model reads."""
    if spec.chunker in CHUNKERS:
        chunk_text("probe", spec, None)
    elif spec.chunker not in chunkers():
        raise BadOption(_unknown(spec.chunker))
    if longest is not None and spec.chunker != "none" and spec.max_tokens > longest:
        raise BadOption(f"model {model!r} reads {longest} tokens at most: --chunk-tokens {spec.max_tokens} is too long")


def _unknown(name: str) -> str:
    return f"there is no chunker {name!r}; there are: {', '.join((*CHUNKERS, *sorted(chunkers())))}"
