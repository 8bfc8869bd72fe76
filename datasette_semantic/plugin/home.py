"""A box on the home page that searches everything the visitor may search."""

from __future__ import annotations

from typing import Any

from . import compat
from .permissions import visible_indexes
from .slots import below_heading
from .table_search import asset

__all__ = ["home_box", "home_script"]


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


async def home_script(datasette: Any, actor: compat.Actor) -> dict[str, str]:
    """Return the script that puts the box on 0.65's home page."""
    return below_heading(await home_box(datasette, actor))
