"""The queue: row ids that wait to be looked at, claimed under a lease so that several drains share the work."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..config import LEASE_SECONDS, QUEUE_TABLE
from ..laws.quoting import quote
from ..records import IndexRecord
from .connection import Connection
from .source import json_list

__all__ = [
    "Claim",
    "add",
    "claim",
    "failures",
    "finish",
    "never_embedded",
    "pending",
    "release",
    "renew",
    "retry_failed",
    "set_aside",
    "waiting",
]


@dataclass(frozen=True, slots=True)
class Claim:
    """One claimed row; `stamp` is the number of its changes at the time of the claim."""

    row_id: int
    stamp: int


def add(connection: Connection, index: IndexRecord, row_ids: Iterable[int]) -> None:
    """Put rows into the queue; one that waits already keeps its place."""
    connection.executemany(
        f"insert into {QUEUE_TABLE} (index_id, row_id) values (?, ?) on conflict do nothing",
        ((index.id, row_id) for row_id in row_ids),
    )


def claim(connection: Connection, index: IndexRecord, *, worker: str, limit: int) -> list[Claim]:
    """Claim up to `limit` rows that nobody holds, lowest row_id first. Rows that were set aside are not among them."""
    now = time.time()
    rows = connection.execute(
        f"update {QUEUE_TABLE} set claimed_by = :worker, lease_until = :until where index_id = :index and row_id in ("
        f"select row_id from {QUEUE_TABLE} where index_id = :index and error is null and (claimed_by is null or "
        "lease_until < :now) "
        "order by row_id limit :limit) returning row_id, stamp",
        {"worker": worker, "until": now + LEASE_SECONDS, "now": now, "index": index.id, "limit": limit},
    ).fetchall()
    return sorted((Claim(row_id, stamp) for row_id, stamp in map(tuple, rows)), key=lambda each: each.row_id)


def still_held(connection: Connection, index: IndexRecord, claims: Sequence[Claim], *, worker: str) -> set[int]:
    """Return the row ids among `claims` that `worker` may write: neither deleted nor changed nor taken over since."""
    rows = connection.execute(
        f"select row_id, stamp from {QUEUE_TABLE} where index_id = ? and claimed_by = ? and row_id in (select "
        "value from json_each(?))",
        (index.id, worker, _json(claims)),
    ).fetchall()
    stamps = dict(map(tuple, rows))
    return {each.row_id for each in claims if stamps.get(each.row_id) == each.stamp}


def finish(connection: Connection, index: IndexRecord, row_ids: Iterable[int]) -> None:
    """Take rows out of the queue."""
    connection.executemany(
        f"delete from {QUEUE_TABLE} where index_id = ? and row_id = ?", ((index.id, row_id) for row_id in row_ids)
    )


def renew(connection: Connection, index: IndexRecord, *, worker: str) -> None:
    """Hold on to what `worker` holds for another lease."""
    connection.execute(
        f"update {QUEUE_TABLE} set lease_until = ? where index_id = ? and claimed_by = ?",
        (time.time() + LEASE_SECONDS, index.id, worker),
    )


def release(connection: Connection, index: IndexRecord, *, worker: str) -> None:
    """Give back whatever `worker` still holds."""
    connection.execute(
        f"update {QUEUE_TABLE} set claimed_by = null, lease_until = null where index_id = ? and claimed_by = ?",
        (index.id, worker),
    )


def set_aside(connection: Connection, index: IndexRecord, row_id: int, error: str) -> None:
    """Note that a row failed for good; it waits for a change of the row or for `retry_failed`."""
    connection.execute(
        f"update {QUEUE_TABLE} set error = ?, attempts = attempts + 1, claimed_by = null where index_id = ? and "
        "row_id = ?",
        (error, index.id, row_id),
    )


def never_embedded(connection: Connection, index: IndexRecord, *, after: int, limit: int) -> list[int]:
    """Return rows that wait, were not set aside, and have no vectors yet: up to `limit` row_ids beyond `after`."""
    rows = connection.execute(
        f"select q.row_id from {QUEUE_TABLE} q join {quote(index.row_table)} r on r.row_id = q.row_id "
        "where q.index_id = ? and q.row_id > ? and q.error is null and r.hash is null order by q.row_id limit ?",
        (index.id, after, limit),
    ).fetchall()
    return [row[0] for row in rows]


def waiting(connection: Connection, index: IndexRecord, row_ids: Sequence[int]) -> set[int]:
    """Return those of the rows that are in the queue, or were set aside."""
    rows = connection.execute(
        f"select row_id from {QUEUE_TABLE} where index_id = ? and row_id in (select value from json_each(?))",
        (index.id, json_list(row_ids)),
    ).fetchall()
    return {row[0] for row in rows}


def retry_failed(connection: Connection, index: IndexRecord) -> int:
    """Let the rows that were set aside try again; return how many there are."""
    cursor = connection.execute(
        f"update {QUEUE_TABLE} set error = null, claimed_by = null where index_id = ? and error is not null",
        (index.id,),
    )
    return int(cursor.rowcount)


def failures(connection: Connection, index: IndexRecord, *, limit: int = 100) -> list[tuple[int, str]]:
    """Return rows that were set aside, as (row_id, error)."""
    rows = connection.execute(
        f"select row_id, error from {QUEUE_TABLE} where index_id = ? and error is not null order by row_id limit ?",
        (index.id, limit),
    )
    return [(row_id, error) for row_id, error in map(tuple, rows.fetchall())]


def pending(connection: Connection, index: IndexRecord) -> tuple[int, int]:
    """Return how many rows wait, and how many were set aside."""
    row = connection.execute(
        f"select count(*) filter (where error is null), count(*) filter (where error is not null) "
        f"from {QUEUE_TABLE} where index_id = ?",
        (index.id,),
    ).fetchone()
    return int(row[0]), int(row[1])


def _json(claims: Sequence[Claim]) -> str:
    return "[" + ",".join(str(each.row_id) for each in claims) + "]"
