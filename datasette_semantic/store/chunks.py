"""The row and chunk tables: which row holds which vectors, and for which text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import CACHE_TABLE, ORPHAN_TABLE, QUEUE_TABLE
from ..laws.quoting import quote
from ..laws.vectors import FloatVector, from_blob, to_blob
from ..records import Cell, IndexRecord, RowKey, Source, Span
from . import catalog, names, vector_index
from .blocks import is_partitioned
from .connection import Connection, transaction
from .memory import memory_of, remembered
from .source import json_list, read_leniently

__all__ = [
    "ChunkLine",
    "RowLine",
    "StoredChunk",
    "all_chunks",
    "chunks_of_rows",
    "clear_hashes",
    "count",
    "drop_orphans",
    "forget",
    "keep_all",
    "keys_of",
    "known_keys_of",
    "known_vectors",
    "move_rows",
    "purpose",
    "read_claimed",
    "read_rows_by_id",
    "remember",
    "remove_rows",
    "replace_rows",
    "row_hashes",
    "row_ids_of",
    "rows_of_chunks",
    "spans",
]

_KEPT_AT_A_TIME = 1_000


@dataclass(frozen=True, slots=True)
class ChunkLine:
    """One chunk to be stored: a span of the row's text, the hash of the text that was embedded, its unit vector."""

    start: int
    end: int
    hash: bytes
    vector: FloatVector


@dataclass(frozen=True, slots=True)
class RowLine:
    """One row to be stored, with its chunks in order."""

    row_id: int
    hash: bytes
    chunks: tuple[ChunkLine, ...]
    part: int = 0
    """Where the row's value puts its vectors, in a partitioned index."""


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """One chunk as it stands in the file."""

    id: int
    row_id: int
    start: int
    end: int
    ordinal: int = 0


def read_claimed(
    connection: Connection, source: Source, index: IndexRecord, row_ids: Sequence[int], columns: Sequence[str]
) -> dict[int, dict[str, Cell]]:
    """Return the rows, as row_id to column to value, that exist and that the index's `where` picks."""
    return _read(connection, source, index, row_ids, columns, where=index.text.where)


def read_rows_by_id(
    connection: Connection, source: Source, index: IndexRecord, row_ids: Sequence[int], columns: Sequence[str]
) -> dict[int, dict[str, Cell]]:
    """Return the rows that exist, as row_id to column to value."""
    return _read(connection, source, index, row_ids, columns, where=None)


def _read(
    connection: Connection,
    source: Source,
    index: IndexRecord,
    row_ids: Sequence[int],
    columns: Sequence[str],
    *,
    where: str | None,
) -> dict[int, dict[str, Cell]]:
    table = quote(source.table)
    direct = names.direct_key(source)
    if direct is not None:
        fields = ", ".join(map(quote, (direct, *columns)))
        picked = f" and ({where}\n)" if where else ""
        sql = f"select {fields} from {table} where {table}.{quote(direct)} in (select value from json_each(?)){picked}"
    else:
        # The user's `where` stands in a select of its own, so that its bare column names can mean the user's table
        # only.
        keys = ", ".join(map(quote, source.key_columns))
        owned = ", ".join(f"{table}.{quote(column)}" for column in source.key_columns)
        fields = ", ".join(f"{table}.{quote(column)}" for column in columns)
        picked = f" and ({owned}) in (select {keys} from {table} where ({where}\n))" if where else ""
        link = names.key_match(source, source_alias=table, row_alias="semantic_r", source_first=True)
        sql = (
            f"select semantic_r.row_id{', ' if fields else ''}{fields} from {quote(index.row_table)} semantic_r "
            f"join {table} on {link} "
            f"where semantic_r.row_id in (select value from json_each(?)){picked}"
        )
    rows = read_leniently(connection, sql, (json_list(row_ids),))
    return {row[0]: dict(zip(columns, tuple(row)[1:], strict=True)) for row in rows}


