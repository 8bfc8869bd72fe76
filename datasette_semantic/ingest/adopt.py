"""Taking over vectors that exist already: each row gets the vector that was made for it, and no model is asked.

The queue is filled as for any other index. Each step, in its own transaction, also writes the vectors of its rows; the
drain then finds their texts unchanged and has only the words to index. So a kill leaves nothing half done, the next
run goes on from there, and a row without a vector is embedded as every new row is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from ..config import WRITE_BATCH
from ..errors import IndexStateError, ModelError
from ..laws.analysis import analyze
from ..laws.text import row_text
from ..records import Adoption, IndexRecord, RowKey, Source
from ..store import chunks as chunk_store
from ..store import keyword_index, partitions, queue
from ..store.chunks import ChunkLine, RowLine
from ..store.connection import Connection, transaction
from .fill import fill
from .hashing import text_hash
from .supply import Supply, offered
from .survey import unit_vector

__all__ = ["adopt", "adopting", "as_setting", "set_rest_aside"]

_ADOPTED: Final = "vectors_from"
"""The setting of an index whose vectors are still to be taken over: where they are."""


def as_setting(adoption: Adoption) -> dict[str, Any]:
    """Return what the catalog keeps until the vectors have been taken over."""
    return {_ADOPTED: {"source": adoption.source, "keys": adoption.keys_digest}}


def adopting(index: IndexRecord) -> str | None:
    """Return from where vectors are still to be taken over, None where none are."""
    kept: Mapping[str, Any] | None = index.settings.get(_ADOPTED)
    return None if kept is None else kept["source"]


def adopt(connection: Connection, source: Source, index: IndexRecord) -> tuple[IndexRecord, int]:
    """Fill the queue, and give the rows their vectors on the way; return the record as it then stands, and how many
    rows got one.

    Raises InputError where the vectors are not there any more, IndexStateError where they cannot be told apart any
    more, BadVector where one has been spoilt since they were looked at.
    """
    said = adopting(index)
    if said is None or index.settings.get("filled"):
        return fill(connection, source, index), 0
    with _opened(connection, source, index, said) as supply:
        giver = _Giver(connection, source, supply)
        index = fill(connection, source, index, size=WRITE_BATCH, each=giver.give, done=(_ADOPTED,))
    return index, giver.given


def set_rest_aside(connection: Connection, source: Source, index: IndexRecord, error: ModelError) -> int:
    """Set the rows without a vector aside, because the model that is to embed them cannot be had; return how many.

    They are found by their words.
    """
    reason = f"there was no vector to take over for this row, and {error}"
    columns = index.keyword.columns if index.keyword is not None and index.keyword.owned else ()
    total, after = 0, -(2**63)
    while row_ids := queue.never_embedded(connection, index, after=after, limit=WRITE_BATCH):
        after = row_ids[-1]
        with transaction(connection):
            found = chunk_store.read_claimed(connection, source, index, row_ids, columns)
            keyword_index.add_rows(connection, source, index, found.items(), analyze=analyze)
            # Without a hash a row is looked at as if it were new when it is tried again.
            lines = [RowLine(row_id, b"", ()) for row_id in found]
            chunk_store.replace_rows(connection, index, lines, keep_replaced=False)
            for row_id in found:
                queue.set_aside(connection, index, row_id, reason)
        total += len(found)
    return total


@contextmanager
def _opened(connection: Connection, source: Source, index: IndexRecord, said: str) -> Iterator[Supply]:
    with offered(connection, source, said, where=index.text.where) as supply:
        if supply.keys_digest != index.settings[_ADOPTED]["keys"]:
            raise IndexStateError(
                f"rows of {source.table!r} have come or gone since the vectors in {supply.name} were counted off "
                "against them; name the row of each vector in a file of ids beside them, and begin again: "
                "drop-embeddings, then embed --from"
            )
        yield supply


class _Giver:
    """Writes the vectors of the rows of one step."""

    def __init__(self, connection: Connection, source: Source, supply: Supply) -> None:
        self.connection = connection
        self.source = source
        self.supply = supply
        self.given = 0

    def give(self, index: IndexRecord, keys: Sequence[RowKey]) -> None:
        """Write the vectors of these rows. It runs inside the step's transaction, before the rows join the queue."""
        vectors = self.supply.vectors(keys)
        row_ids = chunk_store.row_ids_of(self.connection, self.source, index, list(vectors))
        fresh = self._fresh(index, row_ids.values())
        partition = partitions.partition_of(index)
        apart = () if partition is None or partition.column in index.text.columns else (partition.column,)
        columns = (*index.text.columns, *apart)
        texts = chunk_store.read_claimed(self.connection, self.source, index, fresh, columns)
        parts = partitions.numbers(self.connection, index, texts)
        lines = []
        for key, row_id in row_ids.items():
            if row_id in texts:
                text = row_text(texts[row_id], index.text)
                vector = unit_vector(vectors[key], dimensions=index.dimensions)
                whole = ChunkLine(0, len(text), text_hash(text), vector)
                lines.append(RowLine(row_id, text_hash(text), (whole,), parts.get(row_id, 0)))
        chunk_store.replace_rows(self.connection, index, lines, keep_replaced=False)
        self.given += len(lines)

    def _fresh(self, index: IndexRecord, row_ids: Iterable[int]) -> list[int]:
        """Return the rows that have never been embedded and have not changed since the index was declared: a vector
        that exists already was not made for a text that is new."""
        listed = list(row_ids)
        waiting = queue.waiting(self.connection, index, listed)
        hashes = chunk_store.row_hashes(self.connection, index, listed)
        return [row_id for row_id in listed if row_id not in waiting and not hashes.get(row_id)]
