"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ..config import DEFAULT_LIMIT, MAX_LIMIT

__all__ = ["columns", "database", "limit", "ordering", "quiet", "row_filter", "table"]

Command = TypeVar("Command", bound=Callable[..., Any])

# A missing file is no usage error: the api says what to do about it, with exit status 1 as for every other bad input.
database = click.argument("path", metavar="DB", type=click.Path(allow_dash=False))

# sqlite-utils' output options own the name `table` (-t, --table).
table = click.argument("table_name", metavar="TABLE")

limit = click.option(
    "-n",
    "--limit",
    type=click.IntRange(1, MAX_LIMIT),
    default=DEFAULT_LIMIT,
    show_default=True,
    help="How many rows to return",
)

columns = click.option(
    "-c",
    "--columns",
    "--column",
    multiple=True,
    metavar="COLUMN",
    help="Other column to return, once for each; all where none is named",
)

quiet = click.option("-s", "--silent", "--quiet", "quiet", is_flag=True, help="No progress bar and no closing line")


def ordering(command: Command) -> Command:
    """Add --boost and --diversity."""
    command = click.option(
        "--diversity", type=click.FloatRange(0, 1), help="What being like a row before it costs a row"
    )(command)
    return click.option(
        "boosts",
        "--boost",
        multiple=True,
        metavar="COLUMN:WEIGHT[:HALF-LIFE]",
        help="Date or number column that raises scores; half-life in days for dates",
    )(command)


def row_filter(command: Command) -> Command:
    """Add --where and -p, as `sqlite-utils rows` has them."""
    command = click.option(
        "-p", "--param", "params", multiple=True, type=(str, str), help="Named :parameters for the where clause"
    )(command)
    return click.option("--where", help="SQL condition: only rows that meet it are searched")(command)
