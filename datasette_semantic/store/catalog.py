"""The catalog: which tables have an index, and how each was made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..config import CATALOG_TABLE
from ..errors import NoSuchIndex
from ..records import ChunkSpec, IndexRecord, KeywordSpec, TextSpec
from .connection import Connection

__all__ = [
    "CREATE_CATALOG",
    "all_indexes",
    "exists",
    "find",
    "find_or_none",
    "insert",
    "remove",
    "save_settings",
    "set_state",
    "settings",
]

CREATE_CATALOG = f"""create table if not exists {CATALOG_TABLE} (
  id integer primary key,
  table_name text not null unique,
  text_spec text not null,
  chunk_spec text not null,
  keyword_spec text,
  model text not null,
  dimensions integer not null,
  vec_table text not null,
  chunk_table text not null,
  row_table text not null,
  state text not null,
  settings text not null default '{{}}',
  created text not null default (datetime('now'))
)"""

_FIELDS = (
    "id, table_name, text_spec, chunk_spec, keyword_spec, model, dimensions, vec_table, chunk_table, row_table, state, "
    "settings"
)


def exists(connection: Connection) -> bool:
    """True where the file holds a catalog."""
    row = connection.execute(
        "select 1 from sqlite_master where type = 'table' and name = ?", (CATALOG_TABLE,)
    ).fetchone()
    return row is not None


def find_or_none(connection: Connection, table: str) -> IndexRecord | None:
    """Return the index of a table, None where it has none."""
    if not exists(connection):
        return None
    row = connection.execute(
        f"select {_FIELDS} from {CATALOG_TABLE} where table_name = ? collate nocase", (table,)
    ).fetchone()
    return None if row is None else _from_row(row)


def find(connection: Connection, table: str) -> IndexRecord:
    """Return the index of a table. Raises NoSuchIndex with the command that makes one."""
    record = find_or_none(connection, table)
    if record is None:
        raise NoSuchIndex(f"table {table!r} has no index yet; make one: sqlite-utils embed DB {table} COLUMN...")
    return record


def all_indexes(connection: Connection) -> list[IndexRecord]:
    """Return every index of the file, by table name."""
    if not exists(connection):
        return []
    return [
        _from_row(row)
        for row in connection.execute(f"select {_FIELDS} from {CATALOG_TABLE} order by table_name").fetchall()
    ]


def insert(connection: Connection, record: IndexRecord) -> int:
    """Write a new entry; `record.id` is passed over and the new id returned."""
    cursor = connection.execute(
        f"insert into {CATALOG_TABLE} (table_name, text_spec, chunk_spec, keyword_spec, model, dimensions, vec_table, "
        "chunk_table, row_table, state, settings) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            record.table,
            _dump(asdict(record.text)),
            _dump(asdict(record.chunks)),
            None if record.keyword is None else _dump(asdict(record.keyword)),
            record.model,
            record.dimensions,
            record.vec_table,
            record.chunk_table,
            record.row_table,
            record.state,
            _dump(record.settings),
        ),
    )
    return int(cursor.lastrowid or 0)


def set_state(connection: Connection, record: IndexRecord, state: str) -> None:
    """Note that an index is `building` or `ready`."""
    connection.execute(f"update {CATALOG_TABLE} set state = ? where id = ?", (state, record.id))


def settings(connection: Connection, record: IndexRecord) -> Mapping[str, Any]:
    """Return an index's settings as they are now; empty where it is gone."""
    row = connection.execute(f"select settings from {CATALOG_TABLE} where id = ?", (record.id,)).fetchone()
    return {} if row is None else dict(json.loads(row[0]))


def save_settings(connection: Connection, record: IndexRecord, settings: Mapping[str, Any]) -> None:
    """Replace an index's settings."""
    connection.execute(f"update {CATALOG_TABLE} set settings = ? where id = ?", (_dump(settings), record.id))


def remove(connection: Connection, record: IndexRecord) -> None:
    """Forget an index."""
    connection.execute(f"delete from {CATALOG_TABLE} where id = ?", (record.id,))


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _from_row(row: Any) -> IndexRecord:
    (id_, table, text, chunks, keyword, model, dimensions, vec_table, chunk_table, row_table, state, settings) = tuple(
        row
    )
    text_spec = json.loads(text)
    return IndexRecord(
        id=id_,
        table=table,
        text=TextSpec(**(text_spec | {"columns": tuple(text_spec["columns"])})),
        chunks=ChunkSpec(**json.loads(chunks)),
        keyword=None if keyword is None else _keyword_spec(json.loads(keyword)),
        model=model,
        dimensions=dimensions,
        vec_table=vec_table,
        chunk_table=chunk_table,
        row_table=row_table,
        state=state,
        settings=json.loads(settings),
    )


def _keyword_spec(fields: dict[str, Any]) -> KeywordSpec:
    return KeywordSpec(
        **(fields | {"columns": tuple(fields["columns"]), "column_weights": tuple(fields["column_weights"])})
    )
