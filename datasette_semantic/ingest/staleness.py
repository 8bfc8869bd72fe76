"""Whether an index is still what would be made now: models' profiles and chunkers change while indexes stay."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from ..embedding.profiles import Manner, choose_manner, manner_of
from ..errors import BadOption
from ..records import ChunkSpec, IndexRecord
from .cutting import cut

__all__ = ["ASKED", "CUT", "fingerprint", "manner_now", "stale"]

ASKED: Final = "asked"
"""The setting of an index that holds what its user chose of the manner; the profile said the rest."""
CUT: Final = "cut"
"""The setting of an index that holds how its chunker cut `_PROBE`."""

_PROBE: Final = "\n\n".join(
    f"Paragraph {n}. {'It has a sentence; and another, of more words than the first. ' * n}\n- a line\n- 一行字。"
    for n in range(1, 25)
)


def fingerprint(spec: ChunkSpec) -> str | None:
    """Return a mark of how a chunker cuts now; None where it is not installed."""
    try:
        chunks = cut(_PROBE, spec, None)
    except BadOption:
        return None
    return hashlib.sha256(repr([(chunk.start, chunk.end) for chunk in chunks]).encode()).hexdigest()[:16]


def manner_now(index: IndexRecord) -> Manner:
    """Return the manner in which an index would be made now; that in which it was, where it does not know any more what
    was asked for. Raises BadOption where the profile has lost what was."""
    asked: dict[str, Any] | None = index.settings.get(ASKED)
    return manner_of(index) if asked is None else choose_manner(index.model, **asked)


def stale(index: IndexRecord) -> str | None:
    """Return in what an index differs from what would be made now, and the command that repairs it; None for one that
    does not."""
    renew = f"sqlite-utils embed DB {index.table} --renew"
    cut_now, cut_then = fingerprint(index.chunks), index.settings.get(CUT)
    if cut_now is None:
        columns = " ".join(index.text.columns)
        return (
            f"chunker {index.chunks.chunker!r} is not installed any more: install its plugin, or "
            f"sqlite-utils embed DB {index.table} {columns} --chunker {ChunkSpec().chunker}"
        )
    try:
        now, then = manner_now(index).as_settings(), manner_of(index).as_settings()
    except BadOption as error:
        return f"{error}; choose anew how the model is asked: sqlite-utils embed DB {index.table} COLUMN... -m MODEL"
    changed = [
        f"{name} {then.get(name)!r} to {now.get(name)!r}" for name in {**then, **now} if then.get(name) != now.get(name)
    ]
    if changed:
        return f"the profile of {index.model!r} has changed {', '.join(changed)}: {renew}"
    if cut_then is not None and cut_then != cut_now:
        return f"chunker {index.chunks.chunker!r} cuts otherwise than it did: {renew}"
    return None
