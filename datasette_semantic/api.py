"""The one door for Python users.

from datasette_semantic import SemanticIndex

index = SemanticIndex.create("movies.db", "movies", ["title", "text"])
index.update()
for hit in index.search("a robot that falls in love", where={"year__gte": 1990}):
    print(hit.rank, hit.row["title"], hit.passage)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, get_args

from numpy.typing import ArrayLike

from .config import DEFAULT_LIMIT
from .embedding.models import Embedder, default_model, embedder, embedder_for
from .embedding.pace import Pace
from .embedding.profiles import Manner, choose_manner, manner_of, plain_manner
from .errors import BadOption, BadVector, IndexChanged, IndexStateError, ModelError
from .ingest import change
from .ingest.adopt import adopting, as_setting
from .ingest.compact import compact as compact_tables
from .ingest.cutting import check_chunks
from .ingest.declare import declare, reads_words_otherwise, redeclared, text_spec
from .ingest.export import export
from .ingest.parting import check_partition_by
from .ingest.plan import plan
from .ingest.staleness import ASKED, manner_now, stale
from .ingest.supply import Supply, offered
from .ingest.survey import survey
from .ingest.train import check_recall
from .ingest.update import update
from .laws.vectors import FloatVector, normalise
from .records import (
    Adoption,
    Boost,
    ChunkSpec,
    ClearedVectors,
    Compaction,
    Failure,
    IndexRecord,
    IndexStatus,
    ListWeights,
    Neighbour,
    OnMismatch,
    Plan,
    Progress,
    Rerank,
    RowFilter,
    SearchRequest,
    SearchResults,
    Source,
    TextSpec,
    UpdateReport,
)
from .search import engine
from .search.filters import parse_filters
from .search.lists import allowed_rows
from .search.nearest import neighbours
from .search.related import related_rows
from .search.request import (
    JUDGED_WEIGHTS,
    check_boosts,
    check_column_weights,
    check_diversity,
    check_limit,
    check_mode,
    check_offset,
    check_rerank,
)
from .search.reranking import reranked
from .store import cache, catalog, cells, chunks, companions, queue, related_table
from .store.connection import Connection, connect, prepare, transaction, translated
from .store.partitions import column_of
from .store.source import check_filter, describe, parse_key
from .store.versions import Version, version

__all__ = ["Boosts", "SemanticIndex", "Where", "clear_cache", "compact", "indexes", "query_vector"]

Where: TypeAlias = str | Mapping[str, Any] | tuple[RowFilter, ...] | None
"""SQL over the table's columns, a mapping in Datasette's grammar, filters made before, or none."""

Boosts: TypeAlias = Mapping[str, float | tuple[float, float]] | Sequence[str | Boost] | str | None
"""Columns that raise scores: column to weight, or to (weight, half-life); also as "year:0.2" or "written:0.3:365"."""


_Found = TypeVar("_Found")

_TRIES = 10
"""How often a search begins anew because another index has taken the place of the one it read."""


class SemanticIndex:
    """The index of one table: words and meaning, kept in the table's own file.

    `database` is a path, an open `sqlite3` or pysqlite3 connection, or a `sqlite_utils.Database`. A connection that
    was given stays open and keeps its row factory; one that was opened here closes with `close()` or at the end of a
    `with` block.
    """

    def __init__(self, database: Any, table: str) -> None:
        """Open the index of a table. Raises NoSuchTable, NoSuchIndex, ExtensionMissing, DatabaseProblem."""
        self._connection, self._owned = _open(database)
        self._version: Version | None = None
        self.adoption: Adoption | None = None
        """What `create` found out about the vectors that it was to take over."""
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
        task: str | None = None,
        dimensions: int | None = None,
        query_prefix: str | None = None,
        document_prefix: str | None = None,
        on_mismatch: OnMismatch = "rebuild",
        allow_empty: bool = False,
        vectors_from: str | Path | None = None,
        partition_by: str | None = None,
        recall: float | None = None,
        column_weights: Mapping[str, float] | None = None,
    ) -> SemanticIndex:
        """Declare an index; `update()` then fills it. An index that is there already and was made alike is returned
        as it is.

        `on_mismatch` says what becomes of one that was made otherwise (other columns, model, tokenizer ...): "rebuild"
        has another built beside it, which `update()` fills and puts in its place; until then it goes on answering, and
        `rollback()` brings it back. "error" raises IndexStateError that names the differences; "keep" returns it as it
        is. `task`, `dimensions` and the prefixes say how the model is asked, where
        its profile is not to decide. `allow_empty` lets an index be declared over a table without rows.

        `vectors_from` names vectors that exist already and are taken over, one per row: "collection:NAME" of llm,
        "column:NAME" with float32 BLOBs, or an `.npy` file; each is looked at before anything is written. The model
        embeds the rows that have none. An index that is there already keeps the vectors that it has.

        `partition_by` names a column whose values the vectors are kept apart by, for a table that is always searched
        within one of them, such as a tenant, a year or a language: a filter `column = value` or `in` then reads the
        vectors of these values and no others. Another column, or "" for none, has the index made anew, from the text
        that it has where no columns are named. What the option is not given for stays as it is.

        `recall`, above 0 and up to 1, is the share of the ten nearest rows that a search by meaning must find where a
        large index need not read every vector: 0.95 where none is given, every vector for 1. An index that is there
        already is measured for it by the next `update()`, and neither embedded nor built anew.

        `column_weights` says how much more, or less, a word counts in a column: `{"title": 3}`. Titles count 1.5 where
        nothing is said of them, other columns 1. It holds from the next search on; nothing is built anew.

        Raises InputError (no such table or column, nothing to embed), ModelError, ExtensionMissing, DatabaseProblem;
        the file is then as it was.
        """
        if on_mismatch not in get_args(OnMismatch):
            raise BadOption(f"unknown on_mismatch {on_mismatch!r}; there are: {', '.join(get_args(OnMismatch))}")
        least = None if recall is None else check_recall(recall)
        connection, owned = _open(database)
        try:
            with translated(_name(database)):
                source = describe(connection, table)
                existing = catalog.find_or_none(connection, source.table)
                wanted = change.wanted(connection, existing) if existing else None
                if wanted is not None and partition_by is not None and not columns and template is None:
                    text = wanted.text
                else:
                    text = text_spec(connection, source, columns=columns, template=template, where=where)
                _check_columns_weighed(column_weights, source, text, wanted)
                prepare(connection)
                with _offered(connection, source, vectors_from, where) as supply:
                    chosen, own = _chosen(wanted, model, task, dimensions, query_prefix, document_prefix, supply)
                    spec = _spec(chunks, wanted, supply)
                    check_chunks(spec, longest=chosen.profile.max_tokens, model=chosen.model_id)
                    apart = check_partition_by(source, partition_by, there=wanted)
                    asked: dict[str, Any] = {
                        "text": text,
                        "chunks": spec,
                        "embedder": chosen,
                        "partition_by": apart,
                    }
                    differs = wanted is None or (
                        redeclared(wanted, **asked, tokenize=tokenize)
                        and _rebuilds(wanted, on_mismatch, **asked, tokenize=tokenize)
                    )
                    bare = supply is not None and wanted is not None and not _holds_vectors(connection, wanted)
                    adoption = None
                    if supply is not None and (differs or bare or (wanted is not None and adopting(wanted))):
                        adoption = survey(connection, source, supply, where=where, dimensions=chosen.dimensions)
                how: dict[str, Any] = {
                    "tokenize": tokenize,
                    "asked": own,
                    "allow_empty": allow_empty,
                    "adoption": adoption,
                }
                if existing is None or wanted is None:
                    declare(connection, source, **asked, **how)
                elif differs or bare:
                    change.change(connection, source, existing, **asked, **how, anew=bare)
                elif adoption is not None:
                    with transaction(connection):
                        catalog.save_settings(connection, wanted, {**wanted.settings, **as_setting(adoption)})
                _hold_to(connection, source, recall=least, column_weights=column_weights)
        except BaseException:
            if owned:
                connection.close()
            raise
        index = cls(connection, source.table)
        index._owned = owned
        index.adoption = adoption
        return index

    # --- writing ---

    def update(
        self,
        *,
        progress: Callable[[Progress], None] | None = None,
        concurrency: int = 1,
        max_rpm: float | None = None,
        max_tpm: float | None = None,
        retry_failed: bool = False,
        on_pause: Callable[[float, str], None] | None = None,
    ) -> UpdateReport:
        """Embed what is new or changed and drop what is gone. An index that `create` declared beside this one is built,
        and then answers in its place.

        `concurrency`: calls of the model at a time. `max_rpm`, `max_tpm`: requests and tokens a minute. `retry_failed`:
        rows that were set aside have another try. `on_pause` hears for how many seconds the model is left alone, and
        why. Raises ModelError, DatabaseProblem; what was done stays done.
        """
        pace = Pace(max_rpm=max_rpm, max_tpm=max_tpm, on_pause=on_pause)
        with translated():
            self.record = catalog.find(self._connection, self.source.table)
            if retry_failed:
                with transaction(self._connection):
                    for index in {self.record.id: self.record, **self._following()}.values():
                        queue.retry_failed(self._connection, index)
            if self.record.settings.get("provisional"):
                self._declare_again()
            report = update(
                self._connection,
                self.source,
                self.record,
                progress=progress,
                pace=pace,
                concurrency=concurrency,
            )
            self.record = catalog.find(self._connection, self.source.table)
        return report

    def _following(self) -> dict[int, IndexRecord]:
        """Return the index that is being built beside this one, by its id, if there is one."""
        following = catalog.beside(self._connection, self.source.table, "next")
        return {} if following is None else {following.id: following}

    def rollback(self) -> None:
        """Undo the last change of the index: one that is being built beside it is given up; else the one that answered
        before answers again, in one short transaction and without a call of the model.

        Rows that changed meanwhile are in its queue, for the next `update()`. Calling it again undoes that in turn.
        Raises IndexStateError where there is nothing to go back to.
        """
        with translated():
            self.record = change.roll_back(self._connection, self.source)

    def forget_previous(self) -> bool:
        """Give up the index that `rollback()` would bring back, and its space; return whether there was one."""
        with translated():
            return change.forget(self._connection, self.source)

    def renew(self) -> None:
        """Have the index made anew as its model's profile and its chunker say now; `update()` builds it beside this.

        Raises IndexStateError where it is not stale: `status().note` says whether it is.
        """
        with translated():
            answering = catalog.find(self._connection, self.source.table)
            record = change.wanted(self._connection, answering)
            if stale(record) is None:
                raise IndexStateError(f"the index of {record.table!r} is as it would be made now: nothing to renew")
            change.change(
                self._connection,
                self.source,
                answering,
                text=record.text,
                chunks=record.chunks,
                embedder=embedder(record.model, manner_now(record)),
                asked=record.settings.get(ASKED),
                anew=True,
                partition_by=column_of(record),
            )

    def _declare_again(self) -> None:
        """Choose the keyword index by the text that has come since an index was declared over an empty table."""
        declare(
            self._connection,
            self.source,
            text=self.record.text,
            chunks=self.record.chunks,
            embedder=self._embedder(),
            asked=self.record.settings.get(ASKED),
            replacing=self.record,
            allow_empty=True,
            partition_by=column_of(self.record),
        )
        self.record = catalog.find(self._connection, self.source.table)

    @classmethod
    def plan(
        cls,
        database: Any,
        table: str,
        columns: Sequence[str] = (),
        *,
        model: str | None = None,
        template: str | None = None,
        where: str | None = None,
        chunks: ChunkSpec | None = None,
        task: str | None = None,
        dimensions: int | None = None,
        query_prefix: str | None = None,
        document_prefix: str | None = None,
        vectors_from: str | Path | None = None,
        partition_by: str | None = None,
        price: float | None = None,
        max_rpm: float | None = None,
        max_tpm: float | None = None,
    ) -> Plan:
        """Return what `create` and `update` with these arguments would do and cost. No model is called, nothing is
        written; without columns or a template the existing index is taken as it is.

        `price`: US dollars per million tokens, where the model's profile does not know it. Raises as `create` does.
        """
        connection, owned = _open(database)
        try:
            with translated(_name(database)):
                source = describe(connection, table)
                answering = catalog.find_or_none(connection, source.table)
                existing = change.wanted(connection, answering) if answering else None
                if not columns and template is None:
                    existing = change.wanted(connection, catalog.find(connection, source.table))
                    text = existing.text
                else:
                    text = text_spec(connection, source, columns=columns, template=template, where=where)
                if existing is not None:
                    prepare(connection)
                with _offered(connection, source, vectors_from, where) as supply:
                    chosen, _own = _chosen(existing, model, task, dimensions, query_prefix, document_prefix, supply)
                    spec = _spec(chunks, existing, supply)
                    check_chunks(spec, longest=chosen.profile.max_tokens, model=chosen.model_id)
                    if supply is not None:
                        survey(connection, source, supply, where=where, dimensions=chosen.dimensions)
                    return plan(
                        connection,
                        source,
                        there=change.all_of(connection, source.table),
                        text=text,
                        chunks=spec,
                        embedder=chosen,
                        partition_by=check_partition_by(source, partition_by, there=existing),
                        price=price,
                        max_rpm=max_rpm,
                        max_tpm=max_tpm,
                        supply=supply,
                    )
        finally:
            if owned:
                connection.close()

    def failures(self, *, limit: int = 100) -> list[Failure]:
        """Return the rows that were set aside, with their errors. `update(retry_failed=True)` tries them again."""
        with translated():
            self.record = catalog.find(self._connection, self.source.table)
            found = queue.failures(self._connection, self.record, limit=limit)
            keys = chunks.keys_of(self._connection, self.source, self.record, [row_id for row_id, _ in found])
        return [Failure(keys[row_id], error) for row_id, error in found if row_id in keys]

    def export(self, path: str | Path) -> int:
        """Write every vector, with its row's key and its place in the row's text, to an `.npy` or `.parquet` file;
        return how many there are.

        An `.npy` file, float32 of shape (chunks, dimensions), has the keys beside it in `NAME.ids.csv`, line for line.
        Raises BadOption, IndexStateError, DatabaseProblem, and for Parquet ExtraMissing where pyarrow is not installed.
        """
        with translated():
            return export(self._connection, self.source, self.record, Path(path))

    def compact(self) -> Compaction:
        """Give back the space of deleted rows and of earlier trainings, and what else is free in the file.

        Vectors and words are moved in short steps while searches answer, as they did before; a kill leaves what was
        done. In the end VACUUM writes the file anew where enough of it is free: nobody else writes for so long, nor
        reads in a file without a write-ahead log. Rowids are kept, also those of tables without a primary key.
        Raises IndexStateError within a transaction, DatabaseProblem.
        """
        return _compacted(self._connection, [self.source])

    def drop(self) -> None:
        """Remove the index and every trace of it; the file's schema is then as it was before."""
        with translated(), transaction(self._connection):
            companions.drop_all(self._connection, self.record)

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
        boost: Boosts = None,
        diversity: float = 0.0,
        rerank: str | Rerank | None = None,
        exact: bool = False,
        weak: bool = False,
        columns: Sequence[str] | None = None,
        vector: ArrayLike | None = None,
    ) -> SearchResults:
        """Search by words, meaning, or both; `query` may hold anything at all.

        `where` is SQL over the table's columns, with `params`, or a mapping in Datasette's grammar:
        `{"year__gte": 1990}`. `vector`, shape (dimensions,), is the query's vector where you have it already: the
        model is then not asked. `weak` keeps the rows that only nearness found, from so far away that chance may have
        brought them.

        `boost` names date or number columns that raise scores: `{"year": 0.2}` gives the greatest value found a fifth
        of the best score, `{"written": (0.3, 365)}` halves what it gives with every year back. `diversity`, 0 to 1, is
        what it costs a row to be like a row before it. `rerank` names a model that reads the first rows and puts them
        in order: "cross-encoder", "llm/MODEL:10" (so many rows), or what a plugin registers.

        Where the model cannot answer, the keyword list does, with a warning.
        Raises InputError (BadVector, BadFilter, BadOption), DatabaseProblem.
        """
        request = SearchRequest(
            query=query,
            mode=check_mode(mode),
            limit=check_limit(limit),
            offset=check_offset(offset),
            filters=self.filters(where, params),
            weights=weights,
            boosts=check_boosts(boost),
            diversity=check_diversity(diversity),
            exact=exact,
            weak=weak,
            columns=columns,
        )

        def answer(asked: SearchRequest) -> SearchResults:
            def found() -> SearchResults:
                unit, warnings = query_vector(self.record, asked) if vector is None else (self._unit(vector), ())
                with translated(), catalog.answering(self._connection, self.record):
                    return engine.search(self._connection, self.record, asked, vector=unit, warnings=warnings)

            return self._whole(found, vector=vector)

        return reranked(self.record, request, check_rerank(rerank), answer)

    def similar(
        self,
        key: Any,
        *,
        limit: int = DEFAULT_LIMIT,
        where: Where = None,
        params: Mapping[str, Any] | None = None,
        boost: Boosts = None,
        diversity: float = 0.0,
        columns: Sequence[str] | None = None,
    ) -> SearchResults:
        """Return rows like the row with this primary key: one value, or one per key column. No model is called.

        `boost` and `diversity` as in `search`.
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
                boosts=check_boosts(boost),
                diversity=check_diversity(diversity),
                columns=columns,
            )

        def found() -> SearchResults:
            with translated(), catalog.answering(self._connection, self.record):
                return engine.search(self._connection, self.record, request, vector=None)

        return self._whole(found)

    def save_similar(
        self,
        table: str,
        *,
        limit: int = DEFAULT_LIMIT,
        where: Where = None,
        params: Mapping[str, Any] | None = None,
        replace: bool = False,
        progress: Callable[[Progress], None] | None = None,
    ) -> int:
        """Write a table with up to `limit` rows like each row; return how many lines it has. No model is called.

        Its columns: the key's; the related row's key, as `similar_` and the column's name; `score`, `rank`, `distance`.
        `where` and `params`, as in `search`, say which rows may be related. The table is the user's, is not kept in
        step, and appears when it is complete; `replace` puts it in the place of one that was written before.
        Raises BadOption where `table` names something else, BadFilter, DatabaseProblem.
        """
        k = check_limit(limit)
        filters = self.filters(where, params)

        def saved() -> int:
            with translated():
                self._look_again()
                related_table.check_name(self._connection, self.source, table, replace=replace)
                related_table.begin(self._connection, self.source)
                try:
                    with catalog.answering(self._connection, self.record):
                        lines = self._fill_similar(k, filters, progress)
                    related_table.finish(self._connection, self.source, table, replace=replace)
                except BaseException:
                    related_table.give_up(self._connection, self.source)
                    raise
                return lines

        return self._whole(saved)

    def _fill_similar(self, k: int, filters: tuple[RowFilter, ...], progress: Callable[[Progress], None] | None) -> int:
        allowed = allowed_rows(self.source, self.record, filters)
        total, _chunks = chunks.count(self._connection, self.record)
        lines = done = 0
        for rows, pairs in related_rows(self._connection, self.source, self.record, k=k, allowed=allowed):
            values = [(*pair.key, *pair.related, 1.0 - pair.distance, pair.rank, pair.distance) for pair in pairs]
            related_table.fill(self._connection, self.source, values)
            lines, done = lines + len(values), done + rows
            if progress is not None:
                progress(Progress(done, max(done, total)))
        return lines

    def nearest(
        self,
        query: str | ArrayLike,
        *,
        k: int = 10,
        where: Where = None,
        params: Mapping[str, Any] | None = None,
        exact: bool = False,
    ) -> list[Neighbour]:
        """Return up to `k` rows nearest to a text, or to a vector of shape (dimensions,): keys and distances only.

        The vector list by itself, at the least cost: no words, no passages, no weak rows set apart. `where` and
        `params` as in `search`; `exact` compares with every vector even where a trained index could skip most.
        Raises BadVector, BadFilter, BadOption, ModelError, DatabaseProblem.
        """
        limit = check_limit(k)
        filters = self.filters(where, params)

        def found() -> list[Neighbour]:
            with translated():
                self._look_again()
            unit = self._embedder().embed_query(query) if isinstance(query, str) else normalise(query)
            with translated(), catalog.answering(self._connection, self.record):
                allowed = allowed_rows(self.source, self.record, filters)
                return neighbours(
                    self._connection,
                    self.source,
                    self.record,
                    self._fitting(unit),
                    k=limit,
                    allowed=allowed,
                    exact=exact,
                )

        return self._whole(found)

    def _whole(self, search: Callable[[], _Found], *, vector: ArrayLike | None = None) -> _Found:
        """Search, and once more where another index has taken this one's place meanwhile.

        Raises IndexChanged where it has another model and the query's vector was given: it is the old one's.
        """
        for _try in range(_TRIES - 1):
            try:
                return search()
            except IndexChanged:  # noqa: PERF203
                before = self.record.model, manner_of(self.record)
                with translated():
                    self.record = catalog.find(self._connection, self.source.table)
                if vector is not None and before != (self.record.model, manner_of(self.record)):
                    raise
        return search()

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

    def keep_recall(self, recall: float) -> None:
        """Have searches by meaning find so large a share of the ten nearest rows, above 0 and up to 1; the next
        `update()` measures how much of the index they must read for it. Raises BadOption, DatabaseProblem."""
        least = check_recall(recall)
        with translated():
            _hold_to(self._connection, self.source, recall=least)
            self.record = catalog.find(self._connection, self.source.table)

    def keep_weights(self, weights: ListWeights | None) -> None:
        """Search with these weights from now on, whatever the index finds for itself; None returns to its own.

        `sqlite-utils evaluate-search --tune` finds them by judgments. Raises NoSuchIndex, DatabaseProblem.
        """
        with translated(), transaction(self._connection):
            current = catalog.find(self._connection, self.source.table)
            settings = {name: value for name, value in current.settings.items() if name != JUDGED_WEIGHTS}
            if weights is not None:
                settings[JUDGED_WEIGHTS] = asdict(weights)
            catalog.save_settings(self._connection, current, settings)
        self.record = catalog.find(self._connection, self.source.table)

    def keep_column_weights(self, weights: Mapping[str, float] | None) -> None:
        """Have words count more, or less, in some columns from now on, as in `create`; None returns to the usual.

        Raises NoSuchColumn, BadOption, DatabaseProblem.
        """
        with translated():
            self.record = catalog.find(self._connection, self.source.table)
            _check_columns_weighed(weights, self.source, self.record.text, change.wanted(self._connection, self.record))
            _hold_to(self._connection, self.source, column_weights=weights or {})
            self.record = catalog.find(self._connection, self.source.table)

    def status(self) -> IndexStatus:
        """Return what `embeddings` lists of the index that answers."""
        with translated():
            self.record = catalog.find(self._connection, self.source.table)
            why = stale(self.record)
            state = "stale" if why and self.record.state == "ready" else self.record.state
            return self._status(self.record, state, why)

    def statuses(self) -> list[IndexStatus]:
        """Return what `embeddings` lists: the index that answers, the one that is being built beside it (`next`), the
        one that `rollback()` would bring back (`previous`)."""
        found = [self.status()]
        embed = f"sqlite-utils embed DB {self.record.table}"
        notes = {
            "next": f"being built, answers when complete: {embed} goes on, --rollback gives it up",
            "previous": f"kept: {embed} --rollback brings it back, --forget-previous frees its space",
        }
        with translated():
            beside = catalog.all_beside(self._connection, self.source.table)
            return found + [self._status(record, role, notes[role]) for role, record in beside if role in notes]

    def _status(self, record: IndexRecord, state: str, note: str | None) -> IndexStatus:
        rows, chunk_count = chunks.count(self._connection, record)
        pending, failed = queue.pending(self._connection, record)
        trained = cells.cells_of(record)
        return IndexStatus(
            table=record.table,
            columns=record.text.columns,
            model=record.model,
            dimensions=record.dimensions,
            state=state,
            rows=rows,
            chunks=chunk_count,
            pending=pending,
            failed=failed,
            keyword_table=record.keyword.fts_table if record.keyword else None,
            vec_table=record.vec_table,
            partition_by=column_of(record),
            recall=cells.wanted_recall(record),
            measured_recall=1.0 if trained is None else trained.recall,
            note=note,
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

    def _look_again(self) -> None:
        """Read the schema and the catalog again, if anything was written since. Raises NoSuchTable, NoSuchIndex."""
        now = version(self._connection)
        if now != self._version:
            self.source = describe(self._connection, self.source.table)
            self.record = catalog.find(self._connection, self.source.table)
            self._version = now

    def _unit(self, values: ArrayLike) -> FloatVector:
        """Return a caller's vector at unit length. Raises BadVector where it does not fit the index."""
        return self._fitting(normalise(values))

    def _fitting(self, vector: FloatVector) -> FloatVector:
        """Return a vector that has the index's length. Raises BadVector for another."""
        if len(vector) != self.record.dimensions:
            raise BadVector(
                f"the vector has {len(vector)} dimensions; the index of {self.record.table!r} has "
                f"{self.record.dimensions}, of the model {self.record.model!r}"
            )
        return vector

    def _embedder(self) -> Embedder:
        return embedder_for(self.record)


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


