"""The one door for Python users.

from datasette_semantic import SemanticIndex

index = SemanticIndex.create("movies.db", "movies", ["title", "text"])
index.update()
for hit in index.search("a robot that falls in love", where={"year__gte": 1990}):
    print(hit.rank, hit.row["title"], hit.passage)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, get_args

from numpy.typing import ArrayLike

from .config import DEFAULT_LIMIT
from .embedding.models import Embedder, default_model, embedder
from .errors import BadOption, BadVector, IndexStateError, ModelError
from .ingest.declare import declare, redeclared, text_spec
from .ingest.update import update
from .laws.vectors import FloatVector, normalise
from .records import (
    ChunkSpec,
    IndexRecord,
    IndexStatus,
    ListWeights,
    OnMismatch,
    Progress,
    RowFilter,
    SearchRequest,
    SearchResults,
    Source,
    TextSpec,
    UpdateReport,
)
from .search import engine
from .search.filters import parse_filters
from .search.request import check_limit, check_mode, check_offset
from .store import catalog, chunks, companions, queue
from .store.connection import Connection, connect, prepare, transaction, translated
from .store.source import check_filter, describe, parse_key

__all__ = ["SemanticIndex", "Where", "indexes", "query_vector"]

Where: TypeAlias = str | Mapping[str, Any] | tuple[RowFilter, ...] | None
"""SQL over the table's columns, a mapping in Datasette's grammar, filters made before, or none."""


class SemanticIndex:
    """The index of one table: words and meaning, kept in the table's own file.

    `database` is a path, an open `sqlite3` or pysqlite3 connection, or a `sqlite_utils.Database`. A connection that
    was given stays open and keeps its row factory; one that was opened here closes with `close()` or at the end of a
    `with` block.
    """

    def __init__(self, database: Any, table: str) -> None:
        """Open the index of a table. Raises NoSuchTable, NoSuchIndex, ExtensionMissing, DatabaseProblem."""
        self._connection, self._owned = _open(database)
        try:
            with translated(_name(database)):
                self.source: Source = describe(self._connection, table)
                self.record: IndexRecord = catalog.find(self._connection, self.source.table)
                prepare(self._connection)
        except BaseException:
            self.close()
            raise

    @classmethod
    def create(
        cls,
        database: Any,
        table: str,
        columns: Sequence[str] = (),
        *,
        model: str | None = None,
        template: str | None = None,
        where: str | None = None,
        chunks: ChunkSpec | None = None,
        tokenize: str = "auto",
        on_mismatch: OnMismatch = "rebuild",
        allow_empty: bool = False,
    ) -> SemanticIndex:
        """Declare an index; `update()` then fills it. An index that is there already and was made alike is returned
        as it is.

        `on_mismatch` says what becomes of one that was made otherwise (other columns, model, template ...): "rebuild"
        drops it and declares it anew, for vectors are derived data; "error" raises IndexStateError that names the
        differences; "keep" returns it as it is. `allow_empty` lets an index be declared over a table without rows.

        Raises InputError (no such table or column, nothing to embed), ModelError, ExtensionMissing, DatabaseProblem;
        the file is then as it was.
        """
        if on_mismatch not in get_args(OnMismatch):
            raise BadOption(f"unknown on_mismatch {on_mismatch!r}; there are: {', '.join(get_args(OnMismatch))}")
        connection, owned = _open(database)
        try:
            with translated(_name(database)):
                source = describe(connection, table)
                text = text_spec(connection, source, columns=columns, template=template, where=where)
                existing = catalog.find_or_none(connection, source.table)
                chosen = embedder(model or (existing.model if existing else default_model()))
                prepare(connection)
                spec = chunks or (existing.chunks if existing else ChunkSpec())
                if existing is None or (
                    redeclared(existing, text=text, chunks=spec, model=chosen.model_id)
                    and _rebuilds(existing, on_mismatch, text=text, chunks=spec, model=chosen.model_id)
                ):
                    declare(
                        connection,
                        source,
                        text=text,
                        chunks=spec,
                        embedder=chosen,
                        tokenize=tokenize,
                        replacing=existing,
                        allow_empty=allow_empty,
                    )
        except BaseException:
            if owned:
                connection.close()
            raise
        index = cls(connection, source.table)
        index._owned = owned
        return index

    # --- writing ---

    def update(self, *, progress: Callable[[Progress], None] | None = None) -> UpdateReport:
        """Embed what is new or changed and drop what is gone. Raises ModelError, DatabaseProblem; what was done stays
        done."""
        with translated():
            if self.record.settings.get("provisional"):
                self._declare_again()
            report = update(self._connection, self.source, self.record, self._embedder(), progress=progress)
            self.record = catalog.find(self._connection, self.source.table)
        return report

    def _declare_again(self) -> None:
        """Choose the keyword index by the text that has come since an index was declared over an empty table."""
        declare(
            self._connection,
            self.source,
            text=self.record.text,
            chunks=self.record.chunks,
            embedder=self._embedder(),
            replacing=self.record,
            allow_empty=True,
        )
        self.record = catalog.find(self._connection, self.source.table)

    def drop(self) -> None:
        """Remove the index and every trace of it; the file's schema is then as it was before."""
        with translated(), transaction(self._connection):
            companions.drop(self._connection, self.record)

    # --- reading ---

    def search(
        self,
        query: str = "",
        *,
        mode: str = "hybrid",
        limit: int = DEFAULT_LIMIT,
        offset: int = 0,
        where: Where = None,
        params: Mapping[str, Any] | None = None,
        weights: ListWeights | None = None,
        exact: bool = False,
        weak: bool = False,
        columns: Sequence[str] | None = None,
        vector: ArrayLike | None = None,
    ) -> SearchResults:
        """Search by words, meaning, or both; `query` may hold anything at all.

        `where` is SQL over the table's columns, with `params`, or a mapping in Datasette's grammar:
        `{"year__gte": 1990}`. `vector`, shape (dimensions,), is the query's vector where you have it already: the
        model is then not asked. `weak` keeps the rows that only nearness found, from so far away that chance may have
        brought them. Where the model cannot answer, the keyword list does, with a warning.
        Raises InputError (BadVector, BadFilter, BadOption), DatabaseProblem.
        """
        request = SearchRequest(
            query=query,
            mode=check_mode(mode),
            limit=check_limit(limit),
            offset=check_offset(offset),
            filters=self.filters(where, params),
            weights=weights,
            exact=exact,
            weak=weak,
            columns=columns,
        )
        unit, warnings = query_vector(self.record, request) if vector is None else (self._unit(vector), ())
        with translated():
            return engine.search(self._connection, self.record, request, vector=unit, warnings=warnings)

    def similar(
        self,
        key: Any,
        *,
        limit: int = DEFAULT_LIMIT,
        where: Where = None,
        params: Mapping[str, Any] | None = None,
        columns: Sequence[str] | None = None,
    ) -> SearchResults:
        """Return rows like the row with this primary key: one value, or one per key column. No model is called.

        Raises NoSuchRow, InputError, DatabaseProblem.
        """
        values = tuple(key) if isinstance(key, tuple | list) else (key,)
        with translated():
            wanted = parse_key(self._connection, self.source, values)
            request = SearchRequest(
                mode="semantic",
                limit=check_limit(limit),
                filters=self.filters(where, params),
                like=wanted,
                columns=columns,
            )
            return engine.search(self._connection, self.record, request, vector=None)

    def filters(self, where: Where, params: Mapping[str, Any] | None = None) -> tuple[RowFilter, ...]:
        """Return checked filters. Raises BadFilter, NoSuchColumn."""
        if where is None:
            return ()
        if isinstance(where, tuple):
            return where
        if not isinstance(where, str):
            return parse_filters(self.source, where)
        row_filter = RowFilter(where, dict(params or {}), where)
        check_filter(self._connection, self.source, row_filter)
        return (row_filter,)

    def status(self) -> IndexStatus:
        """Return what `embeddings` lists."""
        with translated():
            rows, chunk_count = chunks.count(self._connection, self.record)
            pending, failed = queue.pending(self._connection, self.record)
        record = self.record
        return IndexStatus(
            table=record.table,
            columns=record.text.columns,
            model=record.model,
            dimensions=record.dimensions,
            state=record.state,
            rows=rows,
            chunks=chunk_count,
            pending=pending,
            failed=failed,
            keyword_table=record.keyword.fts_table if record.keyword else None,
            vec_table=record.vec_table,
        )

    # --- the connection ---

    def close(self) -> None:
        """Close the connection, if it was opened here."""
        if self._owned:
            self._connection.close()

    def __enter__(self) -> SemanticIndex:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _unit(self, values: ArrayLike) -> FloatVector:
        """Return a caller's vector at unit length. Raises BadVector where it does not fit the index."""
        vector = normalise(values)
        if len(vector) != self.record.dimensions:
            raise BadVector(
                f"the vector has {len(vector)} dimensions; the index of {self.record.table!r} has "
                f"{self.record.dimensions}, of the model {self.record.model!r}"
            )
        return vector

    def _embedder(self) -> Embedder:
        return embedder(self.record.model)


