"""A box on the home page that searches everything the visitor may search. 1.0 has a slot for it, 0.65 has none."""

from __future__ import annotations

from typing import Any

from . import compat
from .permissions import visible_indexes
from .table_search import asset

__all__ = ["home_box"]


async def home_box(datasette: Any, actor: compat.Actor) -> str | None:
    """Return the box, None where there is nothing to search."""
    tables = sum([len(await visible_indexes(datasette, actor, database)) for database in list(datasette.databases)])
    if not tables:
        return None
    context = {
        "action": datasette.urls.path("/-/hybrid-search"),
        "tables": tables,
        "stylesheet": asset(datasette, "semantic.css"),
    }
    html: str = await datasette.render_template("_hybrid_search_home.html", context)
    return html