def clear_cache(database: Any) -> list[ClearedVectors]:
    """Remove the kept vectors of models that no index of a database uses any more; return how many there were of each.

    Vectors that an index may use again, for a text that comes back, are kept. Raises DatabaseProblem.
    """
    connection, owned = _open(database)
    try:
        with translated(_name(database)):
            return cache.clear_abandoned(connection)
    finally:
        if owned:
            connection.close()


def compact(database: Any) -> Compaction:
    """Give back the space that no index of a database needs any more, as `SemanticIndex.compact` does for one.

    Raises IndexStateError within a transaction, DatabaseProblem, ExtensionMissing.
    """
    connection, owned = _open(database)
    try:
        with translated(_name(database)):
            prepare(connection)
            tables = [record.table for record in catalog.all_indexes(connection)]
            return _compacted(connection, [describe(connection, table) for table in tables])
    finally:
        if owned:
            connection.close()


def _compacted(connection: Connection, sources: Sequence[Source]) -> Compaction:
    if connection.in_transaction:
        raise IndexStateError("a file cannot give its space back within a transaction: commit first")
    with translated():
        return compact_tables(connection, sources)


@contextmanager
def _offered(
    connection: Connection, source: Source, vectors_from: str | Path | None, where: str | None
) -> Iterator[Supply | None]:
    """Yield the vectors that are to be taken over, None where none are."""
    if vectors_from is None:
        yield None
        return
    with offered(connection, source, str(vectors_from), where=where) as supply:
        yield supply


