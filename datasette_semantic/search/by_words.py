"""The keyword list: rows by words, at a cost that does not grow with how common the words are.

FTS5 walks lists of rows quickly (some 20,000 rows a millisecond) and scores slowly (some 1,500), and it scores every
row that holds any of the words. But a row that holds only common words can never be among the best where rare words
have found enough: what its words can add up to is known beforehand. So the rows of the rarest words are scored first,
by all words of the query, and rows of further words only as far as they could still come among the first `SAFE`.
This is MaxScore (Turtle, Flood: *Query Evaluation: Strategies and Optimizations*, IPM 1995) in two statements of SQL,
with what a word usually adds in the place of the most that it could add.

None of this is needed where all words of a query are known from earlier ones, or cheap to get to know: what FTS5 gives
for each is remembered and added up (`store/postings.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..config import KEYWORD_BUDGET, KEYWORD_SHARE
from ..laws.adding_up import best_sums
from ..laws.fts_query import ParsedQuery, Term, Tokens, phrases, telling, to_match
from ..records import IndexRecord, Source
from ..store import keyword_index
from ..store.connection import Connection
from ..store.postings import postings
from .lists import Allowed, query_tokens

__all__ = ["AT_ONCE", "SAFE", "keyword_list"]

SAFE = 50
"""First rows that are to be those of full BM25."""

AT_ONCE = 10_000
"""Rows that are scored without much ado: two statements would take as long."""

_GAIN = 1.3
"""What a common word adds to a row's score, in rarities of the word: said once in a row of usual length 1, three times
1.6, never as much as 2.2. With 2.2 the first rows are certainly those of full BM25, and nearly all words are needed;
with 1.3 all first ten of 167 questions to 100,000 passages were, and 99.7% of the first hundred, in three quarters of
the time."""

_SLACK = 1.05
"""The number of rows is that of the last drain."""


def keyword_list(
    connection: Connection,
    source: Source,
    index: IndexRecord,
    query: ParsedQuery,
    *,
    allowed: Allowed,
    depth: int,
) -> list[tuple[int, float]]:
    """Return up to `depth` rows by words, best first, as (row_id, bm25)."""
    asked, tokens = telling(query), query_tokens(index)
    match = to_match(asked, tokens=tokens)
    if match is None or index.keyword is None:
        return []
    rows = (index.settings.get("size") or {"rows": 0})["rows"]
    budget = KEYWORD_BUDGET + rows // KEYWORD_SHARE
    if allowed.sql is None:
        added = _added(connection, source, index, phrases(asked, tokens=tokens), depth=depth, most=budget)
        if added is not None:
            return added

    def search(among: str | None = None, *, scored: int | None = None) -> list[tuple[int, float]]:
        return keyword_index.search(
            connection,
            source,
            index,
            match,
            k=depth,
            allowed=allowed.sql,
            params=allowed.params,
            among=among,
            scored=scored,
        )

    words = _Words.of(connection, index, asked, tokens=tokens, budget=budget)
    first = words.rarest(2 * depth)
    # Where even the rarest word is everywhere, only a part of its rows is scored.
    crowded = first == 1 and words.counts[0] > budget and not asked.required and allowed.sql is None
    scored = 2 * budget if crowded else None
    if asked.required or first == len(words.terms) or sum(words.counts) <= AT_ONCE:
        return search(scored=scored)
    found = search(words.match(first), scored=scored)
    if len(found) < depth and allowed.sql is not None:
        return search()  # the filter leaves few rows to be scored
    needed = words.needed(found[min(SAFE, depth) - 1][1] if len(found) == depth else 0.0, rows=rows, budget=budget)
    if needed <= first:
        return found
    return search(words.match(needed) if needed < len(words.terms) else None)


def _added(
    connection: Connection,
    source: Source,
    index: IndexRecord,
    asked: Sequence[str] | None,
    *,
    depth: int,
    most: int,
) -> list[tuple[int, float]] | None:
    """Return full BM25, put together from what is known of each phrase; None where that asks for too much."""
    found = None if asked is None else postings(connection, source, index, asked, most=most)
    if found is None:
        return None
    rows, scores = best_sums([(each.row_ids, each.bm25) for each in found], k=depth)
    return list(zip(rows.tolist(), scores.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of a query that some row holds, rarest first."""

    terms: Sequence[Term]
    counts: Sequence[int]
    """Rows that hold each; counted no further than a little beyond the budget."""
    tokens: Tokens | None

    @classmethod
    def of(
        cls, connection: Connection, index: IndexRecord, query: ParsedQuery, *, tokens: Tokens | None, budget: int
    ) -> _Words:
        def count(limit: int) -> Mapping[Term, int]:
            return {
                term: keyword_index.count_matching(connection, index, match, limit=limit)
                for term in query.optional
                if (match := to_match(_only((term,)), tokens=tokens)) is not None
            }

        counts = count(budget + 1)
        if len(counts) > 1 and min(filter(None, counts.values()), default=0) > budget:
            counts = count(10 * budget)  # all are common: which is the rarest is worth a longer look
        terms = sorted((term for term in counts if counts[term]), key=lambda term: counts[term])
        return cls(terms, [counts[term] for term in terms], tokens)

    def rarest(self, enough: int) -> int:
        """Return how many of the rarest words it takes to find so many rows."""
        spent = 0
        for place, count in enumerate(self.counts, 1):
            spent += count
            if spent >= enough:
                return place
        return len(self.terms)

    def needed(self, score: float, *, rows: int, budget: int) -> int:
        """Return how many of the rarest words it takes so that no row of the others alone can reach a score.

        No more than the budget allows, but always one.
        """
        spent = 0
        for place, count in enumerate(self.counts):
            spent += count
            if place and (spent > budget or self._most(place, rows) <= score):
                return place
        return len(self.terms)

    def _most(self, place: int, rows: int) -> float:
        """Return what a row can score by the words from `place` on."""
        return sum(_GAIN * _rarity(count, _SLACK * rows) for count in self.counts[place:])

    def match(self, count: int) -> str | None:
        """Return FTS5's expression for the rows of the `count` rarest words."""
        return to_match(_only(self.terms[:count]), tokens=self.tokens)


def _rarity(count: int, rows: float) -> float:
    """FTS5's inverse document frequency. Source: https://sqlite.org/fts5.html#the_bm25_function"""
    return max(math.log(max(rows - count + 0.5, 0.5) / (count + 0.5)), 1e-6)


def _only(terms: Sequence[Term]) -> ParsedQuery:
    return ParsedQuery(optional=tuple(terms))
