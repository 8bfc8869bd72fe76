"""The catalog: which tables have an index, and how each was made.

One index of a table *answers*: it is found here by the table's name. Others may stand beside it, each in a role: `next`
is being built and will answer when it is complete, `previous` answered before and comes back on demand, `leaving` is
being cleared away. An index keeps its id whatever its role.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any, Final, Literal

from ..config import BESIDE_TABLE, CATALOG_TABLE
from ..errors import IndexChanged, NoSuchIndex
from ..laws.analysis import column_weights
from ..records import ChunkSpec, IndexRecord, KeywordSpec, TextSpec
from .connection import Connection, snapshot, sqlite_errors, transaction

__all__ = [
    "COLUMN_WEIGHTS",
    "CREATE_BESIDE",
    "CREATE_CATALOG",
    "Role",
    "again",
    "all_beside",
    "all_indexes",
    "answering",
    "answers",
    "beside",
    "exists",
    "find",
    "find_or_none",
    "insert",
    "place",
    "reading",
    "remove",
    "save_settings",
    "set_state",
    "settings",
    "writing",
]

COLUMN_WEIGHTS: Final = "column_weights"
"""The setting that holds what was chosen to weigh more or less in the keyword list: column to weight."""

Role = Literal["next", "previous", "leaving"]
"""What an index that does not answer is there for."""

_COLUMNS = """
  id integer primary key,
  table_name text not null{unique},
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
  created text not null default (datetime('now'))"""

CREATE_CATALOG = f"create table if not exists {CATALOG_TABLE} ({_COLUMNS.format(unique=' unique')}\n)"
CREATE_BESIDE = f"create table if not exists {BESIDE_TABLE} ({_COLUMNS.format(unique='')},\n  role text not null\n)"

_FIELDS = (
    "id, table_name, text_spec, chunk_spec, keyword_spec, model, dimensions, vec_table, chunk_table, row_table, state, "
    "settings"
)


def exists(connection: Connection) -> bool:
    """True where the file holds a catalog."""
    return CATALOG_TABLE in _homes(connection)


def find_or_none(connection: Connection, table: str) -> IndexRecord | None:
    """Return the index that answers for a table, None where it has none."""
    if not exists(connection):
        return None
    row = connection.execute(
        f"select {_FIELDS} from {CATALOG_TABLE} where table_name = ? collate nocase", (table,)
    ).fetchone()
    return None if row is None else _from_row(row)


def find(connection: Connection, table: str) -> IndexRecord:
    """Return the index that answers for a table. Raises NoSuchIndex with the command that makes one."""
    record = find_or_none(connection, table)
    if record is None:
        raise NoSuchIndex(f"table {table!r} has no index yet; make one: sqlite-utils embed DB {table} COLUMN...")
    return record


def all_indexes(connection: Connection) -> list[IndexRecord]:
    """Return every index of the file that answers, by table name."""
    if not exists(connection):
        return []
    return [
        _from_row(row)
        for row in connection.execute(f"select {_FIELDS} from {CATALOG_TABLE} order by table_name").fetchall()
    ]


def beside(connection: Connection, table: str, role: Role) -> IndexRecord | None:
    """Return the index of a table that stands in a role, None where there is none."""
    found = (record for each, record in all_beside(connection, table) if each == role)
    return next(found, None)


def all_beside(connection: Connection, table: str | None = None) -> list[tuple[Role, IndexRecord]]:
    """Return the indexes that do not answer, of one table or of all, each with its role."""
    if BESIDE_TABLE not in _homes(connection):
        return []
    rows = connection.execute(
        f"select role, {_FIELDS} from {BESIDE_TABLE} where ?1 is null or table_name = ?1 collate nocase order by id",
        (table,),
    ).fetchall()
    return [(row[0], _from_row(row[1:])) for row in map(tuple, rows)]


def again(connection: Connection, index: IndexRecord) -> IndexRecord:
    """Return an index as it now stands, whatever its role. Raises NoSuchIndex where it is gone."""
    for home in _homes(connection):
        row = connection.execute(f"select {_FIELDS} from {home} where id = ?", (index.id,)).fetchone()
        if row is not None:
            return _from_row(row)
    raise NoSuchIndex(f"the index of {index.table!r} that was being worked on has been dropped meanwhile")


def answers(connection: Connection, index: IndexRecord) -> bool:
    """True while an index is the one that answers for its table."""
    sql = f"select 1 from {CATALOG_TABLE} where id = ? and vec_table = ?"
    try:
        return connection.execute(sql, (index.id, index.vec_table)).fetchone() is not None
    except sqlite_errors() as error:
        if "no such table" not in str(error):
            raise
        return False  # the catalog went with the last index


@contextmanager
def answering(connection: Connection, index: IndexRecord) -> Iterator[None]:
    """Run a search. Raises IndexChanged, in the place of whatever came of it, where another index answers by now: its
    statements may have read some tables of the one and some of the other."""
    try:
        yield
    except Exception as error:
        try:
            changed = not answers(connection, index)
        except sqlite_errors():  # out of time, say: what happened first is what there is to tell
            changed = False
        if changed:
            raise _changed(index) from error
        raise
    if not answers(connection, index):
        raise _changed(index)


def _changed(index: IndexRecord) -> IndexChanged:
    return IndexChanged(f"an index of {index.table!r} was exchanged meanwhile; run the same again")


@contextmanager
def writing(connection: Connection, index: IndexRecord) -> Iterator[IndexRecord]:
    """A transaction in which an index is written to; yields the record as it now stands.

    Raises IndexChanged where its tables bear other names by now, for then the old ones may be another index's; and
    NoSuchIndex where it is gone.
    """
    with transaction(connection):
        current = again(connection, index)
        if current.vec_table != index.vec_table:
            raise _changed(index)
        yield current


@contextmanager
def reading(connection: Connection, index: IndexRecord) -> Iterator[IndexRecord]:
    """One view of the file for several reads; yields the record as it stands in it. Raises NoSuchIndex."""
    with snapshot(connection):
        yield again(connection, index)


def insert(connection: Connection, record: IndexRecord, *, role: Role | None = None) -> int:
    """Write a new entry; `record.id` is passed over and the new id returned. Without a role it is the one that
    answers."""
    highest = (f"select max(id) as id from {home}" for home in _homes(connection))
    (id_,) = connection.execute(f"select coalesce(max(id), 0) + 1 from ({' union all '.join(highest)})").fetchone()
    _write(connection, record, id_, role)
    return int(id_)


def place(connection: Connection, record: IndexRecord, role: Role | None) -> None:
    """Give an index another role, None for the one that answers, and the names that `record` has."""
    home = _home_of(connection, record)
    (created,) = connection.execute(f"select created from {home} where id = ?", (record.id,)).fetchone()
    remove(connection, record)
    _write(connection, record, record.id, role)
    into = CATALOG_TABLE if role is None else BESIDE_TABLE
    connection.execute(f"update {into} set created = ? where id = ?", (created, record.id))


def _write(connection: Connection, record: IndexRecord, id_: int, role: Role | None) -> None:
    into, last = (CATALOG_TABLE, "") if role is None else (BESIDE_TABLE, ", role")
    values = (
        id_,
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
        *([] if role is None else [role]),
    )
    connection.execute(f"insert into {into} ({_FIELDS}{last}) values ({', '.join('?' * len(values))})", values)


def set_state(connection: Connection, record: IndexRecord, state: str) -> None:
    """Note that an index is `building` or `ready`."""
    connection.execute(f"update {_home_of(connection, record)} set state = ? where id = ?", (state, record.id))


def settings(connection: Connection, record: IndexRecord) -> Mapping[str, Any]:
    """Return an index's settings as they are now; empty where it is gone."""
    home = _home_of(connection, record)
    row = connection.execute(f"select settings from {home} where id = ?", (record.id,)).fetchone()
    return {} if row is None else dict(json.loads(row[0]))


