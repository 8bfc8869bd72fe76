"""The query string: every state of the page is in it, and it is read and written here only.

Its parameters are those of `parameters.py`, and besides them Datasette's own grammar of filters:

    column=value  column__operator=value

A column that is called like one of our own keys is reached with an operator: `mode__exact=dark`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from datasette.utils import tilde_encode, urlsafe_components

from ..config import MAX_LIMIT, MAX_QUERY_CHARS
from ..errors import BadOption
from ..records import MODES, Boost, Mode, Rerank, RowKey
from ..search.request import check_boosts, check_diversity, check_rerank
from .parameters import SHAPES, Given, Pair

__all__ = ["OWN_KEYS", "Pair", "Place", "QueryString", "key_parts", "key_path", "read"]

OWN_KEYS = frozenset({"q", "mode", "like", "weak"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a ranking the next page begins: after this many rows, the last of which was `after`."""

    offset: int
    after: str = ""
    """The path of the last row shown, so that the place is found again when rows have come or gone."""
    ranking: str = ""
    """By which name the server remembers the ranking, so that no page is cut from another one."""

    def token(self) -> str:
        """Return the place as an opaque, URL-safe token."""
        parts = [self.offset, self.after, self.ranking]
        packed = json.dumps(parts if self.ranking else parts[:2], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    @classmethod
    def from_token(cls, token: str) -> Place:
        """Read a token. Raises BadOption for anything that `token` did not write."""
        try:
            padded = token.encode("ascii") + b"=" * (-len(token) % 4)
            offset, after, *rest = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            (ranking,) = rest or ("",)
        except (ValueError, TypeError, binascii.Error) as error:
            raise BadOption("_next is not a token of this page; start again without it") from error
        if (
            not isinstance(offset, int)
            or isinstance(offset, bool)
            or offset < 0
            or {type(after), type(ranking)} != {str}
        ):
            raise BadOption("_next is not a token of this page; start again without it")
        return cls(min(offset, 2**31), after, ranking)


@dataclass(frozen=True, slots=True)
class QueryString:
    """A query string, read and checked."""

    path: str
    """The path it belongs to, as the browser sees it."""
    pairs: tuple[Pair, ...]
    """Everything, in order, as it came: links to other states are made from it."""
    q: str
    mode: Mode
    like: str | None
    """The path of a row, undecoded: the table's key columns are needed to read it."""
    weak: bool
    weights: str | None
    """How the lists are joined, as it came: what is not said depends on the index."""
    fusion: str | None
    rrf_k: str | None
    boosts: tuple[Boost, ...]
    diversity: float
    rerank: Rerank | None
    size: int
    place: Place
    sort: str | None
    descending: bool
    shape: str
    lines: bool
    """Newline-delimited JSON."""
    extras: frozenset[str]
    columns: tuple[str, ...] | None
    """Columns to show (`_col`), in this order; None where the address does not say."""
    hidden: frozenset[str]
    """Columns not to show (`_nocol`)."""
    filters: tuple[Pair, ...]
    """Conditions on columns, `(key, value)` in Datasette's grammar."""
    wheres: tuple[str, ...]
    """SQL conditions (`_where`): only for those who may run SQL."""

    @property
    def picks(self) -> tuple[Pair, ...]:
        """The filters that are values of a facet in the same address: they narrow the match set that was counted.

        All other filters hold before ranking, and so decide what the match set is.
        """
        return tuple(pair for pair in self.filters if self._is_pick(pair[0]))

    def _is_pick(self, key: str) -> bool:
        column, _, operator = key.rpartition("__")
        facet = {"exact": "_facet", "arraycontains": "_facet_array", "date": "_facet_date"}.get(operator)
        return (facet, column) in self.pairs

    @property
    def searching(self) -> bool:
        """True where there is something to rank by."""
        return bool(self.q.strip()) or self.like is not None

    def link(
        self,
        *,
        add: Iterable[Pair] = (),
        remove: Iterable[Pair] = (),
        replace: Mapping[str, str | None] | None = None,
        path: str | None = None,
        keep_place: bool = False,
    ) -> str:
        """Return the address of a state that differs in these pairs; a page number never survives a change."""
        gone = list(remove)
        changed = dict(replace or {})
        pairs: list[Pair] = []
        for pair in self.pairs:
            if pair in gone or pair[0] in changed or (pair[0] == "_next" and not keep_place):
                continue
            pairs.append(pair)
        pairs += [(key, value) for key, value in changed.items() if value is not None]
        pairs += add
        target = self.path if path is None else path
        return f"{target}?{urlencode(pairs)}" if pairs else target


def read(
    query_string: str,
    *,
    path: str,
    mode: Mode = "hybrid",
    size: int = 20,
    columns: Sequence[str] = (),
    extras: Iterable[str] = (),
) -> QueryString:
    """Read a query string. `mode` and `size` are what holds where it says nothing; `columns` are the table's.

    Raises BadOption that names the key and says what it may hold.
    """
    given = Given(query_string)
    sort, descending = _sort(given, columns)
    token = given.first("_next")
    return QueryString(
        path=path,
        pairs=given.pairs,
        q=(given.first("q") or "")[:MAX_QUERY_CHARS].replace("\x00", " "),
        mode=_one_of("mode", given.first("mode") or mode, MODES),
        like=given.first("like"),
        weak=given.switch("weak"),
        weights=given.first("_weights"),
        fusion=given.first("_fusion"),
        rrf_k=given.first("_rrf_k"),
        boosts=check_boosts(list(filter(None, given.all("_boost")))),
        diversity=check_diversity(given.first("_diversity")),
        rerank=check_rerank(given.first("_rerank")),
        size=_size(given.first("_size"), size),
        place=Place.from_token(token) if token else Place(0),
        sort=sort,
        descending=descending,
        shape=_one_of("_shape", given.first("_shape") or "objects", SHAPES),
        lines=given.switch("_nl"),
        extras=_extras(given.all("_extra"), frozenset(extras)),
        columns=_columns("_col", given.all("_col"), columns) or None,
        hidden=frozenset(_columns("_nocol", given.all("_nocol"), columns)),
        filters=tuple(_filter_pairs(given.pairs, columns)),
        wheres=tuple(where for where in given.all("_where") if where.strip()),
    )


def key_path(key: RowKey) -> str:
    """Return a row key as Datasette writes it in the path of a row's page."""
    return ",".join(tilde_encode(_text(part)) for part in key)


def key_parts(path: str) -> list[str]:
    """Return the parts of a row key from the path of a row's page; SQLite's affinity gives them their types back."""
    return list(urlsafe_components(path))


def _text(part: Any) -> str:
    return part.decode("utf-8", "replace") if isinstance(part, bytes) else str(part)


def _filter_pairs(pairs: Iterable[Pair], columns: Sequence[str]) -> Iterable[Pair]:
    """Yield what Datasette takes for filters: keys without a leading underscore, unless they carry an operator."""
    for key, value in pairs:
        if key in OWN_KEYS:
            continue
        if key in columns and not key.startswith("_"):
            yield f"{key}__exact", value  # spelt out, because a column's own name may hold two underscores
        elif not key.startswith("_") or "__" in key[1:]:
            yield key, value


def _one_of(key: str, value: str, allowed: Sequence[Any]) -> Any:
    if value not in allowed:
        raise BadOption(f"{key} is one of {', '.join(allowed)}, not {value!r}")
    return value


def _size(value: str | None, default: int) -> int:
    if not value:
        return default
    if value == "max":
        return MAX_LIMIT
    if not (value.isascii() and value.isdigit()) or len(value) > 9 or int(value) > MAX_LIMIT:
        raise BadOption(f"_size is a number from 0 to {MAX_LIMIT:,}, or max, not {value!r}")
    return int(value)


def _sort(given: Given, columns: Sequence[str]) -> tuple[str | None, bool]:
    up, down = given.first("_sort"), given.first("_sort_desc")
    if up and down:
        raise BadOption("_sort and _sort_desc cannot be used together")
    column = up or down
    if column is not None and column not in columns:
        raise BadOption(f"cannot sort by {column!r}: there is no such column")
    # The form has no script to rename its field, so it says "descending" in a field of its own, as Datasette's does.
    return column, bool(down) or (up is not None and bool(given.first("_sort_by_desc")))


def _columns(name: str, asked: Sequence[str], columns: Sequence[str]) -> tuple[str, ...]:
    if unknown := [column for column in asked if column not in columns]:
        raise BadOption(f"{name} knows no column {', '.join(map(repr, unknown))}; there are: {', '.join(columns)}")
    return tuple(dict.fromkeys(asked))


def _extras(asked: Iterable[str], known: frozenset[str]) -> frozenset[str]:
    names = {name.strip() for value in asked for name in value.split(",") if name.strip()}
    if unknown := sorted(names - known):
        raise BadOption(f"_extra does not know {', '.join(unknown)}; it knows {', '.join(sorted(known))}")
    return frozenset(names)