def indexes(database: Any) -> list[SemanticIndex]:
    """Return every index of a database, by table name. Raises DatabaseProblem, ExtensionMissing."""
    connection, owned = _open(database)
    try:
        with translated(_name(database)):
            tables = [record.table for record in catalog.all_indexes(connection)]
    finally:
        if owned:
            connection.close()
    return [SemanticIndex(database, table) for table in tables]


def _rebuilds(existing: IndexRecord, on_mismatch: OnMismatch, *, text: TextSpec, chunks: ChunkSpec, model: str) -> bool:
    """True where an index that was made otherwise is to be made anew. Raises IndexStateError that says what differs."""
    if on_mismatch == "error":
        pairs = {
            "columns": (existing.text.columns, text.columns),
            "template": (existing.text.template, text.template),
            "where": (existing.text.where, text.where),
            "chunks": (existing.chunks, chunks),
            "model": (existing.model, model),
        }
        told = "; ".join(
            f"{name}: {was!r} there, {now!r} asked for" for name, (was, now) in pairs.items() if was != now
        )
        raise IndexStateError(
            f"the index of {existing.table!r} was made otherwise ({told}); "
            'drop it, or pass on_mismatch="rebuild" or "keep"'
        )
    return on_mismatch == "rebuild"


def query_vector(record: IndexRecord, request: SearchRequest) -> tuple[FloatVector | None, tuple[str, ...]]:
    """Return the unit vector of a request's query, None where none is wanted or to be had, and warnings that say why.

    It may call the network: never run it inside a transaction or an SQL function, nor on an event loop.
    """
    from .laws.fts_query import parse

    if request.mode == "keyword" or request.like is not None:
        return None, ()
    text = parse(request.query).text
    if not text.strip():
        return None, ()
    try:
        return embedder(record.model).embed_query(text), ()
    except BadVector:
        return None, ()  # the model sees no meaning in it, so only its words are looked for
    except ModelError as error:
        return None, (f"Search by meaning is off for now: {error}. These results were found by words only.",)


def _open(database: Any) -> tuple[Connection, bool]:
    """Return a connection and whether it was opened here."""
    if isinstance(database, str | Path):
        return connect(database), True
    connection: Connection = getattr(database, "conn", database)  # a sqlite_utils.Database has .conn
    return connection, False


def _name(database: Any) -> str | None:
    return str(database) if isinstance(database, str | Path) else None
