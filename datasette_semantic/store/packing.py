"""Space inside an index that nothing stands in any more, and how it is got back.

vec0 frees a chunk when its last vector goes, and fills holes in the last chunk of a partition only: of nine vectors in
ten deleted here and there nearly all the space stays taken. FTS5 keeps what it deleted until its segments are merged.
"""

from __future__ import annotations

from itertools import groupby

from ..config import BESIDE_TABLE, CATALOG_TABLE, ORPHAN_TABLE, QUEUE_TABLE, SAMPLE_TABLE
from ..laws.quoting import quote
from ..records import IndexRecord
from . import catalog
from .blocks import is_partitioned
from .connection import Connection

__all__ = ["drop_strays", "merge_words", "sparse"]

_PAGES = 200
"""What FTS5 writes in one step of a merge: some hundredths of a second."""


def sparse(connection: Connection, index: IndexRecord) -> list[int]:
    """Return the ids of vec0's chunks whose vectors would fit, with those of their partition, into fewer chunks.

    The last chunk of a partition stays: its holes take in the vectors of the others.
    """
    part = "partition01" if is_partitioned(index) else "0"
    rows = connection.execute(
        f"select partition00, {part}, chunk_id, validity from {quote(index.vec_table + '_chunks')} order by 1, 2, 3"
    ).fetchall()
    found: list[int] = []
    for _partition, chunks in groupby(map(tuple, rows), key=lambda row: row[:2]):
        places = [
            (chunk_id, 8 * len(taken), int.from_bytes(taken, "little").bit_count()) for _, _, chunk_id, taken in chunks
        ]
        held = sum(count for _, _, count in places)
        if len(places) > -(-held // places[0][1]):
            last, _, in_last = places[-1]
            found += [id_ for id_, size, count in places if count < size and not (id_ == last and in_last)]
    return found


def merge_words(connection: Connection, index: IndexRecord, *, begin: bool) -> bool:
    """Take one step in merging the segments of an index's own FTS5 table; return whether there is another to take.

    `begin` has all of them merged into one. Run it inside a transaction.
    Source: https://sqlite.org/fts5.html#the_merge_command
    """
    if index.keyword is None or not index.keyword.owned:
        return False
    fts = quote(index.keyword.fts_table)
    before = connection.total_changes
    connection.execute(f"insert into {fts} ({fts}, rank) values ('merge', ?)", (-_PAGES if begin else _PAGES,))
    return connection.total_changes - before >= 2


def drop_strays(connection: Connection) -> int:
    """Delete what the shared tables hold of indexes that are not there; return how many lines. Run it inside a
    transaction."""
    homes = [CATALOG_TABLE, *([BESIDE_TABLE] if catalog.all_beside(connection) else [])]
    known = " union all ".join(f"select id from {home}" for home in homes)
    return sum(
        connection.execute(f"delete from {table} where index_id not in ({known})").rowcount
        for table in (QUEUE_TABLE, ORPHAN_TABLE, SAMPLE_TABLE)
    )
