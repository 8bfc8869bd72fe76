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
def embeddings(path: str) -> list[dict[str, Any]]:
    """List the semantic indexes of a database: table, columns, model, dimensions, state and counts

    Example:

    \b
        sqlite-utils embeddings movies.db -t
    """
    from ..api import indexes

    return [asdict(index.status()) for index in indexes(path)]
