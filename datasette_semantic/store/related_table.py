"""A table of related rows, the user's to keep: key columns, the key of a row like it, score, rank, distance.

It is filled under a name of ours in short transactions, and gets its own name when it is complete: a table of that name
is never half full, and one that is replaced is there until then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..config import OWN_PREFIX
from ..errors import BadOption
from ..laws.quoting import quote
from ..records import Cell, IndexRecord, Source
from . import catalog, companions, names
from .connection import Connection, transaction
from .exchange import names_only

__all__ = ["begin", "check_name", "columns_of", "fill", "finish", "give_up", "known"]

_OWN = ("score", "rank", "distance")
_LINES_PER_TRANSACTION = 2_000


def columns_of(source: Source) -> tuple[str, ...]:
    """Return the columns: the key's, the same of the related row, then our own, which give way where one is taken."""
    columns = list(source.key_columns)
    for name in (*(f"similar_{column}" for column in source.key_columns), *_OWN):
        free = name
        while free.lower() in {column.lower() for column in columns}:
            free = f"similar_{free}"
        columns.append(free)
    return tuple(columns)


def check_name(connection: Connection, source: Source, name: str, *, replace: bool) -> None:
    """Raise BadOption where a table of related rows cannot have this name.

    `replace` allows the name of another table of related rows, and of nothing else.
    """
    if not name.strip() or name.lower().startswith(("sqlite_", OWN_PREFIX)):
        raise BadOption(f"a table cannot be named {name!r}; choose another name")
    found = connection.execute(
        "select type from sqlite_master where name = ? collate nocase and type in ('table', 'view', 'index')", (name,)
    ).fetchone()
    if found is None:
        return
    if not replace:
        raise BadOption(f"{name!r} exists already: choose another name, or --replace it")
    columns = tuple(row[0] for row in connection.execute("select name from pragma_table_info(?)", (name,)).fetchall())
    if found[0] != "table" or columns != columns_of(source) or catalog.find_or_none(connection, name) is not None:
        raise BadOption(f"{name!r} holds something else than related rows of {source.table!r}: choose another name")


def begin(connection: Connection, source: Source) -> None:
    """Make the table that is to be filled; one that an interrupted run has left goes."""
    with transaction(connection):
        connection.execute(f"drop table if exists {quote(names.saving_table(source.table))}")
        connection.execute(_create_sql(source))


def fill(connection: Connection, source: Source, lines: Sequence[tuple[Cell, ...]]) -> None:
    """Write lines, with the values of `columns_of`, in short transactions."""
    places = ", ".join("?" * len(columns_of(source)))
    sql = f"insert into {quote(names.saving_table(source.table))} values ({places})"
    for start in range(0, len(lines), _LINES_PER_TRANSACTION):
        with transaction(connection):
            connection.executemany(sql, lines[start : start + _LINES_PER_TRANSACTION])


def finish(connection: Connection, source: Source, name: str, *, replace: bool) -> None:
    """Give the table its name, in the place of the one that has it, and note it in the catalog.

    Raises BadOption as `check_name`, NoSuchIndex.
    """
    with transaction(connection), names_only(connection):
        check_name(connection, source, name, replace=replace)
        connection.execute(f"drop table if exists {quote(name)}")
        connection.execute(f"alter table {quote(names.saving_table(source.table))} rename to {quote(name)}")
        index = catalog.find(connection, source.table)
        catalog.save_settings(connection, index, {**index.settings, companions.RELATED: sorted({*known(index), name})})


def known(index: IndexRecord) -> tuple[str, ...]:
    """Return the names of the tables of related rows that were written from an index: they tell about its table."""
    return tuple(index.settings.get(companions.RELATED, ()))


def give_up(connection: Connection, source: Source) -> None:
    """Drop the table that was being filled."""
    with transaction(connection):
        connection.execute(f"drop table if exists {quote(names.saving_table(source.table))}")


def _create_sql(source: Source) -> str:
    width = len(source.key_columns)
    columns = columns_of(source)
    keys, others, (score, rank, distance) = columns[:width], columns[width : 2 * width], columns[2 * width :]
    types = {column.name: column.type for column in source.columns}
    kinds = [types.get(column, "integer") for column in source.key_columns]
    lines = [f"{quote(column)} {kind}".rstrip() for column, kind in zip((*keys, *others), kinds * 2, strict=True)]
    lines += [f"{quote(score)} float", f"{quote(rank)} integer", f"{quote(distance)} float"]
    lines += [f"primary key ({_listed((*keys, rank))})", f"unique ({_listed((*others, *keys))})"]
    if source.declared_key:
        target = f"references {quote(source.table)} ({_listed(source.key_columns)}) on update cascade on delete cascade"
        lines += [f"foreign key ({_listed(each)}) {target}" for each in (keys, others)]
    return f"create table {quote(names.saving_table(source.table))} (\n  " + ",\n  ".join(lines) + "\n)"


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(map(quote, columns))