def _spec(chunks: ChunkSpec | None, existing: IndexRecord | None, supply: Supply | None) -> ChunkSpec:
    """Return how texts are cut. Vectors that are taken over are those of whole rows."""
    if supply is None:
        return chunks or (existing.chunks if existing else ChunkSpec())
    if chunks is not None and chunks.chunker != "none":
        raise BadOption("vectors that are taken over stand for whole rows: leave out what says how texts are cut")
    return chunks or (existing.chunks if existing and existing.chunks.chunker == "none" else _WHOLE)


_WHOLE = ChunkSpec(chunker="none")


def _holds_vectors(connection: Connection, index: IndexRecord) -> bool:
    return adopting(index) is not None or chunks.count(connection, index)[1] > 0


def _check_columns_weighed(
    weights: Mapping[str, float] | None, source: Source, text: TextSpec, index: IndexRecord | None
) -> None:
    """Raise NoSuchColumn or BadOption where these weights are for other columns than those of a text and an index."""
    if weights is not None:
        there = index.keyword.columns if index is not None and index.keyword else ()
        check_column_weights(weights, columns=tuple(dict.fromkeys((*text.columns, *there))), table=source.table)


def _hold_to(
    connection: Connection,
    source: Source,
    *,
    recall: float | None = None,
    column_weights: Mapping[str, float] | None = None,
) -> None:
    """Note what is wanted of the index asked for last; the weights of columns hold for the one that answers too."""
    if recall is None and column_weights is None:
        return
    with transaction(connection):
        answering = catalog.find(connection, source.table)
        last = change.wanted(connection, answering)
        for index in {answering.id: answering, last.id: last}.values():
            wishes: dict[str, Any] = {}
            if recall is not None and index.id == last.id:
                wishes[cells.RECALL] = recall
            if column_weights is not None:
                wishes[catalog.COLUMN_WEIGHTS] = {name: float(weight) for name, weight in column_weights.items()}
            if wishes:
                catalog.save_settings(connection, index, {**index.settings, **wishes})


