"""`sqlite-utils similar`: rows like a row, or like each row of a table."""

from __future__ import annotations

from typing import Any

import click

from . import arguments
from .face import RecordsCommand
from .hybrid_search import records_of
from .progress import progress_bar

__all__ = ["similar"]


@click.command(cls=RecordsCommand)
@arguments.database
@arguments.table
@click.argument("key", metavar="[PK]...", nargs=-1)
@arguments.limit
@arguments.row_filter
@arguments.ordering
@arguments.columns
@click.option("--save", metavar="NEW_TABLE", help="Write a table with the rows like each row of TABLE")
@click.option("--replace", is_flag=True, help="With --save: in the place of one that was written before")
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
    save: str | None,
    replace: bool,
) -> list[dict[str, Any]]:
    """Return rows of TABLE that are like the row with primary key PK

    A compound primary key is given as one argument per column. No model is called: the row's own vectors are compared.

    With --save all rows are compared with all others, and written to a table: the key of a row, the key of one like it,
    score, rank and distance.

    Example:

    \b
        sqlite-utils similar movies.db movies 42 -n 5
        sqlite-utils similar movies.db movies --save movies_similar -n 10
    """
    from ..api import SemanticIndex

    _check_usage(key, save, replace, others=bool(boosts or diversity or columns))
    chosen: dict[str, Any] = {"limit": limit, "where": where, "params": dict(params)}
    with SemanticIndex(path, table_name) as index:
        if save is not None:
            with progress_bar(f"Comparing the rows of {index.source.table}") as progress:
                lines = index.save_similar(save, **chosen, replace=replace, progress=progress)
            return [{"table": save, "rows": lines}]
        ordering: dict[str, Any] = {"boost": boosts, "diversity": diversity or 0.0}
        return records_of(index.similar(key, **chosen, **ordering, columns=columns or None))


def _check_usage(key: tuple[str, ...], save: str | None, replace: bool, *, others: bool) -> None:
    if save is None and replace:
        raise click.UsageError("--replace belongs to --save")
    if save is None and not key:
        raise click.UsageError("Missing argument 'PK...': the primary key of a row; or --save NEW_TABLE for all rows")
    if save is not None and (key or others):
        raise click.UsageError("--save compares all rows by nearness alone: leave out PK, --boost, --diversity and -c")
