"""What was meant by words that no row holds: the nearest words of the table's own keyword index.

Nothing leaves the table: a word is proposed only where a row of it says that word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from ..laws.analysis import FOLDED, tokens
from ..laws.fts_query import ParsedQuery, Term, telling, to_match
from ..laws.spelling import distance, is_stemmed, nearest, neighbourhood, slips_allowed, stemmer_of, worth_correcting
from ..records import IndexRecord, Source
from ..store import chunks as chunk_store
from ..store import keyword_index, vocabulary
from ..store.connection import Connection, sqlite_errors
from .lists import query_tokens

__all__ = ["did_you_mean", "is_unknown", "words_put_right"]

_WORDS = 3
"""Words of one query that are corrected at most: each takes some milliseconds."""

_TERMS = 50_000
"""Terms of the index that are looked at for one word."""

_EXAMPLES = 3
"""Rows that are read for each stem, to see which word of theirs it stands for."""

_SHORTEST_STEM = 3

_WORD = re.compile(r"[^\W\d_]+")

Stem = Callable[[str], str]


def did_you_mean(
    connection: Connection, source: Source, index: IndexRecord, typed: str, query: ParsedQuery
) -> str | None:
    """Return what was typed with unknown words put right; None where nothing is to be, or can be.

    Where more than half of several words are unknown the query is no slip, but about something else or in another
    language, and is left alone. Never raises for what was typed.
    """
    if index.keyword is None:
        return None
    stem = stemmer_of(index.keyword.tokenize, index.keyword.analyzer)
    if stem is None:
        return None
    words = list(_plain_words(query))
    unknown = [word for word in words if worth_correcting(word) and is_unknown(connection, source, index, word)]
    if not unknown or (len(words) > 2 and 2 * len(unknown) > len(words)):
        return None
    meant = typed
    for word in unknown[:_WORDS]:
        # A connection on which not even a temporary table may be made has no view of the words.
        with suppress(*sqlite_errors()):
            better = _nearest_word(connection, source, index, word, stem)
            if better is not None:
                meant = _replaced(meant, word, better)
    return meant if meant != typed else None


def _replaced(text: str, word: str, by: str) -> str:
    """Both are of letters only, so neither means anything to `re`."""
    return re.sub(rf"(?<!\w){word}(?!\w)", by, text)


def _plain_words(query: ParsedQuery) -> Iterator[str]:
    """Yield the words asked for, each once, but for those that only hold a sentence together."""
    seen: set[str] = set()
    for term in (*telling(query).optional, *(term for group in query.required for term in group)):
        for word in () if term.prefix else _WORD.findall(term.text):
            if word.casefold() not in seen:
                seen.add(word.casefold())
                yield word


def words_put_right(typed: str, meant: str) -> list[str]:
    """Return the words of what was typed that `did_you_mean` replaced."""
    kept = set(_WORD.findall(meant))
    return [word for word in dict.fromkeys(_WORD.findall(typed)) if word not in kept]


def is_unknown(connection: Connection, source: Source, index: IndexRecord, word: str) -> bool:
    """Return whether no row of the table holds a word."""
    match = to_match(ParsedQuery(optional=(Term(word),), text=word), tokens=query_tokens(index))
    return match is not None and not keyword_index.matching(connection, source, index, match, limit=1)


def _nearest_word(connection: Connection, source: Source, index: IndexRecord, word: str, stem: Stem) -> str | None:
    """Return the nearest word that stands in the table's text.

    An index of stems is searched a slip further, for a slip may lead to another ending and so to another stem; the
    words that the rows themselves have for these stems must then be near.
    """
    form, spec = stem(word), index.keyword
    if len(form) < _SHORTEST_STEM or spec is None:
        return None
    stemmed = is_stemmed(spec.tokenize, spec.analyzer)
    most = slips_allowed(word) + stemmed
    lengths = len(form) - most, len(form) + most
    terms = vocabulary.terms_beginning(connection, index, neighbourhood(form), lengths=lengths, limit=_TERMS)
    near = nearest(form, ((term, rows) for term, rows in terms if term.isalpha()), most=most)
    if not stemmed:
        return next(iter(near), None)
    return _as_written(connection, source, index, _folded(word), near, stem)


def _as_written(
    connection: Connection, source: Source, index: IndexRecord, word: str, stems: Sequence[str], stem: Stem
) -> str | None:
    """Return the word of the rows' own text, of those with one of these stems, that is nearest to what was typed."""
    most = slips_allowed(word)
    best: tuple[int, int, str] | None = None
    for place, term in enumerate(stems):
        for written in _words_of_rows_with(connection, source, index, term):
            slips = distance(word, written, most=most)
            # Stems are looked for last: for most words of a row the distance has said enough.
            if slips <= most and (best is None or (slips, place, written) < best) and stem(written) == term:
                best = slips, place, written
        if best is not None and best[0] <= 1:  # no word can be nearer, no later stem is nearer
            break
    return None if best is None else best[2]


def _words_of_rows_with(connection: Connection, source: Source, index: IndexRecord, term: str) -> set[str]:
    row_ids = vocabulary.rows_with_term(connection, source, index, term, limit=_EXAMPLES)
    columns = index.keyword.columns if index.keyword else ()
    rows = chunk_store.read_rows_by_id(connection, source, index, row_ids, columns)
    texts = [str(value) for values in rows.values() for value in values.values() if isinstance(value, str)]
    return {word for text in texts for word in tokens(text, FOLDED) if word.isalpha()}


def _folded(word: str) -> str:
    return "".join(tokens(word, FOLDED)) or word
