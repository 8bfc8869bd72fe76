"""`sqlite-utils embeddings`: what has been embedded."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from . import arguments
from .face import RecordsCommand

if TYPE_CHECKING:
    from ..api import SemanticIndex

__all__ = ["embeddings"]


@click.command(cls=RecordsCommand)
@arguments.database
@click.argument("table_name", metavar="[TABLE]", required=False)
@click.option("failed", "--failed", is_flag=True, help="List the rows that could not be embedded, with the reason")
@click.option("file", "--export", metavar="FILE", help="Write the vectors of TABLE to FILE.npy or FILE.parquet")
@click.option("smaller", "--compact", is_flag=True, help="Give the space of deleted rows back, and tell how much")
@click.option("clear", "--clear-cache", is_flag=True, help="Remove kept vectors of models that no index uses any more")
def embeddings(
    path: str, table_name: str | None, failed: bool, file: str | None, smaller: bool, clear: bool
) -> list[dict[str, Any]]:
    """List the semantic indexes of a database: table, columns, model, dimensions, state and counts

    The state is `ready`, `building`, or `stale`: made otherwise than it would be now; the note says what repairs it.
    While an index is changed the new one is listed too, as `next`; the one before stays as `previous`.

    Example:

    \b
        sqlite-utils embeddings movies.db -t
        sqlite-utils embeddings movies.db --failed
        sqlite-utils embeddings movies.db --compact
        sqlite-utils embeddings movies.db movies --export movies.npy
    """
    from ..api import SemanticIndex, clear_cache, compact, indexes

    if smaller and table_name is None:
        return [asdict(compact(path))]
    if clear:
        return [asdict(each) for each in clear_cache(path)]
    if file is not None and table_name is None:
        raise click.UsageError("--export writes the vectors of one table: name it")
    found = indexes(path) if table_name is None else [SemanticIndex(path, table_name)]
    if file is not None:
        return [_exported(index, file) for index in found]
    if smaller:
        return [asdict(index.compact()) for index in found]
    if failed:
        return [{"table": index.record.table} | asdict(each) for index in found for each in index.failures()]
    return [asdict(status) for index in found for status in index.statuses()]


def _exported(index: SemanticIndex, file: str) -> dict[str, Any]:
    record = index.record
    count = index.export(file)
    return {
        "table": record.table,
        "file": file,
        "vectors": count,
        "dimensions": record.dimensions,
        "model": record.model,
    }
