"""Ranked rows become hits: the page's rows are read, and from each its best passage is cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..laws.analysis import tokens
from ..laws.excerpts import best_passage, telling_span
from ..laws.fts_query import ParsedQuery, words
from ..laws.ranking import Fused
from ..laws.text import row_text
from ..records import Cell, Hit, IndexRecord, Passage, SearchRequest, Source, Span
from ..store import chunks as chunk_store
from ..store.connection import Connection
from ..store.source import check_columns

__all__ = ["present"]


def present(
    connection: Connection,
    source: Source,
    index: IndexRecord,
    request: SearchRequest,
    query: ParsedQuery,
    page: Sequence[tuple[int, Fused]],
    chunk_ids: Mapping[int, int],
) -> tuple[Hit, ...]:
    """Return the hits of one page of `(rank, row)`, in order, but for rows that are gone since they were ranked.

    Raises NoSuchColumn where `request.columns` names one that is not there.
    """
    shown = _shown(source, request)
    row_ids = [fused.candidate.row_id for _rank, fused in page]
    rows = chunk_store.read_rows_by_id(
        connection, source, index, row_ids, tuple(dict.fromkeys((*index.text.columns, *shown)))
    )
    spans = chunk_store.spans(connection, index, [chunk_ids[row_id] for row_id in row_ids if row_id in chunk_ids])
    marked = words(query)
    others = _chunks(connection, index, [fused for _rank, fused in page]) if request.mode == "hybrid" else {}
    hits = []
    for rank, fused in page:
        candidate = fused.candidate
        if candidate.row_id not in rows:
            continue
        values = rows[candidate.row_id]
        span = spans.get(chunk_ids.get(candidate.row_id, -1))
        hits.append(
            Hit(
                key=candidate.key,
                score=fused.score,
                rank=rank,
                keyword_rank=candidate.keyword_rank,
                semantic_rank=candidate.semantic_rank,
                distance=None if candidate.cosine is None else max(0.0, 1.0 - candidate.cosine),
                passage=_passage(index, values, marked, span, others.get(candidate.row_id, ())),
                row={column: values.get(column) for column in shown},
                why=fused.why,
            )
        )
    return tuple(hits)


def _shown(source: Source, request: SearchRequest) -> tuple[str, ...]:
    """The other columns to return: the key leads the record anyway."""
    wanted = source.column_names if request.columns is None else check_columns(source, request.columns)
    return tuple(column for column in wanted if column not in source.key_columns)


def _chunks(connection: Connection, index: IndexRecord, page: Sequence[Fused]) -> dict[int, list[Span]]:
    """Return row_id to the spans of all its chunks, for the rows that words found too."""
    found: dict[int, list[Span]] = {}
    by_words = [fused.candidate.row_id for fused in page if fused.candidate.keyword_rank is not None]
    for chunk in chunk_store.chunks_of_rows(connection, index, by_words):
        found.setdefault(chunk.row_id, []).append(Span(chunk.start, chunk.end))
    return found


def _passage(
    index: IndexRecord, values: Mapping[str, Cell], marked: Sequence[str], span: Span | None, others: Sequence[Span]
) -> Passage:
    """Cut the passage from the row as it is now. A span beyond a text that has shrunk since is passed over."""
    text, stem = row_text(values, index.text), _stem(index)
    if span is not None and span.end > len(text):
        span = None
    if span is not None and len(others) > 1:
        span = telling_span(text, marked, others, nearest=span, stem=stem)
    return best_passage(text, marked, span=span, stem=stem)


def _stem(index: IndexRecord) -> Callable[[str], str] | None:
    """Return the stemmer of the index's language; None where FTS5's own tokenizer reads the text."""
    analyzer = index.keyword.analyzer if index.keyword else None
    if analyzer is None:
        return None

    def stem(word: str) -> str:
        found = tokens(word, analyzer)
        return found[0] if len(found) == 1 else word

    return stem
