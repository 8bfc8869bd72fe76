"""Models that are searched: `Note.hybrid_search("words").where(...)`, and the index that goes with their table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import and_
from typing import Any

from peewee import CTE, SCOPE_VALUES, SQL, Context, Model, Node, Select, fn

from ...api import Boosts, SemanticIndex
from ...config import DEFAULT_LIMIT
from ...records import IndexStatus, ListWeights, Progress, UpdateReport
from ...search.request import check_boosts
from ...store import catalog
from ..declaration import Declaration
from ..hits import FIELDS, HITS, HitsRequest, query_blob

__all__ = ["SemanticModel", "Where"]

Where = Node | Sequence[Node] | Mapping[str, Any] | None
"""Conditions on the model's own fields, a mapping in Datasette's grammar, `{"year__gte": 1990}`, or none."""


class SemanticModel(Model):
    """A model whose table has an index; `Meta.semantic`, a Declaration, says how it is made."""

    # --- reading ---

    @classmethod
    def hybrid_search(
        cls,
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
    ) -> Any:
        """Return a query for the `k` best rows, best first.

        Each instance has `score`, `rank`, `keyword_rank`, `semantic_rank`, `distance` and `passage`; where the model
        has a field of that name, `hit_score` and so on. `where` narrows the table before the search, so that `k` rows
        are found among those left; `.where()`, `.join()` and `.limit()` on the query work on what was found. `boost`,
        `diversity`, `weak` and the other options mean what they mean in `SemanticIndex.search`.
        A query for a model on the network is embedded here. Raises InputError; when run, also NoSuchIndex,
        DatabaseProblem.
        """
        sql, params = _condition(cls._meta.database, where)
        declared = cls._declaration()
        request = HitsRequest(
            table=cls._meta.table_name,
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
        return cls._ranked(request, query_blob(request.model, request))

    @classmethod
    def similar(
        cls, key: Any, *, where: Where = None, k: int = DEFAULT_LIMIT, boost: Boosts = None, diversity: float = 0.0
    ) -> Any:
        """Return a query for the `k` rows most like the row with this primary key (a value, or a tuple of them).

        Its instances are those of `hybrid_search`. When run it raises NoSuchRow, and what `hybrid_search` raises.
        """
        sql, params = _condition(cls._meta.database, where)
        values = tuple(key) if isinstance(key, tuple | list) else (key,)
        request = HitsRequest(
            cls._meta.table_name,
            like=values,
            limit=k,
            where=sql,
            params=params,
            boosts=check_boosts(boost),
            diversity=diversity,
        )
        return cls._ranked(request, None)

    # --- the index ---

    @classmethod
    def check_index(cls) -> SemanticIndex:
        """Return the index, made where it is not there, rebuilt or refused where the declaration says so.

        Raises IndexStateError, NoSuchIndex, and what `SemanticIndex.create` raises.
        """
        declared = cls._declaration()
        connection, table = cls._meta.database.connection(), cls._meta.table_name
        return declared.enforce(connection, table) if declared else SemanticIndex(connection, table)

    @classmethod
    def update_index(cls, *, progress: Callable[[Progress], None] | None = None) -> UpdateReport:
        """Embed the rows that are new or changed since, and drop what is gone. Raises ModelError, DatabaseProblem."""
        return cls.check_index().update(progress=progress)

    @classmethod
    def index_status(cls) -> IndexStatus:
        """Return what `sqlite-utils embeddings` lists: state, rows, chunks, pending, failed. Raises NoSuchIndex."""
        return SemanticIndex(cls._meta.database.connection(), cls._meta.table_name).status()

    @classmethod
    def drop_index(cls) -> None:
        """Remove the index; the table is as it was before. Raises NoSuchIndex."""
        SemanticIndex(cls._meta.database.connection(), cls._meta.table_name).drop()

    @classmethod
    def create_table(cls, safe: bool = True, **options: Any) -> None:
        """Make the table and, where one is declared, its index; an index that is there is held to its declaration."""
        super().create_table(safe, **options)
        if cls._declaration() is not None:
            cls.check_index()

    @classmethod
    def drop_table(cls, safe: bool = True, drop_sequences: bool = True, **options: Any) -> None:
        """Drop the index, then the table."""
        if catalog.find_or_none(cls._meta.database.connection(), cls._meta.table_name) is not None:
            cls.drop_index()
        super().drop_table(safe, drop_sequences, **options)

    # --- how it is done ---

    @classmethod
    def _declaration(cls) -> Declaration | None:
        return getattr(cls._meta, "semantic", None)

    @classmethod
    def _ranked(cls, request: HitsRequest, vector: bytes | None) -> Any:
        """Join the function's answer with the rows."""
        found = _hits(cls, request, vector)
        fields = cls._meta.get_primary_keys()
        same = [field == getattr(found.c, f"key_{field.column_name}") for field in fields]
        said = [getattr(found.c, name).alias(_attribute(cls, name)).bind_to(cls) for name in FIELDS]
        joined = cls.select(cls, *said).join(found, on=reduce(and_, same)).switch(cls)
        return joined.order_by(found.c.rank).with_cte(found)


def _hits(model: type[SemanticModel], request: HitsRequest, vector: bytes | None) -> CTE:
    """The function's answer as a table. Materialized: SQLite asks the function once, whatever it is joined with."""
    each = fn.json_each(getattr(fn, HITS)(request.to_json(), vector))
    fields = [
        fn.json_extract(SQL("value"), f'$.key."{field.column_name}"').alias(f"key_{field.column_name}")
        for field in model._meta.get_primary_keys()
    ]
    fields += [fn.json_extract(SQL("value"), f"$.{name}").alias(name) for name in FIELDS]
    return Select([each], fields).cte("semantic", materialized=True)


def _attribute(model: type[SemanticModel], name: str) -> str:
    return f"hit_{name}" if name in model._meta.combined else name


class _NamedContext(Context):
    """Peewee's writer of SQL, with named parameters in the place of question marks."""

    _sql: list[str]
    _values: list[Any]

    def value(self, *args: Any, **kwargs: Any) -> Any:
        number = len(self._values)
        super().value(*args, **kwargs)
        if len(self._values) == number + 1 and self._sql[-1] == "?":
            self._sql[-1] = f":semantic_where{number}"
        return self


def _condition(database: Any, where: Where) -> tuple[str | Mapping[str, Any] | None, Mapping[str, Any]]:
    """Return conditions as SQL over the table, and its named parameters."""
    if where is None or isinstance(where, Mapping):
        return where, {}
    conditions: list[Any] = list(where) if isinstance(where, list | tuple) else [where]
    if not conditions:
        return None, {}
    # In this scope columns are written by their bare names, as a filter on the one table wants them.
    # The database's options have SQLite's words for Peewee's operators: LIKE for ILIKE, GLOB for LIKE.
    options = database.get_context_options() | {"scope": SCOPE_VALUES}
    sql, values = _NamedContext(**options).sql(reduce(and_, conditions)).query()
    return sql, {f"semantic_where{number}": value for number, value in enumerate(values)}
