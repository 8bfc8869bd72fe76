"""`sqlite-utils similar`: rows like a row."""

from __future__ import annotations

from typing import Any

import click

from . import arguments
from .face import RecordsCommand
from .hybrid_search import records_of

__all__ = ["similar"]


@click.command(cls=RecordsCommand)
@arguments.database
@arguments.table
@click.argument("key", metavar="PK...", nargs=-1, required=True)
@arguments.limit
@arguments.row_filter
@arguments.ordering
@arguments.columns
def similar(
    path: str,
    table_name: str,
    key: tuple[str, ...],
    limit: int,
    where: str | None,
    params: tuple[tuple[str, str], ...],
    boosts: tuple[str, ...],
    diversity: float | None,
    columns: tuple[str, ...],
) -> list[dict[str, Any]]:
    """Return rows of TABLE that are like the row with primary key PK

    A compound primary key is given as one argument per column. No model is called: the row's own vectors are compared.

    Example:

    \b
        sqlite-utils similar movies.db movies 42 -n 5
    """
    from ..api import SemanticIndex

    with SemanticIndex(path, table_name) as index:
        results = index.similar(
            key,
            limit=limit,
            where=where,
            params=dict(params),
            boost=boosts,
            diversity=diversity or 0.0,
            columns=columns or None,
        )
    return records_of(results)
