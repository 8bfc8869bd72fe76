"""What a run would do and cost, found out without calling a model or writing a byte."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..embedding.models import Embedder
from ..embedding.profiles import manner_of
from ..laws.chunking import estimate_tokens
from ..laws.quoting import quote
from ..laws.text import row_text
from ..records import Cell, ChunkSpec, IndexRecord, Plan, Source, TextSpec
from ..store import chunks as chunk_store
from ..store.connection import Connection
from ..store.partitions import column_of
from ..store.source import read_leniently
from .cutting import cut
from .hashing import text_hash
from .supply import Supply

__all__ = ["plan"]

_BATCH = 1_000


def plan(
    connection: Connection,
    source: Source,
    *,
    there: Sequence[IndexRecord],
    text: TextSpec,
    chunks: ChunkSpec,
    embedder: Embedder,
    price: float | None = None,
    max_rpm: float | None = None,
    max_tpm: float | None = None,
    supply: Supply | None = None,
    partition_by: str | None = None,
) -> Plan:
    """Read the table as a drain would, and count. Memory grows by 16 bytes and a little per text to be sent.

    `there` are the table's indexes: rows of one that was made just so are not looked at again where they are unchanged,
    and vectors of any whose model is asked alike are not paid for again. Rows whose vector `supply` has cost nothing.
    """
    lenders = [index for index in there if (index.model, manner_of(index)) == (embedder.model_id, embedder.manner)]
    made = (text, chunks, partition_by)
    existing = next((each for each in lenders if (each.text, each.chunks, column_of(each)) == made), None)
    known_rows = _row_hashes(connection, source, existing) if existing is not None else {}
    count = embedder.token_counter() or estimate_tokens
    rows = pieces = tokens = adopted = 0
    seen: set[bytes] = set()
    for batch in _batches(connection, source, text):
        fresh: dict[bytes, str] = {}
        given = supply.vectors([key for key, _values in batch]) if supply is not None else {}
        adopted += len(given)
        for key, values in batch:
            if key in given:
                rows += 1
                continue
            written = row_text(values, text)
            if known_rows.get(key) == text_hash(written):
                continue
            rows += 1
            for chunk in cut(written, chunks, embedder.token_counter()):
                pieces += 1
                fresh.setdefault(text_hash(chunk.text), chunk.text)
        unseen = [hash_ for hash_ in fresh if hash_ not in seen]
        if lenders and embedder.remote:
            known = chunk_store.known_vectors(connection, lenders[0], unseen)
            unseen = [hash_ for hash_ in unseen if hash_ not in known]
        seen.update(unseen)
        prefix = embedder.manner.document_prefix
        tokens += sum(count(prefix + fresh[hash_]) for hash_ in unseen)
    requests = -(-len(seen) // embedder.batch_size)
    rate = price if price is not None else (0.0 if not embedder.remote else embedder.profile.price)
    return Plan(
        table=source.table,
        model=embedder.model_id,
        rows=rows,
        chunks=pieces,
        texts=len(seen),
        tokens=tokens,
        requests=requests,
        cost=None if rate is None else tokens * rate / 1_000_000,
        seconds=_seconds(
            len(seen) if embedder.profile.items_are_requests else requests, tokens, max_rpm=max_rpm, max_tpm=max_tpm
        ),
        adopted=adopted,
    )


def _seconds(requests: int, tokens: int, *, max_rpm: float | None, max_tpm: float | None) -> float | None:
    pairs = ((requests, max_rpm), (tokens, max_tpm))
    return max((60.0 * amount / limit for amount, limit in pairs if limit), default=None)


def _row_hashes(connection: Connection, source: Source, index: IndexRecord) -> Mapping[Any, bytes]:
    """Return row key to the hash of the text last embedded."""
    lines = connection.execute(f"select row_id, hash from {quote(index.row_table)} where length(hash) > 0").fetchall()
    hashes: dict[int, bytes] = dict(map(tuple, lines))
    listed = list(hashes)
    found: dict[Any, bytes] = {}
    for start in range(0, len(listed), _BATCH):
        keys = chunk_store.keys_of(connection, source, index, listed[start : start + _BATCH])
        found.update({key: hashes[row_id] for row_id, key in keys.items()})
    return found


def _batches(
    connection: Connection, source: Source, spec: TextSpec
) -> Iterator[list[tuple[tuple[Cell, ...], dict[str, Cell]]]]:
    """Yield the rows that are to be embedded, as (key, column to value), some at a time."""
    width = len(source.key_columns)
    fields = ", ".join(map(quote, (*source.key_columns, *spec.columns)))
    keys = ", ".join(map(quote, source.key_columns))
    picked = [f"({spec.where}\n)"] if spec.where else []
    after: tuple[Cell, ...] | None = None
    while True:
        beyond = [] if after is None else [f"({keys}) > ({', '.join('?' * width)})"]
        conditions = [*(f"{quote(column)} is not null" for column in source.key_columns), *beyond, *picked]
        rows = read_leniently(
            connection,
            f"select {fields} from {quote(source.table)} where {' and '.join(conditions)} "
            f"order by {keys} limit {_BATCH}",
            after or (),
        )
        if not rows:
            return
        batch = [(tuple(row)[:width], dict(zip(spec.columns, tuple(row)[width:], strict=True))) for row in rows]
        yield batch
        after = batch[-1][0]
