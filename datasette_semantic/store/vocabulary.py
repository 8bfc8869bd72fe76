"""The words that a keyword index holds, read through FTS5's own view of them.

The views are temporary tables of the connection, gone with it or with the index: they work on a file that is only read.
Source: https://sqlite.org/fts5.html#the_fts5vocab_virtual_table_module
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Literal, get_args

from ..laws.quoting import quote, quote_string
from ..records import IndexRecord, KeywordSpec, Source
from . import names
from .connection import Connection

__all__ = ["forget", "rows_with_term", "terms_beginning"]

_LAST = "\U0010ffff"

_Kind = Literal["row", "instance"]


def terms_beginning(
    connection: Connection, index: IndexRecord, prefixes: Iterable[str], *, lengths: tuple[int, int], limit: int
) -> Iterator[tuple[str, int]]:
    """Yield up to `limit` terms that begin so, from the least to the greatest of `lengths`, each with the number of
    rows that hold it."""
    if index.keyword is None:
        return
    view = _view(connection, index.keyword, "row")
    rows = connection.execute(
        f"select term, doc from json_each(?) cross join {view} on term >= value and term < value || ? "
        "where length(term) between ? and ? limit ?",
        (json.dumps(list(prefixes)), _LAST, *lengths, limit),
    )
    yield from ((row[0], row[1]) for row in rows.fetchall())


def rows_with_term(connection: Connection, source: Source, index: IndexRecord, term: str, *, limit: int) -> list[int]:
    """Return the row_ids of up to `limit` rows that hold a term, which is taken as it stands in the index.

    (MATCH would stem it once more.) Empty where the rowids of FTS5 are not our row_ids: in a user's own FTS5 table over
    rows without an integer key.
    """
    spec = index.keyword
    if spec is None or not (spec.owned or names.direct_key(source) is not None):
        return []
    view = _view(connection, spec, "instance")
    found = connection.execute(f"select doc from {view} where term = ? limit ?", (term, limit)).fetchall()
    return list(dict.fromkeys(row[0] for row in found))


def forget(connection: Connection, fts_table: str) -> None:
    """Drop the views of an FTS5 table that goes, or whose index does."""
    for kind in get_args(_Kind):
        connection.execute(f"drop table if exists {_name(fts_table, kind)}")


def _view(connection: Connection, spec: KeywordSpec, kind: _Kind) -> str:
    view = _name(spec.fts_table, kind)
    fts = quote_string(spec.fts_table)
    connection.execute(f"create virtual table if not exists {view} using fts5vocab(main, {fts}, {kind})")
    return view


def _name(fts_table: str, kind: _Kind) -> str:
    return f"temp.{quote(f'semantic_{kind}_{fts_table}')}"
