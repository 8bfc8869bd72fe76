"""Row keys as the doc_ids of judgments and runs.

A key of one column is its value as text: 42 is "42". A compound key is a JSON array of its values as text, in the order
of the key's columns: ["2024", "de"]. Judgments may write it with any spacing and with numbers: [2024, "de"].
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..laws.quoting import quote
from ..store.source import json_list

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..records import Cell, RowKey, Source
    from ..store.connection import Connection
    from .judgments import Qrels

__all__ = ["count_missing", "doc_id", "with_row_keys"]


def doc_id(key: RowKey) -> str:
    """Return a row key as a doc_id."""
    parts = [_text(part) for part in key]
    return parts[0] if len(parts) == 1 else json.dumps(parts, ensure_ascii=False)


def with_row_keys(qrels: Qrels, source: Source) -> Qrels:
    """Return judgments whose doc_ids are spelt as `doc_id` spells this table's keys."""
    if len(source.key_columns) == 1:
        return qrels
    return {
        query_id: {_respelt(name): relevance for name, relevance in judged.items()}
        for query_id, judged in qrels.items()
    }


def count_missing(connection: Connection, source: Source, names: Iterable[str]) -> int:
    """Return how many of these doc_ids are no row of the table."""
    compound = len(source.key_columns) > 1
    keys = [name if compound else json.dumps([name]) for name in names]
    fits = " and ".join(
        f"t.{quote(column)} = json_extract(j.value, '$[{place}]')" for place, column in enumerate(source.key_columns)
    )
    sql = (
        "select count(*) from json_each(?) j where not json_valid(j.value) "
        f"or not exists (select 1 from {quote(source.table)} t where {fits})"
    )
    (missing,) = connection.execute(sql, (json_list(keys),)).fetchone()
    return int(missing)


def _respelt(name: str) -> str:
    try:
        parts = json.loads(name)
    except ValueError:
        return name
    return doc_id(tuple(parts)) if isinstance(parts, list) else name


def _text(part: Cell) -> str:
    return part.hex() if isinstance(part, bytes) else str(part)
