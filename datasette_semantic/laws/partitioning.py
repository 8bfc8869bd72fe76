"""How vectors that are kept apart by a value fill vec0's chunks: space is taken in whole chunks for each value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = ["chunk_size_for", "slots", "slots_in_cells", "typical"]

_SIZES: Final = (128, 64, 32, 16, 8)
"""vec0 takes multiples of 8. The larger, the fewer reads; the smaller, the less space stands empty."""
_SPARE: Final = 1.25
"""How many places may be taken for each vector."""


def typical(sizes: Sequence[int]) -> int:
    """Return the size of the part that a row, drawn at random, is in; 0 without rows."""
    return round(sum(size * size for size in sizes) / max(1, sum(sizes)))


def slots(sizes: Sequence[int], chunk_size: int) -> int:
    """Return how many vectors there is space for where parts of these sizes are filled one after another."""
    return sum(-(-size // chunk_size) * chunk_size for size in sizes)


def slots_in_cells(sizes: Sequence[int], chunk_size: int, *, cells: int) -> int:
    """Return the same, about, where each part is spread over cells: the last chunk of each is half full."""
    pairs = sum(cells * (1 - (1 - 1 / cells) ** size) for size in sizes)
    return round(sum(sizes) + pairs * chunk_size / 2)


def chunk_size_for(sizes: Sequence[int], *, cells: int) -> int:
    """Return the largest chunk size that leaves little space empty; `cells` is 0 where there will be none."""
    enough = _SPARE * sum(sizes)
    for size in _SIZES:
        taken = slots_in_cells(sizes, size, cells=cells) if cells else slots(sizes, size)
        if taken <= enough:
            return size
    return _SIZES[-1]