def save_settings(connection: Connection, record: IndexRecord, settings: Mapping[str, Any]) -> None:
    """Replace an index's settings."""
    home = _home_of(connection, record)
    connection.execute(f"update {home} set settings = ? where id = ?", (_dump(settings), record.id))


def remove(connection: Connection, record: IndexRecord) -> None:
    """Forget an index."""
    connection.execute(f"delete from {_home_of(connection, record)} where id = ?", (record.id,))


def _home_of(connection: Connection, record: IndexRecord) -> str:
    """Return the table that holds an index's entry; the catalog where none does."""
    if BESIDE_TABLE not in _homes(connection):
        return CATALOG_TABLE
    row = connection.execute(f"select 1 from {BESIDE_TABLE} where id = ?", (record.id,)).fetchone()
    return CATALOG_TABLE if row is None else BESIDE_TABLE


def _homes(connection: Connection) -> tuple[str, ...]:
    """Return the tables that hold entries, those of them that the file has; the catalog first."""
    rows = connection.execute(
        "select name from sqlite_master where type = 'table' and name in (?, ?)", (CATALOG_TABLE, BESIDE_TABLE)
    ).fetchall()
    found = {row[0] for row in rows}
    return tuple(home for home in (CATALOG_TABLE, BESIDE_TABLE) if home in found)


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _from_row(row: Any) -> IndexRecord:
    (id_, table, text, chunks, keyword, model, dimensions, vec_table, chunk_table, row_table, state, settings) = tuple(
        row
    )
    text_spec, chosen = json.loads(text), json.loads(settings)
    return IndexRecord(
        id=id_,
        table=table,
        text=TextSpec(**(text_spec | {"columns": tuple(text_spec["columns"])})),
        chunks=ChunkSpec(**json.loads(chunks)),
        keyword=None if keyword is None else _keyword_spec(json.loads(keyword), chosen.get(COLUMN_WEIGHTS)),
        model=model,
        dimensions=dimensions,
        vec_table=vec_table,
        chunk_table=chunk_table,
        row_table=row_table,
        state=state,
        settings=chosen,
    )


def _keyword_spec(fields: dict[str, Any], weights: Mapping[str, float] | None) -> KeywordSpec:
    spec = KeywordSpec(
        **(fields | {"columns": tuple(fields["columns"]), "column_weights": tuple(fields["column_weights"])})
    )
    if weights is None:
        return spec
    return replace(spec, column_weights=column_weights(spec.columns, weights, titles=spec.owned))
