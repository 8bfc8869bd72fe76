"""One order over many tables, merged from the order of each, and remembered from page to page.

Scores of different tables do not compare: each is relative to its own lists. Ranks do, so a row adds
`table_weight / (60 + its rank in its table)`, and among equals the one nearer in meaning comes first. A page takes
therefore a stretch of each table's own order, and nothing but these orders need be kept to cut every page.

What is remembered serves whoever may view the same tables. Permission is asked for anew at every page: where the actor
of the page before may no longer view a table, its rows leave the order, and the place in it moves up.
"""

from __future__ import annotations

import heapq
import secrets
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from .query_string import Place, key_path
from .rankings import same_index

if TYPE_CHECKING:
    from ..records import IndexRecord
    from .searching import Answer, Target
    from .settings import Settings

__all__ = ["Asked", "Found", "JointOrder", "JointOrders", "Notice", "Turn", "in_words", "offset_after"]

_RANK_CONSTANT = 60

_FARTHEST = 2.0
"""The greatest cosine distance there is: for rows that only words have found."""

_PAGES_SECONDS = 900.0
"""How long after its last page an order is remembered."""

_KEPT = 256
"""Rankings held by all that is remembered; one of a thousand rows takes 0.4 MB."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one table had to say."""

    target: Target
    settings: Settings
    answer: Answer
    """Without rows: which of them are shown the joint order decides."""
    label: str | None
    """The column that names a row."""

    @property
    def name(self) -> str:
        return self.target.name

    def turns(self) -> Iterator[Turn]:
        """Yield the rows of this table as they come in the joint order."""
        for rank, fused in enumerate(self.answer.order.ranking.rows, 1):
            cosine = fused.candidate.cosine
            distance = _FARTHEST if cosine is None else 1.0 - cosine
            yield Turn(self, rank, self.settings.table_weight / (_RANK_CONSTANT + rank), distance)


@dataclass(frozen=True, slots=True)
class Turn:
    """A place in the joint order, and the row whose turn it is."""

    found: Found
    rank: int
    """The row's rank in its own table, from 1."""
    score: float
    distance: float

    def order(self) -> tuple[Any, ...]:
        return (-self.score, self.distance, self.found.name, self.rank)

    @property
    def path(self) -> str:
        """The row's name on the whole site."""
        return f"{self.found.name}/{key_path(self.found.answer.order.ranking.rows.keys[self.rank - 1])}"


@dataclass(frozen=True, slots=True)
class Notice:
    """What a reader should know of a table: that it is left out, or what it warns of."""

    target: Target
    text: str


def in_words(notices: Iterable[Notice]) -> tuple[str, ...]:
    """Return what there is to say, each thing once, with the tables that it is said of."""
    tables: dict[str, list[str]] = {}
    for notice in notices:
        tables.setdefault(notice.text, []).append(notice.target.source.table)
    return tuple(f"{', '.join(names)}: {text}" for text, names in tables.items())


@dataclass(frozen=True, slots=True)
class JointOrder:
    """What all tables had to say."""

    found: tuple[Found, ...]
    told: tuple[Notice, ...]
    picked: frozenset[str] = frozenset()
    """The tables that are shown; all of them where it is empty."""

    @property
    def shown(self) -> tuple[Found, ...]:
        return tuple(found for found in self.found if not self.picked or found.name in self.picked)

    @property
    def total(self) -> int:
        return sum(found.answer.results.total for found in self.shown)

    @property
    def notices(self) -> tuple[str, ...]:
        return in_words(self.told)

    def turns(self) -> Iterator[Turn]:
        """Yield the rows of the tables that are shown, best first."""
        return heapq.merge(*(found.turns() for found in self.shown), key=Turn.order)

    def only(self, names: Collection[str]) -> JointOrder:
        """Return what these tables had to say."""
        found = tuple(each for each in self.found if each.name in names)
        return replace(self, found=found, told=tuple(each for each in self.told if each.target.name in names))


@dataclass(frozen=True, slots=True)
class Asked:
    """What an order depends on, and who asked for it."""

    search: str
    actor: Any
    tables: Mapping[str, IndexRecord]
    """The tables that the actor may search, by name."""


@dataclass(frozen=True, slots=True)
class _Remembered:
    asked: Asked
    order: JointOrder
    until: float
    """By `time.monotonic()`."""


@dataclass(slots=True)
class JointOrders:
    """The joint orders remembered for further pages. Used from one thread, that of the event loop."""

    _orders: OrderedDict[str, _Remembered] = field(default_factory=OrderedDict)

    def remember(self, asked: Asked, order: JointOrder) -> str:
        """Return the name under which the further pages of an order find it."""
        same = (name for name, known in self._orders.items() if known.asked == asked and _same(known.order, order))
        name = next(same, None) or secrets.token_urlsafe(6)
        self._orders[name] = _Remembered(asked, order, time.monotonic() + _PAGES_SECONDS)
        self._orders.move_to_end(name)
        while len(self._orders) > 1 and sum(len(known.order.found) for known in self._orders.values()) > _KEPT:
            self._orders.popitem(last=False)
        return name

    def remembered(self, place: Place, asked: Asked) -> tuple[JointOrder, int] | None:
        """Return the order that a place is in, less the tables that may not be viewed any more, and how many rows
        come before; None where it is forgotten, belongs to another search, or is not for this actor to see."""
        known = self._orders.get(place.ranking)
        if known is None or known.asked.search != asked.search or known.until < time.monotonic():
            return None
        tables = known.asked.tables
        if any(not same_index(asked.tables.get(name, index), index) for name, index in tables.items()):
            return None  # an index was exchanged
        if tables.keys() == asked.tables.keys():
            return known.order, place.offset
        if known.asked.actor != asked.actor:
            return None
        before = islice(known.order.turns(), place.offset)
        return known.order.only(asked.tables), sum(turn.found.name in asked.tables for turn in before)


def offset_after(order: JointOrder, place: Place) -> int:
    """Return where in an order that is not the one before the next page begins: after the row that was shown last."""
    paths = [turn.path for turn in order.turns()] if place.after else []
    if place.after not in paths[place.offset - 1 : place.offset] and place.after in paths:
        return paths.index(place.after) + 1
    return place.offset


def _same(one: JointOrder, other: JointOrder) -> bool:
    """Return whether two orders were merged from the very same ones."""
    mine, yours = ([id(found.answer.order.ranking) for found in order.found] for order in (one, other))
    return mine == yours
