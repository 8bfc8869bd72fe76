"""What the plugin remembers for one running Datasette."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from ..embedding.profiles import Manner
from ..records import IndexRecord, Source
from .joint_order import JointOrders
from .rankings import Rankings
from .turns import Turns

__all__ = ["DatabaseView", "PluginState", "state_of"]


@dataclass(frozen=True, slots=True)
class DatabaseView:
    """What a database held of ours when it was last looked at."""

    indexes: tuple[IndexRecord, ...] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)
    """The indexed tables that are still there, by name."""
    companions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Each table of ours, and the tables whose contents it gives away; none where it is nobody's business."""
    labels: dict[str, str | None] = field(default_factory=dict)
    """Datasette's label column by table, as far as it was asked for since: it takes several queries."""
    looked_at: float = 0.0
    """`time.monotonic()` of the look."""


@dataclass(slots=True)
class PluginState:
    """Mutable on purpose: one per Datasette, touched from its event loop (and the reasons from its SQL threads)."""

    databases: dict[str, DatabaseView] = field(default_factory=dict)
    missing_extension: dict[str, str] = field(default_factory=dict)
    """Database name to why sqlite-vec could not be loaded there."""
    query_vectors: OrderedDict[tuple[str, Manner, str], Any] = field(default_factory=OrderedDict)
    """Vectors of recent queries by (model, manner, text): page two must not be paid for again."""
    being_embedded: dict[tuple[str, Manner, str], Any] = field(default_factory=dict)
    """The task that embeds a query, for all that ask for it meanwhile: so many tables are searched by one vector."""
    suggested_facets: dict[Any, Any] = field(default_factory=dict)
    """`facets.suggest_facets` keeps what it found here."""
    rankings: dict[str, Rankings] = field(default_factory=dict)
    """By database."""
    joint_orders: JointOrders = field(default_factory=JointOrders)
    turns: Turns = field(default_factory=Turns)

    def rankings_of(self, database: str) -> Rankings:
        """Return the rankings kept of a database."""
        return self.rankings.setdefault(database, Rankings())


_states: WeakKeyDictionary[Any, PluginState] = WeakKeyDictionary()


def state_of(datasette: Any) -> PluginState:
    """Return what is remembered for this Datasette, starting afresh for one not met before."""
    known = _states.get(datasette)
    return _states.setdefault(datasette, PluginState()) if known is None else known
