"""`sqlite-utils embeddings`: what has been embedded."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from . import arguments
from .face import RecordsCommand

__all__ = ["embeddings"]


@click.command(cls=RecordsCommand)
@arguments.database
@click.option("failed", "--failed", is_flag=True, help="List the rows that could not be embedded, with the reason")
def embeddings(path: str, failed: bool) -> list[dict[str, Any]]:
    """List the semantic indexes of a database: table, columns, model, dimensions, state and counts

    The state is `ready`, `building`, or `stale`: made otherwise than it would be now; the note says what repairs it.
    While an index is changed the new one is listed too, as `next`; the one before stays as `previous`.

    Example:

    \b
        sqlite-utils embeddings movies.db -t
        sqlite-utils embeddings movies.db --failed
    """
    from ..api import indexes

    found = indexes(path)
    if failed:
        return [{"table": index.record.table} | asdict(each) for index in found for each in index.failures()]
    return [asdict(status) for index in found for status in index.statuses()]
