"""`sqlite-utils hybrid-search`: rows by meaning and by words at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..records import MODES, Mode
from . import arguments
from .face import RecordsCommand, note

if TYPE_CHECKING:
    from ..api import SemanticIndex
    from ..records import ListWeights, SearchResults

__all__ = ["hybrid_search", "records_of"]


@click.command(name="hybrid-search", cls=RecordsCommand)
@arguments.database
@arguments.table
@click.argument("query")
@click.option(
    "--mode", type=click.Choice(MODES), default="hybrid", show_default=True, help="Both lists, or one of them alone"
)
@arguments.limit
@click.option("--offset", type=click.IntRange(0), default=0, help="How many of the best rows to pass over")
@arguments.row_filter
@arguments.columns
@click.option(
    "--weights", nargs=2, type=click.FloatRange(0), metavar="KEYWORD SEMANTIC", help="How much each list counts"
)
@click.option("--fusion", type=click.Choice(["score", "rrf"]), help="By the lists' scores [default] or ranks alone")
@click.option(
    "--rrf-k", type=click.FloatRange(0), help="With rrf: the smaller, the more first ranks count [default: 60]"
)
@arguments.ordering
@click.option("--rerank", metavar="NAME[:DEPTH]", help="Have the first 20 (or so many) rows put in order by a model")
@click.option("--exact", is_flag=True, help="Compare with every vector, even where a trained index could skip most")
@click.option("--weak", is_flag=True, help="Keep rows that only nearness found, from far away")
def hybrid_search(
    path: str,
    table_name: str,
    query: str,
    mode: Mode,
    limit: int,
    offset: int,
    where: str | None,
    params: tuple[tuple[str, str], ...],
    columns: tuple[str, ...],
    weights: tuple[float, float] | None,
    fusion: str | None,
    rrf_k: float | None,
    boosts: tuple[str, ...],
    diversity: float | None,
    rerank: str | None,
    exact: bool,
    weak: bool,
) -> list[dict[str, Any]]:
    """Search TABLE by meaning and by words, best rows first

    Each record holds the row's primary key, score (high is good), rank, keyword_rank, semantic_rank, distance,
    the passage that matched, and the row's columns.

    Example:

    \b
        sqlite-utils hybrid-search movies.db movies "a robot that falls in love"
    """
    from ..api import SemanticIndex

    with SemanticIndex(path, table_name) as index:
        results = index.search(
            query,
            mode=mode,
            limit=limit,
            offset=offset,
            where=where,
            params=dict(params),
            weights=_weights(index, weights, fusion, rrf_k),
            boost=boosts,
            diversity=diversity or 0.0,
            rerank=rerank,
            exact=exact,
            weak=weak,
            columns=columns or None,
        )
    return records_of(results)


def _weights(
    index: SemanticIndex, weights: tuple[float, float] | None, fusion: str | None, rrf_k: float | None
) -> ListWeights | None:
    from ..search.request import check_weights, weights_of

    if not weights and not fusion and rrf_k is None:
        return None
    return check_weights(weights or None, fusion=fusion, rrf_k=rrf_k, default=weights_of(index.record))


def records_of(results: SearchResults) -> list[dict[str, Any]]:
    """Return the hits as flat records; warnings go to the person."""
    for warning in results.warnings:
        note(f"Warning: {warning}")
    if results.did_you_mean is not None:
        note(f"Did you mean: {results.did_you_mean}")
    return [hit.as_dict(results.key_columns) for hit in results]
