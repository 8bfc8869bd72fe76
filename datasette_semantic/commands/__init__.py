"""The command line: a plugin of sqlite-utils, one module per command.

`sqlite-utils` imports this package each time it starts, whatever it is asked to do: at the top of these modules stand
click, the standard library and our own plain records; everything else is imported when a command runs.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pluggy import HookimplMarker

from ..errors import ExtensionMissing

if TYPE_CHECKING:
    from sqlite3 import Connection

    import click

__all__ = ["prepare_connection", "register_commands"]

hookimpl = HookimplMarker("sqlite_utils")


@hookimpl
def register_commands(cli: click.Group) -> None:
    """Add our commands to `sqlite-utils`."""
    from .drop_embeddings import drop_embeddings
    from .embed import embed
    from .embeddings import embeddings
    from .evaluate_search import evaluate_search
    from .hybrid_search import hybrid_search
    from .semantic_demo import semantic_demo
    from .similar import similar

    for command in (embed, hybrid_search, similar, embeddings, drop_embeddings, evaluate_search, semantic_demo):
        cli.add_command(command)


@hookimpl
def prepare_connection(conn: Connection) -> None:
    """Give every connection of sqlite-utils sqlite-vec and our SQL functions, as far as this SQLite can take them."""
    import datasette_semantic

    # `sqlite-utils` must go on working where extensions cannot be loaded; our own commands say so when it matters.
    with suppress(ExtensionMissing):
        datasette_semantic.prepare_connection(conn)
