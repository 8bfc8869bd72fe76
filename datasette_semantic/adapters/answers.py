"""A search answered as text, for a language model to read: results within a budget of tokens, a link per row."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from datasette.utils import tilde_encode

from ..api import SemanticIndex, indexes
from ..errors import BadOption, NoSuchIndex
from ..laws.digest import Entry, digest
from ..laws.text import row_text
from ..records import Hit, SearchResults
from ..search.filters import parse_filters

__all__ = ["Library", "existing", "split_fragment"]

_MOST_RESULTS = 50


class Library:
    """The searchable tables of one file. Its methods raise SemanticError."""

    def __init__(self, path: Path, *, max_tokens: int, base_url: str = "") -> None:
        self._path = path
        self._max_tokens = max_tokens
        self._base_url = base_url.rstrip("/")

    def tables(self) -> str:
        """Return the tables as JSON."""
        found = []
        for index in indexes(self._path):
            with index:
                status = index.status()
                found.append(
                    {
                        "table": status.table,
                        "rows": status.rows,
                        "searched": status.columns,
                        "columns": index.source.column_names,
                    }
                )
        return json.dumps(found, ensure_ascii=False)

    def search(self, table: str, query: str, *, where: str = "", limit: int = _MOST_RESULTS) -> str:
        """Return the rows of a table that a query finds; `where` is a query string in Datasette's grammar."""
        return self._answer(
            table, lambda index: index.search(query, limit=_limit(limit), where=parse_filters(index.source, where))
        )

    def similar(self, table: str, key: str, *, limit: int) -> str:
        """Return the rows like the one with this key."""
        return self._answer(table, lambda index: index.similar(_key(key), limit=_limit(limit)))

    def _answer(self, table: str, search: Callable[[SemanticIndex], SearchResults]) -> str:
        with SemanticIndex(self._path, table) as index:
            results = search(index)
            entries = [self._entry(index, hit) for hit in results]
        return digest(entries, max_tokens=self._max_tokens, total=results.total, notices=results.warnings)

    def _entry(self, index: SemanticIndex, hit: Hit) -> Entry:
        spec = index.record.text
        names = (self._path.stem, index.record.table)
        key = ",".join(tilde_encode(str(part)) for part in hit.key)
        return Entry(
            link="/".join((self._base_url, *map(tilde_encode, names), key)),
            text=row_text(hit.row, spec),
            passage=hit.passage.text,
            fields={name: value for name, value in hit.row.items() if name not in spec.columns},
        )


def split_fragment(argument: str) -> tuple[Path, str, str]:
    """Cut `DATABASE/TABLE/QUESTION` where its beginning is a file: the shortest such beginning.

    Raises NoSuchIndex, BadOption, which say how it goes.
    """
    pieces = argument.split("/")
    for count in range(1, len(pieces)):
        path = _file("/".join(pieces[:count]))
        if path is not None:
            table, *question = pieces[count:]
            if not "/".join(question).strip():
                raise BadOption("ask something after the table: semantic:DATABASE/TABLE/QUESTION")
            return path, table, "/".join(question)
    raise NoSuchIndex(f"no database file begins {argument!r}; it goes: semantic:DATABASE/TABLE/QUESTION")


def existing(database: str) -> Path:
    """Return the path of a database whose name may leave out `.db`. Raises BadOption."""
    path = _file(database)
    if path is None:
        raise BadOption(f"there is no file {database!r}")
    return path


def _file(name: str) -> Path | None:
    for candidate in (name, f"{name}.db"):
        if name and Path(candidate).is_file():
            return Path(candidate)
    return None


def _limit(limit: Any) -> int:
    """A model may ask for any number at all."""
    with suppress(TypeError, ValueError):
        return min(max(int(limit), 1), _MOST_RESULTS)
    raise BadOption(f"limit is a number, not {limit!r}")


def _key(key: Any) -> Any:
    if isinstance(key, str) and key.startswith("["):
        with suppress(ValueError):
            return json.loads(key)
    return key
