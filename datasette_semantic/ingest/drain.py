"""The drain: claim rows, read their text, embed what changed with no transaction open, write in one short
transaction."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..config import WRITE_BATCH
from ..embedding.models import Embedder
from ..laws.analysis import analyze
from ..laws.chunking import chunk_text
from ..laws.text import row_text
from ..laws.vectors import FloatVector
from ..records import Cell, Chunk, IndexRecord, Progress, Source, UpdateReport
from ..store import chunks as chunk_store
from ..store import keyword_index, queue
from ..store.chunks import ChunkLine, RowLine
from ..store.connection import Connection, transaction
from .hashing import text_hash

__all__ = ["drain"]

_WRITE_SECONDS = 0.04
"""What one write transaction should take: other writers wait no longer."""
_MAX_BATCH = 2_048
_ORPHAN_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class _Prepared:
    """One claimed row, read and cut, before its vectors are known."""

    claim: queue.Claim
    values: dict[str, Cell]
    hash: bytes
    changed: bool
    chunks: tuple[Chunk, ...]
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Tally:
    rows: int = 0
    embedded: int = 0
    reused: int = 0
    deleted: int = 0
    failed: int = 0


def drain(
    connection: Connection,
    source: Source,
    index: IndexRecord,
    embedder: Embedder,
    *,
    progress: Callable[[Progress], None] | None = None,
) -> UpdateReport:
    """Work until the queue of this index is empty; return what was done.

    Several drains may run at once: each row is claimed by one. A kill leaves claims that expire with their lease.
    Raises ModelError as the model raised it; the rows claimed then are free again and everything written before stands.
    """
    started = time.monotonic()
    worker = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
    tally = _drop_orphans(connection, index, _Tally(), keep=embedder.remote)
    waiting, _aside = queue.pending(connection, index)
    size = WRITE_BATCH
    try:
        while claims := _claim(connection, index, worker, size):
            prepared, gone = _prepare(connection, source, index, claims, embedder)
            vectors, reused = _embed(connection, index, embedder, prepared)
            began = time.monotonic()
            with transaction(connection):
                _written, failed = _write(
                    connection, source, index, prepared, gone, vectors, worker=worker, keep=embedder.remote
                )
            tally = replace(
                tally,
                rows=tally.rows + len(claims),
                embedded=tally.embedded + len(vectors) - reused,
                reused=tally.reused + reused,
                deleted=tally.deleted + len(gone),
                failed=tally.failed + failed,
            )
            size = _next_size(size, time.monotonic() - began)
            if progress is not None:
                progress(Progress(done=tally.rows, total=max(waiting, tally.rows)))
    except BaseException:
        with transaction(connection):
            queue.release(connection, index, worker=worker)
        raise
    return UpdateReport(
        table=source.table,
        rows=tally.rows,
        embedded=tally.embedded,
        reused=tally.reused,
        deleted=tally.deleted,
        failed=tally.failed,
        seconds=time.monotonic() - started,
    )


def _next_size(size: int, seconds: float) -> int:
    """Steer the batch so that a write takes about _WRITE_SECONDS."""
    if seconds > 1.5 * _WRITE_SECONDS:
        return max(16, size // 2)
    return min(_MAX_BATCH, size * 2) if seconds < _WRITE_SECONDS / 2 else size


def _claim(connection: Connection, index: IndexRecord, worker: str, size: int) -> list[queue.Claim]:
    with transaction(connection):
        return queue.claim(connection, index, worker=worker, limit=size)


def _drop_orphans(connection: Connection, index: IndexRecord, tally: _Tally, *, keep: bool) -> _Tally:
    while True:
        with transaction(connection):
            dropped = chunk_store.drop_orphans(connection, index, keep=keep, limit=_ORPHAN_BATCH)
        tally = replace(tally, deleted=tally.deleted + dropped)
        if dropped < _ORPHAN_BATCH:
            return tally


def _prepare(
    connection: Connection, source: Source, index: IndexRecord, claims: Sequence[queue.Claim], embedder: Embedder
) -> tuple[list[_Prepared], list[queue.Claim]]:
    """Read and cut the claimed rows; return them, and the claims whose row is not there or not picked any more."""
    row_ids = [claim.row_id for claim in claims]
    columns = tuple(
        dict.fromkeys((*index.text.columns, *(index.keyword.columns if index.keyword and index.keyword.owned else ())))
    )
    rows = chunk_store.read_claimed(connection, source, index, row_ids, columns)
    before = chunk_store.row_hashes(connection, index, row_ids)
    prepared = []
    for claim in claims:
        if claim.row_id not in rows:
            continue
        values = rows[claim.row_id]
        text = row_text(values, index.text)
        hash_ = text_hash(text)
        changed = before.get(claim.row_id) != hash_
        chunks = chunk_text(text, index.chunks, embedder.token_counter()) if changed else ()
        prepared.append(
            _Prepared(claim, values, hash_, changed, chunks, tuple(text_hash(chunk.text) for chunk in chunks))
        )
    return prepared, [claim for claim in claims if claim.row_id not in rows]


def _embed(
    connection: Connection, index: IndexRecord, embedder: Embedder, prepared: Sequence[_Prepared]
) -> tuple[dict[bytes, FloatVector | None], int]:
    """Return hash to vector for all chunks (None where the model sees no meaning), and how many were known before."""
    texts = {hash_: chunk.text for row in prepared for hash_, chunk in zip(row.hashes, row.chunks, strict=True)}
    found: dict[bytes, FloatVector | None] = {}
    if embedder.remote:  # for the built-in model a look-up costs more than the vector
        found.update(chunk_store.known_vectors(connection, index, list(texts)))
    reused = len(found)
    missing = [hash_ for hash_ in texts if hash_ not in found]
    for start in range(0, len(missing), embedder.batch_size):
        batch = missing[start : start + embedder.batch_size]
        vectors, usable = embedder.embed_documents([texts[hash_] for hash_ in batch])
        found.update({hash_: vectors[n] if usable[n] else None for n, hash_ in enumerate(batch)})
    return found, reused


def _write(
    connection: Connection,
    source: Source,
    index: IndexRecord,
    prepared: Sequence[_Prepared],
    gone: Sequence[queue.Claim],
    vectors: dict[bytes, FloatVector | None],
    *,
    worker: str,
    keep: bool,
) -> tuple[int, int]:
    """Write a batch; return how many rows were written and how many set aside."""
    claims = [*(row.claim for row in prepared), *gone]
    held = queue.still_held(connection, index, claims, worker=worker)
    mine = [row for row in prepared if row.claim.row_id in held]
    lost = [claim for claim in gone if claim.row_id in held]
    lines = [_line(row, vectors) for row in mine if row.changed]
    lines += [RowLine(claim.row_id, b"", ()) for claim in lost]
    if lines:
        chunk_store.replace_rows(connection, index, lines, keep_replaced=keep)
    keyword_index.add_rows(connection, source, index, [(row.claim.row_id, row.values) for row in mine], analyze=analyze)
    _forget(connection, source, index, lost)
    queue.finish(connection, index, held)
    failed = 0
    for row in mine:
        if row.changed and any(vectors[hash_] is None for hash_ in row.hashes):
            queue.add(connection, index, [row.claim.row_id])
            queue.set_aside(
                connection,
                index,
                row.claim.row_id,
                "the model returned a zero or non-finite vector for this row's text",
            )
            failed += 1
    return len(lines), failed


def _line(row: _Prepared, vectors: dict[bytes, FloatVector | None]) -> RowLine:
    lines = []
    for chunk, hash_ in zip(row.chunks, row.hashes, strict=True):
        vector = vectors[hash_]
        if vector is not None:
            lines.append(ChunkLine(chunk.start, chunk.end, hash_, vector))
    return RowLine(row.claim.row_id, row.hash, tuple(lines))


def _forget(connection: Connection, source: Source, index: IndexRecord, claims: Sequence[queue.Claim]) -> None:
    """Rows that the index's `where` no longer picks keep their line, without hash, so that they may come back."""
    row_ids = [claim.row_id for claim in claims]
    columns = index.keyword.columns if index.keyword is not None else ()
    still_there = chunk_store.read_rows_by_id(connection, source, index, row_ids, columns)
    keyword_index.remove_rows(connection, index, still_there.items())
    chunk_store.clear_hashes(connection, index, row_ids)
