"""People's words to FTS5: one table of (typed, expected), every line of it also run against FTS5 itself."""

from __future__ import annotations

import random
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from datasette.utils.sqlite import sqlite3
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datasette_semantic.config import MAX_QUERY_CHARS
from datasette_semantic.laws.fts_query import (
    MAX_OPERANDS,
    MAX_TERMS,
    ParsedQuery,
    Term,
    excluded_match,
    parse,
    relaxed,
    to_match,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS = ("title", "body", "Release year", 'odd"name')

TABLE: list[tuple[str, str | None]] = [
    # words
    ("robot", '"robot"'),
    ("robot love", '"robot" OR "love"'),
    ("  robot\t\nlove  ", '"robot" OR "love"'),
    ("a robot, that falls in love!", '"a" OR "robot" OR "that" OR "falls" OR "in" OR "love"'),
    ("Robot robot ROBOT", '"Robot"'),
    ("don't os.path C++ 10,000", '"don\'t" OR "os.path" OR "C++" OR "10,000"'),
    ("well-known t/nroff", '"well-known" OR "well" OR "known" OR "t/nroff" OR "t" OR "nroff"'),
    ("title:covid-19", '"title" : "covid-19" OR "title" : "covid" OR "title" : "19"'),
    ("print(x,y)", '"print" OR "x" OR "y"'),
    ("机器人，爱？", '"机器人" OR "爱"'),
    ("_private_ 'quoted' `code`", '"private" OR "quoted" OR "code"'),
    # phrases
    ('"blade runner"', '"blade runner"'),
    ("“blade runner”", '"blade runner"'),
    ('  "blade   runner"  ', '"blade runner"'),
    ('"blade runner" love', '"blade runner" AND ("love" OR "blade runner")'),
    ('love "blade runner" "ridley scott"', '"blade runner" AND "ridley scott" AND ("love" OR "blade runner")'),
    ('("blade runner")', '"blade runner"'),
    ('"robot"robot', '"robot"'),
    ('"a" "A"', '"a"'),
    # unbalanced and empty quotes
    ('"blade runner', '"blade" OR "runner"'),
    ('blade runner"', '"blade" OR "runner"'),
    ('12" vinyl 7" single', '"12" OR "vinyl" OR "7" OR "single"'),
    ('say"hi"there', '"say" OR "hi" OR "there"'),
    ('"a b" "c', '"a b" AND ("c" OR "a b")'),
    ('"', None),
    ('""', None),
    ('"?!" robot', '"robot"'),
    # excluded
    ("robot -vampire", '("robot") NOT ("vampire")'),
    ('robot -"on ice"', '("robot") NOT ("on ice")'),
    ("robot -vampire -ghost", '("robot") NOT ("vampire" OR "ghost")'),
    ('"a b" c -d', '("a b" AND ("c" OR "a b")) NOT ("d")'),
    ("-vampire", None),
    ("robot - vampire", '"robot" OR "vampire"'),
    ("robot --flag", '"robot" OR "flag"'),
    ("covid-1*", '"covid-1"*'),
    ("robot -", '"robot"'),
    ("robot -e-mail", '("robot") NOT ("e-mail")'),
    # OR
    ("robot OR android", '"robot" OR "android"'),
    ('"a b" OR "c d"', '("a b" OR "c d")'),
    ('"a b" OR robot love', '("a b" OR "robot") AND ("love" OR "a b" OR "robot")'),
    ('"a b" OR "c d" "e f"', '("a b" OR "c d") AND "e f"'),
    ('"a b" OR OR "c d"', '("a b" OR "c d")'),
    ("OR gate", '"OR" OR "gate"'),
    ("Portland OR", '"Portland" OR "OR"'),
    ("or", '"or"'),
    # prefixes
    ("robo*", '"robo"*'),
    ("robo* love", '"robo"* OR "love"'),
    ("robot -vamp*", '("robot") NOT ("vamp"*)'),
    ('"blade run"*', '"blade run"*'),
    ("**bold** *", '"bold"'),
    # columns
    ("title:robot", '"title" : "robot"'),
    ("TITLE:robot love", '"title" : "robot" OR "love"'),
    ("title:robo*", '"title" : "robo"*'),
    ('title:"blade runner" love', '"title" : "blade runner" AND ("love" OR "title" : "blade runner")'),
    ("robot -title:love", '("robot") NOT ("title" : "love")'),
    ('robot -title:"in love"', '("robot") NOT ("title" : "in love")'),
    ("colour:red", '"colour:red"'),
    ('colour:"dark red"', '"dark red" AND ("colour" OR "dark red")'),
    ("title: robot", '"title" OR "robot"'),
    ("title:", '"title"'),
    (":robot", '"robot"'),
    ("http://example.com", '"http://example.com" OR "http" OR "example.com"'),
    # FTS5's own language means nothing here
    ("robot AND love", '"robot" OR "AND" OR "love"'),
    ("NOT love", '"NOT" OR "love"'),
    ("NEAR(robot love, 5)", '"NEAR" OR "robot" OR "love" OR "5"'),
    ("{title body}:robot", '"title" OR "body" OR "robot"'),
    ("^robot + love", '"robot" OR "love"'),
    # nothing
    ("", None),
    ("   ", None),
    ("???", None),
    ("* ^ - + : ( ) OR", '"OR"'),
    ("🤖", None),
    ("\0\ud800", None),
    ("ro\0bot", '"robot"'),
    ("robot\udfff", '"robot"'),
]

TOKENIZERS = ("porter", "unicode61", "trigram")


@pytest.fixture(scope="module")
def tables() -> Iterator[Any]:
    """A connection with one FTS5 table per tokenizer, all holding the same rows."""
    connection = sqlite3.connect(":memory:")
    for name in TOKENIZERS:
        connection.execute(
            f'create virtual table {name} using fts5(title, body, "Release year", "odd""name", tokenize = "{name}")'
        )
        connection.executemany(
            f"insert into {name}(title, body) values (?, ?)",
            [
                ("blade runner", "a robot hunts androids, and falls in love"),
                ("vampire robot", "a vampire on ice"),
                ("love story", "no machines here"),
                ("机器人", "机器人爱上人"),
            ],
        )
    yield connection
    connection.close()


def rowids(connection: Any, match: str | None, *, table: str = "porter") -> list[int]:
    if match is None:
        return []
    sql = f"select rowid from {table} where {table} match ? order by bm25({table}), rowid"
    return [row[0] for row in connection.execute(sql, [match])]


@pytest.mark.parametrize(("typed", "expected"), TABLE)
def test_typed_becomes_match(typed: str, expected: str | None, tables: Any) -> None:
    match = to_match(parse(typed, columns=COLUMNS))
    assert match == expected
    for table in TOKENIZERS:
        rowids(tables, match, table=table)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("robot", {1, 2}),
        ("androids machines", {1, 3}),
        ('"blade runner"', {1}),
        ('"runner blade"', set()),
        ('"robot" love', {1, 2}),
        ('"blade runner" OR "love story"', {1, 3}),
        ('"robot" "vampire"', {2}),
        ("robot -vampire", {1}),
        ('robot -"on ice"', {1}),
        ("vamp*", {2}),
        ("title:robot", {2}),
        ("love -title:love", {1}),
    ],
)
def test_rows_are_those_meant(typed: str, expected: set[int], tables: Any) -> None:
    assert set(rowids(tables, to_match(parse(typed, columns=COLUMNS)))) == expected


