"""Moving vectors from one cell to another, or from sparse blocks to full ones, in short write transactions."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np

from ..records import IndexRecord
from ..store import catalog, cells
from ..store.blocks import Block
from ..store.connection import Connection
from .courtesy import Courtesy

__all__ = ["gathered", "move"]

_LEAST_MOVED, _FIRST_MOVED, _MOST_MOVED = 128, 512, 2_048
"""Vectors moved in one transaction, about."""
_GATHER = 4_096
"""Vectors taken up at a time."""


def move(
    connection: Connection,
    index: IndexRecord,
    moved: Sequence[Block],
    numbers: Sequence[int],
    courtesy: Courtesy,
) -> None:
    """Move the vectors of blocks to cells; `numbers` has a cell for each vector, in order.

    A block that somebody has written to since it was read stays where it is.
    """
    starts = np.cumsum([0, *(len(block.ids) for block in moved)])
    start, size = 0, _FIRST_MOVED
    while start < len(moved):
        began = time.monotonic()
        end = max(start + 1, int(np.searchsorted(starts, starts[start] + size, side="right")) - 1)
        with catalog.writing(connection, index):
            cells.place(connection, index, moved[start:end], numbers[starts[start] : starts[end]])
        spent = time.monotonic() - began
        start = end
        size = max(_LEAST_MOVED, size // 2) if spent > courtesy.seconds else min(_MOST_MOVED, size * 2)
        courtesy.pause()


def gathered(found: Iterator[Block]) -> Iterator[list[Block]]:
    """Join blocks until they are large enough for one product with the centroids to be worth its while."""
    waiting: list[Block] = []
    for block in found:
        waiting.append(block)
        if sum(len(each.ids) for each in waiting) >= _GATHER:
            yield waiting
            waiting = []
    if waiting:
        yield waiting
