"""`sqlite-utils semantic-demo`: a real table to search, made from the Python that is running."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import arguments
from .face import SemanticCommand, note

if TYPE_CHECKING:
    from sqlite_utils import Database

    from ..laws.docstrings import Docstring

__all__ = ["semantic_demo"]

TABLE = "python_docs"
COLUMNS = {"id": int, "module": str, "name": str, "kind": str, "signature": str, "text": str}

# Tests, demonstrations, tables of characters, and jokes.
LEFT_OUT = {
    *("antigravity", "encodings", "ensurepip", "idlelib", "lib2to3"),
    *("pydoc_data", "test", "tests", "this", "turtledemo"),
}

# Where the standard library keeps the source of what it otherwise takes from C.
PUBLIC_NAMES = {"_pydatetime": "datetime", "_pydecimal": "decimal", "_pyio": "io"}

# Modules without source; importing one of these does nothing but make it known.
WRITTEN_IN_C = (
    *("array", "atexit", "binascii", "builtins", "cmath", "gc", "itertools", "marshal", "math"),
    *("mmap", "select", "sys", "time", "unicodedata", "zlib"),
)


@click.command(name="semantic-demo", cls=SemanticCommand)
@arguments.database
@click.option("--table", "table_name", metavar="NAME", default=TABLE, show_default=True, help="The table to make")
@click.option("--replace", is_flag=True, help="Fill the table afresh where it exists")
@arguments.quiet
def semantic_demo(path: str, table_name: str, replace: bool, quiet: bool) -> None:
    """Make a table to try search on: the documentation inside this Python's standard library

    One row for each module, class, function and method that documents itself: module, name, kind, signature, text.
    Nothing is downloaded. DB is made where it does not exist.

    Example:

    \b
        sqlite-utils semantic-demo demo.db
    """
    from sqlite_utils import Database

    from ..store.connection import translated

    with translated(Path(path)):
        database = Database(path, execute_plugins=False)
        try:
            _check(database, table_name, replace=replace)
            count = _fill(database, table_name)
        finally:
            database.close()
    note(f"{table_name}: {count:,} rows. Now try:\n\n{_next_commands(path, table_name)}", quiet=quiet)


def _next_commands(path: str, table: str) -> str:
    from shlex import quote

    file, name = quote(path), quote(table)
    return (
        f"    sqlite-utils embed {file} {name} name text\n"
        f'    sqlite-utils hybrid-search {file} {name} "wait until a program has finished" -n 5 -t -c module -c name'
    )


def _check(database: Database, name: str, *, replace: bool) -> None:
    """Refuse to touch a table that is not ours to fill."""
    if name in database.view_names():
        raise click.ClickException(f"{name} is a view: choose another name with --table NAME")
    table = database.table(name)
    if not table.exists():
        return
    if list(table.columns_dict) != list(COLUMNS):
        raise click.ClickException(f"{name} exists and holds something else: choose another name with --table NAME")
    if not replace:
        raise click.ClickException(f"{name} exists already: --replace fills it afresh, --table NAME makes another")


def _fill(database: Database, name: str) -> int:
    """Write the table in one transaction; return its number of rows."""
    rows = [
        dict(zip(COLUMNS, (number, *astuple(docstring)), strict=True))
        for number, docstring in enumerate(_documented(), start=1)
    ]
    table = database.table(name)
    with database.atomic():
        if table.exists():
            # Row by row, not `drop table`: an index of it hears of each change and stays.
            table.delete_where("id > ?", [len(rows)])
        else:
            table.create(COLUMNS, pk="id")
        table.upsert_all(rows, pk="id")
    return len(rows)


def _documented() -> Iterator[Docstring]:
    """Yield the standard library's docstrings, each name once, in a fixed order."""
    seen: set[tuple[str, str]] = set()
    for name in sorted(sys.stdlib_module_names):
        for docstring in _of_module(name):
            place = (docstring.module, docstring.name)
            if place not in seen:
                seen.add(place)
                yield docstring


def _of_module(name: str) -> Iterator[Docstring]:
    from importlib import import_module

    from ..laws.docstrings import built_in_docstrings, docstrings

    if name in WRITTEN_IN_C:
        yield from built_in_docstrings(import_module(name))
    for module, file in _sources(name):
        yield from docstrings(module, _source(file))


def _sources(name: str) -> Iterator[tuple[str, Path]]:
    """Yield the public modules of a top-level module or package, with their files."""
    import sysconfig

    root = Path(sysconfig.get_path("stdlib"))
    files = [root / f"{name}.py", *sorted((root / name).rglob("*.py"))]
    for file in files:
        parts = file.relative_to(root).with_suffix("").parts
        public = [PUBLIC_NAMES.get(parts[0], parts[0]), *(part for part in parts[1:] if not part.startswith("_"))]
        if file.exists() and not public[0].startswith("_") and LEFT_OUT.isdisjoint(parts):
            yield ".".join(public), file


def _source(file: Path) -> str:
    import tokenize

    with tokenize.open(file) as opened:  # as Python itself would read it
        return opened.read()
