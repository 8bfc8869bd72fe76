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

import numpy as np

from ..config import KEYWORD_BUDGET, KEYWORD_SHARE
from ..laws.adding_up import Rows, Scores, best, best_sums, could_be_best, scores_at
from ..laws.fts_query import ParsedQuery, phrases, telling, to_match
from ..records import IndexRecord, Source
from ..store import keyword_index
from ..store.connection import Connection
from ..store.postings import Postings, postings
from ..store.source import json_list
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

_MOST_RANKED = 4_000
"""Rows, the best by what is known, that FTS5 scores for the words that are too common to be known."""

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

    if asked.required:
        return search()
    words = _Words.of(connection, index, phrases(asked, tokens=tokens), rows=rows, budget=budget)
    first = words.rarest(2 * depth)
    # Where even the rarest word is everywhere, only a part of its rows is scored.
    crowded = first == 1 and words.counts[0] > budget and allowed.sql is None
    scored = 2 * budget if crowded else None
    if allowed.sql is None and not crowded and not asked.excluded:
        known = _known(connection, source, index, words, depth=depth)
        if known is not None:
            return known
    if first == len(words) or words.all_at_once:
        return search(scored=scored)
    found = search(words.match(first), scored=scored)
    if len(found) < depth and allowed.sql is not None:
        return search()  # the filter leaves few rows to be scored
    needed = words.needed(found[min(SAFE, depth) - 1][1] if len(found) == depth else 0.0)
    if needed <= first:
        return found
    return search(words.match(needed) if needed < len(words) else None)


def _known(
    connection: Connection, source: Source, index: IndexRecord, words: _Words, *, depth: int
) -> list[tuple[int, float]] | None:
    """Return the same from what is remembered of each word; None where too much would have to be got to know.

    Words that are too common for that only rank what the others find: FTS5 scores them in the rows that can be among
    the first `depth`.
    """

    def learnt(count: int, most: int) -> dict[str, Postings] | None:
        counts = dict(zip(words.phrases[:count], words.counts[:count], strict=True))
        return postings(connection, source, index, counts, most=most)

    enough = len(words) if words.all_at_once else words.rarest(2 * depth)
    known = learnt(len(words), AT_ONCE)
    while known is not None:
        known |= learnt(enough, words.budget) or {}
        if not set(words.phrases[:enough]) <= known.keys():
            return None
        rows, sums = best_sums([known[phrase] for phrase in words.as_asked(enough)])
        for phrase in words.phrases[enough:]:
            if phrase in known:
                sums = sums + scores_at(known[phrase], rows)
        unknown = [phrase for phrase in words.phrases if phrase not in known]
        if unknown:
            rows, sums = could_be_best(rows, sums, k=depth, gain=words.most(unknown))
            rows, sums = could_be_best(rows, sums, k=_MOST_RANKED, gain=0.0)
            sums = sums + _scores_of(connection, source, index, unknown, rows)
        rows, sums = best(rows, sums, k=depth)
        needed = words.needed(float(sums[min(SAFE, depth) - 1]) if len(rows) == depth else 0.0)
        if needed <= enough:
            return list(zip(rows.tolist(), sums.tolist(), strict=True))
        enough = needed
    return None


def _scores_of(connection: Connection, source: Source, index: IndexRecord, asked: Sequence[str], rows: Rows) -> Scores:
    """Return what FTS5 gives some rows for some words, 0 where a row holds none."""
    found = keyword_index.search(
        connection,
        source,
        index,
        " OR ".join(asked),
        k=len(rows),
        allowed="select value from json_each(:semantic_rows)",
        params={"semantic_rows": json_list(rows.tolist())},
    )
    found.sort()
    columns = np.array([row for row, _ in found], dtype=np.int64), np.array([score for _, score in found])
    return scores_at(columns, rows)


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of a query that some row holds, rarest first."""

    asked: Sequence[str]
    """In the order of the query."""
    phrases: Sequence[str]
    """Rarest first."""
    counts: Sequence[int]
    """Rows that hold each; counted no further than a little beyond the budget."""
    rows: int
    """Of the whole index."""
    budget: int

    @classmethod
    def of(cls, connection: Connection, index: IndexRecord, asked: Sequence[str], *, rows: int, budget: int) -> _Words:
        def count(limit: int) -> Mapping[str, int]:
            return {phrase: keyword_index.count_matching(connection, index, phrase, limit=limit) for phrase in asked}

        counts = count(budget + 1)
        if len(counts) > 1 and min(filter(None, counts.values()), default=0) > budget:
            counts = count(10 * budget)  # all are common: which is the rarest is worth a longer look
        held = sorted((phrase for phrase in counts if counts[phrase]), key=lambda phrase: counts[phrase])
        return cls(asked, held, [counts[phrase] for phrase in held], rows, budget)

    def __len__(self) -> int:
        return len(self.phrases)

    @property
    def all_at_once(self) -> bool:
        return sum(self.counts) <= AT_ONCE

    def rarest(self, enough: int) -> int:
        """Return how many of the rarest words it takes to find so many rows."""
        spent = 0
        for place, count in enumerate(self.counts, 1):
            spent += count
            if spent >= enough:
                return place
        return len(self)

    def needed(self, score: float) -> int:
        """Return how many of the rarest words it takes so that no row of the others alone can reach a score.

        No more than the budget allows, but always one; all where they are few.
        """
        if self.all_at_once:
            return len(self)
        spent = 0
        for place, count in enumerate(self.counts):
            spent += count
            if place and (spent > self.budget or self.most(self.phrases[place:]) <= score):
                return place
        return len(self)

    def most(self, asked: Sequence[str]) -> float:
        """Return what a row can score by some of the words."""
        counts = dict(zip(self.phrases, self.counts, strict=True))
        return sum(_GAIN * _rarity(counts[phrase], _SLACK * self.rows) for phrase in asked)

    def as_asked(self, count: int) -> list[str]:
        """Return the `count` rarest words in the order of the query, in which FTS5 adds up."""
        rarest = set(self.phrases[:count])
        return [phrase for phrase in self.asked if phrase in rarest]

    def match(self, count: int) -> str:
        """Return FTS5's expression for the rows of the `count` rarest words."""
        return " OR ".join(self.phrases[:count])


def _rarity(count: int, rows: float) -> float:
    """FTS5's inverse document frequency. Source: https://sqlite.org/fts5.html#the_bm25_function"""
    return max(math.log(max(rows - count + 0.5, 0.5) / (count + 0.5)), 1e-6)
