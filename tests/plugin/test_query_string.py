"""The query string, read and written."""

from __future__ import annotations

import re
from contextlib import suppress
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasette_semantic.errors import BadOption
from datasette_semantic.plugin.query_string import Place, key_parts, key_path, read

COLUMNS = ("id", "year", "a__b", "mode", "_hidden")
KEYS = ["q", "mode", "like", "weak", "_size", "_next", "_sort", "_shape", "_extra", "_facet", "_where", "year", "a__b"]


@given(st.text(max_size=200))
def test_any_query_string_is_read_or_refused(text: str) -> None:
    with suppress(BadOption):
        read(text, path="/x", columns=COLUMNS)


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.text(max_size=30)), max_size=6))
def test_a_link_to_the_same_state_reads_the_same(pairs: list[tuple[str, str]]) -> None:
    with suppress(BadOption):
        query = read(urlencode(pairs, errors="replace"), path="/x", columns=COLUMNS, extras=("why",))
        again = read(urlsplit(query.link(keep_place=True)).query, path="/x", columns=COLUMNS, extras=("why",))
        assert again == query


@given(st.integers(0, 10**6), st.text(max_size=50), st.text(max_size=10))
def test_places_come_back(offset: int, after: str, ranking: str) -> None:
    token = Place(offset, after, ranking).token()
    assert re.fullmatch(r"[A-Za-z0-9_-]+", token)
    assert Place.from_token(token) == Place(offset, after, ranking)


@given(st.text(max_size=60))
def test_foreign_tokens_are_refused(token: str) -> None:
    with suppress(BadOption):
        assert Place.from_token(token).offset >= 0


@given(st.lists(st.one_of(st.text(min_size=1), st.integers()), min_size=1, max_size=3))
def test_keys_travel_in_paths(key: list[str | int]) -> None:
    path = key_path(tuple(key))
    assert re.fullmatch(r"[A-Za-z0-9_~,+-]+", path)
    assert key_parts(path) == [str(part).encode("utf-8", "surrogatepass").decode("utf-8", "replace") for part in key]


def test_filters_follow_datasettes_rule() -> None:
    query = read(
        "q=x&mode=keyword&year=1&a__b=2&_hidden=3&_hidden__exact=4&_other=5&mode__exact=6", path="/", columns=COLUMNS
    )
    assert query.filters == (("year__exact", "1"), ("a__b__exact", "2"), ("_hidden__exact", "4"), ("mode__exact", "6"))


def test_a_link_drops_the_page_number_and_keeps_the_rest() -> None:
    query = read(f"q=x&year=1&_next={Place(20).token()}&_facet=id", path="/p", columns=COLUMNS)
    assert query.link(remove=[("year", "1")]) == "/p?q=x&_facet=id"
    assert query.link(add=[("year__gt", "3")]) == "/p?q=x&year=1&_facet=id&year__gt=3"
    assert dict(parse_qsl(urlsplit(query.link(replace={"q": "y"})).query))["q"] == "y"


@pytest.mark.parametrize("text", ["_sort=year&_sort_desc=id", "_size=x", "mode=no", "_shape=no", "_sort=nosuch"])
def test_what_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(BadOption):
        read(text, path="/", columns=COLUMNS)
