"""Columns that raise scores."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datasette_semantic.laws.boosting import amount, shares

CELLS = st.lists(
    st.none() | st.integers(-(10**12), 10**12) | st.floats() | st.text(max_size=12) | st.binary(max_size=3)
)


@example([1.7976931348623157e308, 0.0, -1.7976931348623157e308], None, 0.5)
@given(CELLS, st.none() | st.floats(1e-9, 1e9), st.sampled_from([-0.5, 0.5]))
def test_shares_are_between_0_and_1_and_rise_with_the_value(
    cells: list[object], half_life: float | None, weight: float
) -> None:
    found = shares(cells, half_life=half_life, weight=weight)  # type: ignore[arg-type]
    assert len(found) == len(cells)
    assert all(0.0 <= share <= 1.0 for share in found)
    pairs = zip(map(amount, cells), found, strict=True)  # type: ignore[arg-type]
    known = sorted((value, share) for value, share in pairs if value is not None)
    assert [share for _, share in known] == sorted(share for _, share in known)


def test_an_even_fall_and_a_half_life() -> None:
    assert shares([1990, 2000, 2010], half_life=None, weight=1) == [0.0, 0.5, 1.0]
    assert shares([1990, 2000, 2010], half_life=10, weight=1) == [0.25, 0.5, 1.0]
    dates = ["2024-01-31", "2024-01-01T00:00:00Z", "2024-01-21 00:00:00", None, "soon"]
    assert shares(dates, half_life=10, weight=1) == pytest.approx([1.0, 0.125, 0.5, 0.0, 0.0])


def test_a_row_without_a_value_has_what_is_worst() -> None:
    assert shares([None, 5, 9], half_life=None, weight=0.2) == [0.0, 0.0, 1.0]
    assert shares([None, 5, 9], half_life=None, weight=-0.2) == [1.0, 0.0, 1.0]
    assert shares([None, "x"], half_life=None, weight=0.2) == [0.0, 0.0]
    assert shares([3, 3], half_life=None, weight=0.2) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("2024", 2024.0),
        (7, 7.0),
        ("1.5", 1.5),
        ("1970-01-02", 1.0),
        ("1970-02", 31.0),
        ("nan", None),
        (b"7", None),
        ("", None),
    ],
)
def test_amounts(cell: str | int | bytes, number: float | None) -> None:
    assert amount(cell) == number
