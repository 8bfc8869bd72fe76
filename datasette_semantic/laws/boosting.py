"""What a date or number column adds to a score.

A value becomes a share from 0 to 1: 1 for the greatest (the newest) among the rows found. With a half-life a row that
lies so far below it has 0.5, twice as far 0.25; without one the share falls evenly to 0 for the least. Dates count in
days, numbers in their own unit. The clock is not asked: the same rows give the same scores tomorrow.

A negative weight takes from the greatest what a positive one would give. A row without a value has what is worst.
"""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datasette_semantic.records import Cell

__all__ = ["amount", "shares"]

_DAY: Final = 86_400.0
_LONGEST_DATE: Final = 40


def shares(cells: Sequence[Cell], *, half_life: float | None, weight: float) -> list[float]:
    """Return the share of each cell, from 0 to 1, in their order; `weight` only says which end is the worse one."""
    amounts = [amount(cell) for cell in cells]
    known = [value for value in amounts if value is not None]
    worst = 0.0 if weight >= 0 else 1.0
    if not known:
        return [worst] * len(amounts)
    high, low = max(known), min(known)
    scale = 0.5 if math.isinf(high - low) else 1.0  # farther apart than a float can tell

    def share(value: float) -> float:
        if half_life is not None:
            return float(0.5 ** min((high - value) / half_life, 1_000.0))
        return (scale * value - scale * low) / (scale * high - scale * low) if high > low else 1.0

    return [worst if value is None else share(value) for value in amounts]


def amount(cell: Cell) -> float | None:
    """Return a cell as a number: days for a date in ISO 8601, None for what is neither a number nor a date."""
    if isinstance(cell, int | float):
        return float(cell) if math.isfinite(cell) else None
    if not isinstance(cell, str) or len(cell) > _LONGEST_DATE:
        return None
    try:
        number = float(cell)
    except ValueError:
        return _days(cell.strip())
    return number if math.isfinite(number) else None


def _days(text: str) -> float | None:
    if len(text) == len("2024-05"):
        text += "-01"
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.timestamp() / _DAY
