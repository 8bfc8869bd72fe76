"""The SQL functions, for any connection: `embed`, `hybrid_search`, `similar_rows`.

    select a.*, r.value ->> 'score' as score
    from json_each(hybrid_search('articles', :q, 20)) r join articles a on a.id = r.value ->> 'id'
    order by r.key

They only read. A model that may reach the network is called only where the connection was prepared with its name among
`allow_models`; without leave, hybrid search answers by words alone.

SQLite replaces the message of a Python exception by "user-defined function raised exception", so the two search
functions return `{"error": message}` instead: `select hybrid_search(...)` shows it, and `value ->> 'id'` over it
fails as malformed JSON rather than passing for a search without results.
"""

from __future__ import annotations

import base64
import json
import weakref
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any

from .config import DEFAULT_LIMIT, DEFAULT_MODEL
from .errors import BadOption, ModelNotAllowed, SemanticError
from .store.connection import Connection

__all__ = ["OPTIONS", "register"]

OPTIONS = (
    "mode",
    "where",
    "exact",
    "weights",
    "fusion",
    "rrf_k",
    "boost",
    "diversity",
    "columns",
    "offset",
    "weak",
)
"""The names that the options object may hold."""

_PROBE = "semantic_functions"


def register(connection: Connection, *, allow_models: Collection[str] = ()) -> None:
    """Give a connection our SQL functions and, where it can load extensions, sqlite-vec's.

    Cheap, idempotent: a connection that has them keeps them as they are. Without sqlite-vec the functions are there
    all the same and search by words. Nothing heavy is imported until a function is called.
    """
    from .errors import ExtensionMissing
    from .store.connection import prepare

    if _registered(connection):
        return
    with suppress(ExtensionMissing):  # the functions say so when they are called: this must never stop a server
        prepare(connection)
    functions = _Functions(connection, frozenset(allow_models))
    connection.create_function(_PROBE, 0, lambda: 1)
    connection.create_function("embed", 1, functions.embed, deterministic=True)
    connection.create_function("embed", 2, functions.embed, deterministic=True)
    for count in (2, 3, 4):
        connection.create_function("hybrid_search", count, functions.hybrid_search)
        connection.create_function("similar_rows", count, functions.similar_rows)


def _registered(connection: Connection) -> bool:
    return connection.execute("select 1 from pragma_function_list where name = ?", (_PROBE,)).fetchone() is not None


class _Functions:
    """The functions of one connection."""

    def __init__(self, connection: Connection, allow_models: frozenset[str]) -> None:
        # The connection holds these functions: a plain reference back would keep both alive for ever.
        try:
            self._connection: Callable[[], Connection | None] = weakref.ref(connection)
        except TypeError:
            self._connection = lambda: connection
        self._allow_models = allow_models

    def embed(self, text: str | None, model: str | None = None) -> bytes | None:
        """Return the float32 BLOB of a text's unit vector; NULL for NULL."""
        from .embedding.models import embedder
        from .laws.vectors import to_blob

        if text is None:
            return None
        name = model or DEFAULT_MODEL
        self._check_model(name)
        return to_blob(embedder(name).embed_query(str(text)))

    def hybrid_search(self, table: str, query: str | None, k: int | None = None, options: str | None = None) -> str:
        """Return the results as a JSON array of records."""
        return self._answer(lambda: self._search(table, "" if query is None else str(query), k, _options(options)))

    def similar_rows(self, table: str, key: Any, k: int | None = None, options: str | None = None) -> str:
        """Return rows like a row as a JSON array of records; a compound key is given as a JSON array."""
        return self._answer(lambda: self._similar(table, _key(key), k, _options(options)))

    def _answer(self, work: Callable[[], list[dict[str, Any]]]) -> str:
        from .store.connection import translated

        try:
            with translated():
                return json.dumps(work(), default=_encode, ensure_ascii=False)
        except SemanticError as error:
            return json.dumps({"error": str(error)}, ensure_ascii=False)

    def _search(self, table: str, query: str, k: int | None, options: Mapping[str, Any]) -> list[dict[str, Any]]:
        from . import api
        from .laws.fts_query import parse
        from .search.filters import parse_filters
        from .search.request import check_weights, weights_of

        index = api.SemanticIndex(self._open(), table)
        weights = options.get("weights")
        fusion, rrf_k = options.get("fusion"), options.get("rrf_k")
        given = any(each is not None for each in (weights, fusion, rrf_k))
        chosen = check_weights(weights, fusion=fusion, rrf_k=rrf_k, default=weights_of(index.record))
        mode = options.get("mode", "hybrid")
        if mode == "hybrid" and parse(query).text.strip() and not self._allowed(index.record.model):
            mode = "keyword"
        elif mode == "semantic":
            self._check_model(index.record.model)
        results = index.search(
            query,
            mode=mode,
            limit=DEFAULT_LIMIT if k is None else k,
            offset=options.get("offset", 0),
            where=parse_filters(index.source, options.get("where") or {}),
            weights=chosen if given else None,
            boost=options.get("boost"),
            diversity=options.get("diversity") or 0.0,
            exact=bool(options.get("exact", False)),
            weak=bool(options.get("weak", False)),
            columns=options.get("columns", ()),
        )
        return [hit.as_dict(results.key_columns) for hit in results]

    def _similar(
        self, table: str, key: tuple[Any, ...], k: int | None, options: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        from .api import SemanticIndex
        from .search.filters import parse_filters

        index = SemanticIndex(self._open(), table)
        results = index.similar(
            key,
            limit=DEFAULT_LIMIT if k is None else k,
            where=parse_filters(index.source, options.get("where") or {}),
            boost=options.get("boost"),
            diversity=options.get("diversity") or 0.0,
            columns=options.get("columns", ()),
        )
        return [hit.as_dict(results.key_columns) for hit in results]

    def _open(self) -> Connection:
        connection = self._connection()
        if connection is None:
            raise SemanticError("the connection is closed")
        return connection

    def _allowed(self, model: str) -> bool:
        return model == DEFAULT_MODEL or model in self._allow_models

    def _check_model(self, model: str) -> None:
        if not self._allowed(model):
            raise ModelNotAllowed(
                f"model {model!r} may reach the network, which SQL functions do not without leave; "
                f'allow it in the configuration ("sql_models": ["{model}"]), or use the command or the page'
            )


def _options(text: str | None) -> Mapping[str, Any]:
    if text is None or text == "":
        return {}
    try:
        options = json.loads(text)
    except (TypeError, ValueError) as error:
        raise BadOption(f"the options are not JSON ({error}): {text!r}") from error
    if not isinstance(options, dict):
        raise BadOption(f"the options are a JSON object, not {text!r}")
    unknown = [name for name in options if name not in OPTIONS]
    if unknown:
        raise BadOption(f"unknown option(s) {', '.join(map(repr, unknown))}; there are: {', '.join(OPTIONS)}")
    return options


def _key(key: Any) -> tuple[Any, ...]:
    if isinstance(key, str) and key.startswith("["):
        try:
            parsed = json.loads(key)
        except ValueError:
            return (key,)
        if isinstance(parsed, list):
            return tuple(parsed)
    return (key,)


def _encode(value: Any) -> Any:
    """BLOBs as Datasette writes them."""
    if isinstance(value, bytes):
        return {"$base64": True, "encoded": base64.b64encode(value).decode("ascii")}
    raise TypeError(f"not a value of SQLite: {value!r}")
