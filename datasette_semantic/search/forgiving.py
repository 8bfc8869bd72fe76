"""The keyword list, kept from being empty by a phrase that stands nowhere or a word that was mistyped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..laws.fts_query import ParsedQuery, parse, relaxed
from ..records import IndexRecord, Source
from ..store.connection import Connection
from . import by_words, lists
from .spelling import did_you_mean

__all__ = ["Found", "keyword_list"]


@dataclass(frozen=True, slots=True)
class Found:
    """Rows by words, and how they were found."""

    rows: list[tuple[int, float]]
    """`(row_id, bm25)`, best first."""
    query: ParsedQuery
    """The query that found them: what was typed, unless that found nothing."""
    did_you_mean: str | None = None
    """What was typed with unknown words put right."""
    notes: tuple[str, ...] = ()
    """What the reader should know."""


def keyword_list(
    connection: Connection,
    source: Source,
    index: IndexRecord,
    typed: str,
    query: ParsedQuery,
    *,
    allowed: lists.Allowed,
    depth: int,
) -> Found:
    """Return rows by words. Where none matches, phrases are taken for words, then mistyped words for what was meant."""

    def rows_for(asked: ParsedQuery) -> list[tuple[int, float]]:
        return by_words.keyword_list(connection, source, index, asked, allowed=allowed, depth=depth)

    meant = did_you_mean(connection, source, index, typed, query)
    rows = rows_for(query)
    if rows:
        return Found(rows, query, meant)
    loosened = _loosened(query, rows_for)
    if loosened is not None:
        rows, loose = loosened
        return Found(rows, loose, meant, ("No row holds what was quoted: these hold some of its words.",))
    if meant is None:
        return Found([], query)
    corrected = parse(meant, columns=index.keyword.columns if index.keyword else ())
    rows = rows_for(corrected)
    if not rows and (loosened := _loosened(corrected, rows_for)) is not None:
        rows, corrected = loosened
    if not rows:
        return Found([], query)
    return Found(rows, corrected, meant, (f"No row holds these words: the words looked for are {meant}",))


def _loosened(
    query: ParsedQuery, rows_for: Callable[[ParsedQuery], list[tuple[int, float]]]
) -> tuple[list[tuple[int, float]], ParsedQuery] | None:
    """Return what the query finds with nothing required, None where it finds nothing or nothing was required."""
    if not query.required:
        return None
    loose = relaxed(query)
    rows = rows_for(loose)
    return (rows, loose) if rows else None