def row_hashes(connection: Connection, index: IndexRecord, row_ids: Sequence[int]) -> dict[int, bytes | None]:
    """Return the hash of the text last embedded, for the rows that have a line."""
    rows = connection.execute(
        f"select row_id, hash from {quote(index.row_table)} where row_id in (select value from json_each(?))",
        (json_list(row_ids),),
    )
    return dict(map(tuple, rows.fetchall()))


def known_vectors(connection: Connection, index: IndexRecord, hashes: Sequence[bytes]) -> dict[bytes, FloatVector]:
    """Return vectors that this index, one beside it, or the cache holds already for texts with these hashes."""
    if not hashes:
        return {}
    found: dict[bytes, FloatVector] = {}
    with catalog.reading(connection, index) as current:
        for holder in (current, *_like(connection, current)):
            found |= _held(connection, holder, [value for value in hashes if value not in found])
        found |= _cached(connection, current, hashes)
    return found


def _held(connection: Connection, index: IndexRecord, hashes: Sequence[bytes]) -> dict[bytes, FloatVector]:
    rows = connection.execute(
        f"select hash, min(id) from {quote(index.chunk_table)} where hash in ({','.join('?' * len(hashes))}) "
        "group by hash",
        tuple(hashes),
    ).fetchall()
    by_id = {id_: value for value, id_ in map(tuple, rows)}
    return {by_id[id_]: vector for id_, vector in vector_index.vectors(connection, index, list(by_id)).items()}


def _cached(connection: Connection, index: IndexRecord, hashes: Sequence[bytes]) -> dict[bytes, FloatVector]:
    rows = connection.execute(
        f"select hash, vector from {CACHE_TABLE} where model = ? and dimensions = ? and purpose = ? and hash in "
        f"({','.join('?' * len(hashes))})",
        (index.model, index.dimensions, purpose(index), *hashes),
    ).fetchall()
    return {value: from_blob(blob, dimensions=index.dimensions)[0] for value, blob in map(tuple, rows)}


def _like(connection: Connection, index: IndexRecord) -> list[IndexRecord]:
    """Return the other indexes of the table whose vectors would be the same for the same text."""
    answering = catalog.find_or_none(connection, index.table)
    others = [*([answering] if answering else []), *(other for _, other in catalog.all_beside(connection, index.table))]

    def made(each: IndexRecord) -> tuple[str, int, str]:
        return each.model, each.dimensions, purpose(each)

    return [other for other in others if other.id != index.id and made(other) == made(index)]


def remember(connection: Connection, index: IndexRecord, items: Iterable[tuple[bytes, FloatVector]]) -> None:
    """Keep vectors that were paid for and belong to no row at present, by the hash of their text."""
    asked = purpose(index)
    connection.executemany(
        f"insert into {CACHE_TABLE} (model, dimensions, purpose, hash, vector) values (?, ?, ?, ?, ?) on "
        "conflict do nothing",
        ((index.model, index.dimensions, asked, value, to_blob(vector)) for value, vector in items),
    )


def keep_all(connection: Connection, index: IndexRecord) -> None:
    """Copy every vector of an index into the cache before the index goes, in short transactions; those excepted that
    another index of the table holds."""
    after = -(2**63)
    held = "".join(
        f" and hash not in (select hash from {quote(other.chunk_table)})" for other in _like(connection, index)
    )
    while True:
        rows = connection.execute(
            f"select id, hash from {quote(index.chunk_table)} where id > ?{held} order by id limit ?",
            (after, _KEPT_AT_A_TIME),
        ).fetchall()
        if not rows:
            return
        hashes = dict(map(tuple, rows))
        found = vector_index.vectors(connection, index, list(hashes))
        with transaction(connection):
            remember(connection, index, ((hashes[id_], vector) for id_, vector in found.items()))
        after = max(hashes)


