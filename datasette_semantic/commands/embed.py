"""`sqlite-utils embed`: make the index of a table, or bring indexes up to date."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import sleep
from typing import TYPE_CHECKING, Any

import click

from ..records import ChunkSpec
from . import arguments
from .face import SemanticCommand, note
from .progress import progress_bar

if TYPE_CHECKING:
    from ..api import SemanticIndex
    from ..records import IndexRecord, UpdateReport

__all__ = ["embed"]

_WATCH_SECONDS = 1.0

_HOW_TO_RUN = (
    "quiet",
    "concurrency",
    "max_rpm",
    "max_tpm",
    "retry_failed",
    "dry_run",
    "price",
    "watch",
    "rollback",
    "renew",
    "forget_previous",
)
"""Options that say how to run, not how an index is made."""

_WITHOUT_COLUMNS = ("recall", "partition_by", "column_weights")
"""Options that an index takes without its columns being named again."""


@click.command(cls=SemanticCommand)
@arguments.database
@click.argument("table_name", metavar="[TABLE]", required=False)
@click.argument("columns", metavar="[COLUMN]...", nargs=-1)
@click.option("-m", "--model", help="An embedding model of llm, name or alias [default: llm's own, else wordllama]")
@click.option("--template", help="Text with {column} in it that replaces plain joining of the columns")
@click.option("--where", help="SQL condition: only rows that meet it are embedded")
@click.option(
    "--tokenize",
    default="auto",
    show_default=True,
    help="How words are read: one of FTS5's tokenizers, or 'pairs', 'russian' ...",
)
@click.option("--chunk-tokens", type=click.IntRange(1), help=f"Longest chunk [default: {ChunkSpec().max_tokens}]")
@click.option("--overlap", type=click.IntRange(0), help="Tokens that a chunk repeats of the one before it [default: 0]")
@click.option("--no-chunk", is_flag=True, help="Keep each text whole: one vector per row")
@click.option("--chunker", help="Another way to cut text, registered by a plugin")
@click.option("--task", help="What the vectors are for, as the model's profile names it  [default: retrieval]")
@click.option("--dimensions", type=click.IntRange(1), help="Cut vectors to so many dimensions, if the model allows it")
@click.option("--query-prefix", help="Text put before each query, instead of the model's usual one")
@click.option("--document-prefix", help="Text put before each chunk, instead of the model's usual one")
@click.option(
    "vectors_from",
    "--from",
    metavar="SOURCE",
    help="Take over vectors that exist already: collection:NAME of llm, column:NAME, or FILE.npy",
)
@click.option(
    "--partition-by",
    metavar="COLUMN",
    help="Keep vectors apart by the values of a column that searches always name; '' for none",
)
@click.option(
    "--recall",
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of the ten nearest that a search must find in a large index; 1 reads every vector [default: 0.95]",
)
@click.option(
    "column_weights",
    "--column-weight",
    nargs=2,
    multiple=True,
    type=(str, click.FloatRange(0, min_open=True)),
    metavar="COLUMN WEIGHT",
    help="How much a word counts in a column [default: 1.5 in titles, 1 elsewhere]; repeatable",
)
@click.option("--concurrency", type=click.IntRange(1, 64), default=1, show_default=True, help="Calls at a time")
@click.option("--max-rpm", type=click.FloatRange(0, min_open=True), help="Most requests a minute")
@click.option("--max-tpm", type=click.FloatRange(0, min_open=True), help="Most tokens a minute")
@click.option("--retry-failed", is_flag=True, help="Give rows that were set aside another try")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done, and what it would cost")
@click.option("--price", type=click.FloatRange(0), help="US dollars per million tokens, for --dry-run")
@click.option("--renew", is_flag=True, help="Make a stale index anew, as its model's profile and chunker say now")
@click.option("--rollback", is_flag=True, help="Undo the last change: the index that answered before answers again")
@click.option("--forget-previous", is_flag=True, help="Free the space of the index that --rollback would bring back")
@click.option("--watch", is_flag=True, help="Go on embedding what changes, until Ctrl-C")
@arguments.quiet
def embed(
    path: str,
    table_name: str | None,
    columns: tuple[str, ...],
    model: str | None,
    template: str | None,
    where: str | None,
    tokenize: str,
    chunk_tokens: int | None,
    overlap: int | None,
    no_chunk: bool,
    chunker: str | None,
    task: str | None,
    dimensions: int | None,
    query_prefix: str | None,
    document_prefix: str | None,
    vectors_from: str | None,
    partition_by: str | None,
    recall: float | None,
    column_weights: tuple[tuple[str, float], ...],
    concurrency: int,
    max_rpm: float | None,
    max_tpm: float | None,
    retry_failed: bool,
    dry_run: bool,
    price: float | None,
    renew: bool,
    rollback: bool,
    forget_previous: bool,
    watch: bool,
    quiet: bool,
) -> None:
    """Make TABLE searchable by meaning and by words

    With columns, the index of TABLE is made from their text, or brought up to date: only what changed is embedded.
    Without columns the index that TABLE has is brought up to date; without TABLE, every index of the database.
    An index that is declared otherwise, with another model or other columns, goes on answering until the new one,
    built beside it, is complete.

    Example:

    \b
        sqlite-utils embed movies.db movies title text
        sqlite-utils embed movies.db
        sqlite-utils embed movies.db movies title text -m 3-small
        sqlite-utils embed movies.db movies --rollback
    """
    if rollback or forget_previous:
        _undo(path, table_name, columns, forget=forget_previous, quiet=quiet)
        return
    choices = {
        "model": model,
        "template": template,
        "where": where,
        "tokenize": tokenize,
        "chunks": _chunk_spec(chunk_tokens, overlap, no_chunk, chunker),
        "task": task,
        "dimensions": dimensions,
        "query_prefix": query_prefix,
        "document_prefix": document_prefix,
        "vectors_from": vectors_from,
        "partition_by": partition_by,
        "column_weights": dict(column_weights) or None,
    }
    if dry_run:
        limits = {"price": price, "max_rpm": max_rpm, "max_tpm": max_tpm}
        for line in _planned(path, table_name, columns, choices, limits):
            click.echo(line)
        return
    how: dict[str, Any] = {"concurrency": concurrency, "max_rpm": max_rpm, "max_tpm": max_tpm}
    found = _chosen(path, table_name, columns, choices)
    if recall is not None:
        for index in found:
            index.keep_recall(recall)
    if renew:
        _renew(found, table_name)
    if vectors_from is not None:
        note(_adopting(found[0]), quiet=quiet)
    for index in found:
        before = index.record
        with progress_bar(index.record.table, quiet=quiet) as progress:
            report = _updated(index, progress=progress, retry_failed=retry_failed, **how)
        note(_told(report), quiet=quiet)
        note(_changed(index, before), quiet=quiet or index.record.id == before.id)
    if watch:
        _watch(found, quiet=quiet, **how)


def _planned(
    path: str, table: str | None, columns: tuple[str, ...], choices: dict[str, Any], limits: dict[str, float | None]
) -> Iterator[str]:
    """Yield a line per table that says what a run would do."""
    from ..api import SemanticIndex, indexes

    arguments = {name: value for name, value in choices.items() if name not in ("tokenize", "column_weights")} | limits
    tables = [table] if table else [index.record.table for index in indexes(path)]
    for name in tables:
        plan = SemanticIndex.plan(path, name, columns, **arguments)
        cost = "price not known, give --price" if plan.cost is None else f"${plan.cost:,.4f}"
        given = f"{plan.adopted:,} of them with a vector to take over, " if plan.adopted else ""
        time = "" if plan.seconds is None else f", at least {plan.seconds:,.0f} s"
        yield (
            f"{plan.table}: {plan.rows:,} rows to look at, {given}{plan.chunks:,} chunks, {plan.texts:,} texts to send "
            f"to {plan.model} in {plan.requests:,} requests, {plan.tokens:,} tokens, {cost}{time}"
        )


def _undo(path: str, table: str | None, columns: tuple[str, ...], *, forget: bool, quiet: bool) -> None:
    """Have the index before answer again, or give it up."""
    from ..api import SemanticIndex

    option = "--forget-previous" if forget else "--rollback"
    if table is None or columns:
        raise click.UsageError(f"{option} concerns the index that a table has: name TABLE, and no columns")
    _refuse_choices()
    with SemanticIndex(path, table) as index:
        if forget:
            there = index.forget_previous()
            note(f"{table}: {'the previous index is gone' if there else 'no previous index is kept'}", quiet=quiet)
            return
        index.rollback()
        status = index.status()
        waiting = f", {status.pending:,} rows wait to be embedded" if status.pending else ""
        note(f"{table}: {_made(index)} answers{waiting}", quiet=quiet)


def _renew(found: list[SemanticIndex], table: str | None) -> None:
    if table is None:
        raise click.UsageError("--renew concerns the index of one table: name TABLE")
    for index in found:
        index.renew()


def _made(index: SemanticIndex) -> str:
    record = index.record
    return f"{record.model} with {record.dimensions} dimensions over {', '.join(record.text.columns)}"


def _changed(index: SemanticIndex, before: IndexRecord) -> str:
    table = before.table
    return f"{table}: {_made(index)} answers now; the index before is kept for --rollback until --forget-previous"


def _watch(found: list[SemanticIndex], *, quiet: bool, **how: Any) -> None:
    """Embed what changes as it changes, until Ctrl-C."""
    note("watching for changes; Ctrl-C stops", quiet=quiet)
    try:
        while True:
            for index in found:
                if any(status.pending for status in index.statuses() if status.state != "previous"):
                    note(_told(index.update(**how)), quiet=quiet)
            sleep(_WATCH_SECONDS)
    except KeyboardInterrupt:
        note("stopped", quiet=quiet)


def _chunk_spec(max_tokens: int | None, overlap: int | None, whole: bool, chunker: str | None) -> ChunkSpec | None:
    """Return what was asked for; None where nothing was."""
    if whole and (max_tokens or overlap or chunker):
        raise click.UsageError("--no-chunk keeps each text whole: leave out --chunk-tokens, --overlap and --chunker")
    if not (whole or max_tokens or overlap or chunker):
        return None
    default = ChunkSpec()
    return ChunkSpec(
        chunker="none" if whole else chunker or default.chunker,
        max_tokens=max_tokens or default.max_tokens,
        overlap=overlap or default.overlap,
    )


def _chosen(path: str, table: str | None, columns: tuple[str, ...], choices: dict[str, Any]) -> list[SemanticIndex]:
    """Return the indexes to bring up to date, the named one made where need be."""
    from ..api import SemanticIndex, indexes

    if table is not None and (columns or choices["template"] is not None):
        return [SemanticIndex.create(path, table, columns, **choices)]
    _refuse_choices(but=() if table is None else _WITHOUT_COLUMNS)
    if table is not None and choices["partition_by"] is not None:
        return [SemanticIndex.create(path, table, **choices)]
    if table is not None:
        index = SemanticIndex(path, table)
        if choices["column_weights"] is not None:
            index.keep_column_weights(choices["column_weights"])
        return [index]
    found = indexes(path)
    if not found:
        raise click.ClickException(f"{path} has no index yet; make one: sqlite-utils embed {path} TABLE COLUMN...")
    return found


def _refuse_choices(*, but: Sequence[str] = ()) -> None:
    """Refuse options that say how an index is made, where none is being made."""
    ctx = click.get_current_context()
    given = [
        option.opts[-1]
        for option in ctx.command.params
        if isinstance(option, click.Option)
        and option.name not in (None, *_HOW_TO_RUN, *but)
        and ctx.get_parameter_source(option.name or "") is click.core.ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(f"{', '.join(given)} says how an index is made: name TABLE and its columns too")


def _adopting(index: SemanticIndex) -> str:
    """Return what becomes of the vectors that are to be taken over."""
    table, adoption = index.record.table, index.adoption
    if adoption is None:
        return f"{table} has its vectors already and keeps them; to take over others, drop-embeddings first"
    told = f"{table}: {adoption.given:,} vectors of {adoption.dimensions:,} dimensions taken over from {adoption.name}"
    if adoption.missing:
        more = " ..." if adoption.missing > len(adoption.missing_keys) else ""
        told += (
            f"; {adoption.missing:,} rows have none there and are embedded: {', '.join(adoption.missing_keys)}{more}"
        )
    if adoption.unused:
        told += f"; {adoption.unused:,} vectors belong to no row"
    return told


def _updated(index: SemanticIndex, **how: Any) -> UpdateReport:
    def paused(seconds: float, why: str) -> None:
        note(f"waiting {seconds:,.1f} s: {why}")

    try:
        return index.update(on_pause=paused, **how)
    except KeyboardInterrupt:
        raise click.ClickException(
            "stopped. What is embedded is kept: run the same command again to go on from here"
        ) from None


def _told(report: UpdateReport) -> str:
    """Return the closing line."""
    counts = {
        "vectors taken over": report.adopted,
        "texts embedded": report.embedded,
        "reused": report.reused,
        "rows deleted": report.deleted,
        "rows without a vector": report.failed,
    }
    done = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count) or "nothing changed"
    if not report.rows and not report.deleted:
        return f"{report.table}: nothing changed ({report.seconds:.1f} s)"
    paid = f", {report.requests:,} requests, about {report.tokens:,} tokens" if report.tokens else ""
    failed = "; --retry-failed tries the failed rows again, `embeddings --failed` lists them" if report.failed else ""
    return f"{report.table}: {report.rows:,} rows looked at, {done}{paid} in {report.seconds:.1f} s{failed}"
