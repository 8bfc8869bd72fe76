"""Chunks tile the text, keep their limit, and fall where the text itself is cut."""

from __future__ import annotations

import re
import time
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datasette_semantic.errors import BadOption
from datasette_semantic.laws.chunking import CountTokens, chunk_text, estimate_tokens
from datasette_semantic.records import Chunk, ChunkSpec


def count_words(text: str) -> int:
    return len(text.split())


def count_characters(text: str) -> int:
    return len(text)


def count_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def count_grudgingly(text: str) -> int:
    """A tokenizer whose counts do not add up: a whole costs more than its parts."""
    words = len(re.findall(r"\w+|[^\w\s]", text))
    return words + words // 7 + text.count("\n")


def count_with_markers(text: str) -> int:
    return len(re.findall(r"\w+|[^\w\s]", text)) + 2


COUNTERS: list[CountTokens | None] = [
    None, count_words, count_characters, count_bytes, count_grudgingly, count_with_markers
]  # fmt: skip


def cut(text: str, limit: int, *, overlap: int = 0, count: CountTokens | None = count_words) -> list[str]:
    return [chunk.text for chunk in chunk_text(text, ChunkSpec(max_tokens=limit, overlap=overlap), count)]


# --- where cuts fall ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "limit", "chunks"),
    [
        ("one two three", 3, ["one two three"]),
        ("one two three four", 3, ["one two ", "three four"]),
        ("a b c.\n\nd e f.\n\ng h i.", 6, ["a b c.\n\nd e f.\n\n", "g h i."]),
        ("a b c\nd e f\ng h i", 5, ["a b c\n", "d e f\n", "g h i"]),
        ("A b c. D e f. G h i.", 5, ["A b c. ", "D e f. ", "G h i."]),
        ("e.g. one two three four five", 4, ["e.g. one two ", "three four five"]),
        ("A b c d\ne f g. H i j k l m n o p.", 7, ["A b c d\ne f g. ", "H i j k l ", "m n o p."]),
        ("A b c d\nE f g. H i j k l m n o p.", 7, ["A b c d\n", "E f g. ", "H i j k l ", "m n o p."]),
        ("A b c\nd e f. G h i j.", 6, ["A b c\nd e f. ", "G h i j."]),
        ('He said "no." Then he went.', 4, ['He said "no." ', "Then he went."]),
        ("  \n one two three four\n\n", 2, ["  \n one two ", "three four\n\n"]),
        ("one\r\ntwo\r\nthree", 1, ["one\r\n", "two\r\n", "three"]),
    ],
)
def test_cuts_fall_at_the_best_place(text: str, limit: int, chunks: list[str]) -> None:
    assert cut(text, limit) == chunks


def test_chinese_is_cut_behind_sentences_then_clauses() -> None:
    assert cut("机器人爱上人。「它会思考吗？」我不知道。", 16, count=count_characters) == [
        "机器人爱上人。「它会思考吗？」",
        "我不知道。",
    ]
    long = "，".join("机器人爱上人" * 2 for _ in range(40)) + "。"
    assert all(chunk.endswith(("，", "。")) for chunk in cut(long, 100, count=count_characters))


def test_a_word_is_cut_only_where_nothing_else_helps() -> None:
    assert cut("abcdefghij kl", 5, count=count_characters) == ["abcde", "fghij ", "kl"]
    assert cut("supercalifragilistic cat", 20, count=count_characters) == ["supercalifragilistic ", "cat"]


def test_no_crumb_at_the_end() -> None:
    for words in range(101, 300):
        sizes = [count_words(chunk) for chunk in cut("word " * words, 100)]
        assert min(sizes) >= 25, sizes


# --- the promises ---------------------------------------------------------------------------------------------------

SCRAPS = [
    "word ", "Word. ", "longer-words, ", "x" * 70, "\n", "\n\n", " ", "    ", "\t", "\r\n", "。", "！",
    "機械", "の学習は、", "에서 ", "слово ", "e\u0301", "\u0301", "👩\u200d👩\u200d👧", "👍🏽", "🇫🇷", "🤖", "\u200d",
    "1,234.5 ", "https://example.com/a?b=c ", "“Quoted.” ", "...", "\ud800", "\x00", "นี่คือ", "हिन्दी ", " " * 200,
]  # fmt: skip

texts = st.one_of(st.text(max_size=300), st.lists(st.sampled_from(SCRAPS), max_size=120).map("".join))
limits = st.integers(min_value=1, max_value=60)


def overlaps_of(limit: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.just(limit), st.integers(min_value=0, max_value=limit - 1))


def is_one_character(text: str) -> bool:
    """Whether no place inside `text` may be cut."""
    bare = text.strip()
    return all(
        unicodedata.category(here)[0] == "M"
        or "\u200d" in (here, before)
        or "\U0001f3fb" <= here <= "\U0001f3ff"
        or all("\U0001f1e6" <= c <= "\U0001f1ff" for c in (here, before))
        for before, here in pairwise(bare)
    )


