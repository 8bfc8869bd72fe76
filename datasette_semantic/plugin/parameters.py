"""Every parameter of the pages and their JSON, by name: what is read from an address, and what is told about it.

`query_string` reads arguments by these names only, and the OpenAPI description is made from the same list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args
from urllib.parse import parse_qsl

from ..config import DEFAULT_LIMIT, MAX_LIMIT, MAX_QUERY_CHARS
from ..records import MODES, FusionMethod

__all__ = ["EXTRAS", "PARAMETERS", "SHAPES", "Given", "Pair", "Parameter"]

Pair = tuple[str, str]

SHAPES = ("objects", "arrays", "array")
EXTRAS = ("columns", "facet_results", "passages", "suggested_facets", "timing", "why")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of the query string."""

    name: str
    says: str
    """For people, as Markdown."""
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    """JSON Schema of one value."""
    many: bool = False
    """True where it may be given several times."""
    where: Sequence[str] = ("table",)
    """`table` for the search of one table, `across` for that of several, `csv` for the CSV of a whole match set."""


_EVERYWHERE = ("table", "across", "csv")
_JSON = ("table", "across")
_ROWS = ("table", "csv")
_SWITCH = {"type": "string", "enum": ["1", "0", "on", "off"]}
_NUMBER = {"type": "number", "minimum": 0}

PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "q",
        'What to search for: words, a question, a description. Any text is a valid query; `"a phrase"`, `-word`, '
        "`word*`, `column:word` and `OR` have the meaning they have on the command line.",
        {"type": "string", "maxLength": MAX_QUERY_CHARS},
        where=_EVERYWHERE,
    ),
    Parameter(
        "mode",
        "Both lists, or one alone: `semantic` is by meaning, `keyword` by words. The site may have another default.",
        {"type": "string", "enum": list(MODES), "default": "hybrid"},
        where=_EVERYWHERE,
    ),
    Parameter(
        "like",
        "A row's primary key as it stands in the row's address (a compound one with commas): rows like that row.",
        where=_ROWS,
    ),
    Parameter(
        "weak",
        "`1` keeps the matches that only nearness found, from so far away that chance may have brought them.",
        _SWITCH,
        where=_EVERYWHERE,
    ),
    Parameter(
        "table",
        "Only rows of this table, as `database/table`.",
        many=True,
        where=("across",),
    ),
    Parameter(
        "_weights",
        "How much each list counts, words before meaning: `0.7,0.3`.",
        {"type": "string", "pattern": r"^\s*[0-9.eE+-]+\s*,\s*[0-9.eE+-]+\s*$"},
        where=_EVERYWHERE,
    ),
    Parameter(
        "_fusion",
        "By the lists' scores, or by their ranks alone (reciprocal rank fusion).",
        {"type": "string", "enum": list(get_args(FusionMethod))},
        where=_EVERYWHERE,
    ),
    Parameter("_rrf_k", "With `rrf`: the smaller, the more first ranks count.", _NUMBER, where=_EVERYWHERE),
    Parameter(
        "_boost",
        "A date or number column that raises scores: `column:weight` or `column:weight:half-life`, days for dates.",
        many=True,
        where=_ROWS,
    ),
    Parameter(
        "_diversity",
        "What being like a row before it costs a row.",
        {"type": "number", "minimum": 0, "maximum": 1},
        where=_EVERYWHERE,
    ),
    Parameter(
        "_rerank",
        "Have the first rows put in order by a model: `name` or `name:rows`. Only those that the site allows.",
        where=_ROWS,
    ),
    Parameter(
        "_size",
        f"Rows per page, 0 to {MAX_LIMIT:,}, or `max`. The site may have another default.",
        {
            "anyOf": [{"type": "integer", "minimum": 0, "maximum": MAX_LIMIT}, {"const": "max"}],
            "default": DEFAULT_LIMIT,
        },
        where=_JSON,
    ),
    Parameter("_next", "Where the next page begins: the `next` of the page before.", where=_JSON),
    Parameter("_sort", "The matches by this column, lowest first, instead of by relevance."),
    Parameter("_sort_desc", "The matches by this column, highest first."),
    Parameter("_sort_by_desc", "Turns `_sort` round, as the form of Datasette's table page does.", _SWITCH),
    Parameter("_col", "Return only these other columns of the row.", many=True, where=_ROWS),
    Parameter("_nocol", "Return all columns but these.", many=True, where=_ROWS),
    Parameter("_where", "An SQL condition, for those who may run SQL on the database.", many=True, where=_ROWS),
    Parameter("_facet", "Count the values of this column over the matches.", many=True),
    Parameter("_facet_array", "The same for a column that holds JSON arrays.", many=True),
    Parameter("_facet_date", "The same for the days of a column that holds dates.", many=True),
    Parameter(
        "_facet_size",
        "Values per facet, as many as the site allows with `max`.",
        {"anyOf": [{"type": "integer", "minimum": 0}, {"const": "max"}]},
    ),
    Parameter(
        "_shape",
        "Rows as objects, as arrays beside a list of `columns` (of one table only), or an array of bare rows.",
        {"type": "string", "enum": list(SHAPES), "default": "objects"},
        where=_JSON,
    ),
    Parameter("_nl", "With `_shape=array`: a line of JSON per row.", _SWITCH, where=_JSON),
    Parameter(
        "_extra",
        f"More about the answer, comma-separated: {', '.join(f'`{name}`' for name in EXTRAS)}.",
        {"type": "string", "pattern": f"^({'|'.join(EXTRAS)})(,({'|'.join(EXTRAS)}))*$"},
        many=True,
    ),
)

_NAMES = frozenset(parameter.name for parameter in PARAMETERS)


class Given:
    """The arguments of an address. To ask for one that is not among PARAMETERS is a KeyError: a slip of ours."""

    def __init__(self, query_string: str) -> None:
        self.pairs: tuple[Pair, ...] = tuple(parse_qsl(query_string, keep_blank_values=True, errors="replace"))
        """Everything, in order, as it came."""

    def first(self, name: str) -> str | None:
        """Return the first value of a parameter, None where it is missing or empty."""
        return next(iter(self.all(name)), "") or None

    def all(self, name: str) -> list[str]:
        """Return every value of a parameter, in order."""
        if name not in _NAMES:
            raise KeyError(name)
        return [value for key, value in self.pairs if key == name]

    def switch(self, name: str) -> bool:
        """True where a parameter is switched on."""
        return self.first(name) not in (None, "0", "off")
