"""The rows of single phrases with their bm25, asked of FTS5 once and remembered.

bm25 adds up over phrases, and what a phrase adds does not depend on the others: so what FTS5 gives for each by itself,
added in their order, is what it gives for all of them joined by OR, to the last bit. Queries differ, but the words that
take long to score, the common ones, come again and again.
Source: https://sqlite.org/fts5.html#the_bm25_function
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..laws.quoting import quote
from ..records import IndexRecord, KeywordSpec, Source
from . import names
from .connection import Connection
from .keyword_index import count_matching
from .memory import Postings, memory_of

__all__ = ["Postings", "postings"]


def postings(
    connection: Connection, source: Source, index: IndexRecord, phrases: Sequence[str], *, most: int
) -> list[Postings] | None:
    """Return all rows of each of some FTS5 phrases.

    None where more than `most` rows would have to be scored that are not known; where nothing may be remembered; and
    where FTS5 knows rows by numbers that are not ours.
    """
    spec, memory = index.keyword, memory_of(connection, index)
    if spec is None or not memory.keeps or not (spec.owned or names.direct_key(source) is not None):
        return None
    known = memory.postings(phrases)
    missing = [phrase for phrase in phrases if phrase not in known]
    for phrase in missing:
        most -= count_matching(connection, index, phrase, limit=most + 1)
        if most < 0:
            return None
    read = {phrase: _read(connection, spec, phrase) for phrase in missing}
    if read and memory_of(connection, index) is not memory:
        return None  # the file changed meanwhile: what is known and what was read may not go together
    memory.keep(read)
    known |= read
    return [known[phrase] for phrase in phrases]


def _read(connection: Connection, spec: KeywordSpec, phrase: str) -> Postings:
    fts = quote(spec.fts_table)
    weights = "".join(f", {weight:g}" for weight in spec.column_weights)
    sql = f"select rowid, -bm25({fts}{weights}) from {fts} where {fts} match ? order by rowid"
    found = connection.execute(sql, (phrase,)).fetchall()
    return Postings(
        np.fromiter((row[0] for row in found), dtype=np.int64, count=len(found)),
        np.fromiter((row[1] for row in found), dtype=np.float64, count=len(found)),
    )
