"""Filling the queue with every row of a table, in short steps that a kill between any two leaves resumable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ..config import FILL_BATCH, QUEUE_TABLE
from ..laws.quoting import quote
from ..records import IndexRecord, RowKey, Source
from ..store import catalog, names
from ..store.connection import Connection, transaction

__all__ = ["fill"]


def fill(
    connection: Connection,
    source: Source,
    index: IndexRecord,
    *,
    size: int = FILL_BATCH,
    each: Callable[[IndexRecord, Sequence[RowKey]], None] | None = None,
    done: Sequence[str] = (),
) -> IndexRecord:
    """Put every row of the table into the queue, unless that has been done; return the record as it then stands.

    The place reached is kept in the settings (`after`: the last key), each step in one transaction of `size`
    rows. Rows that come while this goes on are put into the queue by the triggers. `each` is called with the keys of a
    step, inside its transaction, before they join the queue; the last step takes the settings `done` away.
    """
    while not index.settings.get("filled"):
        with transaction(connection):
            current = catalog.again(connection, index)  # another process may be filling too
            if current.settings.get("filled"):
                return current
            index = _step(connection, source, current, size=size, each=each, done=done)
    return index


def _step(
    connection: Connection,
    source: Source,
    index: IndexRecord,
    *,
    size: int,
    each: Callable[[IndexRecord, Sequence[RowKey]], None] | None,
    done: Sequence[str],
) -> IndexRecord:
    keys = list(_next_keys(connection, source, index, size=size))
    direct = names.direct_key(source)
    if direct is not None:
        connection.executemany(f"insert into {quote(index.row_table)} (row_id) values (?) on conflict do nothing", keys)
        row_ids = f"values ({index.id}, ?)"
    else:
        marks = ", ".join("?" * len(source.key_columns))
        columns = ", ".join(f"k{n}" for n in range(len(source.key_columns)))
        match = " and ".join(f"k{n} = ?" for n in range(len(source.key_columns)))
        connection.executemany(
            f"insert into {quote(index.row_table)} ({columns}) values ({marks}) on conflict do nothing", keys
        )
        row_ids = f"select {index.id}, row_id from {quote(index.row_table)} where {match}"
    if each is not None:
        each(index, keys)
    connection.executemany(f"insert into {QUEUE_TABLE} (index_id, row_id) {row_ids} on conflict do nothing", keys)
    settings: dict[str, Any] = dict(index.settings)
    if len(keys) < size:
        settings = {name: value for name, value in settings.items() if name not in ("after", *done)} | {"filled": True}
    else:
        settings["after"] = _encode(keys[-1])
    catalog.save_settings(connection, index, settings)
    return replace(index, settings=settings)


def _next_keys(connection: Connection, source: Source, index: IndexRecord, *, size: int) -> Iterator[RowKey]:
    """Yield the next keys in key order. A row with NULL in its key cannot be named again and is left out."""
    direct = names.direct_key(source)
    columns = [quote(column) for column in ((direct,) if direct is not None else source.key_columns)]
    after = index.settings.get("after")
    conditions = [f"{column} is not null" for column in columns]
    if after is not None:
        conditions.append(f"({', '.join(columns)}) > ({', '.join('?' * len(columns))})")
    if index.text.where:
        conditions.append(f"({index.text.where}\n)")
    sql = (
        f"select {', '.join(columns)} from {quote(source.table)} where {' and '.join(conditions)} "
        f"order by {', '.join(columns)} limit {size}"
    )
    for row in connection.execute(sql, tuple(_decode(after)) if after is not None else ()).fetchall():
        yield tuple(row)


def _encode(key: tuple[Any, ...]) -> list[Any]:
    """Keys as JSON: a BLOB becomes {"hex": ...}."""
    return [{"hex": value.hex()} if isinstance(value, bytes) else value for value in key]


def _decode(key: list[Any]) -> list[Any]:
    return [bytes.fromhex(value["hex"]) if isinstance(value, dict) else value for value in key]
