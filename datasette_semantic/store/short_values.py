"""Which of some rows have a short value in a column: those that can be no more than what was typed.

FTS5 knows where a column begins, not where it ends; the length of the value in the user's own table tells that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..laws.quoting import quote
from ..records import IndexRecord, Source
from . import names
from .connection import Connection
from .source import json_list

__all__ = ["shortest"]


def shortest(
    connection: Connection,
    source: Source,
    index: IndexRecord,
    row_ids: Sequence[int],
    *,
    columns: Sequence[str],
    longest: int,
    limit: int,
    allowed: str | None = None,
    params: Mapping[str, Any] | None = None,
) -> list[int]:
    """Return up to `limit` of the rows that have one of `columns` no longer than `longest` characters, those with the
    shortest first.

    `allowed` is a subquery that yields the row_ids to choose from, `params` its parameters.
    """
    if not row_ids or not columns:
        return []
    lengths = ", ".join(f"ifnull(length(s.{quote(column)}), :semantic_longest + 1)" for column in columns)
    chosen = f" and f.value in ({allowed})" if allowed else ""
    # A cross join is not turned round: the rows given come first, each is then looked up.
    sql = (
        f"select f.value, min(:semantic_longest + 1, {lengths}) as semantic_shortest "
        f"from json_each(:semantic_rows) f cross join {_joined(source, index)} "
        f"where semantic_shortest <= :semantic_longest{chosen} order by semantic_shortest, 1 limit :semantic_limit"
    )
    values = {"semantic_rows": json_list(row_ids), "semantic_longest": longest, "semantic_limit": limit}
    return [row[0] for row in connection.execute(sql, {**(params or {}), **values}).fetchall()]


def _joined(source: Source, index: IndexRecord) -> str:
    """Return SQL that joins the user's table `s` with row_ids, `f.value`."""
    direct = names.direct_key(source)
    if direct is not None:
        return f"{quote(source.table)} s on s.{quote(direct)} = f.value"
    match = names.key_match(source, source_alias="s", row_alias="r", source_first=True)
    return f"{quote(index.row_table)} r on r.row_id = f.value cross join {quote(source.table)} s on {match}"