def forget(connection: Connection, index: IndexRecord, hashes: Iterable[bytes]) -> None:
    """Take vectors out of the cache: they belong to rows now."""
    asked = purpose(index)
    connection.executemany(
        f"delete from {CACHE_TABLE} where model = ? and dimensions = ? and purpose = ? and hash = ?",
        ((index.model, index.dimensions, asked, value) for value in hashes),
    )


def purpose(index: IndexRecord) -> str:
    """Name what the model was asked for: vectors of one text made with another prefix or task are others."""
    manner = index.settings.get("embedding") or {}
    asked = [manner.get("document_type"), manner.get("document_prefix")]
    return f"document {json.dumps(asked)}" if any(asked) else "document"


def replace_rows(connection: Connection, index: IndexRecord, rows: Sequence[RowLine], *, keep_replaced: bool) -> None:
    """Put rows with their chunks and vectors in the place of what was stored for them.

    `keep_replaced` saves the vectors that go in the cache, for models that cost money or time. Run it inside a
    transaction.
    """
    row_ids = json_list([row.row_id for row in rows])
    old = connection.execute(
        f"select id, hash from {quote(index.chunk_table)} where row_id in (select value from json_each(?))", (row_ids,)
    ).fetchall()
    if old:
        _remove(connection, index, [tuple(line) for line in old], keep=keep_replaced)
        connection.execute(
            f"delete from {quote(index.chunk_table)} where row_id in (select value from json_each(?))", (row_ids,)
        )
    connection.executemany(
        f"insert into {quote(index.row_table)} (row_id, hash) values (?, ?) on conflict (row_id) do update set "
        "hash = excluded.hash",
        [(row.row_id, row.hash) for row in rows],
    )
    if is_partitioned(index):
        _note_parts(connection, index, {row.row_id: row.part for row in rows})
    parts = {row.row_id: row.part for row in rows}
    lines = _with_ids(connection, index, rows)
    connection.executemany(
        f"insert into {quote(index.chunk_table)} (id, row_id, ordinal, start, end, hash) values (?, ?, ?, ?, ?, ?)",
        [(id_, row_id, ordinal, chunk.start, chunk.end, chunk.hash) for id_, row_id, ordinal, chunk in lines],
    )
    vectors = ((id_, parts[row_id], chunk.vector) for id_, row_id, _ordinal, chunk in lines)
    vector_index.insert(connection, index, vectors)


def move_rows(connection: Connection, index: IndexRecord, parts: Mapping[int, int]) -> None:
    """Move the vectors of rows whose value has changed, given as row_id to the part in which they belong now.

    Run it inside a transaction.
    """
    rows = connection.execute(
        f"select row_id, part from {quote(index.row_table)} where row_id in (select value from json_each(?))",
        (json_list(list(parts)),),
    ).fetchall()
    moved = {row_id: parts[row_id] for row_id, part in map(tuple, rows) if part != parts[row_id]}
    lines = chunks_of_rows(connection, index, list(moved))
    found = vector_index.vectors(connection, index, [line.id for line in lines])
    vector_index.delete(connection, index, found)
    placed = ((line.id, moved[line.row_id], found[line.id]) for line in lines if line.id in found)
    vector_index.insert(connection, index, placed)
    _note_parts(connection, index, moved)


def _note_parts(connection: Connection, index: IndexRecord, parts: Mapping[int, int]) -> None:
    connection.executemany(
        f"update {quote(index.row_table)} set part = ? where row_id = ?",
        [(part, row_id) for row_id, part in parts.items()],
    )


def remove_rows(connection: Connection, index: IndexRecord, row_ids: Sequence[int]) -> None:
    """Forget rows that are gone from the user's table; their vectors become orphans for the next drain."""
    each = [(row_id,) for row_id in row_ids]
    chunks = quote(index.chunk_table)
    connection.executemany(
        f"insert into {ORPHAN_TABLE} (index_id, id, hash) select {index.id}, id, hash from {chunks} where row_id = ?",
        each,
    )
    connection.executemany(f"delete from {chunks} where row_id = ?", each)
    connection.executemany(f"delete from {QUEUE_TABLE} where index_id = {index.id} and row_id = ?", each)
    connection.executemany(f"delete from {quote(index.row_table)} where row_id = ?", each)


