"""Reading the user's table: its schema, its keys, its rows. Nothing here writes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from typing import Any

from ..config import OWN_PREFIX
from ..errors import BadFilter, NoSuchColumn, NoSuchRow, NoSuchTable, NotATable
from ..laws.quoting import quote
from ..records import Cell, Column, RowFilter, RowKey, Source
from .connection import Connection, sqlite_errors

__all__ = [
    "UniqueKey",
    "check_columns",
    "check_filter",
    "count_rows",
    "describe",
    "existing_keys",
    "key_equals",
    "ordered_keys",
    "parse_key",
    "read_leniently",
    "read_rows",
    "table_names",
    "unique_keys",
]

UniqueKey = tuple[tuple[str, str], ...]
"""The columns of one unique key, each with the collation under which it is unique."""


_KEYS_AT_A_TIME = 1_000


def table_names(connection: Connection) -> list[str]:
    """Return the ordinary tables of the file that are not SQLite's or ours, nor kept by a virtual table for itself."""
    rows = connection.execute("select name, sql from sqlite_master where type = 'table' order by name").fetchall()
    tables = {name: (sql or "").lstrip()[:14].lower().startswith("create virtual") for name, sql in map(tuple, rows)}
    kept = ("sqlite_", OWN_PREFIX, *(f"{name}_" for name, virtual in tables.items() if virtual))
    return [name for name, virtual in tables.items() if not virtual and not name.startswith(kept)]


