"""Search results as plain text for a language model, no longer than its budget.

    [1] /movies/movies/42
    title: Wall-E
    year: 2008
    A small robot left behind on Earth falls in love ...

Each result begins with its link, which the model can cite. What does not fit is left out whole, the worst first, and
the last line says so: a model that is told of a cut asks again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .chunking import estimate_tokens

__all__ = ["Entry", "digest"]

_LONGEST_VALUE = 200
"""Characters of a column shown beside the text."""

_SHARE = 4
"""A row's whole text is given where it takes no more than this part of the budget; else its best passage."""

_CLOSING_TOKENS = 40
"""Kept free for the last line."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One result as a model is to read it."""

    link: str
    text: str
    """All of the row's text."""
    passage: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Other columns."""


def digest(entries: Sequence[Entry], *, max_tokens: int, total: int | None = None, notices: Sequence[str] = ()) -> str:
    """Return results, best first, within `max_tokens` as `estimate_tokens` counts them, rather too many than too few.

    `total` is how many rows matched; `notices` come first. Without room for one whole result, the first is cut.
    """
    total = len(entries) if total is None else total
    if not entries:
        return "\n\n".join((*notices, "Nothing was found."))
    room = max(max_tokens - _CLOSING_TOKENS - sum(estimate_tokens(notice + "\n\n") for notice in notices), 1)
    blocks: list[str] = []
    for number, entry in enumerate(entries, 1):
        block = _block(number, entry, share=max_tokens // _SHARE)
        tokens = estimate_tokens(block + "\n\n")
        if tokens > room:
            break
        blocks.append(block)
        room -= tokens
    if not blocks:
        blocks = [_cut(_block(1, entries[0], share=0), room)]
    if len(blocks) < total:
        blocks.append(f"({len(blocks)} of {total:,} results shown; ask for something narrower to see others.)")
    return "\n\n".join((*notices, *blocks))


def _block(number: int, entry: Entry, *, share: int) -> str:
    fields = [f"{name}: {_short(value)}" for name, value in entry.fields.items() if value not in (None, "", b"")]
    body = entry.text if estimate_tokens(entry.text) <= share else entry.passage
    return "\n".join((f"[{number}] {entry.link}", *fields, body))


def _short(value: Any) -> str:
    if isinstance(value, bytes):
        return f"(binary, {len(value):,} bytes)"
    text = " ".join(str(value).split())
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _cut(text: str, room: int) -> str:
    """Return the longest beginning of `text` that fits, found by halving."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if estimate_tokens(text[:middle] + "…") <= room else (low, middle - 1)
    return text if low == len(text) else text[:low] + "…"
