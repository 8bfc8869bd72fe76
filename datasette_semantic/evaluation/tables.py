"""Queries and judgments in tables of the database itself, with the column names that JSONL files have (`judgments.py`).

A table of judgments may name its query by its words, in a column `query`: these are then the query's id as well, and
the same table serves for both. So does the one that the page for judging results writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import InputError, NoSuchTable
from ..laws.quoting import quote
from .judgments import DOC_ID, JUDGED_QUERY, QUERY_ID, QUERY_TEXT, RELEVANCE, each_once, grade_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..store.connection import Connection
    from .judgments import Qrels, Queries

__all__ = ["qrels_in_table", "queries_in_table"]


def queries_in_table(connection: Connection, table: str) -> Queries:
    """Return the queries that a table holds, one in each row; of a table of judgments the words that were judged.

    Raises NoSuchTable, InputError.
    """
    names, rows = _read(connection, table)
    text = _column(names, QUERY_TEXT, table)
    if set(names) & set(RELEVANCE):
        queries = {str(row[text]): str(row[text]) for row in rows}
    else:
        query_id = _column(names, QUERY_ID, table)
        queries = each_once([(str(row[query_id]), str(row[text])) for row in rows], f"table {table!r}")
    if not queries:
        raise InputError(f"table {table!r} holds no queries")
    return queries


def qrels_in_table(connection: Connection, table: str, *, about: str) -> Qrels:
    """Return the judgments that a table holds, one in each row; those on the table `about` where it has `table_name`.

    Where several people judged a row for one query, the mean of their judgments counts, rounded. Raises NoSuchTable,
    InputError.
    """
    names, rows = _read(connection, table)
    query = _column(names, (*JUDGED_QUERY, "query"), table)
    document = _column(names, DOC_ID, table)
    relevance = _column(names, RELEVANCE, table)
    given: dict[str, dict[str, list[int]]] = {}
    for line, row in enumerate(rows, 1):
        if str(row.get("table_name", about)).lower() == about.lower():
            grade = grade_of(row[relevance], f"table {table!r}", line)
            given.setdefault(str(row[query]), {}).setdefault(str(row[document]), []).append(grade)
    if not given:
        raise InputError(f"table {table!r} holds no judgments on {about!r}")
    return {
        query_id: {name: int(sum(grades) / len(grades) + 0.5) for name, grades in judged.items()}
        for query_id, judged in given.items()
    }


def _read(connection: Connection, table: str) -> tuple[list[str], Iterator[dict[str, Any]]]:
    """Return the columns of a table or view, in small letters, and its rows by column."""
    if not connection.execute("select 1 from sqlite_master where name = ? collate nocase", (table,)).fetchone():
        raise NoSuchTable(f"there is no table {table!r} of queries or judgments")
    cursor = connection.execute(f"select * from {quote(table)}")
    names = [column[0].lower() for column in cursor.description]
    return names, (dict(zip(names, tuple(row), strict=True)) for row in cursor)


def _column(names: Sequence[str], wanted: Sequence[str], table: str) -> str:
    found = next((name for name in wanted if name in names), None)
    if found is None:
        raise InputError(f"table {table!r} has none of the columns {', '.join(wanted)}; it has {', '.join(names)}")
    return found
