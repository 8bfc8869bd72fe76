"""The arithmetic of parts and chunks."""

from __future__ import annotations

import numpy as np

from datasette_semantic.laws.partitioning import chunk_size_for, slots, slots_in_cells, typical


def test_slots() -> None:
    assert slots([1, 8, 9], 8) == 8 + 8 + 16
    assert slots([], 8) == 0


def test_the_typical_part_is_that_of_a_row() -> None:
    assert typical([100, 100, 100]) == 100
    assert typical([900, *[1] * 100]) == 810
    assert typical([]) == 0


def test_chunks_are_as_large_as_space_allows() -> None:
    assert chunk_size_for([100_000], cells=0) == 128
    assert chunk_size_for([10_000] * 10, cells=0) == 128
    assert chunk_size_for([100] * 1_000, cells=0) == 8 * (2 ** (chunk_size_for([100] * 1_000, cells=0) // 16))
    assert slots([100] * 1_000, chunk_size_for([100] * 1_000, cells=0)) <= 125_000
    assert chunk_size_for([1] * 1_000, cells=0) == 8
    assert chunk_size_for([100_000] * 10, cells=512) < chunk_size_for([100_000] * 10, cells=0)


def test_slots_in_cells_is_about_right() -> None:
    draw = np.random.default_rng(3)
    sizes, cells, chunk = [3_000, 500, 40, 1], 64, 16
    counts = [np.bincount(draw.integers(0, cells, size), minlength=cells) for size in sizes]
    true = sum(slots([int(n) for n in each if n], chunk) for each in counts)
    assert abs(slots_in_cells(sizes, chunk, cells=cells) - true) < 0.1 * true
