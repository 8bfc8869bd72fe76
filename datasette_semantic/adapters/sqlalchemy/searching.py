"""Statements that search: ranked rows of a mapped class, with their scores, in one query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import (
    CTE,
    ColumnElement,
    Float,
    Integer,
    LargeBinary,
    Select,
    String,
    and_,
    bindparam,
    column,
    func,
    inspect,
    literal,
    select,
    true,
    type_coerce,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import Session
from sqlalchemy.util import concurrency

from ...api import Boosts
from ...config import DEFAULT_LIMIT
from ...errors import BadOption
from ...ingest.staleness import ASKED
from ...records import ListWeights
from ...search.request import check_boosts
from ..hits import FIELDS, HITS, HitsRequest, query_blob
from ..packing import pack
from .declaring import declaration_of
from .vectors import Vector

__all__ = ["Where", "hits", "hybrid_search", "nearest", "similar"]

_Entity = TypeVar("_Entity")

Where = Sequence[ColumnElement[bool]] | ColumnElement[bool] | Mapping[str, Any] | None
"""Conditions on the model's own columns, a mapping in Datasette's grammar, `{"year__gte": 1990}`, or none."""

_TYPES: dict[str, Any] = {
    "score": Float(),
    "rank": Integer(),
    "keyword_rank": Integer(),
    "semantic_rank": Integer(),
    "distance": Float(),
    "passage": String(),
}


def hybrid_search(
    model: type[_Entity],
    query: str,
    *,
    where: Where = None,
    k: int = DEFAULT_LIMIT,
    mode: str = "hybrid",
    offset: int = 0,
    weights: ListWeights | None = None,
    boost: Boosts = None,
    diversity: float = 0.0,
    exact: bool = False,
    weak: bool = False,
    session: Session | None = None,
) -> Select[Any]:
    """Return a statement for the `k` best rows, best first: `(instance, score, rank, keyword_rank, semantic_rank,
    distance, passage)`.

    `where` narrows the table before the search, so that `k` rows are found among those left; `.where()`, `.join()`
    and `.limit()` on the statement work on what was found. `boost`, `diversity`, `weak` and the other options mean what
    they mean in `SemanticIndex.search`. Any session on a prepared engine executes it, sync or
    async. With `session` the index is held to its declaration, and a query for a model on the network is embedded,
    now rather than when the statement is executed.

    Raises BadOption, BadFilter; when executed: NoSuchIndex, InputError, DatabaseProblem.
    """
    found = hits(
        model,
        query,
        where=where,
        k=k,
        mode=mode,
        offset=offset,
        weights=weights,
        boost=boost,
        diversity=diversity,
        exact=exact,
        weak=weak,
        session=session,
    )
    return _with_rows(model, found)


def similar(
    model: type[_Entity],
    key: Any,
    *,
    where: Where = None,
    k: int = DEFAULT_LIMIT,
    boost: Boosts = None,
    diversity: float = 0.0,
) -> Select[Any]:
    """Return a statement for the `k` rows most like the row with this primary key (a value, or a tuple of them).

    Its rows are those of `hybrid_search`. When executed it raises NoSuchRow, and what `hybrid_search` raises.
    """
    sql, params = _condition(model, where)
    values = tuple(key) if isinstance(key, tuple | list) else (key,)
    request = HitsRequest(
        _table(model).name,
        like=values,
        limit=k,
        where=sql,
        params=params,
        boosts=check_boosts(boost),
        diversity=diversity,
    )
    return _with_rows(model, _cte(model, request, literal(None, LargeBinary())))


def hits(
    model: type[Any],
    query: str,
    *,
    where: Where = None,
    k: int = DEFAULT_LIMIT,
    mode: str = "hybrid",
    offset: int = 0,
    weights: ListWeights | None = None,
    boost: Boosts = None,
    diversity: float = 0.0,
    exact: bool = False,
    weak: bool = False,
    session: Session | None = None,
) -> CTE:
    """Return the ranking by itself, to be joined as you like: a column per primary key column, then `score`, `rank`,
    `keyword_rank`, `semantic_rank`, `distance`, `passage`. Key columns of the same name come first as `key_<name>`.
    """
    sql, params = _condition(model, where)
    declared = declaration_of(model)
    request = HitsRequest(
        table=_table(model).name,
        query=query,
        mode=mode,
        limit=k,
        offset=offset,
        where=sql,
        params=params,
        weights=weights,
        boosts=check_boosts(boost),
        diversity=diversity,
        exact=exact,
        weak=weak,
        model=declared.model if declared else None,
        asked=declared.asked if declared else {},
    )
    if session is None:
        vector = bindparam(
            "semantic_vector", unique=True, type_=LargeBinary(), callable_=lambda: _ask(request.model, request)
        )
        return _cte(model, request, vector)
    from .declaring import check

    record = check(session, model).record
    request = replace(request, model=record.model, asked=record.settings.get(ASKED) or {})
    return _cte(model, request, literal(query_blob(request.model, request), LargeBinary()))


def nearest(model: type[_Entity], attribute: Any, vector: Any, *, k: int = DEFAULT_LIMIT) -> Select[Any]:
    """Return a statement for the `k` rows of a vec0 class whose `attribute` is nearest to `vector`:
    `(instance, distance)`, nearest first.

    For classes with `sqlite_using="vec0"`. Raises BadVector, and BadOption where the attribute is no Vector.
    """
    kind = attribute.type
    if not isinstance(kind, Vector):
        raise BadOption(f"{attribute} is not a Vector column")
    blob = literal(pack(vector, dimensions=kind.dimensions), LargeBinary())
    distance = column("distance", Float(), _selectable=_table(model))  # vec0's hidden column
    match = attribute.expression.op("match", is_comparison=True)(type_coerce(blob, LargeBinary()))
    columns: tuple[Any, ...] = (model, distance)
    return select(*columns).where(match, column("k") == k).order_by(distance)


def _with_rows(model: type[Any], found: CTE) -> Select[Any]:
    """Join a ranking with the rows of its class."""
    same = and_(*(found.c[_key_name(column.name)] == column for column in _table(model).primary_key.columns))
    return (
        select(model, *(found.c[name] for name in FIELDS)).select_from(found).join(model, same).order_by(found.c.rank)
    )


def _cte(model: type[Any], request: HitsRequest, vector: ColumnElement[Any]) -> CTE:
    """The function's answer as a table. Materialized: SQLite asks the function once, whatever it is joined with."""
    each = func.json_each(getattr(func, HITS)(request.to_json(), vector)).table_valued("value")
    fields = [
        type_coerce(func.json_extract(each.c.value, f'$.key."{column.name}"'), column.type).label(
            _key_name(column.name)
        )
        for column in _table(model).primary_key.columns
    ]
    fields += [type_coerce(func.json_extract(each.c.value, f"$.{name}"), _TYPES[name]).label(name) for name in FIELDS]
    return select(*fields).cte("semantic").prefix_with("MATERIALIZED", dialect="sqlite")


