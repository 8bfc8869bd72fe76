"""Filters in Datasette's grammar, `column=value` and `column__operator=value`, as SQL over the user's table.

    exact (or none)  not  contains  notcontains  startswith  endswith  like  notlike  glob  gt  gte  lt  lte
    in  notin  arraycontains  arraynotcontains  date  isnull  notnull  isblank  notblank

Source: https://docs.datasette.io/en/stable/json_api.html#column-filter-arguments
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

from ..errors import BadFilter
from ..laws.quoting import quote
from ..records import RowFilter, Source
from ..store.source import check_columns

__all__ = ["OPERATORS", "parse_filters"]

_Maker = Callable[[str, str, Any], tuple[str, dict[str, Any]]]
"""Column as SQL, parameter name, value -> condition and parameters."""


def _compare(template: str, change: Callable[[Any], Any] = lambda value: value) -> _Maker:
    return lambda column, name, value: (template.format(c=column, p=name), {name: change(value)})


def _bare(template: str) -> _Maker:
    return lambda column, name, value: (template.format(c=column), {})


def _listed(word: str) -> _Maker:
    def make(column: str, name: str, value: Any) -> tuple[str, dict[str, Any]]:
        return f"cast({column} as text) {word} (select cast(value as text) from json_each(:{name}))", {
            name: json.dumps(_values(value))
        }

    return make


def _values(value: Any) -> list[Any]:
    """`a,b` or a JSON array, as Datasette takes them."""
    if isinstance(value, list | tuple):
        return list(value)
    text = str(value)
    if text.startswith("["):
        try:
            parsed = json.loads(text)
        except ValueError:
            parsed = None
        if isinstance(parsed, list):
            return parsed
    return [part.strip() for part in text.split(",")]


def _number(value: Any) -> Any:
    """Numbers typed as text compare as numbers, so that `year__gt=1990` means what it says on a column without a
    type."""
    if not isinstance(value, str):
        return value
    with suppress(ValueError):
        return int(value)
    with suppress(ValueError):
        return float(value)
    return value


_ARRAY = (
    "exists (select 1 from json_each(case when json_valid({c}) then {c} else '[]' end) where json_each.value = :{p})"
)

OPERATORS: Mapping[str, _Maker] = {
    "exact": _compare("{c} = :{p}"),
    "not": _compare("{c} != :{p}"),
    "contains": _compare("{c} like :{p}", lambda value: f"%{value}%"),
    "notcontains": _compare("{c} not like :{p}", lambda value: f"%{value}%"),
    "startswith": _compare("{c} like :{p}", lambda value: f"{value}%"),
    "endswith": _compare("{c} like :{p}", lambda value: f"%{value}"),
    "like": _compare("{c} like :{p}"),
    "notlike": _compare("{c} not like :{p}"),
    "glob": _compare("{c} glob :{p}"),
    "gt": _compare("{c} > :{p}", _number),
    "gte": _compare("{c} >= :{p}", _number),
    "lt": _compare("{c} < :{p}", _number),
    "lte": _compare("{c} <= :{p}", _number),
    "in": _listed("in"),
    "notin": _listed("not in"),
    "arraycontains": _compare(_ARRAY),
    "arraynotcontains": _compare(f"not {_ARRAY}"),
    "date": _compare("date({c}) = :{p}"),
    "isnull": _bare("{c} is null"),
    "notnull": _bare("{c} is not null"),
    "isblank": _bare("({c} is null or {c} = '')"),
    "notblank": _bare("({c} is not null and {c} != '')"),
}


def parse_filters(source: Source, where: str | Mapping[str, Any]) -> tuple[RowFilter, ...]:
    """Return the filters of a mapping `{"year__gte": 1990}` or of a query string
    `year__gte=1990&genres__arraycontains=Drama`.

    Raises NoSuchColumn, and BadFilter for an operator that Datasette does not have or a value that is no scalar.
    """
    return tuple(_one(source, number, name, value) for number, (name, value) in enumerate(_pairs(where)))


def _pairs(where: str | Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    if isinstance(where, str):
        return parse_qsl(where, keep_blank_values=True)
    if not isinstance(where, Mapping):
        raise BadFilter(f"a filter is an object of column__operator to value, or a query string, not {where!r}")
    return [(str(name), value) for name, value in where.items()]


def _one(source: Source, number: int, name: str, value: Any) -> RowFilter:
    column, separator, operator = name.rpartition("__")
    if not separator or name in source.column_names:
        column, operator = name, "exact"
    if operator not in OPERATORS:
        raise BadFilter(f"unknown filter operator {operator!r} in {name!r}; there are: {', '.join(OPERATORS)}")
    if isinstance(value, dict) or (isinstance(value, list | tuple) and operator not in ("in", "notin")):
        raise BadFilter(f"the filter {name!r} takes one value, not {value!r}")
    if isinstance(value, bool):
        value = int(value)
    spelled = column if column in source.key_columns else check_columns(source, (column,))[0]
    sql, params = OPERATORS[operator](quote(spelled), f"semantic_filter{number}", value)
    return RowFilter(sql=sql, params=params, description=f"{spelled} {operator} {value}")