def _chosen(
    existing: IndexRecord | None,
    model: str | None,
    task: str | None,
    dimensions: int | None,
    query_prefix: str | None,
    document_prefix: str | None,
    supply: Supply | None = None,
) -> tuple[Embedder, Mapping[str, Any] | None]:
    """Return the embedder asked for, and what was chosen of its manner; what is not asked for stays as it is in an
    existing index.

    Vectors that are taken over name their model, or it has to be named.
    """
    made_by = None if supply is None else supply.model
    unnamed = supply is not None and made_by is None and not (existing and adopting(existing))
    if unnamed and model is None:
        raise BadOption(f"say which model made the vectors in {supply.name if supply else ''}: -m MODEL")
    name = model or made_by or (existing.model if existing else default_model())
    plain = embedder(name)
    if supply is not None and made_by is not None and embedder(made_by).model_id != plain.model_id:
        raise BadOption(f"{supply.name} was made by the model {made_by!r}, not by {name!r}: leave out -m")
    asked = {
        "task": task,
        "dimensions": dimensions,
        "query_prefix": query_prefix,
        "document_prefix": document_prefix,
    }
    chosen = {name: value for name, value in asked.items() if value is not None}
    if made_by is None and existing is not None and existing.model == plain.model_id and not chosen:
        return embedder_for(existing), existing.settings.get(ASKED)
    manner: Manner = choose_manner(
        plain.model_id,
        task=task,
        dimensions=dimensions,
        query_prefix=query_prefix,
        document_prefix=document_prefix,
    )
    if made_by is not None and (task, query_prefix, document_prefix) == (None,) * 3:
        manner = plain_manner(manner)  # llm puts nothing before a text
    return embedder(name, manner), chosen


def _rebuilds(
    existing: IndexRecord,
    on_mismatch: OnMismatch,
    *,
    text: TextSpec,
    chunks: ChunkSpec,
    embedder: Embedder,
    partition_by: str | None,
    tokenize: str,
) -> bool:
    """True where an index that was made otherwise is to be made anew. Raises IndexStateError that says what differs."""
    if on_mismatch == "error":
        pairs = {
            "columns": (existing.text.columns, text.columns),
            "template": (existing.text.template, text.template),
            "where": (existing.text.where, text.where),
            "chunks": (existing.chunks, chunks),
            "model": (existing.model, embedder.model_id),
            "partition_by": (column_of(existing), partition_by),
            "manner": (manner_of(existing).as_settings(), embedder.manner.as_settings()),
        }
        if existing.keyword is not None and reads_words_otherwise(existing, tokenize):
            pairs["tokenize"] = (existing.keyword.analyzer or existing.keyword.tokenize, tokenize)
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
        return embedder_for(record).embed_query(text), ()
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
