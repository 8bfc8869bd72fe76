"""What the templates are given. Every variable of `hybrid-search.html` is a field of `SearchPage`, documented here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from datasette.utils import is_url, to_css_class

from ..laws.excerpts import segments
from ..records import Hit, Passage
from .facets import Facets
from .filters import ActiveFilter, Operator
from .query_string import Pair, QueryString, key_path

__all__ = [
    "AcrossPage",
    "Card",
    "Choice",
    "Detail",
    "Link",
    "Piece",
    "SearchPage",
    "TableCount",
    "Term",
    "Why",
    "make_card",
    "template_names",
]

_LONGEST_VALUE = 160
"""Characters of a column's value on a card; the row's own page has the rest."""

_MOST_ITEMS = 8
"""Items shown of a JSON array."""


@dataclass(frozen=True, slots=True)
class Link:
    """Somewhere to go."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several ways, of which one holds."""

    value: str
    label: str
    hint: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a passage: plain, "near" in meaning, or a "word" that was searched for."""

    text: str
    mark: str


@dataclass(frozen=True, slots=True)
class Detail:
    """One column of a result."""

    column: str
    items: tuple[Link, ...]
    """What it holds, several for a JSON array; `url` is empty where there is nowhere to go."""
    more: int = 0
    """How many items of the array are not shown."""


@dataclass(frozen=True, slots=True)
class Term:
    """One term of a score."""

    name: str
    weight: float
    value: float

    @property
    def adds(self) -> float:
        return self.weight * self.value


@dataclass(frozen=True, slots=True)
class Why:
    """Why a row is where it is."""

    keyword_rank: int | None
    semantic_rank: int | None
    distance: float | None
    score: float
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """One result."""

    rank: int
    label: str
    url: str
    passage: tuple[Piece, ...]
    details: tuple[Detail, ...]
    why: Why
    like_url: str
    place: Link | None = None
    """Where the row lives, on pages that search more than one table: the same search of its table alone."""
    own_rank: int = 0
    """Its rank there."""


@dataclass(frozen=True, slots=True)
class SearchPage:
    """The variables of `hybrid-search.html`."""

    database: str
    table: str
    title: str
    color: str
    """Datasette's colour of the database, six hexadecimal digits."""
    private: bool
    """True where others may not see this table."""
    stylesheet: str
    script: str
    action: str
    """Where the form sends to: this page without its query string."""
    q: str
    modes: tuple[Choice, ...]
    hidden_fields: tuple[Pair, ...]
    """What the form must carry along: facets, filters, sort, size."""
    live: bool
    """True where searching while one types costs nothing."""
    searching: bool
    """False before anything has been asked."""
    like: Link | None
    """The row that "more like this" started from."""
    did_you_mean: Link | None
    """The same search with mistyped words put right."""
    cards: tuple[Card, ...]
    total: int
    truncated: bool
    """True where there are more matches than are ranked: counts and pages are about the best so many."""
    first: int
    """The rank of the first card, from 1."""
    weak: int
    """How many weaker matches are left out."""
    weak_url: str
    strong_url: str | None
    """The address without the weaker matches, where they are shown."""
    milliseconds: int
    notices: tuple[str, ...]
    facets: Facets
    all_values_url: str
    """The address with as many values in each facet as Datasette allows."""
    active_filters: tuple[ActiveFilter, ...]
    clear_url: str
    """This search without any filter."""
    filter_columns: tuple[str, ...]
    operators: tuple[Operator, ...]
    sorts: tuple[Choice, ...]
    previous_url: str | None
    next_url: str | None
    table_url: str
    """The matches on Datasette's own table page."""
    json_url: str
    csv_url: str
    judge_url: str | None
    """Where these results may be judged, for whoever may."""
    rows: int
    """Rows of the table that pass the filters, where nothing was searched for."""
    model: str
    text_columns: tuple[str, ...]
    examples: tuple[Link, ...]
    """Searches to try on an empty page."""

    def context(self) -> dict[str, Any]:
        """Return the variables as the template engine takes them."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True, slots=True)
class TableCount:
    """One table in the facet of tables."""

    name: str
    count: int
    selected: bool
    url: str
    """The address with this table added to, or taken from, the choice."""


@dataclass(frozen=True, slots=True)
class AcrossPage:
    """The variables of `hybrid-search-across.html`; those named as in `SearchPage` mean the same."""

    database: str | None
    scope: str
    """What is searched: a database's name, or "everything"."""
    color: str | None
    """The database's colour, as in `SearchPage`; None for everything."""
    action: str
    stylesheet: str
    script: str
    q: str
    modes: tuple[Choice, ...]
    hidden_fields: tuple[Pair, ...]
    live: bool
    searching: bool
    cards: tuple[Card, ...]
    total: int
    truncated: bool
    """True where some table has more matches than are ranked."""
    weak: int
    weak_url: str
    strong_url: str | None
    first: int
    milliseconds: int
    notices: tuple[str, ...]
    did_you_mean: Link | None
    tables: tuple[TableCount, ...]
    shown: int
    """How many tables the results are from: all of them, or those that are picked."""
    places: tuple[Link, ...]
    """Every table that can be searched here, with its own search page."""
    previous_url: str | None
    next_url: str | None
    json_url: str

    def context(self) -> dict[str, Any]:
        """Return the variables as the template engine takes them."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def template_names(database: str, table: str) -> list[str]:
    """Return the templates to look for, the most particular first, as Datasette does for its own pages."""
    return [f"hybrid-search-{to_css_class(database)}-{to_css_class(table)}.html", "hybrid-search.html"]


def make_card(
    hit: Hit,
    query: QueryString,
    *,
    label: str | None,
    columns: Sequence[str],
    table_url: str,
    search_path: str,
    foreign: Mapping[str, Mapping[Any, Link]],
    place: Link | None = None,
) -> Card:
    """Return a result as it is shown. `foreign` holds links for foreign keys: column to value to link."""
    path = key_path(hit.key)
    named = hit.row.get(label) if label is not None else None
    text = " ".join(str(named).split()) if named is not None else ""
    return Card(
        rank=hit.rank,
        label=_shortened(text) or ", ".join(map(str, hit.key)),
        url=f"{table_url}/{path}",
        passage=_pieces(hit.passage, heading=text),
        details=tuple(_details(hit.row, columns, query, foreign)),
        why=Why(
            hit.keyword_rank,
            hit.semantic_rank,
            hit.distance,
            hit.score,
            tuple(Term(each.name, each.weight, each.value) for each in hit.why),
        ),
        like_url=query.link(
            path=search_path, replace={"like": path, "q": None, "_sort": None, "_sort_desc": None, "weak": None}
        ),
        place=place,
        own_rank=hit.rank,
    )


def _pieces(passage: Passage, *, heading: str) -> tuple[Piece, ...]:
    """Return a passage as it is shown under a heading.

    A heading that the passage begins with is not said twice. Where all of it is near in meaning, no part is marked so.
    """
    pieces: list[tuple[str, str]] = list(segments(passage))
    if heading and passage.text.startswith(f"{heading} "):
        pieces = _without_start(pieces, len(heading) + 1)
    everything_near = all(mark or not text.strip(" …") for text, mark in pieces)
    return tuple(Piece(text, "" if mark == "near" and everything_near else mark) for text, mark in pieces)


def _without_start(pieces: Sequence[tuple[str, str]], length: int) -> list[tuple[str, str]]:
    kept = []
    for text, mark in pieces:
        kept.append((text[length:], mark))
        length = max(0, length - len(text))
    return [piece for piece in kept if piece[0]]


def _details(
    row: Mapping[str, Any], columns: Sequence[str], query: QueryString, foreign: Mapping[str, Mapping[Any, Link]]
) -> list[Detail]:
    """Return what the columns of a row hold, those that hold anything, ready to show."""
    found = []
    for column in columns:
        value = row.get(column)
        if value is None or value == "":
            continue
        link = foreign.get(column, {}).get(value)
        if link is not None:
            found.append(Detail(column, (link,)))
            continue
        items = _array(value)
        if items is None:
            found.append(Detail(column, (_plain(value),)))
        elif items:
            shown = tuple(_narrowing(column, item, query) for item in items[:_MOST_ITEMS])
            found.append(Detail(column, shown, max(0, len(items) - _MOST_ITEMS)))
    return found


def _plain(value: Any) -> Link:
    if isinstance(value, bytes):
        return Link(f"<Binary: {len(value):,} bytes>", "")
    text = str(value)
    return Link(_shortened(text), text if is_url(text) else "")


def _array(value: Any) -> list[str] | None:
    """Return the items of a JSON array of plain values, None for anything else."""
    if not isinstance(value, str) or not value.startswith("["):
        return None
    try:
        items = json.loads(value)
    except ValueError:
        return None
    if not isinstance(items, list) or not all(isinstance(item, (str, int, float)) for item in items):
        return None
    return [str(item) for item in items]


def _narrowing(column: str, item: str, query: QueryString) -> Link:
    pair = (f"{column}__arraycontains", item)
    return Link(_shortened(item), "" if pair in query.pairs else query.link(add=[pair]))


def _shortened(text: str) -> str:
    text = " ".join(text[: _LONGEST_VALUE * 4].split())
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE].rstrip()}…"