def test_words_beside_a_phrase_only_rank(tables: Any) -> None:
    assert rowids(tables, to_match(parse('"robot" hunts'))) == [1, 2]
    assert rowids(tables, to_match(parse('"robot" ice'))) == [2, 1]


def test_every_column_can_be_named(tables: Any) -> None:
    query = ParsedQuery(optional=tuple(Term("robot", column=column) for column in COLUMNS))
    assert rowids(tables, to_match(query)) == [2, 1]


# --- what else a query yields ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("What is love?", "What is love?"),
        ('"blade runner" -vampire love OR hate', "blade runner love hate"),
        ("title:robot robo* Portland OR", "robot robo* Portland OR"),
        ('robot -"on ice" -title:x ???', "robot"),
        ("🤖 love", "🤖 love"),
        ("。。 ??", ""),
        ("-vampire", ""),
    ],
)
def test_text_to_embed(typed: str, text: str) -> None:
    assert parse(typed, columns=COLUMNS).text == text


@pytest.mark.parametrize(
    ("typed", "marked"),
    [
        ("a robot that falls in love, ROBOT", ("robot", "falls", "love")),
        ('"to be" or not -vampire', ("to", "be")),
        ("to be or not to be", ("to", "be", "or", "not")),
        ("robo* title:Love", ("robo*", "Love")),
        ('"blade run"*', ("blade", "run*")),
        ("a state-of-the-art robot", ("state", "art", "robot")),
    ],
)
def test_words_to_mark(typed: str, marked: tuple[str, ...]) -> None:
    assert words(parse(typed, columns=COLUMNS)) == marked


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("robot", None),
        ("robot -vampire", '"vampire"'),
        ('-vampire -"on ice" -gh* -title:x', '"vampire" OR "on ice" OR "gh"* OR "title" : "x"'),
    ],
)
def test_excluded_match(typed: str, expected: str | None, tables: Any) -> None:
    match = excluded_match(parse(typed, columns=COLUMNS))
    assert match == expected
    rowids(tables, match)


