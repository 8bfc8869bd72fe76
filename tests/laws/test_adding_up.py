"""Scores of rows, added up."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from datasette_semantic.laws.adding_up import best_sums

ROWS = st.one_of(st.integers(0, 60), st.integers(-(2**63), 2**63 - 1))
LISTS = st.lists(st.dictionaries(ROWS, st.floats(1e-6, 50.0), max_size=40), max_size=6)


@given(LISTS, st.integers(1, 50))
def test_it_is_the_plain_sum(lists: list[dict[int, float]], k: int) -> None:
    sums: dict[int, float] = {}
    for each in lists:
        for row, score in each.items():
            sums[row] = sums.get(row, 0.0) + score
    wanted = sorted(sums.items(), key=lambda item: (-item[1], item[0]))[:k]
    columns = [(np.array(list(each), dtype=np.int64), np.array(list(each.values()))) for each in lists]
    rows, scores = best_sums(columns, k=k)
    assert list(zip(rows.tolist(), scores.tolist(), strict=True)) == wanted