@given(text=texts, sizes=limits.flatmap(overlaps_of), count=st.sampled_from(COUNTERS))
@example(text="a" + "\u0301" * 500, sizes=(5, 0), count=count_characters)
@example(text="a " * 10 + "\n" * 500 + "b " * 10, sizes=(8, 3), count=count_grudgingly)
@example(text=" " * 1000 + "a", sizes=(1, 0), count=count_characters)
@settings(max_examples=600, deadline=None)
def test_promises(text: str, sizes: tuple[int, int], count: CountTokens | None) -> None:
    limit, overlap = sizes
    chunks = chunk_text(text, ChunkSpec(max_tokens=limit, overlap=overlap), count)
    counted = count or estimate_tokens
    assert bool(chunks) == bool(text.strip())
    if not chunks:
        return
    assert chunks[0].start == 0
    assert chunks[-1].end == len(text)
    for chunk in chunks:
        assert chunk.text == text[chunk.start : chunk.end]
        assert chunk.text.strip()
        assert counted(chunk.text.strip()) <= limit or is_one_character(text_without_overlap(chunk, chunks))
    for before, after in pairwise(chunks):
        assert before.start < after.start <= before.end < after.end
        if not overlap:
            assert after.start == before.end
        assert counted(text[after.start : before.end].strip()) <= overlap or after.start == before.end
        for place in (after.start, before.end):
            assert not text[place].isspace()  # white space belongs to the chunk before it
            if not text[place - 1].isspace():
                assert unicodedata.category(text[place])[0] != "M"
                assert text[place] != "\u200d"
                assert text[place - 1] != "\u200d" or text[place].isascii()


def text_without_overlap(chunk: Chunk, chunks: tuple[Chunk, ...]) -> str:
    """What `chunk` holds beyond the chunk before it."""
    own = max([other.end for other in chunks if other.end < chunk.end], default=0)
    return chunk.text[max(own, chunk.start) - chunk.start :]


@given(text=texts, limit=limits)
@settings(max_examples=200, deadline=None)
def test_overlap_only_adds_in_front(text: str, limit: int) -> None:
    """Without what they repeat, chunks are those of the smaller limit without overlap, and they tile."""
    overlap = limit // 3
    lapped = chunk_text(text, ChunkSpec(max_tokens=limit, overlap=overlap), count_words)
    if len(lapped) > 1:
        plain = chunk_text(text, ChunkSpec(max_tokens=limit - overlap), count_words)
        assert [chunk.end for chunk in lapped] == [chunk.end for chunk in plain]


def test_overlap_reaches_back_to_a_sentence_else_a_word() -> None:
    text = "One two three. Four five. Six seven eight. Nine ten."
    assert cut(text, 8, overlap=3) == ["One two three. Four five. ", "Four five. Six seven eight. Nine ten."]
    first, second, third = (" ".join(["incomprehensible"] * words) for words in (6, 2, 6))
    assert cut(f"{first}. {second.title()}. {third.title()}.", 13, overlap=5) == [
        f"{first}. {second.title()}. ",
        f"{second.title()}. {third.title()}.",
    ]
    assert cut("a b c d e f g h", 5, overlap=1) == ["a b c d ", "d e f g h"]
    chinese = "机器人爱上人" * 20
    for before, after in pairwise(chunk_text(chinese, ChunkSpec(max_tokens=30, overlap=6), count_characters)):
        assert before.end - after.start == 6


# --- the ordinary case, and limits ----------------------------------------------------------------------------------


def test_short_text_is_not_even_counted() -> None:
    def refuse(text: str) -> int:
        raise AssertionError("counted")

    assert cut("A short text.", 400, count=refuse) == ["A short text."]


def test_a_text_that_fits_is_counted_once() -> None:
    calls: list[str] = []

    def count(text: str) -> int:
        calls.append(text)
        return 100

    text = "word " * 200
    assert cut(text, 100, count=count) == [text]
    assert len(calls) == 1


def test_each_character_is_counted_a_few_times_at_most() -> None:
    counted = 0

    def count(text: str) -> int:
        nonlocal counted
        counted += len(text)
        return len(text.split())

    text = "It was a dark and stormy night, and nobody knew why. " * 5_000
    cut(text, 200, count=count)
    assert counted < 4 * len(text)


def test_none_keeps_the_text_whole() -> None:
    text = " one\n\ntwo " * 1_000
    assert chunk_text(text, ChunkSpec(chunker="none", max_tokens=5)) == (Chunk(0, len(text), text),)
    assert chunk_text(" \n", ChunkSpec(chunker="none")) == ()


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        (ChunkSpec(chunker="psychic"), "No chunker is called 'psychic'"),
        (ChunkSpec(max_tokens=0), "at least 1 token, not 0"),
        (ChunkSpec(max_tokens=10, overlap=10), "between 0 and 9"),
        (ChunkSpec(max_tokens=10, overlap=-1), "it is -1"),
    ],
)
def test_bad_specs(spec: ChunkSpec, complaint: str) -> None:
    with pytest.raises(BadOption, match=complaint):
        chunk_text("text", spec)


MEGABYTES = [
    "a", "a ", "A robot falls in love. ", ".", ". ", "\n", "\r\n", "机", "机。", "🤖", "a\u0301", "\u0301", "a\u200d",
    "1,", '."', "! \n",
]  # fmt: skip


@pytest.mark.parametrize("unit", MEGABYTES)
@pytest.mark.parametrize("count", [None, count_words])
def test_a_single_line_of_megabytes_takes_linear_time(unit: str, count: CountTokens | None) -> None:
    text = "x" + unit * (1_000_000 // len(unit)) + "x"
    started = time.process_time()
    chunks = chunk_text(text, ChunkSpec(max_tokens=400, overlap=40), count)
    assert time.process_time() - started < 4  # 10 MB would take ten times as long, not a hundred times
    assert chunks[-1].end == len(text)


# --- the estimate ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("seven x", 2),
        ("ROBOT", 3),
        ("3.14", 4),
        ("мир", 3),
        ("机器人", 6),
        ("🤖", 4),
        ("a\n", 2),
        ("\ud800", 2),
    ],
)
def test_estimate(text: str, tokens: int) -> None:
    assert estimate_tokens(text) == tokens


@given(st.lists(st.text(), min_size=2, max_size=5))
def test_estimates_of_parts_never_fall_short_of_the_whole(parts: list[str]) -> None:
    assert sum(map(estimate_tokens, parts)) >= estimate_tokens("".join(parts))