# --- running text ---------------------------------------------------------------------------------------------------

TEN = "one two three four five six seven eight nine ten"


def test_in_running_text_quotes_and_dashes_are_the_writers() -> None:
    query = parse(f'{TEN} -dash "extensible languages" eleven')
    assert not query.required
    assert not query.excluded
    assert query.text == f"{TEN} dash extensible languages eleven"
    assert query.optional[-3:] == (Term("extensible languages", phrase=True), Term("extensible"), Term("languages"))
    assert Term("dash") in query.optional


def test_a_query_of_many_words_keeps_its_operators() -> None:
    query = parse(f'{TEN} -dash "extensible languages"')
    assert query.required == ((Term("extensible languages", phrase=True),),)
    assert query.excluded == (Term("dash"),)


def test_relaxed(tables: Any) -> None:
    query = parse('title:"blade robot" OR vampire love -ice', columns=COLUMNS)
    assert to_match(relaxed(query)) == (
        '("love" OR "title" : "blade robot" OR "vampire" OR "title" : "blade" OR "title" : "robot") NOT ("ice")'
    )
    assert set(rowids(tables, to_match(relaxed(query)))) == {1, 3}
    assert relaxed(parse("robot")) == parse("robot")


# --- analysed indexes -----------------------------------------------------------------------------------------------


def pairs(text: str) -> list[str]:
    return [text[i : i + 2] for i in range(len(text) - 1)] or [text]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("机器人", '"机器" OR "器人"'),
        ('"机器人"', '"机器" + "器人"'),
        ("机器人*", '"机器" OR "器人"*'),
        ("title:机器人", '"title" : "机器" OR "title" : "器人"'),
        ('title:"机器人"', '"title" : "机器" + "器人"'),
        ("爱 -机器人", '("爱") NOT ("机器" + "器人")'),
    ],
)
def test_tokens(typed: str, expected: str, tables: Any) -> None:
    match = to_match(parse(typed, columns=COLUMNS), tokens=pairs)
    assert match == expected
    rowids(tables, match)


def test_tokens_may_be_none_or_hostile(tables: Any) -> None:
    query = parse('robot "love"')
    assert to_match(query, tokens=lambda text: []) is None
    assert to_match(query, tokens=lambda text: [] if text == "love" else [text]) == '"robot"'
    for hostile in ('"', "\0", "\ud800", " ", 'a" OR "b', "*", "x" * 100_000):
        rowids(tables, to_match(query, tokens={"robot": [hostile, hostile], "love": [hostile]}.__getitem__))


# --- limits and promises ----------------------------------------------------------------------------------------------