def describe(connection: Connection, table: str) -> Source:
    """Return what the schema says of an ordinary table.

    Raises NoSuchTable, or NotATable for a view, a virtual table, or one of SQLite's or our own tables.
    """
    table = str(table)
    found = connection.execute(
        "select type, name, sql from sqlite_master where name = ? collate nocase and type in ('table', 'view')",
        (table,),
    ).fetchone()
    if found is None:
        names = table_names(connection)
        near = get_close_matches(table, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else (f"; there are: {', '.join(names[:20])}" if names else "")
        raise NoSuchTable(f"there is no table {table!r}{hint}")
    kind, name, sql = tuple(found)
    if kind == "view":
        raise NotATable(
            f"{name!r} is a view: its rows have no key by which changes could be followed. "
            f"Embed the tables behind it, or make a table of it: create table ... as select * from {quote(name)}"
        )
    if name.startswith(("sqlite_", OWN_PREFIX)):
        raise NotATable(
            f"{name!r} is one of {'SQLite' if name.startswith('sqlite_') else 'datasette-semantic'}'s own tables"
        )
    if sql is not None and sql.lstrip()[:14].lower().startswith("create virtual"):
        raise NotATable(f"{name!r} is a virtual table; only ordinary tables can be embedded")
    columns = [
        tuple(row) for row in connection.execute("select name, type, pk, hidden from pragma_table_xinfo(?)", (name,))
    ]
    visible = tuple(Column(column, kind, hidden > 1) for column, kind, _pk, hidden in columns if hidden != 1)
    keys = tuple(column for _pk, column in sorted((pk, column) for column, _type, pk, _hidden in columns if pk))
    has_rowid = _has_rowid(connection, name)
    # An INTEGER PRIMARY KEY is the rowid itself and so needs no index of its own; any other primary key has one.
    alias = keys[0] if len(keys) == 1 and has_rowid and not _has_key_index(connection, name) else None
    if keys:
        return Source(table=name, columns=visible, key_columns=keys, rowid_key=alias, has_rowid=has_rowid)
    taken = {column.lower() for column, *_ in columns}
    free = [word for word in ("rowid", "_rowid_", "oid") if word not in taken]
    if not free:
        raise NotATable(
            f"{name!r} has no primary key, and its columns hide every name of SQLite's rowid; give it a primary key"
        )
    return Source(table=name, columns=visible, key_columns=(free[0],), rowid_key=None, has_rowid=True)


def _has_rowid(connection: Connection, table: str) -> bool:
    try:
        connection.execute(f"select _rowid_ from {quote(table)} limit 0")
    except sqlite_errors():
        return False
    return True


def _has_key_index(connection: Connection, table: str) -> bool:
    row = connection.execute("select 1 from pragma_index_list(?) where origin = 'pk'", (table,)).fetchone()
    return row is not None


def unique_keys(connection: Connection, source: Source) -> tuple[UniqueKey, ...]:
    """Return the unique keys that have an index: the primary key (an INTEGER PRIMARY KEY has none) and all others.

    Indexes on expressions are left out: SQLite's pragmas do not tell the expression.
    """
    found = []
    indexes = connection.execute('select name from pragma_index_list(?) where "unique"', (source.table,)).fetchall()
    for (index,) in map(tuple, indexes):
        columns = connection.execute("select name, coll from pragma_index_xinfo(?) where key", (index,)).fetchall()
        key = tuple((name, collation) for name, collation in map(tuple, columns))
        if all(name is not None for name, _collation in key):
            found.append(key)
    return tuple(sorted(set(found)))


def check_columns(source: Source, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns as the schema spells them. Raises NoSuchColumn."""
    spelled = {name.lower(): name for name in source.column_names}
    checked = []
    for column in columns:
        if column.lower() not in spelled:
            near = get_close_matches(column, source.column_names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(source.column_names)}"
            raise NoSuchColumn(f"table {source.table!r} has no column {column!r}; {hint}")
        checked.append(spelled[column.lower()])
    return tuple(dict.fromkeys(checked))


def check_filter(connection: Connection, source: Source, row_filter: RowFilter) -> None:
    """Raise BadFilter where the filter's SQL does not run on the table."""
    mistakes: tuple[type[Exception], ...] = (*sqlite_errors(), ValueError, TypeError)
    try:
        connection.execute(
            f"select 1 from {quote(source.table)} where ({row_filter.sql}\n) limit 0", dict(row_filter.params)
        ).fetchall()
    except mistakes as error:
        raise BadFilter(f"the filter {row_filter.sql!r} cannot be used on table {source.table!r}: {error}") from error


def count_rows(connection: Connection, source: Source, *, where: str | None = None) -> int:
    """Return the number of rows, of those that `where` picks."""
    condition = f" where ({where}\n)" if where else ""
    (count,) = connection.execute(f"select count(*) from {quote(source.table)}{condition}").fetchone()
    return int(count)


def key_equals(source: Source, *, left: str = "", right: str = "?") -> str:
    """Return SQL that compares the row key with parameters."""
    return " and ".join(f"{left}{quote(column)} = {right}" for column in source.key_columns)


def parse_key(connection: Connection, source: Source, values: Sequence[Any]) -> RowKey:
    """Return the stored key of the row that `values` name, one per key column, given as text or as themselves.

    SQLite's own affinity rules decide whether '12' names the row 12. Raises NoSuchRow.
    """
    if len(values) != len(source.key_columns):
        raise NoSuchRow(
            f"a row of {source.table!r} is named by {len(source.key_columns)} value(s) "
            f"({', '.join(source.key_columns)}), but {len(values)} were given"
        )
    names = ", ".join(map(quote, source.key_columns))
    row = connection.execute(
        f"select {names} from {quote(source.table)} where {key_equals(source)} limit 1", tuple(values)
    ).fetchone()
    if row is None:
        raise NoSuchRow(f"table {source.table!r} has no row {', '.join(map(str, values))}")
    return tuple(row)


def read_rows(
    connection: Connection, source: Source, keys: Sequence[RowKey], columns: Sequence[str]
) -> dict[RowKey, dict[str, Cell]]:
    """Return the rows with these keys, those that exist, as column to value."""
    names = ", ".join(map(quote, (*source.key_columns, *columns)))
    width = len(source.key_columns)
    found: dict[RowKey, dict[str, Cell]] = {}
    sql = f"select {names} from {quote(source.table)} where {key_equals(source)}"
    for key in keys:
        row = connection.execute(sql, tuple(key)).fetchone()
        if row is not None:
            values = tuple(row)
            found[key] = dict(zip(columns, values[width:], strict=True))
    return found


def existing_keys(connection: Connection, source: Source, filters: Sequence[RowFilter]) -> Iterator[RowKey]:
    """Yield the keys of the rows that pass all filters."""
    names = ", ".join(map(quote, source.key_columns))
    condition, params = conjunction(filters)
    for row in connection.execute(f"select {names} from {quote(source.table)} where {condition}", params):
        yield tuple(row)


def ordered_keys(connection: Connection, source: Source, *, where: str | None = None) -> Iterator[list[RowKey]]:
    """Yield the keys of a table in their order, some at a time, each read by itself. A row with NULL in its key, which
    cannot be named, is left out, and so are those that `where` does not pick."""
    names = ", ".join(map(quote, source.key_columns))
    conditions = [f"{quote(column)} is not null" for column in source.key_columns]
    conditions += [f"({where}\n)"] if where else []
    beyond = f"({names}) > ({', '.join('?' * len(source.key_columns))})"
    after: RowKey = ()
    while True:
        picked = " and ".join([*conditions, *([beyond] if after else [])])
        rows = connection.execute(
            f"select {names} from {quote(source.table)} where {picked} order by {names} limit {_KEYS_AT_A_TIME}", after
        ).fetchall()
        if rows:
            yield (batch := [tuple(row) for row in rows])
            after = batch[-1]
        if len(rows) < _KEYS_AT_A_TIME:
            return


def read_leniently(connection: Connection, sql: str, params: Sequence[Any] | Mapping[str, Any]) -> list[Any]:
    """Run a query over the user's texts; what is not UTF-8 in them comes back as replacement characters."""
    try:
        return connection.execute(sql, params).fetchall()
    except sqlite_errors() as error:
        if "decode" not in str(error).lower():
            raise
    usual = connection.text_factory
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    try:
        return connection.execute(sql, params).fetchall()
    finally:
        connection.text_factory = usual


def conjunction(filters: Sequence[RowFilter]) -> tuple[str, Mapping[str, Any]]:
    """Join filters into one condition. Raises BadFilter where two bind one name to different values."""
    params: dict[str, Any] = {}
    for each in filters:
        for name, value in each.params.items():
            if name in params and params[name] != value:
                raise BadFilter(f"two filters use the parameter :{name} for different values; rename one")
            params[name] = value
    return " and ".join(f"({each.sql}\n)" for each in filters) or "1", params


def json_list(values: Sequence[Any]) -> str:
    """Return values as the JSON array that `json_each` reads."""
    return json.dumps(list(values))
