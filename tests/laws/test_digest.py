"""What a language model reads is never longer than its budget, and says what was left out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from datasette_semantic.laws.chunking import estimate_tokens
from datasette_semantic.laws.digest import Entry, digest

TEXT = st.text(max_size=400) | st.sampled_from(["word " * 300, "庭のロボット" * 100, "a" * 2_000])
ENTRIES = st.lists(
    st.builds(
        Entry,
        link=st.text("/abc123~", min_size=1, max_size=40),
        text=TEXT,
        passage=st.text(max_size=200),
        fields=st.dictionaries(
            st.text(min_size=1, max_size=8), st.none() | st.integers() | TEXT | st.binary(), max_size=3
        ),
    ),
    max_size=8,
)


@given(entries=ENTRIES, max_tokens=st.integers(100, 3_000), notices=st.lists(st.text("abc ", max_size=40), max_size=2))
def test_never_longer_than_the_budget(entries: list[Entry], max_tokens: int, notices: list[str]) -> None:
    text = digest(entries, max_tokens=max_tokens, total=1_000, notices=notices)
    assert estimate_tokens(text) <= max_tokens
    assert text.startswith("\n\n".join(notices))


def entry(number: int, text: str = "A robot learns to love.") -> Entry:
    return Entry(f"/films/{number}", text, "learns to love", {"year": 1950 + number, "blob": b"123", "none": None})


def test_best_first_each_with_its_link() -> None:
    assert digest([entry(1), entry(2)], max_tokens=1_000) == (
        "[1] /films/1\nyear: 1951\nblob: (binary, 3 bytes)\nA robot learns to love.\n\n"
        "[2] /films/2\nyear: 1952\nblob: (binary, 3 bytes)\nA robot learns to love."
    )


def test_what_is_left_out_is_told() -> None:
    text = digest([entry(number) for number in range(20)], max_tokens=200, total=5_000)
    shown = text.count("/films/")
    assert 1 < shown < 20
    assert text.endswith(f"({shown} of 5,000 results shown; ask for something narrower to see others.)")


def test_a_long_row_is_its_passage_and_notices_come_first() -> None:
    text = digest([entry(1, "word " * 5_000)], max_tokens=500, notices=["By words only."])
    assert text == "By words only.\n\n[1] /films/1\nyear: 1951\nblob: (binary, 3 bytes)\nlearns to love"
    assert digest([], max_tokens=500, notices=["By words only."]) == "By words only.\n\nNothing was found."
