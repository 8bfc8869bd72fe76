"""`sqlite-utils evaluate-search`: how good the search of a table is, by people's judgments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ..records import MODES, ListWeights, Mode
from . import arguments
from .face import RecordsCommand, note

if TYPE_CHECKING:
    from ..api import SemanticIndex
    from ..evaluation import Evaluation, Qrels, Queries
    from ..laws.vectors import FloatVector

__all__ = ["evaluate_search"]

_TABLE = "table:"
_BASE = "hybrid"
"""The setting that others are compared with, and that --fail-under is about."""

_MEASURES = {"ndcg@10": "nDCG@10", "recall@100": "R@100", "r@100": "R@100", "mrr@10": "RR@10", "rr@10": "RR@10"}
_COLUMNS = {"nDCG@10": "ndcg@10", "R@100": "recall@100", "RR@10": "mrr@10"}


@dataclass(frozen=True, slots=True)
class _Setting:
    """One way to search."""

    name: str
    mode: Mode
    weights: ListWeights | None = None
    """None for the index's own."""


class _EvaluateCommand(RecordsCommand):
    """What fell short is told after the records are printed, by the exit status too."""

    def invoke(self, ctx: click.Context) -> None:
        super().invoke(ctx)
        if short := ctx.meta.get(__name__):
            raise click.ClickException(short)


class _Least(click.ParamType[tuple[str, float]]):
    """`ndcg@10=0.4`: a measure and the least that it may be."""

    name = "MEASURE=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        measure, _, least = str(value).partition("=")
        if measure.lower() not in _MEASURES:
            self.fail(f"{measure!r} is no measure; there are: {', '.join(_COLUMNS.values())}", param, ctx)
        try:
            return _MEASURES[measure.lower()], float(least)
        except ValueError:
            self.fail(f"{least!r} is no number, in {value!r}", param, ctx)


@click.command(name="evaluate-search", cls=_EvaluateCommand)
@arguments.database
@arguments.table
@click.argument("queries")
@click.argument("qrels", required=False)
@click.option(
    "weights",
    "--weights",
    nargs=2,
    multiple=True,
    type=click.FloatRange(0),
    metavar="KEYWORD SEMANTIC",
    help="Try these weights too; repeatable",
)
@click.option("--per-query", is_flag=True, help="A record for each query, the worst of hybrid search first")
@click.option("--tune", is_flag=True, help="Find the best weights, and keep them where they are better beyond chance")
@click.option(
    "fail_under", "--fail-under", multiple=True, type=_Least(), help="Exit with status 1 where hybrid search is below"
)
def evaluate_search(
    path: str,
    table_name: str,
    queries: str,
    qrels: str | None,
    weights: tuple[tuple[float, float], ...],
    per_query: bool,
    tune: bool,
    fail_under: tuple[tuple[str, float], ...],
) -> list[dict[str, Any]]:
    """Measure the search of TABLE by people's judgments: nDCG@10, recall@100, MRR@10

    QUERIES and QRELS are files, as TREC, tab-separated or newline-delimited JSON, or table:NAME for a table of DB.
    Where judgments name their query by its words, as those made on the page do, one table is enough. The doc_id of a
    row is its primary key; a compound one is a JSON array.

    There is a record for each mode, and for each of --weights. "difference" is the mean nDCG@10 less that of hybrid
    search; "p" says how often chance alone would make one as great (paired randomisation test).

    Example:

    \b
        sqlite-utils evaluate-search movies.db movies queries.jsonl qrels.tsv -t
        sqlite-utils evaluate-search movies.db movies table:_semantic_judgments --fail-under ndcg@10=0.4
    """
    from ..api import SemanticIndex

    if per_query and tune:
        raise click.UsageError("--per-query lists what is, --tune changes it: choose one of them")
    with SemanticIndex(path, table_name) as index:
        asked, judged = _read(path, index, queries, qrels or queries)
        run = _runner(index, asked, judged)
        if tune:
            return [_tuned(index, run)]
        settings = [
            *(_Setting(mode, mode) for mode in MODES),
            *(_Setting(f"weights {k:g} {s:g}", "hybrid", ListWeights(k, s)) for k, s in weights),
        ]
        found = {setting.name: run(setting) for setting in settings}
        model = index.record.model
    _note_shortfall(found[_BASE], fail_under)
    if per_query:
        return _query_by_query(found, asked, judged)
    return [_summary(name, model, each, found[_BASE]) for name, each in found.items()]


# --- reading ---------------------------------------------------------------------------------------------------------


def _read(path: str, index: SemanticIndex, queries: str, qrels: str) -> tuple[Queries, Qrels]:
    """Return the judged queries and the judgments; what cannot be used is told."""
    from .. import evaluation
    from ..store.connection import connect, translated

    with translated(path):
        connection = connect(path, read_only=True)
        try:
            if qrels.startswith(_TABLE):
                judged = evaluation.qrels_in_table(connection, qrels.removeprefix(_TABLE), about=index.source.table)
            else:
                judged = evaluation.read_qrels(qrels)
            if queries.startswith(_TABLE):
                asked = evaluation.queries_in_table(connection, queries.removeprefix(_TABLE))
            else:
                asked = evaluation.read_queries(queries)
            judged = evaluation.with_row_keys(judged, index.source)
            rows = {name for each in judged.values() for name in each}
            missing = evaluation.count_missing(connection, index.source, rows)
        finally:
            connection.close()
    both = asked.keys() & judged.keys()
    if not both:
        raise click.ClickException(f"no query of {queries} is judged in {qrels}: do their ids agree?")
    if missing == len(rows):
        raise click.ClickException(
            f"none of the {len(rows):,} judged rows is in {index.source.table}: are these its keys?"
        )
    if missing:
        note(f"{missing:,} of {len(rows):,} judged rows are not in {index.source.table}; they count as not found")
    if len(both) < len(asked):
        note(f"{len(asked) - len(both):,} of {len(asked):,} queries are not judged and are left out")
    return {name: text for name, text in asked.items() if name in both}, {name: judged[name] for name in both}


