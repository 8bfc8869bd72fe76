"""`?_semantic=words` on Datasette's own table page: the bridge to its facets, its CSV, its map plugins.

Datasette's page cannot order by relevance, so this narrows it to the best matches. The page's own filters on columns
take part before ranking: narrowing by one never leaves fewer rows than there are.
"""

from __future__ import annotations

import json
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from datasette.filters import FilterArguments
from datasette.views.base import DatasetteError

from ..config import MAX_QUERY_CHARS
from ..errors import SemanticError
from ..records import MODES
from .filters import read_filters
from .query_string import read
from .row_sets import rows_condition
from .searching import Answer, Target, answer, find_target
from .settings import settings_for

__all__ = ["MOST_ROWS", "filter_table"]

MOST_ROWS = 200
"""Matches let through: their keys travel in the address of "View and edit SQL"."""


def filter_table(
    datasette: Any, request: Any, database: str, table: str
) -> Coroutine[Any, Any, FilterArguments] | None:
    """Return the condition that `?_semantic=` asks for, None where it asks for nothing."""
    words = request.args.get("_semantic")
    if not words or not words.strip():
        return None
    return _narrowed(datasette, request, database, table, words)


async def _narrowed(datasette: Any, request: Any, database: str, table: str, words: str) -> FilterArguments:
    try:
        target = await find_target(datasette, database, table)
        found = await _search(datasette, request, target, words)
    except SemanticError as error:
        raise DatasetteError(str(error), status=error.status) from error
    condition, packed = rows_condition(target.source, found.results.match_keys[:MOST_ROWS], "semantic_keys")
    return FilterArguments([condition], {"semantic_keys": packed}, [_in_words(words, found)])


async def _search(datasette: Any, request: Any, target: Target, words: str) -> Answer:
    database, table, columns = target.database, target.source.table, target.source.column_names
    settings = settings_for(datasette, database, table)
    query = read(_without_paging(request), path="", mode=settings.mode, columns=columns)
    mode = request.args.get("_semantic_mode") or settings.mode
    if mode not in MODES:
        raise DatasetteError(f"_semantic_mode is one of {', '.join(MODES)}, not {mode!r}", status=400)
    read_ = read_filters(replace(query, wheres=()), table=table, columns=columns, wheres_allowed=False)
    wanted = replace(query, q=words[:MAX_QUERY_CHARS].replace("\x00", " "), mode=mode, like=None, size=1)
    return await answer(datasette, target, wanted, filters=read_.filters, columns=(), weights=settings.weights)


def _without_paging(request: Any) -> str:
    """Return the table page's query string without what means something else to the search page."""
    pairs = parse_qsl(request.query_string, keep_blank_values=True)
    return urlencode([(key, value) for key, value in pairs if not key.startswith("_") or "__" in key[1:]])


def _in_words(words: str, found: Answer) -> str:
    count = len(found.results.match_keys)
    best = f", the {MOST_ROWS} best of {count:,}" if count > MOST_ROWS else ""
    doubt = f" ({' '.join(found.notices)})" if found.notices else ""
    return f"search finds {json.dumps(words, ensure_ascii=False)}{best}{doubt}"
