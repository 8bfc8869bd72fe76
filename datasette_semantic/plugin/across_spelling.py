"""What was meant by words that no row of several tables holds.

Each table proposes what it would have been asked for. A word that one table does not know may stand in another: a
proposal counts only where none of the tables searched knows the words that it would replace.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..errors import DatabaseProblem
from ..records import SearchResults
from ..search.spelling import is_unknown, words_put_right
from .searching import Target, in_database

__all__ = ["did_you_mean"]


async def did_you_mean(datasette: Any, typed: str, answers: Sequence[tuple[Target, SearchResults]]) -> str | None:
    """Return the proposal that most tables make, of those that are no word of any table; None where there is none."""
    proposals = Counter(results.did_you_mean for _, results in answers if results.did_you_mean is not None)
    for meant, _tables in proposals.most_common():
        words = words_put_right(typed, meant)
        others = [target for target, results in answers if results.did_you_mean != meant]
        if not any(await asyncio.gather(*(_knows(datasette, target, words) for target in others))):
            return meant
    return None


async def _knows(datasette: Any, target: Target, words: Sequence[str]) -> bool:
    """Return whether some row of a table holds one of these words."""

    def run(conn: Any) -> bool:
        return not all(is_unknown(conn, target.source, target.index, word) for word in words)

    try:
        known: bool = await in_database(datasette, target.database, run)
    except DatabaseProblem:
        return True  # it cannot say now, so nothing is said of its words
    return known