def test_limits(tables: Any) -> None:
    many = parse(" ".join(f"word{i}" for i in range(500)))
    assert [term.text for term in many.optional] == [f"word{i}" for i in range(MAX_TERMS)]
    rowids(tables, to_match(many))
    mixed = parse(" ".join(f'"p{i}" -x{i}' for i in range(40)) + " robot")
    assert len(mixed.required) == 40
    assert len(mixed.excluded) == MAX_TERMS - 40
    assert not mixed.optional
    alternatives = parse(" OR ".join(f'"p{i}"' for i in range(200)))
    assert len(alternatives.required[0]) == MAX_TERMS
    match = to_match(parse("人" * 50 + "".join(map(chr, range(0x4E00, 0x4E00 + 1000)))), tokens=pairs)
    assert match is not None
    assert match.count(" OR ") == MAX_OPERANDS - 1
    rowids(tables, match)


def test_long_input_is_cut() -> None:
    assert parse("x" * 1_000_000).optional == (Term("x" * MAX_QUERY_CHARS),)


SCRAPS = [
    '"', '""', "'", "(", ")", "[", "]", "{", "}", "^", "+", "-", "--", "*", ":", ",", ".", ";", "\\", "/", "%", "\0",
    "\ud800", "\udfff", " ", "  ", "\n", "\t", "\u3000", "\u200b", "\ufeff", "AND", "OR", "NOT", "NEAR", "NEAR(",
    "title:", "body:", "rowid:", "rank:", "Release year", 'odd"name:', "robot", "robo*", "love", "机器人", "が",
    "e\u0301", "İ", "ß", "🤖", "👩\u200d👧", "½", "\U000f0000", "\ue000", "ﷺ", "a" * 300, "“", "”", "＂", "－",
    "'; drop table x; --",
]  # fmt: skip


def random_query(rng: random.Random) -> str:
    """Scraps of the language, of FTS5's and of all of Unicode, in any order."""
    parts = []
    for _ in range(rng.choice([1, 2, 3, 5, 8, 13, 40])):
        parts.append(rng.choice(SCRAPS) if rng.random() < 0.7 else chr(rng.randrange(sys.maxunicode + 1)))
        parts.append(rng.choice(["", " "]))
    return "".join(parts)


def test_ten_thousand_random_queries(tables: Any) -> None:
    rng = random.Random(20_260_101)
    asked = 0
    spent = 0.0
    for number in range(10_000):
        typed = random_query(rng)
        started = time.process_time()
        query = parse(typed, columns=COLUMNS)
        match, unwanted = to_match(query), excluded_match(query)
        analysed = to_match(query, tokens=pairs)
        words(query)
        spent += time.process_time() - started
        query.text.encode()
        for expression in (match, unwanted, analysed):
            rowids(tables, expression, table=TOKENIZERS[number % 3])
        asked += match is not None
    assert asked > 5_000
    assert spent < 10  # 1 ms each on a busy machine; it takes a tenth of that


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from('"-*:() OR\0')), max_size=200))
@example('-"')
@example('title:"')
@example('-:"a"')
@settings(deadline=None)
def test_any_text_at_all(typed: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("create virtual table t using fts5(title, body)")
    query = parse(typed, columns=("title", "body"))
    for match in (to_match(query), excluded_match(query)):
        if match is not None:
            connection.execute("select rowid from t where t match ?", [match]).fetchall()
    connection.close()
    assert len(query.optional) + sum(map(len, query.required)) + len(query.excluded) <= MAX_TERMS


@pytest.mark.parametrize(
    "unit", ['"', '" ', 'a"', '-"', "(", "a:", "-", "*", "OR ", '"a" OR ', ", ", "a,", "\0", "'", 'title:"', "-a "]
)
def test_time_is_linear(unit: str) -> None:
    typed = unit * (MAX_QUERY_CHARS // len(unit))
    started = time.thread_time()
    to_match(parse(typed, columns=COLUMNS))
    assert time.thread_time() - started < 2.0, "it takes hundredths of a second; were it quadratic, some ten seconds"
