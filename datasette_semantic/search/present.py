"""Ranked rows become hits: the page's rows are read, and from each its best passage is cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from ..laws.analysis import tokens
from ..laws.excerpts import best_passage, telling_span
from ..laws.fts_query import ParsedQuery, words
from ..laws.ranking import Fused
from ..laws.text import row_text
from ..records import Hit, IndexRecord, Passage, SearchRequest, Source, Span
from ..store import chunks as chunk_store
from ..store.connection import Connection
from ..store.source import check_columns

__all__ = ["present"]

Stem = Callable[[str], str]


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
    others = _chunks(connection, index, [fused for _rank, fused in page]) if request.mode == "hybrid" else {}
    spans = {id_: span for chunks in others.values() for id_, span in chunks.items()}
    nearest = [chunk_ids[row_id] for row_id in row_ids if row_id in chunk_ids]
    if unknown := [id_ for id_ in nearest if id_ not in spans]:
        spans |= chunk_store.spans(connection, index, unknown)
    marked, stem = words(query), _stem(index)
    hits = []
    for rank, fused in page:
        candidate = fused.candidate
        if candidate.row_id not in rows:
            continue
        values = rows[candidate.row_id]
        span = spans.get(chunk_ids.get(candidate.row_id, -1))
        chunks = tuple(others.get(candidate.row_id, {}).values())
        hits.append(
            Hit(
                key=candidate.key,
                score=fused.score,
                rank=rank,
                keyword_rank=candidate.keyword_rank,
                semantic_rank=candidate.semantic_rank,
                distance=None if candidate.cosine is None else max(0.0, 1.0 - candidate.cosine),
                passage=_passage(row_text(values, index.text), marked, span, chunks, stem),
                row={column: values.get(column) for column in shown},
                why=fused.why,
            )
        )
    return tuple(hits)


def _shown(source: Source, request: SearchRequest) -> tuple[str, ...]:
    """The other columns to return: the key leads the record anyway."""
    wanted = source.column_names if request.columns is None else check_columns(source, request.columns)
    return tuple(column for column in wanted if column not in source.key_columns)


def _chunks(connection: Connection, index: IndexRecord, page: Sequence[Fused]) -> dict[int, dict[int, Span]]:
    """Return row_id to all its chunks, as id to span in their order, for the rows that words found too."""
    found: dict[int, dict[int, Span]] = {}
    by_words = [fused.candidate.row_id for fused in page if fused.candidate.keyword_rank is not None]
    for chunk in chunk_store.chunks_of_rows(connection, index, by_words) if by_words else ():
        found.setdefault(chunk.row_id, {})[chunk.id] = Span(chunk.start, chunk.end)
    return found


def _passage(text: str, marked: Sequence[str], span: Span | None, others: Sequence[Span], stem: Stem | None) -> Passage:
    """Cut the passage from the row as it is now. A span beyond a text that has shrunk since is passed over."""
    if span is not None and span.end > len(text):
        span = None
    if span is not None and len(others) > 1:
        span = telling_span(text, marked, others, nearest=span, stem=stem)
    return best_passage(text, marked, span=span, stem=stem)


def _stem(index: IndexRecord) -> Stem | None:
    """Return the stemmer of the index's language; None where FTS5's own tokenizer reads the text."""
    analyzer = index.keyword.analyzer if index.keyword else None
    return None if analyzer is None else _stemmer(analyzer)


@lru_cache(maxsize=16)
def _stemmer(analyzer: str) -> Stem:
    """One per analyzer: what is known of a query's words is kept under their stemmer too."""

    @lru_cache(maxsize=4096)
    def stem(word: str) -> str:
        found = tokens(word, analyzer)
        return found[0] if len(found) == 1 else word

    return stem
