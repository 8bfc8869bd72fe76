"""The rows of single phrases with their bm25, asked of FTS5 once and remembered.

bm25 adds up over phrases, and what a phrase adds does not depend on the others: so what FTS5 gives for each by itself,
added in their order, is what it gives for all of them joined by OR, to the last bit. Queries differ, but the words that
take long to score, the common ones, come again and again.
Source: https://sqlite.org/fts5.html#the_bm25_function
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..laws.quoting import quote
from ..records import IndexRecord, KeywordSpec, Source
from . import names
from .connection import Connection
from .memory import Postings, memory_of

__all__ = ["Postings", "postings"]


def postings(
    connection: Connection, source: Source, index: IndexRecord, counts: Mapping[str, int], *, most: int
) -> dict[str, Postings] | None:
    """Return all rows of those of some FTS5 phrases that are known, or can be found out by scoring no more than `most`
    rows, those of the first phrases first. `counts` has the rows of each phrase.

    None where nothing may be remembered; and where FTS5 knows rows by numbers that are not ours.
    """
    spec, memory = index.keyword, memory_of(connection, index)
    if spec is None or not memory.keeps or not (spec.owned or names.direct_key(source) is not None):
        return None
    known = memory.postings(counts)
    read: dict[str, Postings] = {}
    for phrase, count in counts.items():
        if phrase not in known:
            if count > most:
                break
            most -= count
            read[phrase] = _read(connection, spec, phrase)
    if read and memory_of(connection, index) is not memory:
        return None  # the file changed meanwhile: what is known and what was read may not go together
    memory.keep(read)
    return known | read


def _read(connection: Connection, spec: KeywordSpec, phrase: str) -> Postings:
    fts = quote(spec.fts_table)
    weights = "".join(f", {weight:g}" for weight in spec.column_weights)
    sql = f"select rowid, -bm25({fts}{weights}) from {fts} where {fts} match ? order by rowid"
    # Each row is gone before the next one comes: thousands at once would set the garbage collector going.
    found = np.fromiter(map(tuple, connection.execute(sql, (phrase,))), dtype=[("row_id", "i8"), ("bm25", "f8")])
    return Postings(found["row_id"].copy(), found["bm25"].copy())
