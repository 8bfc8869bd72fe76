"""Declaring an index: what is asked for is checked whole, then made in one transaction. Nothing is embedded yet but
one text.

Every refusal comes before the first write, so that a mistake leaves the file as it was. An index that answers and is
declared otherwise goes on answering: the new one is made beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from ..config import DEFAULT_MODEL
from ..embedding.models import Embedder
from ..embedding.profiles import MANNER, manner_of
from ..errors import BadFilter, BadOption, InputError, ModelError
from ..laws.analysis import ANALYZED, analyze, choose_tokenize, column_weights
from ..laws.quoting import quote, quote_string
from ..laws.text import row_text, template_columns
from ..laws.vectors import FloatVector
from ..records import Adoption, Cell, ChunkSpec, IndexRecord, KeywordSpec, RowFilter, Source, TextSpec
from ..store import chunks as chunk_store
from ..store import companions, keyword_index, names, partitions
from ..store.connection import Connection, sqlite_errors
from ..store.source import check_columns, check_filter, read_leniently
from .adopt import as_setting
from .cutting import cut
from .hashing import text_hash
from .parting import partition_for
from .reconcile import noting_schema
from .staleness import ASKED, CUT, fingerprint

__all__ = ["declare", "reads_words_otherwise", "redeclared", "text_spec"]

_FTS5_TOKENIZERS = ("unicode61", "porter", "trigram", "ascii")

_PROBE = "text"
"""What a model is asked to embed to learn its dimensions, where the table has no text yet."""

_SAMPLE_ROWS = 200
"""Rows whose text shows the languages of a table."""


def text_spec(
    connection: Connection, source: Source, *, columns: Sequence[str], template: str | None, where: str | None
) -> TextSpec:
    """Return a checked TextSpec.

    Raises NoSuchColumn, BadFilter, and BadOption for a malformed template or no column at all.
    """
    named = (*columns, *(template_columns(template) if template else ()))
    if not named:
        raise BadOption(f"name the columns of {source.table!r} to embed; it has: {', '.join(source.column_names)}")
    if where is not None:
        check_filter(connection, source, RowFilter(where))
        if ";" in where and not _one_expression(connection, source, where):
            raise BadFilter(f"the filter {where!r} is not one SQL expression")
    return TextSpec(columns=check_columns(source, named), template=template, where=where)


def _one_expression(connection: Connection, source: Source, where: str) -> bool:
    try:
        connection.execute(f"select ({where}\n) from {quote(source.table)} limit 0").fetchall()
    except sqlite_errors():
        return False
    return True


@dataclass(frozen=True, slots=True)
class _FirstText:
    text: str
    hash: bytes
    vector: FloatVector | None


def declare(
    connection: Connection,
    source: Source,
    *,
    text: TextSpec,
    chunks: ChunkSpec,
    embedder: Embedder,
    tokenize: str = "auto",
    replacing: IndexRecord | None = None,
    beside: IndexRecord | None = None,
    asked: Mapping[str, Any] | None = None,
    allow_empty: bool = False,
    adoption: Adoption | None = None,
    partition_by: str | None = None,
) -> IndexRecord:
    """Make an empty index over a table: catalog entry, companion tables, triggers.

    `replacing` is dropped in the same step; `beside` goes on answering, and the new index is its `next`. `asked` is
    what the user chose of the embedder's manner. The model is asked, once at most, before the transaction begins.
    `allow_empty` lets the table have no text yet; the keyword index is then `provisional` until text shows the
    table's languages. With an `adoption` the model is not asked: the vectors that are taken over tell the dimensions.

    `partition_by` is the column whose values the vectors are kept apart by.

    Raises InputError where the table has no rows or no text, BadOption for a column of too many values, ModelError
    where the model cannot embed, IndexStateError where a companion's name is taken.
    """
    sample = _sample(connection, source, text)
    if not sample and not allow_empty:
        raise InputError(_nothing_to_embed(connection, source, text))
    before = replacing or beside
    dimensions: int | None
    if adoption is not None:
        first, dimensions = _FirstText("", b"", None), adoption.dimensions
    else:
        first = _first_vector(sample or (_PROBE,), chunks, embedder, before)
        dimensions = embedder.dimensions if before is None else embedder.dimensions or _same_vectors(before, embedder)
    if dimensions is None:
        raise ModelError(
            f"model {embedder.model_id!r} could not embed any of the first {len(sample)} texts, so its "
            "dimensions are unknown"
        )
    partition = partition_for(connection, source, partition_by, where=text.where, dimensions=dimensions)
    version = _version(connection, source, replacing=replacing, beside=beside)
    keyword = _keyword_spec(connection, source, text, sample, tokenize, before)
    vec_table = names.vec_table(source.table)
    if beside is not None:
        vec_table = names.aside_vec(source.table, version)
        if keyword.owned:
            keyword = replace(keyword, fts_table=names.aside_fts(source.table, version))
    record = IndexRecord(
        id=0,
        table=source.table,
        text=text,
        chunks=chunks,
        keyword=keyword,
        model=embedder.model_id,
        dimensions=dimensions,
        vec_table=vec_table,
        chunk_table=names.chunk_table(source.table, version),
        row_table=names.row_table(source.table, version),
        state="building",
        settings={"filled": False, CUT: fingerprint(chunks)}
        | ({ASKED: dict(asked)} if asked is not None else {})
        | ({names.VERSION: version} if version > 1 else {})
        | ({MANNER: embedder.manner.as_settings()} if embedder.manner.as_settings() else {})
        | ({} if sample or tokenize != "auto" else {"provisional": True})
        | (companions.inherited(before) if before is not None else {})
        | (as_setting(adoption) if adoption is not None else {})
        | partitions.as_setting(partition),
    )
    if replacing is not None and replacing.model != DEFAULT_MODEL:
        chunk_store.keep_all(connection, replacing)
    with noting_schema(connection, source):
        if replacing is not None:
            companions.drop(connection, replacing, keep_shared=True)
        index = companions.create(connection, source, record, role=None if beside is None else "next")
        if first.vector is not None:
            chunk_store.remember(connection, index, [(first.hash, first.vector)])
    return index


def _version(
    connection: Connection, source: Source, *, replacing: IndexRecord | None, beside: IndexRecord | None
) -> int:
    if replacing is not None:
        return names.version_of(replacing)
    return companions.free_version(connection, source.table) if beside is not None else 1


def _same_vectors(index: IndexRecord, embedder: Embedder) -> int | None:
    """Return the dimensions of an index whose vectors are made as the embedder makes them; None for another's."""
    same = (index.model, manner_of(index)) == (embedder.model_id, embedder.manner)
    return index.dimensions if same else None


