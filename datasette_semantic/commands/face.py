"""What our commands have in common: failures told in one line, records printed as sqlite-utils prints them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import click

from ..errors import SemanticError

__all__ = ["RecordsCommand", "SemanticCommand", "failures_told", "note"]


def note(message: str, *, quiet: bool = False) -> None:
    """Say something to the person, beside the records on standard output."""
    if not quiet:
        click.echo(message, err=True)


@contextmanager
def failures_told() -> Iterator[None]:
    """Turn our errors into click's: one line on standard error, exit status 1."""
    try:
        yield
    except SemanticError as error:
        raise click.ClickException(str(error)) from error


class SemanticCommand(click.Command):
    """A command whose failures are told in one line."""

    def invoke(self, ctx: click.Context) -> Any:
        with failures_told():
            return super().invoke(ctx)


class RecordsCommand(SemanticCommand):
    """A command that returns records, mappings with the same keys; sqlite-utils' options say how they are printed."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        own = super().get_params(ctx)
        return [*own[:-1], *_output_options(), own[-1]]  # --help stays last

    def invoke(self, ctx: click.Context) -> None:
        style = {option.name: ctx.params.pop(option.name) for option in _output_options() if option.name}
        _print_records(super().invoke(ctx), **style)


@cache
def _output_options() -> tuple[click.Parameter, ...]:
    # Asked for when a command is parsed: while sqlite_utils.cli collects its plugins' commands it is half imported.
    from sqlite_utils.cli import output_options

    command: click.Command = click.command()(output_options(lambda: None))
    return tuple(command.params)


def _print_records(
    records: Sequence[Mapping[str, Any]],
    *,
    nl: bool,
    arrays: bool,
    csv: bool,
    tsv: bool,
    no_headers: bool,
    table: bool,
    fmt: str | None,
    json_cols: bool,
    ascii_: bool,
) -> None:
    columns = list(records[0]) if records else []
    if table or fmt:
        import tabulate

        rows = [_flat(record) for record in records]
        click.echo(tabulate.tabulate(rows, headers=() if no_headers else columns, tablefmt=fmt or "simple"))
    elif csv or tsv:
        _print_csv(records, columns=() if no_headers else columns, dialect="excel-tab" if tsv else "excel")
    else:
        from sqlite_utils.cli import output_rows

        rows = [list(record.values()) for record in records]
        for line in output_rows(rows, columns, nl, arrays, json_cols, ascii_):
            click.echo(line)


def _print_csv(records: Sequence[Mapping[str, Any]], *, columns: Sequence[str], dialect: str) -> None:
    import csv

    writer = csv.writer(sys.stdout, dialect=dialect)
    if columns:
        writer.writerow(columns)
    writer.writerows(map(_flat, records))


def _flat(record: Mapping[str, Any]) -> list[Any]:
    """Return the record's values with lists as one cell of text."""
    return [", ".join(value) if isinstance(value, list | tuple) else value for value in record.values()]
