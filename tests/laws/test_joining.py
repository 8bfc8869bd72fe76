"""The best rows of many queries, tile by tile, are those of one great table of scores."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from datasette_semantic.laws.joining import BestRows, best_of_rows


def test_a_row_counts_with_its_best_chunk() -> None:
    scores = np.array([[0.1, 0.9, 0.3], [0.5, 0.2, 0.4]], dtype=np.float32)
    best, rows = best_of_rows(scores, np.array([4, 4, 7]))
    assert rows.tolist() == [4, 7]
    assert best.tolist() == np.float32([[0.9, 0.3], [0.5, 0.4]]).tolist()


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(0, 12), st.integers(1, 5), st.booleans())
def test_tiles_give_what_the_whole_gives(seed: int, queries: int, rows: int, k: int, coarse: bool) -> None:
    draw = np.random.default_rng(seed)
    scores = draw.uniform(-1, 1, (queries, rows)).astype(np.float32)
    if coarse:  # many equals
        scores = np.round(scores)
    own = draw.integers(-1, max(rows, 1), queries)
    found = BestRows(own, k=k)
    everyone = np.arange(queries)
    for _ in range(2):  # a row that is offered twice counts once
        for start in range(0, rows, 4):
            columns = np.arange(start, min(rows, start + 4))
            found.offer(everyone, scores[:, columns].copy(), columns)
    expected = []
    for query in range(queries):
        order = sorted((row for row in range(rows) if row != own[query]), key=lambda row: (-scores[query, row], row))
        expected += [(query, row, scores[query, row]) for row in order[:k]]
    assert list(zip(*(part.tolist() for part in found.result()), strict=True)) == expected
    assert found.counts().tolist() == [sum(each[0] == query for each in expected) for query in range(queries)]
