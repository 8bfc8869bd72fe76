"""Tools for datasette-agent: search as a language model calls it on behalf of an actor, and sees it: text with links.

Only what the actor may view is found or even named: a table that is denied is told of like one that does not exist.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from ..errors import BadOption, NoSuchTable, SemanticError
from ..laws.digest import Entry, digest
from ..laws.text import row_text
from ..records import Hit
from . import compat
from .filters import read_filters
from .permissions import visible_indexes
from .query_string import key_path, read
from .searching import Answer, Target, answer, find_target
from .settings import settings_for

__all__ = ["agent_tools", "semantic_search", "semantic_tables"]

_MAX_TOKENS = 2_000
_MOST_RESULTS = 50

_SEARCH = """
Find rows of a table that are about what the query says, by meaning and by words, best first, each with a link to cite.
The query may be a question, a sentence or words; "quoted words" must stand together, -word leaves out. `where` narrows
the rows first, for instance year__gte=1990&genre=Drama; operators after the column's name: exact, not, contains,
startswith, endswith, gt, gte, lt, lte, in, isnull, notnull, arraycontains. `like` is the last part of a row's link, to
find rows like that row. Call semantic_tables first to learn which tables can be searched.
""".strip()

_TEXT = {"type": "string"}


def agent_tools() -> list[Any]:
    """Return the tools in datasette-agent's own class."""
    from datasette_agent.tools import AgentTool

    properties = {
        "database": _TEXT,
        "table": _TEXT,
        "query": _TEXT,
        "where": _TEXT,
        "like": _TEXT,
        "limit": {"type": "integer", "minimum": 1, "maximum": _MOST_RESULTS},
    }
    search_schema = {"type": "object", "properties": properties, "required": ["database", "table"]}
    tables_schema = {"type": "object", "properties": {}}
    listing = "List the tables that semantic_search can search, with their columns."
    return [
        AgentTool("semantic_tables", listing, tables_schema, semantic_tables),
        AgentTool("semantic_search", _SEARCH, search_schema, semantic_search),
    ]


async def semantic_tables(datasette: Any, actor: compat.Actor) -> str:
    """Return the tables that the actor may search, a line for each."""
    lines = []
    for target in await _targets(datasette, actor):
        searched = ", ".join(target.index.text.columns)
        columns = ", ".join(target.source.column_names)
        lines.append(f"{target.database}/{target.source.table}: columns {columns}; searched: {searched}")
    return "\n".join(lines) or "There is no table that can be searched."


async def semantic_search(
    datasette: Any,
    actor: compat.Actor,
    database: str,
    table: str,
    query: str = "",
    where: str = "",
    like: str = "",
    limit: Any = 10,
) -> str:
    """Return what a search finds, within the budget of tokens; a mistake is told in words, so that it can be mended."""
    try:
        target = await _target(datasette, actor, database, table)
        found = await _found(datasette, target, query=query, where=where, like=like, limit=_limit(limit))
    except SemanticError as error:
        return f"Error: {error}"
    entries = [_entry(datasette, target, hit) for hit in found.results]
    return digest(entries, max_tokens=_MAX_TOKENS, total=found.results.total, notices=found.notices)


async def _found(datasette: Any, target: Target, *, query: str, where: str, like: str, limit: int) -> Answer:
    settings = settings_for(datasette, target.database, target.source.table)
    # What is ours comes first: of a key that is given twice, the first counts.
    own = urlencode([("q", query), ("like", like), ("_size", limit), ("_next", ""), ("_sort", ""), ("_sort_desc", "")])
    asked = read(
        f"{own}&{where}".rstrip("&"), path="", mode=settings.mode, size=limit, columns=target.source.column_names
    )
    if not asked.searching:
        raise BadOption("give a query, or like=the last part of a row's link")
    conditions = read_filters(
        asked, table=target.source.table, columns=target.source.column_names, wheres_allowed=False
    )
    filters = (*conditions.filters, *conditions.within)
    return await answer(datasette, target, asked, filters=filters, columns=None, weights=settings.weights)


async def _targets(datasette: Any, actor: compat.Actor) -> list[Target]:
    """Return what the actor may search, on the whole site."""
    return [
        await find_target(datasette, database, index.table)
        for database in datasette.databases
        for index in await visible_indexes(datasette, actor, database)
    ]


async def _target(datasette: Any, actor: compat.Actor, database: str, table: str) -> Target:
    targets = await _targets(datasette, actor)
    for target in targets:
        if (target.database, target.source.table) == (database, table):
            return target
    there = ", ".join(f"{each.database}/{each.source.table}" for each in targets) or "none"
    raise NoSuchTable(f"no table {database}/{table} can be searched; there are: {there}")


def _entry(datasette: Any, target: Target, hit: Hit) -> Entry:
    spec = target.index.text
    return Entry(
        link=f"{datasette.urls.table(target.database, target.source.table)}/{key_path(hit.key)}",
        text=row_text(hit.row, spec),
        passage=hit.passage.text,
        fields={name: value for name, value in hit.row.items() if name not in spec.columns},
    )


def _limit(limit: Any) -> int:
    """A model may ask for any number at all."""
    try:
        return min(max(int(limit), 1), _MOST_RESULTS)
    except (TypeError, ValueError):
        raise BadOption(f"limit is a number, not {limit!r}") from None
