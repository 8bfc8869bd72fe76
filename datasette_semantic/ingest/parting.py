"""Choosing how vectors are kept apart by a column's values, and refusing where that would cost more than it gives."""

from __future__ import annotations

from typing import Final

from ..config import PARTED_TRAIN_AT, TRAIN_AT
from ..errors import BadOption
from ..laws.clustering import cell_count
from ..laws.partitioning import chunk_size_for, slots, slots_in_cells, typical
from ..records import IndexRecord, Source
from ..store.connection import Connection
from ..store.partitions import Partition, chunk_sizes, column_of, partition_of, value_counts
from ..store.source import check_columns

__all__ = ["check_partition_by", "partition_for", "typical_part"]

_WASTE: Final = 2
_WASTED_BYTES: Final = 64_000_000
"""A column is refused where vectors would take more than so many times their space, and so many bytes more."""
_SPARE_IN_CELLS: Final = 1.5
"""Cells are made only where places for this many times the vectors suffice."""
_UNKNOWN: Final = 32
"""The chunk size where a table has no rows yet."""


def check_partition_by(source: Source, column: str | None, *, there: IndexRecord | None) -> str | None:
    """Return the column by which an index is to be partitioned, as the schema spells it, None for none.

    None asks for what the index that is there has; the empty text for none. Raises NoSuchColumn.
    """
    if column is None:
        return None if there is None else column_of(there)
    return check_columns(source, (column,))[0] if column else None


def partition_for(
    connection: Connection, source: Source, column: str | None, *, where: str | None, dimensions: int
) -> Partition | None:
    """Return how vectors are to be kept apart by a column. Raises BadOption where its values are too many."""
    if column is None:
        return None
    sizes = value_counts(connection, source, column, where=where)
    rows = sum(sizes)
    if not rows:
        return Partition(column, _UNKNOWN)
    chunk_size = chunk_size_for(sizes, cells=_cells(sizes))
    taken = slots(sizes, chunk_size)
    if taken > _WASTE * rows and 4 * dimensions * (taken - rows) > _WASTED_BYTES:
        raise BadOption(
            f"{source.table!r} cannot be partitioned by {column!r}: it has {len(sizes):,} values in {rows:,} rows, so "
            f"vectors kept apart by them would take {taken / rows:.1f} times their space. Choose a column of fewer, "
            "such as a tenant, a year or a language; filters work on every column without it"
        )
    return Partition(column, chunk_size)


def typical_part(connection: Connection, index: IndexRecord, *, vectors: int) -> int | None:
    """Return how many vectors a search within one value has before it, where cells would pay for a partitioned index;
    None where they would not."""
    partition = partition_of(index)
    if partition is None or vectors < TRAIN_AT:
        return None
    sizes = chunk_sizes(connection, index, partition)
    cells = _cells(sizes)
    enough = _SPARE_IN_CELLS * sum(sizes)
    if not cells or slots_in_cells(sizes, partition.chunk_size, cells=cells) > enough:
        return None
    return typical(sizes)


def _cells(sizes: list[int]) -> int:
    """Return how many cells parts of these sizes call for, 0 where they are read whole."""
    size = typical(sizes)
    return cell_count(size) if sum(sizes) >= TRAIN_AT and size >= PARTED_TRAIN_AT else 0
