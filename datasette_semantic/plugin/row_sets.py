"""Sets of rows as SQL: those with certain keys, or those that pass filters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..laws.quoting import quote
from ..records import RowFilter, RowKey, Source
from ..store.source import conjunction

__all__ = ["RowSet", "rows_condition", "rows_that_pass", "rows_with_keys"]


@dataclass(frozen=True, slots=True)
class RowSet:
    """Some rows of a table."""

    source: Source
    condition: str
    params: Mapping[str, Any]
    count: int

    def select(self, columns: Sequence[str]) -> str:
        """Return a select of these columns and the key, without order or limit.

        Only what is counted, and the key by which rows differ: Datasette's array facet sorts everything it is given.
        """
        names = ", ".join(quote(name) for name in dict.fromkeys((*self.source.key_columns, *columns)))
        return f"select {names} from {quote(self.source.table)} where {self.condition}"


def rows_condition(source: Source, keys: Sequence[RowKey], parameter: str) -> tuple[str, str]:
    """Return SQL that picks the rows with these keys, and the value of its one parameter."""
    names = [quote(column) for column in source.key_columns]
    if len(names) == 1:
        left, right, packed = names[0], "value", json.dumps([key[0] for key in keys], default=_as_text)
    else:
        left, right = f"({', '.join(names)})", ", ".join(f"value ->> {place}" for place in range(len(names)))
        packed = json.dumps([list(key) for key in keys], default=_as_text)
    return f"{left} in (select {right} from json_each(:{parameter}))", packed


def rows_with_keys(source: Source, keys: Sequence[RowKey]) -> RowSet:
    """Return the rows with these keys; their order plays no part in counting."""
    condition, packed = rows_condition(source, keys, "semantic_keys")
    return RowSet(source, condition, {"semantic_keys": packed}, len(keys))


def rows_that_pass(source: Source, filters: Sequence[RowFilter], count: int) -> RowSet:
    """Return the rows of the whole table that pass the filters."""
    condition, params = conjunction(filters)
    return RowSet(source, condition, dict(params), count)


def _as_text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
