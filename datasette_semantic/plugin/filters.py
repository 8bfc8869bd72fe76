"""Conditions on columns, in Datasette's grammar, read by Datasette's own class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from datasette.filters import Filters

from ..errors import BadFilter
from ..records import RowFilter
from .query_string import Pair, QueryString

__all__ = ["ActiveFilter", "Conditions", "Operator", "operators", "read_filters"]


@dataclass(frozen=True, slots=True)
class ActiveFilter:
    """A condition that holds on the page, and the address of the page without it."""

    text: str
    """In words: `year > 1990`."""
    remove_url: str


@dataclass(frozen=True, slots=True)
class Conditions:
    """All conditions of a query string."""

    filters: tuple[RowFilter, ...]
    """Hold before ranking."""
    within: tuple[RowFilter, ...]
    """Facet values that were picked: they narrow the match set."""
    active: tuple[ActiveFilter, ...]
    """All of them, for the page."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One way to compare a column with a value."""

    name: str
    """As the form sends it: an operator without an argument carries a value of its own (`isnull__1`)."""
    label: str


def operators() -> tuple[Operator, ...]:
    """Return every operator that this Datasette knows, in its order."""
    return tuple(
        Operator(f"{name}__1" if no_argument else name, label) for name, label, no_argument in Filters([]).lookups()
    )


def read_filters(query: QueryString, *, table: str, columns: Sequence[str], wheres_allowed: bool) -> Conditions:
    """Return the conditions of a query string for the search, and for the page.

    Raises BadFilter that names the condition and says what there is instead.
    """
    if not query.filters and not query.wheres:
        return Conditions((), (), ())
    known = {name for name, _label, _no_argument in Filters([]).lookups()}
    for column, operator, _value in Filters(query.filters).selections():
        if column not in columns:
            raise BadFilter(f"cannot filter by {column!r}: the table has {', '.join(columns)}")
        if operator not in known:
            raise BadFilter(f"cannot filter {column!r} by {operator!r}: there are {', '.join(sorted(known))}")
    if query.wheres and not wheres_allowed:
        raise BadFilter("_where= is only for those who may run SQL on this database")
    picks = query.picks
    before = _conditions([pair for pair in query.filters if pair not in picks], table)
    wheres = tuple(RowFilter(f"({where})", {}, where) for where in query.wheres)
    return Conditions(before + wheres, _conditions(picks, table, prefix="within_"), _active(query, columns))


def _conditions(pairs: Sequence[Pair], table: str, *, prefix: str = "") -> tuple[RowFilter, ...]:
    """Return one condition for all pairs; `prefix` keeps its parameters apart from those of another."""
    if not pairs:
        return ()
    try:
        clauses, params = Filters(pairs).build_where_clauses(table)
        description = Filters(pairs).human_description_en()
    except (ValueError, TypeError) as error:  # `column__in=[broken`
        raise BadFilter(f"a filter's value cannot be read: {error}") from error
    sql = " and ".join(f"({clause})" for clause in clauses)
    renamed = re.sub(r":(p\d+)\b", rf":{prefix}\1", sql) if prefix else sql
    return (RowFilter(renamed, {f"{prefix}{name}": value for name, value in params.items()}, description),)


def _active(query: QueryString, columns: Sequence[str]) -> tuple[ActiveFilter, ...]:
    active = []
    written = {(_spelt_out(key, columns), value): (key, value) for key, value in query.pairs}
    for key, value in query.filters:
        text = Filters([(key, value)]).human_description_en().removeprefix("where ")
        active.append(ActiveFilter(text, query.link(remove=[written.get((key, value), (key, value))])))
    active += [ActiveFilter(where, query.link(remove=[("_where", where)])) for where in query.wheres]
    return tuple(active)


def _spelt_out(key: str, columns: Sequence[str]) -> str:
    return f"{key}__exact" if key in columns and not key.startswith("_") else key


def selections(query: QueryString) -> list[tuple[str, str, Any]]:
    """Return `(column, operator, value)` of each condition."""
    return list(Filters(query.filters).selections())
