"""The ranking of a search as an SQL function, so that an ORM can join it with rows in one statement.

    select n.*, h.value ->> 'score'
    from json_each(semantic_hits(:request, :vector)) h join notes n on n.id = h.value -> 'key' ->> 'id'
    order by h.key

It is not among the functions that are given to a site's visitors: it takes any SQL as a filter and asks any model.
SQLite hides what a Python function raises; `semantic_last_error()` returns it, once.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import json
import logging
import uuid
import weakref
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, field
from functools import lru_cache
from typing import Any

import datasette_semantic

from .. import errors
from ..api import SemanticIndex
from ..config import DEFAULT_LIMIT, DEFAULT_MODEL
from ..embedding.models import Embedder, embedder
from ..embedding.profiles import choose_manner, manner_of
from ..errors import BadOption, BadVector, ModelError, SemanticError
from ..laws.fts_query import parse
from ..laws.vectors import from_blob, to_blob
from ..records import Boost, Hit, ListWeights, SearchResults
from ..search.request import check_diversity, check_limit, check_mode, check_offset
from ..store.connection import Connection, translated

__all__ = [
    "FIELDS",
    "HITS",
    "RAISED",
    "HitsRequest",
    "last_error",
    "prepare",
    "query_blob",
]

HITS = "semantic_hits"
LAST_ERROR = "semantic_last_error"

RAISED = "user-defined function raised exception"
"""All that SQLite says of an exception in a Python function."""

FIELDS = ("score", "rank", "keyword_rank", "semantic_rank", "distance", "passage")
"""What a hit says besides its row, in the contract's order."""

_WORDS_ONLY = b""
"""In the vector's place: the model had its chance and failed."""

_log = logging.getLogger("datasette_semantic")


