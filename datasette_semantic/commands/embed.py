"""`sqlite-utils embed`: make the index of a table, or bring indexes up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..records import ChunkSpec
from . import arguments
from .face import SemanticCommand, note
from .progress import progress_bar

if TYPE_CHECKING:
    from ..api import SemanticIndex
    from ..records import UpdateReport

__all__ = ["embed"]


@click.command(cls=SemanticCommand)
@arguments.database
@click.argument("table_name", metavar="[TABLE]", required=False)
@click.argument("columns", metavar="[COLUMN]...", nargs=-1)
@click.option("-m", "--model", help="An embedding model of llm, name or alias [default: llm's own, else wordllama]")
@click.option("--template", help="Text with {column} in it that replaces plain joining of the columns")
@click.option("--where", help="SQL condition: only rows that meet it are embedded")
@click.option("--tokenize", default="auto", show_default=True, help="How the keyword index reads words, as in FTS5")
@click.option("--chunk-tokens", type=click.IntRange(1), help=f"Longest chunk [default: {ChunkSpec().max_tokens}]")
@click.option("--overlap", type=click.IntRange(0), help="Tokens that a chunk repeats of the one before it [default: 0]")
@click.option("--no-chunk", is_flag=True, help="Keep each text whole: one vector per row")
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
    quiet: bool,
) -> None:
    """Make TABLE searchable by meaning and by words

    With columns, the index of TABLE is made from their text, or brought up to date: only what changed is embedded.
    Without columns the index that TABLE has is brought up to date; without TABLE, every index of the database.

    Example:

    \b
        sqlite-utils embed movies.db movies title text
        sqlite-utils embed movies.db
    """
    choices = {
        "model": model,
        "template": template,
        "where": where,
        "tokenize": tokenize,
        "chunks": _chunk_spec(chunk_tokens, overlap, no_chunk),
    }
    for index in _chosen(path, table_name, columns, choices):
        with progress_bar(index.record.table, quiet=quiet) as progress:
            report = _updated(index, progress)
        note(_told(report), quiet=quiet)


def _chunk_spec(max_tokens: int | None, overlap: int | None, whole: bool) -> ChunkSpec | None:
    """Return what was asked for; None where nothing was."""
    if whole and (max_tokens or overlap):
        raise click.UsageError("--no-chunk keeps each text whole: leave out --chunk-tokens and --overlap")
    if not (whole or max_tokens or overlap):
        return None
    default = ChunkSpec()
    return ChunkSpec(
        chunker="none" if whole else default.chunker,
        max_tokens=max_tokens or default.max_tokens,
        overlap=overlap or default.overlap,
    )


def _chosen(path: str, table: str | None, columns: tuple[str, ...], choices: dict[str, Any]) -> list[SemanticIndex]:
    """Return the indexes to bring up to date, the named one made where need be."""
    from ..api import SemanticIndex, indexes

    if table is not None and (columns or choices["template"] is not None):
        return [SemanticIndex.create(path, table, columns, **choices)]
    _refuse_choices()
    if table is not None:
        return [SemanticIndex(path, table)]
    found = indexes(path)
    if not found:
        raise click.ClickException(f"{path} has no index yet; make one: sqlite-utils embed {path} TABLE COLUMN...")
    return found


def _refuse_choices() -> None:
    """Refuse options that say how an index is made, where none is being made."""
    ctx = click.get_current_context()
    given = [
        option.opts[-1]
        for option in ctx.command.params
        if isinstance(option, click.Option)
        and option.name not in (None, "quiet")
        and ctx.get_parameter_source(option.name or "") is click.core.ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(f"{', '.join(given)} says how an index is made: name TABLE and its columns too")


def _updated(index: SemanticIndex, progress: Any) -> UpdateReport:
    try:
        return index.update(progress=progress)
    except KeyboardInterrupt:
        raise click.ClickException(
            "stopped. What is embedded is kept: run the same command again to go on from here"
        ) from None


def _told(report: UpdateReport) -> str:
    """Return the closing line."""
    counts = {
        "texts embedded": report.embedded,
        "reused": report.reused,
        "rows deleted": report.deleted,
        "rows without a vector": report.failed,
    }
    done = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count) or "nothing changed"
    if not report.rows and not report.deleted:
        return f"{report.table}: nothing changed ({report.seconds:.1f} s)"
    return f"{report.table}: {report.rows:,} rows looked at, {done} in {report.seconds:.1f} s"