def clear_hashes(connection: Connection, index: IndexRecord, row_ids: Sequence[int]) -> None:
    """Note that these rows are not indexed; they keep their row_id, so that they may come back."""
    connection.executemany(
        f"update {quote(index.row_table)} set hash = null where row_id = ?", [(row_id,) for row_id in row_ids]
    )


def _with_ids(
    connection: Connection, index: IndexRecord, rows: Sequence[RowLine]
) -> list[tuple[int, int, int, ChunkLine]]:
    """Number the chunks: a whole text under the row's own id, pieces under fresh ones."""
    if index.chunks.chunker == "none":
        return [(row.row_id, row.row_id, 0, chunk) for row in rows for chunk in row.chunks]
    first = vector_index.next_id(connection, index)
    flat = [(row.row_id, ordinal, chunk) for row in rows for ordinal, chunk in enumerate(row.chunks)]
    return [(first + n, row_id, ordinal, chunk) for n, (row_id, ordinal, chunk) in enumerate(flat)]


def _remove(connection: Connection, index: IndexRecord, lines: Sequence[tuple[int, bytes]], *, keep: bool) -> None:
    if keep:
        found = vector_index.vectors(connection, index, [id_ for id_, _ in lines])
        remember(connection, index, ((value, found[id_]) for id_, value in lines if id_ in found))
    vector_index.delete(connection, index, (id_ for id_, _ in lines))


def drop_orphans(connection: Connection, index: IndexRecord, *, keep: bool, limit: int) -> int:
    """Take out of vec0 up to `limit` vectors whose row is gone; return how many. Run it inside a transaction."""
    rows = connection.execute(
        f"select rowid, id, hash from {ORPHAN_TABLE} where index_id = ? limit ?", (index.id, limit)
    ).fetchall()
    lines = [tuple(row) for row in rows]
    _remove(connection, index, [(id_, value) for _, id_, value in lines], keep=keep)
    connection.executemany(f"delete from {ORPHAN_TABLE} where rowid = ?", [(rowid,) for rowid, *_ in lines])
    return len(lines)


def chunks_of_rows(connection: Connection, index: IndexRecord, row_ids: Sequence[int]) -> list[StoredChunk]:
    """Return the chunks of these rows, by row and place."""

    def read(missing: Sequence[int]) -> dict[int, tuple[tuple[int, int, int], ...]]:
        rows = connection.execute(
            f"select row_id, id, start, end from {quote(index.chunk_table)} where row_id in (select value from "
            "json_each(?)) order by row_id, ordinal",
            (json_list(missing),),
        ).fetchall()
        by_row = groupby(map(tuple, rows), key=lambda row: row[0])
        return {row_id: tuple((id_, start, end) for _, id_, start, end in listed) for row_id, listed in by_row}

    wanted = sorted(set(row_ids))
    found = remembered(memory_of(connection, index).chunks, wanted, read)
    return [
        StoredChunk(id_, row_id, start, end)
        for row_id, listed in zip(wanted, found, strict=True)
        for id_, start, end in listed or ()
    ]


def all_chunks(connection: Connection, index: IndexRecord, *, size: int) -> Iterator[list[StoredChunk]]:
    """Yield every chunk, by row and place, at least `size` at a time but the last: those of a row stay together."""
    chunks = quote(index.chunk_table)
    low = connection.execute(f"select min(row_id) from {chunks}").fetchone()[0]
    while low is not None:
        (high,) = connection.execute(
            f"select max(row_id) from (select row_id from {chunks} where row_id >= ? order by row_id limit ?)",
            (low, size),
        ).fetchone()
        rows = connection.execute(
            f"select id, row_id, start, end, ordinal from {chunks} where row_id between ? and ? "
            "order by row_id, ordinal",
            (low, high),
        ).fetchall()
        yield [StoredChunk(*row) for row in map(tuple, rows)]
        (low,) = connection.execute(f"select min(row_id) from {chunks} where row_id > ?", (high,)).fetchone()


