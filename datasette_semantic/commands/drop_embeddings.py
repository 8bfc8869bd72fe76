"""`sqlite-utils drop-embeddings`: leave the file as it was before `embed`."""

from __future__ import annotations

import click

from ..errors import NoSuchIndex
from . import arguments
from .face import SemanticCommand, note

__all__ = ["drop_embeddings"]


@click.command(name="drop-embeddings", cls=SemanticCommand)
@arguments.database
@arguments.table
@click.option("--ignore", is_flag=True, help="Do nothing where TABLE has no index")
@arguments.quiet
def drop_embeddings(path: str, table_name: str, ignore: bool, quiet: bool) -> None:
    """Remove every trace of the index of TABLE: vectors, chunks, triggers, and the keyword index that embed made

    The table itself is not touched, nor a full-text index that it had before.

    Example:

    \b
        sqlite-utils drop-embeddings movies.db movies
    """
    from ..api import SemanticIndex

    try:
        with SemanticIndex(path, table_name) as index:
            index.drop()
    except NoSuchIndex:
        if not ignore:
            raise
        return
    note(f"{table_name}: index dropped", quiet=quiet)
