"""A condition is taken apart only where nothing can be lost by it."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlite_utils.utils import sqlite3

from datasette_semantic.laws.conditions import compares_only, conjuncts


@pytest.mark.parametrize(
    ("condition", "pieces"),
    [
        ("a = 1", ("a = 1",)),
        ("a = 1 and b = 2", ("a = 1", "b = 2")),
        ("(a = 1 AND (b = 2)) and c", ("a = 1", "b = 2", "c")),
        ('("a" = :p0) and ("b" = :p1)', ('"a" = :p0', '"b" = :p1')),
        ("a = ' and ' and b = '''and'", ("a = ' and '", "b = '''and'")),
        ('"x and y" = 1 and [u and v] = 2', ('"x and y" = 1', "[u and v] = 2")),
        ("a = :and and b = @or", ("a = :and", "b = @or")),
        ("a in (select 1 and 2) and b", ("a in (select 1 and 2)", "b")),
        ("(a = 1 or b = 2) and c = 3", ("a = 1 or b = 2", "c = 3")),
        ("(a, b) = (1, 2) and c", ("(a, b) = (1, 2)", "c")),
    ],
)
def test_taken_apart(condition: str, pieces: tuple[str, ...]) -> None:
    assert conjuncts(condition) == pieces


@pytest.mark.parametrize(
    "condition",
    [
        "a = 1 and b = 2 or c = 3",
        "a between 1 and 2",
        "case when a and b then 1 end",
        "a = 1 -- and b",
        "a = 1 /* and */ and b",
        "a = 1) and (b = 2",
        "((a = 1 and b = 2)",
    ],
)
def test_left_whole(condition: str) -> None:
    assert conjuncts(condition) == (condition,)


TERMS = (
    "a = 1",
    "b = 'and'",
    "(c = 2)",
    "a in (1, 2)",
    "not b = 'x'",
    "c is null",
    "(a = 1 or c = 2)",
    "a between 0 and 1",
)


def test_no_row_is_lost_by_any_piece() -> None:
    """Every row that meets a condition meets each of its pieces, whatever it is made of."""
    connection = sqlite3.connect(":memory:")
    connection.execute("create table t (a, b, c)")
    values = ((0, 1, 2, None), ("and", "x", None), (1, 2, None))
    connection.executemany("insert into t values (?, ?, ?)", itertools.product(*values))
    draw = random.Random(5)
    for _ in range(400):
        terms = draw.choices(TERMS, k=draw.randint(1, 4))
        condition = terms[0]
        for term in terms[1:]:
            condition += draw.choice((" and ", " AND\n", " or ")) + term
            if draw.random() < 0.3:
                condition = f"({condition})"
        met = set(connection.execute(f"select rowid from t where {condition}"))
        for piece in conjuncts(condition):
            assert met <= set(connection.execute(f"select rowid from t where {piece}")), (condition, piece)
    connection.close()


@given(st.text(alphabet="ab=12 ()'\"[]`and or-*/,:\n", max_size=60))
def test_anything_at_all(condition: str) -> None:
    assert conjuncts(condition)


@pytest.mark.parametrize(
    "condition",
    [
        "year = 2020", "year == 2020", "year is 2020", "YEAR=-1.5", '"year" = :p', "[year] = 'x''y'", "`year` is null",
        "t.year = :p", '"t"."year" in (:p0, :p1)', "year in (1, 2,3)", "year IN ('a')", "  year = 1 ",
        'cast("year" as text) in (select cast(value as text) from json_each(:semantic_filter0))',
    ],
)  # fmt: skip
def test_says_which_values(condition: str) -> None:
    assert compares_only(condition, table="t", column="year")


@pytest.mark.parametrize(
    "condition",
    [
        "year > 1", "year is not 1", "year = other", 'year = "other"', "other = 1", "u.year = 1",
        "year = 1 or 1", "year = 1 + x",
        "year = (select 1)", "year in (select y from u)", "year not in (1)", "year = 1 collate nocase", "myear = 1",
        "year2 = 1",
        "year = lower('A')", "not year = 1", "year in ()", "year = ?", "year between 1 and 2",
        "year", "", "year = 1; drop",
    ],
)  # fmt: skip
def test_says_more_or_less(condition: str) -> None:
    assert not compares_only(condition, table="t", column="year")


@pytest.mark.parametrize("name", ['a "b"', "x]y", "a`b", "group by", "ü", "a.b"])
def test_odd_names(name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    assert compares_only(f"{quoted} = 1", table="t", column=name)
    assert compares_only(f"{quoted}.{quoted} = 1", table=name, column=name)
