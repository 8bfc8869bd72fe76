"""llm: search as a tool and as a fragment loader.

    llm -T 'SemanticSearch("movies.db")' 'Which of these films are about robots in love? Cite them.'
    llm -f 'semantic:movies.db/movies/a robot that falls in love' 'Summarise these films.'

Both read files that the person who runs `llm` names; the model cannot name others. Results come as text with a link
per row, within a budget of tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
import llm

from ..errors import BadOption, SemanticError

__all__ = ["BadToolbox", "SemanticSearch", "load_fragment", "register_fragment_loaders", "register_tools"]

_FRAGMENT_TOKENS = 4_000


class BadToolbox(BadOption, click.ClickException):
    """The toolbox was asked for with what it cannot take; the command `llm` tells it in one line."""


class SemanticSearch(llm.Toolbox):
    """Search the tables of one SQLite database by meaning and by words.

    `database` is a path, `max_tokens` the longest answer, `base_url` the Datasette that links are to lead to.
    """

    def __init__(self, database: str = "", max_tokens: int = 2_000, base_url: str = "") -> None:
        from .answers import Library, existing  # `llm --help` loads this module and should stay quick

        if not database:
            raise BadToolbox('name the database: SemanticSearch("movies.db")')
        try:
            path = existing(database)
        except BadOption as error:
            raise BadToolbox(str(error)) from error
        self._library = Library(path, max_tokens=max_tokens, base_url=base_url)

    def tables(self) -> str:
        """List the tables that can be searched: their columns, how many rows, which columns are searched."""
        return self._told(self._library.tables)

    def search(self, table: str, query: str, where: str = "", limit: int = 10) -> str:
        """Return the rows of a table that are about what the query says, best first, each with a link to cite.

        The query may be a question, a sentence, or words; "quoted words" must stand together, -word leaves out.
        `where` narrows the rows first, for instance year__gte=1990&genre=Drama. Operators after the column's name:
        exact, not, contains, startswith, endswith, gt, gte, lt, lte, in, isnull, notnull, arraycontains.
        """
        return self._told(lambda: self._library.search(table, query, where=where, limit=limit))

    def similar(self, table: str, key: str, limit: int = 10) -> str:
        """Return the rows of a table most like the row with this primary key; a compound key is a JSON array."""
        return self._told(lambda: self._library.similar(table, key, limit=limit))

    def _told(self, answer: Callable[[], str]) -> str:
        try:
            return answer()
        except SemanticError as error:
            return f"Error: {error}"  # for the model to read and do better


def load_fragment(argument: str) -> llm.Fragment:
    """Return what a search finds, for `llm -f 'semantic:DATABASE/TABLE/QUESTION'`; slashes may stand in all but TABLE.

    Raises ValueError, with what is wrong, as llm asks of loaders.
    """
    from .answers import Library, split_fragment

    try:
        path, table, question = split_fragment(argument)
        text = Library(path, max_tokens=_FRAGMENT_TOKENS).search(table, question)
    except SemanticError as error:
        raise ValueError(str(error)) from error
    return llm.Fragment(text, source=f"semantic:{argument}")


@llm.hookimpl
def register_tools(register: Any) -> None:
    register(SemanticSearch)


@llm.hookimpl
def register_fragment_loaders(register: Any) -> None:
    register("semantic", load_fragment)