@dataclass(frozen=True, slots=True)
class HitsRequest:
    """A search as the SQL function takes it. Options are checked when it is made: BadOption."""

    table: str
    query: str = ""
    like: tuple[Any, ...] | None = None
    """The primary key of the row that hits are to be like."""
    mode: str = "hybrid"
    limit: int = DEFAULT_LIMIT
    offset: int = 0
    where: str | Mapping[str, Any] | None = None
    """SQL over the table's columns, or a mapping in Datasette's grammar."""
    params: Mapping[str, Any] = field(default_factory=dict)
    weights: ListWeights | None = None
    boosts: tuple[Boost, ...] = ()
    diversity: float = 0.0
    exact: bool = False
    weak: bool = False
    model: str | None = None
    """The model that is asked for the query's vector, where the code names it."""
    asked: Mapping[str, Any] = field(default_factory=dict)
    """How it is asked, as far as the code says so: `task`, `dimensions`, `query_prefix`, `document_prefix`."""

    def __post_init__(self) -> None:
        check_mode(self.mode)
        check_limit(self.limit)
        check_offset(self.offset)
        check_diversity(self.diversity)
        if not isinstance(self.query, str):
            raise BadOption(f"a query is text, not {self.query!r}")

    def to_json(self) -> str:
        """Return the request as the function's argument."""
        weights = self.weights and list(astuple(self.weights))
        boosts = [astuple(each) for each in self.boosts]
        record = {name: getattr(self, name) for name in self.__slots__} | {"weights": weights, "boosts": boosts}
        return json.dumps(record, default=_encode, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> HitsRequest:
        """Return the request that `to_json` wrote."""
        fields = json.loads(text, object_hook=_decode)
        weights, like = fields["weights"], fields["like"]
        fields["weights"] = weights and ListWeights(*weights)
        fields["boosts"] = tuple(Boost(*each) for each in fields["boosts"])
        fields["like"] = like if like is None else tuple(like)
        return cls(**fields)


def prepare(connection: Connection) -> None:
    """Give a connection sqlite-vec, our SQL functions and `semantic_hits`; extension loading is left switched off.

    Raises ExtensionMissing, with the cure, where this SQLite cannot load extensions.
    """
    datasette_semantic.prepare_connection(connection)
    functions = _Functions(connection)
    connection.create_function(HITS, 2, functions.hits)
    connection.create_function(LAST_ERROR, 0, functions.last_error)


def last_error(told: str | None) -> SemanticError | None:
    """Return the error that `semantic_last_error()` told of."""
    if told is None:
        return None
    record = json.loads(told)
    kind = getattr(errors, record["type"], SemanticError)
    error: SemanticError = kind(record["message"])
    return error


def query_blob(model: str | None, request: HitsRequest) -> bytes | None:
    """Return the query's vector, asked for before SQLite is at work, so that no lock is held while a network answers.

    None leaves the asking to the function: for the built-in model, which takes microseconds, and where the code does
    not say which model the index has. Raises ModelError where only nearness is asked for and the model fails.
    """
    text = parse(request.query).text
    if model in (None, DEFAULT_MODEL) or request.mode == "keyword" or request.like is not None or not text.strip():
        return None
    try:
        return _embedded(str(model), tuple(request.asked.items()), text)
    except BadVector:
        return _WORDS_ONLY
    except ModelError as error:
        if request.mode == "semantic":
            raise
        _log.warning("search by meaning is off for now: %s", error)
        return _WORDS_ONLY


@lru_cache(maxsize=256)
def _embedded(model: str, asked: tuple[tuple[str, Any], ...], text: str) -> bytes:
    return to_blob(_embedder(model, dict(asked)).embed_query(text))


def _embedder(model: str, asked: Mapping[str, Any]) -> Embedder:
    """Return the embedder that a declaration of this model makes an index with."""
    return embedder(model, choose_manner(embedder(model).model_id, **asked))


class _Functions:
    """The functions of one connection."""

    def __init__(self, connection: Connection) -> None:
        # The connection holds these functions: a plain reference back would keep both alive for ever.
        try:
            self._connection: Callable[[], Connection | None] = weakref.ref(connection)
        except TypeError:
            self._connection = lambda: connection
        self._error: SemanticError | None = None

    def hits(self, request: str, vector: bytes | None) -> str:
        """Return the hits as a JSON array of records: `key`, an object, then FIELDS."""
        try:
            with translated():
                results = self._search(HitsRequest.from_json(request), vector)
        except SemanticError as error:
            self._error = error
            raise
        for warning in results.warnings:
            _log.warning("%s", warning)
        return json.dumps([_record(results, hit) for hit in results], default=_encode, ensure_ascii=False)

    def last_error(self) -> str | None:
        """Return, once, what the last search raised."""
        error, self._error = self._error, None
        return None if error is None else json.dumps({"type": type(error).__name__, "message": str(error)})

    def _search(self, request: HitsRequest, blob: bytes | None) -> SearchResults:
        connection = self._connection()
        if connection is None:
            raise SemanticError("the connection is closed")
        index = SemanticIndex(connection, request.table)
        where, params = request.where, request.params
        if request.like is not None:
            return index.similar(
                request.like,
                limit=request.limit,
                where=where,
                params=params,
                boost=request.boosts,
                diversity=request.diversity,
                columns=(),
            )
        return index.search(
            request.query,
            mode="keyword" if blob == _WORDS_ONLY else request.mode,
            limit=request.limit,
            offset=request.offset,
            where=where,
            params=params,
            weights=request.weights,
            boost=request.boosts,
            diversity=request.diversity,
            exact=request.exact,
            weak=request.weak,
            columns=(),
            vector=from_blob(blob, dimensions=len(blob) // 4)[0] if blob and _fits(request, index) else None,
        )


def _fits(request: HitsRequest, index: SemanticIndex) -> bool:
    """True where the model that was asked is the index's: another may answer while the declared one is being built."""
    if request.model is None:
        return True
    declared = _embedder(request.model, request.asked)
    return (declared.model_id, declared.manner) == (index.record.model, manner_of(index.record))


def _record(results: SearchResults, hit: Hit) -> dict[str, Any]:
    record = {name: getattr(hit, name) for name in FIELDS}
    key = dict(zip(results.key_columns, hit.key, strict=True))
    return {"key": key} | record | {"passage": hit.passage.text}


def _encode(value: Any) -> Any:
    """BLOBs as Datasette writes them; dates and decimals as the drivers of SQLite do."""
    if isinstance(value, bytes | bytearray | memoryview):
        return {"$base64": True, "encoded": base64.b64encode(value).decode("ascii")}
    if isinstance(value, datetime.date | datetime.time | decimal.Decimal | uuid.UUID):
        return str(value)
    raise BadOption(f"not a value that SQLite can hold: {value!r}")


def _decode(value: dict[str, Any]) -> Any:
    return base64.b64decode(value["encoded"]) if value.get("$base64") is True else value