# --- measuring -------------------------------------------------------------------------------------------------------

_Runner = Callable[[_Setting], "Evaluation"]


def _runner(index: SemanticIndex, queries: Queries, qrels: Qrels) -> _Runner:
    """Return what measures a setting. A query is embedded once, however many settings there are."""
    from ..evaluation import doc_id, evaluate, make_run
    from ..evaluation.runs import DEPTH

    vectors: dict[str, FloatVector | None] = {}

    def ask(setting: _Setting, text: str) -> Sequence[str]:
        if setting.mode != "keyword" and text not in vectors:
            vectors[text] = _vector(index, text)
        vector = None if setting.mode == "keyword" else vectors[text]
        # A query without a vector has no meaning to the model: the index finds that again, quickly.
        found = index.search(text, mode=setting.mode, weights=setting.weights, vector=vector, limit=0, columns=())
        return [doc_id(key) for key in found.match_keys[:DEPTH]]

    return lambda setting: evaluate(make_run(lambda text: ask(setting, text), queries), qrels)


def _vector(index: SemanticIndex, text: str) -> FloatVector | None:
    """Return a query's vector. A model that does not answer must not pass for a search by words: it raises."""
    from ..api import query_vector
    from ..errors import ModelError
    from ..records import SearchRequest

    vector, warnings = query_vector(index.record, SearchRequest(query=text))
    if warnings:
        raise ModelError(warnings[0])
    return vector


def _tuned(index: SemanticIndex, run: _Runner) -> dict[str, Any]:
    """Find the weights, keep them where that is worth while, and say what was found."""
    from ..evaluation import SHARES, choose_share
    from ..search.request import weights_of

    own = weights_of(index.record)
    if own.fusion != "score":
        raise click.ClickException("the index combines ranks only (rrf): its weights are not what --tune chooses")
    current = own.semantic / (own.keyword + own.semantic)
    values: dict[float, Mapping[str, float]] = {}
    for share in sorted({*SHARES, current}):
        evaluation = run(_Setting(f"{share}", "hybrid", ListWeights(1 - share, share)))
        values[share] = evaluation.per_query["nDCG@10"]
    tuning = choose_share(values, current=current)
    compared = tuning.comparison
    keep = tuning.worthwhile and tuning.best != current
    if keep:
        index.keep_weights(ListWeights(round(1 - tuning.best, 4), round(tuning.best, 4)))
        note(f"{index.source.table}: weights {1 - tuning.best:.2f} {tuning.best:.2f} are kept")
    else:
        note(
            f"{index.source.table}: nothing changed. On queries that did not choose them, other weights gave "
            f"{compared.difference:+.4f} nDCG@10 (p = {compared.p_value:.3f}): no more than chance"
        )
    return {
        "queries": len(values[current]),
        "keyword": 1 - current,
        "semantic": current,
        "best_keyword": 1 - tuning.best,
        "best_semantic": tuning.best,
        "gain": compared.difference,
        "p": compared.p_value,
        "better": compared.better,
        "worse": compared.worse,
        "kept": keep,
    }


# --- telling ---------------------------------------------------------------------------------------------------------


def _summary(name: str, model: str, judged: Evaluation, base: Evaluation) -> dict[str, Any]:
    from ..evaluation import compare

    compared = None if judged is base else compare(base, judged)
    return {
        "setting": name,
        "model": model,
        "queries": len(judged.per_query["nDCG@10"]),
        **{column: judged.means[measure] for measure, column in _COLUMNS.items()},
        "difference": compared and compared.difference,
        "p": compared and compared.p_value,
        "better": compared and compared.better,
        "worse": compared and compared.worse,
    }


def _query_by_query(found: Mapping[str, Evaluation], queries: Queries, qrels: Qrels) -> list[dict[str, Any]]:
    """Return a record per query: nDCG@10 of each setting, and what else hybrid search did."""
    base = found[_BASE].per_query
    others = {column: measure for measure, column in _COLUMNS.items() if measure != "nDCG@10"}
    records = [
        {
            "query_id": query_id,
            "query": text,
            "relevant": sum(relevance > 0 for relevance in qrels[query_id].values()),
            **{name: each.per_query["nDCG@10"][query_id] for name, each in found.items()},
            **{column: base[measure][query_id] for column, measure in others.items()},
        }
        for query_id, text in queries.items()
    ]
    return sorted(records, key=lambda record: record[_BASE])


def _note_shortfall(judged: Evaluation, least: Sequence[tuple[str, float]]) -> None:
    """Have the command fail, once its records are printed, where a measure is below what was asked for."""
    short = [
        f"{_COLUMNS[measure]} is {judged.means[measure]:.4f}, below {value:g}"
        for measure, value in least
        if judged.means[measure] < value
    ]
    if short:
        click.get_current_context().meta[__name__] = "; ".join(short)
