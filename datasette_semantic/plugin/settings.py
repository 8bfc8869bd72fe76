"""The plugin's configuration: plain JSON from the site, checked once, then typed.

plugins:
  datasette-semantic:           # instance, database or table level; the nearer wins key by key
    mode: hybrid                # what the page starts with: hybrid, semantic or keyword
    columns: [year, genres]     # shown on a result besides its label and passage
    label: title                # the column that names a row
    facets: [decade, {array: genres}]   # as in Datasette's own table configuration
    weights: {keyword: 0.5, semantic: 0.5, fusion: score}
    size: 20                    # results per page
    table_weight: 1.0           # how much a table says in a ranking across tables; 0 leaves it out
    sql_models: [wordllama]     # models that SQL functions may call
    rerankers: [llm]            # rerankers that a request may ask for; none unless named here
    judges: {id: ada}           # an allow block: who may judge results, besides whoever has semantic-judge
    judgments: _semantic_judgments  # the table that holds what they said
    auto_embed: false           # whether the server itself brings indexes up to date when rows change
    related: 5                  # rows like it that a row's own page links to; 0 for none
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..config import DEFAULT_LIMIT, JUDGMENT_TABLE, MAX_LIMIT
from ..errors import BadOption
from ..records import MODES, ListWeights, Mode
from . import compat

__all__ = ["Settings", "check_all", "levels_of", "parse", "settings_for"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the site says about searching one table, one database, or everything."""

    mode: Mode = "hybrid"
    columns: tuple[str, ...] | None = None
    """Columns shown on a result; None for all that have something to show."""
    label: str | None = None
    facets: tuple[Any, ...] | None = None
    """In Datasette's own form: a column's name, or `{type: column}`. None to choose from the data."""
    weights: ListWeights | None = None
    """None for what the index itself holds."""
    size: int = DEFAULT_LIMIT
    table_weight: float = 1.0
    sql_models: tuple[str, ...] = ()
    rerankers: tuple[str, ...] = ()
    judges: Mapping[str, Any] | bool | None = None
    """An allow block of Datasette's."""
    judgments: str = JUDGMENT_TABLE
    auto_embed: bool = False
    related: int = 5
    """Rows like this row that a row's own page links to; 0 for none."""


def settings_for(datasette: Any, database: str | None = None, table: str | None = None) -> Settings:
    """Return the settings of a table. Raises BadOption that names the key and says what it may hold."""
    return parse(compat.plugin_settings(datasette, database, table))


def parse(found: Mapping[str, Any]) -> Settings:
    """Return checked settings. Raises BadOption that names the key and says what it may hold."""
    if unknown := sorted(set(found) - _CHECKS.keys()):
        raise BadOption(
            f"datasette-semantic: unknown setting {', '.join(unknown)}; there are {', '.join(sorted(_CHECKS))}"
        )
    checked: dict[str, Any] = {key: _CHECKS[key](key, value) for key, value in found.items()}
    return Settings(**checked)


def check_all(datasette: Any) -> None:
    """Check every level of the configuration when Datasette starts, so that a slip shows at once."""
    from datasette.utils import StartupError

    try:
        for database, table in levels_of(datasette):
            settings_for(datasette, database, table)
    except BadOption as error:
        raise StartupError(str(error)) from error


def levels_of(datasette: Any) -> list[tuple[str | None, str | None]]:
    """Return every place at which the site may have said something, as (database, table)."""
    levels: list[tuple[str | None, str | None]] = [(None, None)]
    for database in datasette.databases:
        levels.append((database, None))
        levels += [(database, table) for table in _configured_tables(datasette, database)]
    return levels


def _configured_tables(datasette: Any, database: str) -> list[str]:
    source = getattr(datasette, "config", None) or getattr(datasette, "_metadata_local", None) or {}
    return list(((source.get("databases") or {}).get(database) or {}).get("tables") or {})


def _mode(key: str, value: Any) -> Mode:
    if value not in MODES:
        raise BadOption(f"datasette-semantic: {key} is one of {', '.join(MODES)}, not {value!r}")
    mode: Mode = value
    return mode


def _names(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadOption(f"datasette-semantic: {key} is a list of names, not {value!r}")
    return tuple(value)


def _name(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise BadOption(f"datasette-semantic: {key} is a column's name, not {value!r}")
    return value


def _table(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value or value.lower().startswith("sqlite_"):
        raise BadOption(f"datasette-semantic: {key} is a table's name, not {value!r}")
    return value


def _allow(key: str, value: Any) -> Mapping[str, Any] | bool:
    if not isinstance(value, Mapping | bool):
        raise BadOption(f"datasette-semantic: {key} is an allow block, as {{id: [ada, bruno]}}, not {value!r}")
    return value


def _facets(key: str, value: Any) -> tuple[Any, ...]:
    def good(item: Any) -> bool:
        return isinstance(item, str) or (isinstance(item, Mapping) and len(item) == 1)

    if not isinstance(value, list) or not all(good(item) for item in value):
        raise BadOption(f"datasette-semantic: {key} is a list of columns or of {{type: column}}, not {value!r}")
    return tuple(value)


def _yes_or_no(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadOption(f"datasette-semantic: {key} is true or false, not {value!r}")
    return value


def _size(key: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_LIMIT:
        raise BadOption(f"datasette-semantic: {key} is a number from 1 to {MAX_LIMIT:,}, not {value!r}")
    return value


def _related(key: str, value: Any) -> int:
    return 0 if value == 0 and not isinstance(value, bool) else _size(key, value)


def _weights(key: str, value: Any) -> ListWeights:
    known = {"keyword", "semantic", "fusion", "rrf_k"}
    if not isinstance(value, Mapping) or set(value) - known:
        raise BadOption(f"datasette-semantic: {key} is an object with {', '.join(sorted(known))}, not {value!r}")
    for name in ("keyword", "semantic", "rrf_k"):
        _weight(f"{key}.{name}", value.get(name, 0))
    if value.get("fusion", "score") not in ("score", "rrf"):
        raise BadOption(f"datasette-semantic: {key}.fusion is score or rrf, not {value['fusion']!r}")
    return ListWeights(**value)


def _weight(key: str, value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < float("inf"):
        raise BadOption(f"datasette-semantic: {key} is a number of at least 0, not {value!r}")
    return value


_CHECKS = {
    "mode": _mode,
    "columns": _names,
    "label": _name,
    "facets": _facets,
    "weights": _weights,
    "size": _size,
    "sql_models": _names,
    "rerankers": _names,
    "judges": _allow,
    "judgments": _table,
    "table_weight": _weight,
    "auto_embed": _yes_or_no,
    "related": _related,
}
