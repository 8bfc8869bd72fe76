"""Exact things first: rows whose column *is* what was typed, and rows that alone hold one of its words."""

from __future__ import annotations

import unicodedata
from typing import Any

from ..config import EXACT_BEGINNINGS, EXACT_CANDIDATES, SOLE_WORDS
from ..laws.fts_query import ParsedQuery, Term, to_match
from ..records import IndexRecord, Source
from ..store import chunks as chunk_store
from ..store import keyword_index, short_values
from ..store.connection import Connection
from .lists import Allowed, query_tokens

__all__ = ["exact_rows", "sole_rows"]


def exact_rows(connection: Connection, source: Source, index: IndexRecord, typed: str, *, allowed: Allowed) -> set[int]:
    """Return rows one of whose text columns equals what was typed, but for case, accents and outer punctuation.

    FTS5 finds the rows of which a column begins so, without scoring any: a title may be a word that stands in nearly
    every row. The shortest of them are read and compared; where they are too many, those that score best too.
    Source: https://sqlite.org/fts5.html#fts5_initial_token_queries
    """
    wanted = _plain(typed)
    if not wanted or index.keyword is None:
        return set()
    phrase = to_match(
        ParsedQuery(required=((Term(typed.strip(), phrase=True),),), text=typed), tokens=query_tokens(index)
    )
    if phrase is None:
        return set()
    columns = index.text.columns
    beginning = keyword_index.matching(connection, source, index, f"^ {phrase}", limit=EXACT_BEGINNINGS)
    found = short_values.shortest(
        connection,
        source,
        index,
        beginning,
        columns=columns,
        longest=_longest(wanted),
        limit=EXACT_CANDIDATES,
        allowed=allowed.sql,
        params=allowed.params,
    )
    if len(beginning) == EXACT_BEGINNINGS:
        best = keyword_index.search(
            connection, source, index, phrase, k=EXACT_CANDIDATES, allowed=allowed.sql, params=allowed.params
        )
        found += [row_id for row_id, _bm25 in best]
    rows = chunk_store.read_claimed(connection, source, index, found, columns)
    return {row_id for row_id, values in rows.items() if any(_equals(value, wanted) for value in values.values())}


def _longest(wanted: str) -> int:
    """Characters of a value that is the same when folded: accents and punctuation come on top."""
    return 4 * len(wanted) + 8


def _equals(value: Any, wanted: str) -> bool:
    return isinstance(value, str | int | float) and len(str(value)) <= _longest(wanted) and _plain(str(value)) == wanted


def _plain(text: str) -> str:
    """Fold case, accents, inner white space and outer punctuation."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    folded = "".join(character for character in decomposed if not unicodedata.combining(character))
    return " ".join(folded.split()).strip("\"'“”‘’«».,;:!?¡¿ ")


def sole_rows(connection: Connection, source: Source, index: IndexRecord, query: ParsedQuery) -> set[int]:
    """Return rows that are the only one in the table to hold some word of the query.

    In a long question a word that is rare by chance says little: above SOLE_WORDS words no row is singled out.
    """
    if len(query.optional) > SOLE_WORDS:
        return set()
    tokens = query_tokens(index)
    sole = set()
    for term in query.optional:
        match = to_match(ParsedQuery(required=((term,),), text=term.text), tokens=tokens)
        if match is None:
            continue
        found = keyword_index.matching(connection, source, index, match, limit=2)
        if len(found) == 1:
            sole.add(found[0])
    return sole