def _key_name(name: str) -> str:
    return f"key_{name}" if name in FIELDS else name


def _ask(model: str | None, request: HitsRequest) -> bytes | None:
    """Return the query's vector just before the statement is executed; an event loop goes on meanwhile."""
    if concurrency.in_greenlet():
        import asyncio

        wait = getattr(concurrency, "await_", None) or concurrency.await_only  # 2.1, 2.0
        blob: bytes | None = wait(asyncio.to_thread(query_blob, model, request))
        return blob
    return query_blob(model, request)


def _table(model: type[Any]) -> Any:
    return inspect(model).local_table


def _condition(model: type[Any], where: Where) -> tuple[str | Mapping[str, Any] | None, Mapping[str, Any]]:
    """Return conditions as SQL over the table, and its named parameters."""
    kinds = _kinds(model)
    if isinstance(where, Mapping):
        if kinds:
            raise BadOption(f"{model.__name__} shares its table with other classes: give `where` as conditions on it")
        return where, {}
    given = [where] if isinstance(where, ColumnElement) else list(where or ())
    conditions: list[ColumnElement[bool]] = [*kinds, *given]
    if not conditions:
        return None, {}
    compiled = and_(true(), *conditions).compile(dialect=_DIALECT)
    expanded = compiled.construct_expanded_state(compiled.params)
    params = {
        name: expanded.processors[name](value) if name in expanded.processors else value
        for name, value in expanded.parameters.items()
    }
    return expanded.statement, params


def _kinds(model: type[Any]) -> list[ColumnElement[bool]]:
    """Return the condition that tells a class's rows from those of others in the same table (single-table
    inheritance), so that the `k` best are chosen among its own."""
    mapper = inspect(model)
    if not mapper.single:
        return []
    return [mapper.polymorphic_on.in_([each.polymorphic_identity for each in mapper.self_and_descendants])]


_DIALECT = sqlite.dialect(paramstyle="named")
