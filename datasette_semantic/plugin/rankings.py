"""Rankings kept for as long as their database stays as it is.

A search has many requests: its pages, its facets, its JSON beside its page, the same words asked by the next visitor.
They share one ranking. It is found by everything that the ranking depends on, filters included, and by nothing about
who asks: permission is clear before a search begins, and is a matter of whole tables.

Whether the database has changed SQLite knows: `pragma data_version` of a connection changes when another one commits,
and each of Datasette's threads has a connection of its own. So a generation is counted per database: whichever
connection notices a change, or is met for the first time, begins a new one, in which nothing is kept yet. A ranking
that was begun in an older generation is not kept. So it is with pages, whose rows are read anew after each change.

The order from which a first page was cut is remembered longer, under a name that the address of the next page holds:
its pages joined are then all of it, whatever is written meanwhile.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Any

from ..records import IndexRecord, SearchRequest, SearchResults
from ..search.engine import Ranking
from .paging import Order

__all__ = ["Rankings", "identity", "same_index"]

_KEPT = 128
"""Rankings per database; one of a thousand rows takes 0.4 MB."""

_CONNECTIONS = 64
"""Connections remembered per database: the oldest is forgotten, and then met as if for the first time."""


_PAGES_SECONDS = 900.0
"""How long after its last page an order is remembered."""


def identity(index: IndexRecord, request: SearchRequest, *, by_meaning: bool, order: object = None) -> str:
    """Return what two requests for pages of the same ranking have in common.

    `by_meaning` says whether the query's vector was to be had, `order` by what the pages are sorted.
    """
    return repr((index.id, by_meaning, replace(request, limit=0, offset=0, columns=None), order))


def same_index(one: IndexRecord, other: IndexRecord) -> bool:
    """True where two records are of one index, whatever was measured anew in between."""

    def tables(index: IndexRecord) -> tuple[object, ...]:
        return index.id, index.vec_table, index.chunk_table, index.row_table

    return tables(one) == tables(other)


@dataclass(frozen=True, slots=True)
class _Remembered:
    identity: str
    index: IndexRecord
    order: Order
    until: float
    """By `time.monotonic()`."""


@dataclass(slots=True)
class Rankings:
    """The rankings kept of one database. Used by several threads at once."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _generation: int = 0
    _seen: OrderedDict[int, tuple[Any, tuple[int, int]]] = field(default_factory=OrderedDict)
    """Connection, by its `id`, with the version of the data that it saw last. It is held, so that no other one can
    come to have its `id`."""
    _kept: OrderedDict[str, tuple[IndexRecord, Ranking]] = field(default_factory=OrderedDict)
    _pages: OrderedDict[Hashable, tuple[Ranking, SearchResults | None]] = field(default_factory=OrderedDict)
    """None of a page that was asked for once."""
    _orders: OrderedDict[str, _Remembered] = field(default_factory=OrderedDict)
    _names: dict[tuple[str, int], str] = field(default_factory=dict)
    """The name of each order, by its identity and the `id` of its ranking, which it holds."""

    def remember(self, identity: str, index: IndexRecord, order: Order) -> str:
        """Return the name under which the further pages of an order find it."""
        with self._lock:
            same = identity, id(order.ranking)
            name = self._names[same] = self._names.get(same) or secrets.token_urlsafe(6)
            self._orders[name] = _Remembered(identity, index, order, time.monotonic() + _PAGES_SECONDS)
            self._orders.move_to_end(name)
            while len(self._orders) > _KEPT:
                _name, oldest = self._orders.popitem(last=False)
                del self._names[oldest.identity, id(oldest.order.ranking)]
            return name

    def remembered(self, name: str, identity: str, index: IndexRecord) -> Order | None:
        """Return the order of a name, None where it is forgotten or belongs to another request."""
        with self._lock:
            known = self._orders.get(name)
        if known is None or known.identity != identity or known.until < time.monotonic():
            return None
        if not same_index(known.index, index):
            return None
        return known.order

    def get(
        self,
        conn: Any,
        index: IndexRecord,
        request: SearchRequest,
        *,
        by_meaning: bool,
        make: Callable[[], Ranking],
    ) -> Ranking:
        """Return the ranking that answers a request, made with `make` where it is not known.

        A request whose SQL filters come from the address must not be asked here: SQL may answer otherwise each time
        (`random()`, `date('now')`).
        """
        name = identity(index, request, by_meaning=by_meaning)
        generation = self._generation_for(conn)
        with self._lock:
            known = self._kept.get(name)
            if known is not None and known[0] == index:
                self._kept.move_to_end(name)
                return known[1]
        ranking = make()
        with self._lock:
            if generation == self._generation:
                self._kept[name] = index, ranking
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
        return ranking

    def page(self, conn: Any, name: Hashable, order: Order, *, make: Callable[[], SearchResults]) -> SearchResults:
        """Return a page of an order, its rows as they are now, made with `make` where it is not known.

        `name` holds everything besides the order that the page depends on. A page is kept when it is asked for again:
        most never are, and their many small objects would have Python's garbage collector go through everything often.
        """
        generation = self._generation_for(conn)
        with self._lock:
            known = self._pages.get(name)
            again = known is not None and known[0] is order.ranking
            if known is not None and again and known[1] is not None:
                self._pages.move_to_end(name)
                return known[1]
        results = make()
        with self._lock:
            if generation == self._generation:
                self._pages[name] = order.ranking, results if again else None
                self._pages.move_to_end(name)
                while len(self._pages) > _KEPT:
                    self._pages.popitem(last=False)
        return results

    def _generation_for(self, conn: Any) -> int:
        """Return the present generation, a new one where this connection sees other data than it saw last."""
        (committed,) = conn.execute("pragma data_version").fetchone()
        version = committed, conn.total_changes
        with self._lock:
            known = self._seen.pop(id(conn), None)
            self._seen[id(conn)] = conn, version
            while len(self._seen) > _CONNECTIONS:
                self._seen.popitem(last=False)
            if known is None or known[1] != version:
                self._generation += 1
                self._kept.clear()
                self._pages.clear()
            return self._generation