def _sample(connection: Connection, source: Source, spec: TextSpec) -> list[str]:
    """Return texts from all over the table, whose languages may stand one after the other; else its first texts."""
    spread = _spread_texts(connection, source, spec) if source.has_rowid else []
    return spread or list(islice(_texts(connection, source, spec), _SAMPLE_ROWS))


def _spread_texts(connection: Connection, source: Source, spec: TextSpec) -> list[str]:
    """Return the texts of the rows at evenly spaced rowids; the cost does not grow with the table."""
    table, rowid = quote(source.table), quote(source.rowid_key or "_rowid_")
    fields = ", ".join(f"s.{quote(column)}" for column in spec.columns)
    sql = (
        f"with recursive ends(low, high) as (select (select min({rowid}) from {table}), "
        f"(select max({rowid}) from {table})), place(n, step) as (select low, max(1, high / :size - low / :size) "
        f"from ends where low is not null union all select n + step, step from place, ends where n <= high - step) "
        f"select {fields} from (select distinct (select {rowid} from {table} where {rowid} >= n order by {rowid} "
        f"limit 1) as at from place) join (select *, {rowid} as semantic_rowid from {table}"
        f"{f' where ({spec.where}' + chr(10) + ')' if spec.where else ''}) s on s.semantic_rowid = at"
    )
    rows = read_leniently(connection, sql, {"size": _SAMPLE_ROWS})
    return [written for row in rows if (written := _text_of(row, spec)).strip()]


def _text_of(row: Sequence[Cell], spec: TextSpec) -> str:
    return row_text(dict(zip(spec.columns, tuple(row), strict=True)), spec)


def _texts(connection: Connection, source: Source, spec: TextSpec) -> Iterator[str]:
    """Yield the texts of a table that are not blank."""
    fields = ", ".join(map(quote, spec.columns))
    where = f" where ({spec.where}\n)" if spec.where else ""
    offset = 0
    while True:
        sql = f"select {fields} from {quote(source.table)}{where} limit {_SAMPLE_ROWS} offset ?"
        rows = read_leniently(connection, sql, (offset,))
        for row in rows:
            if (written := _text_of(row, spec)).strip():
                yield written
        if len(rows) < _SAMPLE_ROWS:
            return
        offset += _SAMPLE_ROWS