def rows_of_chunks(connection: Connection, index: IndexRecord) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the id of every chunk, ascending, and its row_id: 16 bytes a chunk."""
    rows = connection.execute(f"select id, row_id from {quote(index.chunk_table)} order by id")
    pairs = np.fromiter((number for row in rows for number in row), dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0].copy(), pairs[:, 1].copy()


def spans(connection: Connection, index: IndexRecord, chunk_ids: Sequence[int]) -> dict[int, Span]:
    """Return chunk id to the span of its row's text."""
    rows = connection.execute(
        f"select id, start, end from {quote(index.chunk_table)} where id in (select value from json_each(?))",
        (json_list(chunk_ids),),
    )
    return {id_: Span(start, end) for id_, start, end in map(tuple, rows.fetchall())}


def known_keys_of(
    connection: Connection, source: Source, index: IndexRecord, row_ids: Sequence[int]
) -> dict[int, RowKey]:
    """Return what `keys_of` returns, and remember it: for searches, which come upon the same rows again and again."""

    def read(missing: Sequence[int]) -> dict[int, RowKey]:
        return keys_of(connection, source, index, missing)

    keys = remembered(memory_of(connection, index).keys, row_ids, read)
    return {row_id: key for row_id, key in zip(row_ids, keys, strict=True) if key is not None}


def keys_of(connection: Connection, source: Source, index: IndexRecord, row_ids: Sequence[int]) -> dict[int, RowKey]:
    """Return row_id to row key for the rows that exist in the user's table now."""
    table = quote(source.table)
    direct = names.direct_key(source)
    if direct is not None:
        key = f"s.{quote(direct)}"
        sql = f"select {key} from json_each(?) wanted cross join {table} s on {key} = wanted.value"
        return {row[0]: (row[0],) for row in connection.execute(sql, (json_list(row_ids),)).fetchall()}
    link = names.key_match(source, source_alias="s", row_alias="r", source_first=True)
    columns = ", ".join(f"s.{quote(column)}" for column in source.key_columns)
    sql = (
        f"select r.row_id, {columns} from {quote(index.row_table)} r join {table} s on {link} "
        "where r.row_id in (select value from json_each(?))"
    )
    return {row[0]: tuple(row)[1:] for row in connection.execute(sql, (json_list(row_ids),)).fetchall()}


def row_ids_of(connection: Connection, source: Source, index: IndexRecord, keys: Sequence[RowKey]) -> dict[RowKey, int]:
    """Return row key to row_id for the keys that the index knows."""
    direct = names.direct_key(source)
    if direct is not None:
        wanted: Mapping[Any, RowKey] = {key[0]: key for key in keys}
        known = connection.execute(
            f"select row_id from {quote(index.row_table)} where row_id in (select value from json_each(?))",
            (json_list(list(wanted)),),
        )
        return {wanted[row[0]]: row[0] for row in known.fetchall()}
    condition = " and ".join(f"k{n} = ?" for n in range(len(source.key_columns)))
    sql = f"select row_id from {quote(index.row_table)} where {condition}"
    found = ((key, connection.execute(sql, tuple(key)).fetchone()) for key in keys)
    return {key: row[0] for key, row in found if row is not None}


def count(connection: Connection, index: IndexRecord) -> tuple[int, int]:
    """Return how many rows and how many chunks the index holds; rows that failed are not among them."""
    row = connection.execute(
        f"select (select count(*) from {quote(index.row_table)} where length(hash) > 0), (select count(*) from "
        f"{quote(index.chunk_table)})"
    ).fetchone()
    return int(row[0]), int(row[1])
