"""The drain: claim rows, read their text, have embedded what changed with no transaction open, write in short
transactions.

    queue --claim--> rows --read, cut--> texts --crew--> vectors --write--> vec0, chunk and row tables
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from ..config import LEASE_SECONDS, WRITE_BATCH
from ..embedding.models import Embedder
from ..embedding.pace import Pace
from ..errors import ModelError
from ..laws.analysis import analyze
from ..laws.text import row_text
from ..laws.vectors import FloatVector
from ..records import Cell, Chunk, IndexRecord, Progress, Source, UpdateReport
from ..store import catalog, keyword_index, partitions, queue
from ..store import chunks as chunk_store
from ..store.chunks import ChunkLine, RowLine
from ..store.connection import Connection, transaction
from .courtesy import Courtesy
from .crew import Answer, Crew, Request, concerns_all
from .cutting import cut
from .hashing import text_hash

__all__ = ["drain"]

_SMALLEST, _LARGEST = 16, 2_048
_ORPHAN_BATCH = 1_000
_ROUNDS = 8
"""How often a drain comes back to a queue that it has emptied: a table that is written to all the time is never
done."""
_CLAIMS_AHEAD = 8
"""Batches that are claimed at once of a model that answers at once."""
_HARMLESS = "word"
"""A text that every model takes: where it is refused too, it is the model that fails, not a text."""


@dataclass(slots=True)
class _Row:
    """One claimed row, read and cut; `missing` are the hashes whose vectors are not there yet."""

    claim: queue.Claim
    values: dict[str, Cell]
    hash: bytes
    changed: bool
    chunks: tuple[Chunk, ...]
    hashes: tuple[bytes, ...]
    missing: set[bytes] = field(default_factory=set)


@dataclass(slots=True)
class _Tally:
    rows: int = 0
    embedded: int = 0
    reused: int = 0
    deleted: int = 0
    failed: int = 0
    requests: int = 0
    tokens: int = 0


def drain(
    connection: Connection,
    source: Source,
    index: IndexRecord,
    embedder: Embedder,
    *,
    progress: Callable[[Progress], None] | None = None,
    pace: Pace | None = None,
    concurrency: int = 1,
) -> UpdateReport:
    """Work until the queue of this index is empty; return what was done.

    Several drains may run at once: each row is claimed by one. A kill leaves claims that expire with their lease. A
    row whose text the model will not take is set aside with its error, and the others go on. Raises ModelError where
    the model fails altogether; rows claimed then are free again, everything written stands, and what was paid for is
    kept.
    """
    started = time.monotonic()
    run = _Run(connection, source, index, embedder, progress, Crew(embedder, pace or Pace(), size=concurrency))
    try:
        run.work()
    except BaseException:
        run.crew.dismiss()
        run.abandon()
        raise
    run.crew.dismiss()
    tally = run.tally
    return UpdateReport(
        table=source.table,
        rows=tally.rows,
        embedded=tally.embedded,
        reused=tally.reused,
        deleted=tally.deleted,
        failed=tally.failed,
        seconds=time.monotonic() - started,
        requests=tally.requests,
        tokens=tally.tokens,
    )


class _Run:
    """One drain under way."""

    def __init__(
        self,
        connection: Connection,
        source: Source,
        index: IndexRecord,
        embedder: Embedder,
        progress: Callable[[Progress], None] | None,
        crew: Crew,
    ) -> None:
        self.connection = connection
        self.source = source
        self.index = index
        self.embedder = embedder
        self.progress = progress
        self.crew = crew
        self.worker = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.tally = _Tally()
        self.size = WRITE_BATCH
        self.courtesy = Courtesy(connection)
        self.total = queue.pending(connection, index)[0]
        self.count = embedder.token_counter()
        own = index.keyword.columns if index.keyword and index.keyword.owned else ()
        partition = partitions.partition_of(index)
        apart = () if partition is None else (partition.column,)
        self.columns = tuple(dict.fromkeys((*index.text.columns, *own, *apart)))
        self.waiting: dict[int, _Row] = {}
        """Rows whose vectors are on their way, by row_id."""
        self.wanted_by: dict[bytes, list[int]] = {}
        self.unsent: dict[bytes, str] = {}
        self.ready: list[_Row] = []
        self.vectors: dict[bytes, FloatVector | None] = {}
        """What is known for the rows in hand; None where the model sees no meaning."""
        self.errors: dict[bytes, str] = {}
        self.proved = False
        self.rounds = 0
        self.claimed: list[queue.Claim] = []
        """Rows that are ours and not read yet."""
        self.claimed_at = time.monotonic()

    def work(self) -> None:
        self._drop_orphans()
        while True:
            more = self._take_up()
            if not (more or self.waiting or self.ready):
                return
            self._send(everything=not more or not self.crew.under_way)
            if self.crew.under_way:
                self._collect()
            if len(self.ready) >= self.size or not self.crew.under_way:
                self._write()

    # --- taking up rows ---

    def _take_up(self) -> bool:
        """Claim rows until there is work for every thread, or enough to write; False when the queue is empty, or has
        been emptied often enough."""
        ahead = 2 * self.crew.size * self.embedder.batch_size
        while (self.claimed or self.rounds < _ROUNDS) and len(self.wanted_by) < ahead and len(self.ready) < self.size:
            if not self.claimed:
                self._claim()
            if not self.claimed:
                return False
            self._read(self.claimed[: self.size])
            del self.claimed[: self.size]
        return bool(self.claimed) or self.rounds < _ROUNDS

    def _claim(self) -> None:
        """Claim rows. Those of a slow model are left for other drains to share; else every commit saved is time won."""
        limit = self.size if self.embedder.remote else _CLAIMS_AHEAD * self.size
        with transaction(self.connection):
            self.claimed = queue.claim(self.connection, self.index, worker=self.worker, limit=limit)
        self.rounds += len(self.claimed) < limit

    def _read(self, claims: Sequence[queue.Claim]) -> None:
        """Read and cut the claimed rows. One that is not there, or not picked any more, is ready without a hash."""
        row_ids = [claim.row_id for claim in claims]
        found = chunk_store.read_claimed(self.connection, self.source, self.index, row_ids, self.columns)
        before = chunk_store.row_hashes(self.connection, self.index, row_ids)
        rows = []
        for claim in claims:
            if claim.row_id not in found:
                self.ready.append(_Row(claim, {}, b"", True, (), ()))
                continue
            values = found[claim.row_id]
            text = row_text(values, self.index.text)
            hash_ = text_hash(text)
            changed = before.get(claim.row_id) != hash_
            chunks = cut(text, self.index.chunks, self.count) if changed else ()
            # A text in one piece has its row's hash.
            hashes = (
                (hash_,) if len(chunks) == 1 and chunks[0].text == text else tuple(text_hash(c.text) for c in chunks)
            )
            rows.append(_Row(claim, values, hash_, changed, chunks, hashes))
        self._want(rows)

    def _want(self, rows: Sequence[_Row]) -> None:
        """Find out which vectors are to be had for nothing; ask for the others, each text once."""
        texts = {hash_: chunk.text for row in rows for hash_, chunk in zip(row.hashes, row.chunks, strict=True)}
        new = [hash_ for hash_ in texts if hash_ not in self.vectors and hash_ not in self.wanted_by]
        if self.embedder.remote:  # for the built-in model a look-up costs more than the vector
            self.vectors.update(chunk_store.known_vectors(self.connection, self.index, new))
        for row in rows:
            row.missing = {hash_ for hash_ in row.hashes if hash_ not in self.vectors}
            self.tally.reused += len(row.hashes) - len(row.missing)
            for hash_ in row.missing:
                if hash_ in self.wanted_by:
                    self.tally.reused += 1
                else:
                    self.unsent[hash_] = texts[hash_]
                self.wanted_by.setdefault(hash_, []).append(row.claim.row_id)
            if row.missing:
                self.waiting[row.claim.row_id] = row
            else:
                self.ready.append(row)

    # --- asking the model ---

    def _send(self, *, everything: bool) -> None:
        """Hand out full requests, and what is left over where nothing else is to come."""
        size = self.embedder.batch_size
        while self.unsent and (everything or len(self.unsent) >= size) and self.crew.under_way < 2 * self.crew.size:
            hashes = tuple(hash_ for hash_, _ in zip(self.unsent, range(size), strict=False))
            self.crew.send(Request(hashes, tuple(self.unsent.pop(hash_) for hash_ in hashes)))

    def _collect(self) -> None:
        """Take in what has been answered; wait for the first answer, and renew the claims meanwhile."""
        answer = self.crew.answer(timeout=LEASE_SECONDS / 4)
        while answer is not None:
            self._take_in(answer)
            answer = self.crew.answer(timeout=0)
        if time.monotonic() - self.claimed_at > LEASE_SECONDS / 4:
            with transaction(self.connection):
                queue.renew(self.connection, self.index, worker=self.worker)
            self.claimed_at = time.monotonic()

    def _take_in(self, answer: Answer) -> None:
        if answer.error is not None:
            self._fault(answer.request, answer.error)
            return
        assert answer.vectors is not None
        assert answer.usable is not None
        self.tally.requests += 1
        self.tally.tokens += answer.tokens
        self.tally.embedded += len(answer.request.texts)
        for n, hash_ in enumerate(answer.request.hashes):
            self._known(hash_, answer.vectors[n] if answer.usable[n] else None)

    def _known(self, hash_: bytes, vector: FloatVector | None) -> None:
        self.vectors[hash_] = vector
        for row_id in self.wanted_by.pop(hash_, ()):
            row = self.waiting.get(row_id)
            if row is not None:
                row.missing.discard(hash_)
                if not row.missing:
                    self.ready.append(self.waiting.pop(row_id))

    def _fault(self, request: Request, error: BaseException) -> None:
        """Raise what concerns every text; else look for the culprit by halving the request."""
        if concerns_all(error) or not self._answers_at_all():
            raise error
        if len(request.texts) > 1:
            for half in request.halves():
                self.crew.send(half)
            return
        (hash_,) = request.hashes
        self.errors[hash_] = str(error)
        self._known(hash_, None)

    def _answers_at_all(self) -> bool:
        """True where the model has answered in this run, or answers when it is asked something harmless."""
        if not self.tally.embedded and not self.proved:
            try:
                self.embedder.embed_documents([_HARMLESS])
            except ModelError:
                return False
            self.proved = True
        return True

    # --- writing ---

    def _write(self) -> None:
        """Write the rows that are ready, and keep what has been paid for of those that are not."""
        while self.ready:
            batch = self._batch()
            began = time.monotonic()
            with transaction(self.connection):
                self._write_batch(batch)
            self._steer(time.monotonic() - began)
            self.courtesy.pause()
            self.tally.rows += len(batch)
            if self.progress is not None:
                self.progress(Progress(done=self.tally.rows, total=max(self.total, self.tally.rows)))
        self._keep_paid()
        in_hand = {hash_ for row in self.waiting.values() for hash_ in row.hashes}
        self.vectors = {hash_: vector for hash_, vector in self.vectors.items() if hash_ in in_hand}

    def _batch(self) -> list[_Row]:
        """Take rows for one transaction: up to `size` vectors."""
        taken, vectors = 0, 0
        for row in self.ready:
            vectors += max(1, len(row.hashes))
            if taken and vectors > self.size:
                break
            taken += 1
        batch, self.ready = self.ready[:taken], self.ready[taken:]
        return batch

    def _steer(self, seconds: float) -> None:
        """Keep a write as short as courtesy asks."""
        if seconds > 1.5 * self.courtesy.seconds:
            self.size = max(_SMALLEST, self.size // 2)
        elif seconds < self.courtesy.seconds / 2:
            self.size = min(_LARGEST, self.size * 2)

    def _write_batch(self, batch: Sequence[_Row]) -> None:
        # Meanwhile another run may have let this index answer, under other names, or given it cells.
        connection, index = self.connection, catalog.again(self.connection, self.index)
        self.index = index
        held = queue.still_held(connection, index, [row.claim for row in batch], worker=self.worker)
        mine = [row for row in batch if row.claim.row_id in held]
        gone = [row for row in mine if not row.hash]
        there = [row for row in mine if row.hash]
        parts = partitions.numbers(connection, index, {row.claim.row_id: row.values for row in there})
        if lines := [self._line(row, parts.get(row.claim.row_id, 0)) for row in mine if row.changed]:
            chunk_store.replace_rows(connection, index, lines, keep_replaced=self.embedder.remote)
        if parts:
            settled = {row.claim.row_id for row in there if not row.changed}
            chunk_store.move_rows(connection, index, {row_id: parts[row_id] for row_id in settled})
        keyword_index.add_rows(
            connection, self.source, index, [(row.claim.row_id, row.values) for row in there], analyze=analyze
        )
        self._forget(gone)
        failed = {row.claim.row_id: error for row in there if (error := self._error(row))}
        queue.finish(connection, index, held - failed.keys())
        for row_id, error in failed.items():
            queue.set_aside(connection, index, row_id, error)
        if self.embedder.remote:
            chunk_store.forget(connection, index, {hash_ for row in there for hash_ in row.hashes})
        self.tally.failed += len(failed)
        self.tally.deleted += len(gone)

    def _line(self, row: _Row, part: int) -> RowLine:
        lines = (
            ChunkLine(chunk.start, chunk.end, hash_, vector)
            for chunk, hash_ in zip(row.chunks, row.hashes, strict=True)
            if (vector := self.vectors[hash_]) is not None
        )
        # A row that failed keeps no hash, so that it is looked at as if it were new when it is tried again.
        return RowLine(row.claim.row_id, b"" if self._error(row) else row.hash, tuple(lines), part)

    def _error(self, row: _Row) -> str | None:
        """Return why a row is not wholly embedded."""
        if not row.changed:
            return None
        refused = [hash_ for hash_ in row.hashes if self.vectors[hash_] is None]
        if not refused:
            return None
        return self.errors.get(refused[0], "the model returned a zero or non-finite vector for this row's text")

    def _forget(self, rows: Sequence[_Row]) -> None:
        """Rows that the index's `where` no longer picks keep their line, without hash, so that they may come back."""
        if not rows:
            return
        row_ids = [row.claim.row_id for row in rows]
        columns = self.index.keyword.columns if self.index.keyword is not None else ()
        there = chunk_store.read_rows_by_id(self.connection, self.source, self.index, row_ids, columns)
        keyword_index.remove_rows(self.connection, self.index, there.items())
        chunk_store.clear_hashes(self.connection, self.index, row_ids)

    def _drop_orphans(self) -> None:
        dropped = _ORPHAN_BATCH
        while dropped == _ORPHAN_BATCH:
            with transaction(self.connection):
                self.index = catalog.again(self.connection, self.index)
                dropped = chunk_store.drop_orphans(
                    self.connection, self.index, keep=self.embedder.remote, limit=_ORPHAN_BATCH
                )
            self.tally.deleted += dropped

    # --- what has been paid for ---

    def _keep_paid(self) -> None:
        """Put vectors of rows that are not complete into the cache: nothing is to be paid for twice after a kill."""
        if not self.embedder.remote or not self.waiting:
            return
        rows = self.waiting.values()
        self._remember(hash_ for row in rows for hash_ in row.hashes if hash_ not in row.missing)

    def _remember(self, hashes: Iterable[bytes]) -> None:
        known = {hash_: vector for hash_ in hashes if (vector := self.vectors.get(hash_)) is not None}
        if known:
            with transaction(self.connection):
                chunk_store.remember(self.connection, self.index, known.items())

    def abandon(self) -> None:
        """Keep what was answered, and give the rows back to the queue."""
        while (answer := self.crew.answer(timeout=0)) is not None:
            if answer.error is None:
                self._take_in(answer)
        if self.embedder.remote:
            self._remember(list(self.vectors))
        with transaction(self.connection):
            queue.release(self.connection, self.index, worker=self.worker)