def _nothing_to_embed(connection: Connection, source: Source, spec: TextSpec) -> str:
    where = f" where ({spec.where}\n)" if spec.where else ""
    if connection.execute(f"select 1 from {quote(source.table)}{where} limit 1").fetchone() is None:
        return (
            f"table {source.table!r} has no rows"
            + (f" that pass {spec.where!r}" if spec.where else "")
            + ", so there is nothing to embed"
        )
    columns = ", ".join(spec.columns)
    return f"column(s) {columns} of table {source.table!r} hold no text in any row; name columns that hold words"


def _first_vector(
    sample: Sequence[str], chunks: ChunkSpec, embedder: Embedder, before: IndexRecord | None
) -> _FirstText:
    """Learn the model's dimensions from a text of the table; its vector is kept, so that it is not paid for twice.

    Raises ModelError, also where the model has no vector for any of the texts that it is tried on.
    """
    if embedder.dimensions is not None or (before is not None and _same_vectors(before, embedder)):
        return _FirstText("", b"", None)
    for written in sample[:3]:
        for chunk in cut(written, chunks, embedder.token_counter())[:1]:
            vectors, usable = embedder.embed_documents([chunk.text])
            if usable[0]:
                return _FirstText(chunk.text, text_hash(chunk.text), vectors[0])
    raise ModelError(
        f"model {embedder.model_id!r} gave zero or non-finite vectors for the table's first texts; "
        "name another model with -m"
    )


def _keyword_spec(
    connection: Connection,
    source: Source,
    text: TextSpec,
    sample: Sequence[str],
    tokenize: str,
    before: IndexRecord | None,
) -> KeywordSpec:
    ours = before.keyword.fts_table if before and before.keyword and before.keyword.owned else None
    existing = keyword_index.existing_fts(connection, source, but=companions.own_fts(connection, source.table))
    if existing is not None:
        return existing
    chosen, analyzer = choose_tokenize(sample) if tokenize == "auto" else _named_tokenize(tokenize)
    _check_tokenize(connection, chosen)
    return KeywordSpec(
        fts_table=ours or keyword_index.free_name(connection, source.table),
        columns=text.columns,
        tokenize=chosen,
        analyzer=analyzer,
        column_weights=column_weights(text.columns),
    )


def _named_tokenize(tokenize: str) -> tuple[str, str | None]:
    """Take FTS5's own tokenizers as they are, anything else as the name of an analyzer: "pairs russian english"."""
    words = tokenize.lower().split()
    if not words or words[0] in _FTS5_TOKENIZERS:
        return tokenize, None
    try:
        analyze("probe", tokenize.lower())
    except (KeyError, ValueError) as error:
        raise BadOption(
            f"unknown tokenizer {tokenize!r}; there are: auto, {', '.join(_FTS5_TOKENIZERS)}, "
            "and analyzers such as 'pairs', 'russian' or 'pairs russian english'"
        ) from error
    return ANALYZED, tokenize.lower()


def _check_tokenize(connection: Connection, tokenize: str) -> None:
    """Raise BadOption where FTS5 does not know the tokenizer: tried on a table of the temporary database."""
    try:
        connection.execute(f"create virtual table temp.semantic_probe using fts5(x, tokenize={quote_string(tokenize)})")
        connection.execute("drop table temp.semantic_probe")
    except sqlite_errors() as error:
        raise BadOption(f"FTS5 cannot use the tokenizer {tokenize!r}: {error}") from error


def redeclared(
    index: IndexRecord,
    *,
    text: TextSpec,
    chunks: ChunkSpec,
    embedder: Embedder,
    partition_by: str | None,
    tokenize: str = "auto",
) -> bool:
    """True where an existing index was made from something else, or otherwise, than what is asked for now."""
    there = (index.text, index.chunks, index.model, manner_of(index), partitions.column_of(index))
    asked = (text, chunks, embedder.model_id, embedder.manner, partition_by)
    return there != asked or reads_words_otherwise(index, tokenize)


def reads_words_otherwise(index: IndexRecord, tokenize: str) -> bool:
    """True where a keyword index of ours reads words otherwise than is asked for; "auto" asks for nothing.

    Raises BadOption for a tokenizer that is not there.
    """
    spec = index.keyword
    if tokenize == "auto" or spec is None or not spec.owned:
        return False
    name, analyzer = _named_tokenize(tokenize)
    return (spec.tokenize, _parts(spec.analyzer)) != (name, _parts(analyzer))


def _parts(analyzer: str | None) -> frozenset[str]:
    return frozenset((analyzer or "").split())
