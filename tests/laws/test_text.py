"""Rows as text: what each kind of value becomes, and what is left alone."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasette_semantic.errors import BadOption
from datasette_semantic.laws.text import readable, row_text, template_columns
from datasette_semantic.records import Cell, TextSpec

FILM: dict[str, Cell] = {
    "title": "Metropolis",
    "year": 1927,
    "director": None,
    "poster": b"\x89PNG",
    "genres": '["Drama"]',
}


def as_text(values: dict[str, Cell], template: str | None = None) -> str:
    return row_text(values, TextSpec(columns=tuple(values), template=template))


# --- joining --------------------------------------------------------------------------------------------------------


def test_columns_are_joined_in_the_order_of_the_spec() -> None:
    assert row_text(FILM, TextSpec(columns=("year", "title"))) == "1927\nMetropolis"
    assert as_text(FILM) == "Metropolis\n1927\nDrama"


def test_a_row_that_says_nothing_is_empty() -> None:
    assert as_text({"a": None, "b": "", "c": " \n", "d": b"abc", "e": "[]", "f": "{}", "g": "<p></p>"}) == ""


def test_a_missing_column_is_the_callers_mistake() -> None:
    with pytest.raises(KeyError, match="rating"):
        row_text(FILM, TextSpec(columns=("rating",)))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-12, "-12"),
        (0.5, "0.5"),
        (1e300, "1e+300"),
        ("  kept as it is ", "  kept as it is "),
        ("line\nline", "line\nline"),
        ("12", "12"),
    ],
)
def test_plain_values(value: Cell, text: str) -> None:
    assert readable(value) == text


# --- JSON -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('["Drama","Western"]', "Drama, Western"),
        (' ["Drama"]\n', "Drama"),
        ('[1, 2.5, true, null, ""]', "1, 2.5, true"),
        ('{"name": "Ada", "born": 1815, "died": null}', "name: Ada\nborn: 1815"),
        ('{"cast": [{"name": "A"}, {"name": "B"}]}', "cast.name: A\ncast.name: B"),
        ('{"a": {"b": {"c": ["x", "y"]}}}', "a.b.c: x, y"),
        ('[["a", "b"], ["c"]]', "a, b\nc"),
        ('["<p>Fish &amp; chips</p>"]', "Fish & chips"),
        ('["\\u00e9\\ud83e\\udd16"]', "é🤖"),
    ],
)
def test_json_is_made_readable(value: str, text: str) -> None:
    assert readable(value) == text


@pytest.mark.parametrize(
    "value",
    [
        "[Chorus] la la la",
        "[Chorus]",
        "{braces}",
        '["unfinished"',
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * 50_000 + "1" + "}" * 50_000,
        '"a string"',
        "[" + "9" * 10_000 + "]x",
        "[1] a note",
    ],
    ids=lambda value: value[:20],
)
def test_what_only_looks_like_json_stays(value: str) -> None:
    assert readable(value) == value


# --- HTML -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("<p>Fish &amp; <b>chips</b></p>", "Fish & chips"),
        ("<p>one</p><p>two</p>", "one\ntwo"),
        ("one<br>two<BR/>three", "one\ntwo\nthree"),
        ("<ul>\n  <li>one\n  <li>two\n</ul>", "one\ntwo"),
        ("<h1>Title</h1>\n\n\n   text <i>in</i>line", "Title\ntext inline"),
        ("<div>a<script>var x = '<p>';</script>b<STYLE>p {}</STYLE>c</div>", "abc"),
        ("<p>a</p><script>never closed <p>b</p>", "a"),
        ("<p>a<!-- <p>no</p> -->b</p>", "ab"),
        ("<p>a</p><!-- never closed <p>b</p>", "a"),
        ("<!DOCTYPE html><html><head><title>T</title></head><body>x</body></html>", "T\nx"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("<pre>one\n  two</pre>three\nfour", "one\ntwo\nthree four"),
        ("<p title=\"a > b\" class='x'>text</p>", "text"),
        ("<p>a &lt; b &#233; &nbsp; x&eacute;</p>", "a < b é xé"),
        ("<p>1 < 2 and <unclosed</p>", "1 < 2 and <unclosed"),
        ('<img src="x.png"> caption', "caption"),
        ("<p><my-tag>x</my-tag></p>", "x"),
        ("A post,\n\nwith <b>a few</b>   tags &amp;\nlines.", "A post,\n\nwith a few tags &\nlines."),
        ("one <p>two\n\n\n\nthree", "one\ntwo\n\nthree"),
        ("<div>\n    <p>indented `markup`\n    wrapped</p>\n</div>", "indented `markup` wrapped"),
        ("<p>c <? php ?> d <![CDATA[x]]></p>", "c d"),
    ],
)
def test_html_is_made_readable(value: str, text: str) -> None:
    assert readable(value) == text


@pytest.mark.parametrize(
    "value",
    [
        "x < y and y > z",
        "std::vector<int> v; List<String> names",
        "AT&amp;T &lt;p&gt;",
        "if (a<b && c>d) <3 <-- here",
        "mail <ada@example.com>, see <https://example.com/>",
        "#include <stdio.h>",
        "Write `<b>` and </b> around it.",
        "# Markdown\n\n```html\n<p>x</p>\n```\n",
        "<p align=center>logo</p>\n\n# Markdown\n\n```\nx\n  y\n```\n",
        "A form::\n\n    <h1>Upload</h1>\n",
    ],
)
def test_what_only_looks_like_html_stays(value: str) -> None:
    assert readable(value) == value


DAMAGED = [
    "<!--", "<a ", "<", "<p", "<![", "<!", "<?", "</", "&", "&#", '<a href="', "<a b='", "<!-- --", "</p", '<p ="',
    "<p ", "<a a=", "<script>", "<script></", "</p >", "<p/", " ", "\n", "\n ", "<pre>", "<p '", '<p "">', "<br",
    "<td>",
]  # fmt: skip


@pytest.mark.parametrize("unit", [*DAMAGED, "<a " + "x" * 299_000, "<a " + "'" * 299_000, "<a " + '"" ' * 99_000])
def test_damaged_html_takes_linear_time(unit: str) -> None:
    damaged = "<p>x</p>" + unit * (300_000 // len(unit))
    started = time.process_time()
    readable(damaged)
    assert time.process_time() - started < 2


# --- templates ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{title} ({year})", "Metropolis (1927)"),
        ("Title: {title}\nDirector: {director}\nGenres: {genres}", "Title: Metropolis\nGenres: Drama"),
        ("{title}, {director}", "Metropolis, "),
        ("A film\n\n{title}", "A film\n\nMetropolis"),
        ("A film\n{director} {poster}", ""),
        ("{{{title}}} {{}}", "{Metropolis} {}"),
        ("{title}\n", "Metropolis\n"),
    ],
)
def test_template(template: str, text: str) -> None:
    assert as_text(FILM, template) == text


def test_what_a_value_holds_is_not_read_as_template() -> None:
    assert as_text({"a": "{b} {{", "b": "no"}, "{a}") == "{b} {{"


def test_template_columns() -> None:
    assert template_columns("{b}: {a}\n{b} {Release year} {{c}}") == ("b", "a", "Release year")


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("Title: {title", "a '{' without its '}' at character 8"),
        ("Title: title}", "a '}' without its '{' at character 13"),
        ("{title} {}", "braces with no column in them at character 9"),
        ("{a{b}", "a '{' without its '}' at character 1"),
        ("no column", "names no column"),
        ("", "names no column"),
    ],
)
def test_bad_template(template: str, complaint: str) -> None:
    with pytest.raises(BadOption) as caught:
        template_columns(template)
    assert complaint in str(caught.value)


# --- properties and speed -------------------------------------------------------------------------------------------


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("<>/!-pabr&;[]{}\"'\n"))))
def test_any_text_is_read_the_same_twice(value: str) -> None:
    assert readable(value) == readable(value)


@given(st.lists(st.text(alphabet="abc äß", min_size=1).map(str.strip).filter(bool), min_size=1))
def test_any_list_of_strings_is_joined(values: list[str]) -> None:
    assert readable(json.dumps(values)) == ", ".join(values)


def test_plain_rows_are_quick() -> None:
    spec = TextSpec(columns=("title", "text", "year"))
    rows: list[dict[str, Cell]] = [
        {"title": f"Title {i}", "text": "A robot falls in love. " * 20, "year": i} for i in range(20_000)
    ]
    started = time.process_time()
    for row in rows:
        row_text(row, spec)
    assert time.process_time() - started < 0.5  # it takes a tenth of that
