"""The names of an index's companions, and the SQL that leads from a row's key to its row_id.

A table may have several indexes: one that answers, one being built, one kept. Each has a *version*, from 1, that tells
their companions apart. Vectors and words of the one that answers bear the names that people know: TABLE_vec, TABLE_fts.
"""

from __future__ import annotations

from typing import Any, Final

from ..config import OWN_PREFIX
from ..laws.quoting import quote
from ..records import IndexRecord, Source

__all__ = [
    "TRIGGERS",
    "VERSION",
    "aside_fts",
    "aside_vec",
    "chunk_table",
    "content_view",
    "direct_key",
    "key_match",
    "parts_table",
    "probe_index",
    "replaced_table",
    "row_id_of",
    "row_table",
    "saving_table",
    "trigger_names",
    "vec_table",
    "version_of",
]

TRIGGERS: Final = ("before_insert", "before_update", "insert", "update", "rekey", "delete", "settled")


VERSION: Final = "version"
"""The setting that holds an index's version."""


def version_of(index: IndexRecord) -> int:
    version: Any = index.settings.get(VERSION, 1)
    return int(version)


def vec_table(table: str) -> str:
    return f"{table}_vec"


def aside_vec(table: str, version: int) -> str:
    """The vectors of an index that does not answer."""
    return f"{OWN_PREFIX}vec{version}_{table}"


def aside_fts(table: str, version: int) -> str:
    """The words of an index that does not answer."""
    return f"{OWN_PREFIX}fts{version}_{table}"


def row_table(table: str, version: int = 1) -> str:
    return _named("rows", table, version)


def chunk_table(table: str, version: int = 1) -> str:
    return _named("chunks", table, version)


def parts_table(index: IndexRecord) -> str:
    """Holds the values of the column by which a partitioned index keeps its vectors apart, each with its number."""
    return _named("parts", index.table, version_of(index))


def probe_index(source: Source) -> str:
    """An index on the user's table that is there for the time of a question."""
    return f"{OWN_PREFIX}probe_{source.table}"


def content_view(index: IndexRecord) -> str:
    """The view that FTS5 reads where the table's own rowid or column names will not do."""
    return _named("text", index.table, version_of(index))


def replaced_table(index: IndexRecord) -> str:
    """Holds, within one statement, the rows that INSERT OR REPLACE may be about to remove, with their text."""
    return _named("replaced", index.table, version_of(index))


def saving_table(table: str) -> str:
    """Holds related rows while they are being found: it takes its own name once it is complete."""
    return f"{OWN_PREFIX}saving_{table}"


def trigger_names(index: IndexRecord) -> tuple[str, ...]:
    """The names of the triggers, in the order of TRIGGERS."""
    return tuple(_named(event, index.table, version_of(index)) for event in TRIGGERS)


def _named(what: str, table: str, version: int) -> str:
    return f"{OWN_PREFIX}{what}{version if version > 1 else ''}_{table}"


def direct_key(source: Source) -> str | None:
    """Return the column that serves as row_id by itself, None where rows need a line in the row table to have one.

    A table without any primary key lends its rowid, which `steady` keeps as it is.
    """
    if source.rowid_key is not None:
        return source.rowid_key
    return None if source.declared_key else source.key_columns[0]


def key_match(source: Source, *, source_alias: str, row_alias: str, source_first: bool) -> str:
    """Return SQL joining the source to the row table.

    The left side of a comparison gives the collation, and only an index of that collation can serve: put the side
    that is to be looked up first.
    """
    pairs = [(f"{source_alias}.{quote(column)}", f"{row_alias}.k{n}") for n, column in enumerate(source.key_columns)]
    return " and ".join(f"{s} = {r}" if source_first else f"{r} = {s}" for s, r in pairs)


def row_id_of(source: Source, index: IndexRecord, alias: str) -> str:
    """Return an SQL expression for the row_id of the row `alias` (`new`, `old`, or a table alias)."""
    direct = direct_key(source)
    if direct is not None:
        return f"{alias}.{quote(direct)}"
    match = key_match(source, source_alias=alias, row_alias="r", source_first=False)
    return f"(select r.row_id from {quote(index.row_table)} r where {match})"
