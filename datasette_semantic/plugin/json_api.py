"""The search as JSON: the envelope of Datasette 1.0 in both versions.

    {"ok": true, "rows": [...], "total": n, "truncated": false, "weak": n, "next": token, "next_url": url,
     "facet_results": {"results": {...}, "timed_out": []}, "query": {...}, "warnings": [...]}

`_shape=objects` (the default) gives a row as an object, `arrays` as an array beside a list of `columns`, `array` the
bare rows. `_extra=` adds: `columns`, `timing`, `why`, `passages`, `suggested_facets`, `facet_results`. All of it is
described, for programs, by `openapi.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..laws.excerpts import segments
from ..records import Hit, RowFilter, Source
from .facets import Facets
from .parameters import EXTRAS
from .query_string import QueryString
from .searching import Answer, Target

__all__ = ["EXTRAS", "envelope", "row_records"]


def row_records(answer: Answer, source: Source) -> list[dict[str, Any]]:
    """Return the results as flat records in the contract's order of keys."""
    return [hit.as_dict(source.key_columns) for hit in answer.results.hits]


def envelope(
    target: Target,
    query: QueryString,
    answer: Answer | None,
    *,
    filters: tuple[RowFilter, ...],
    facets: Facets,
    matching: int,
    next_url: str | None,
) -> Any:
    """Return the whole answer in the shape that was asked for. `matching` is the total where nothing was searched
    for."""
    records = [] if answer is None else row_records(answer, target.source)
    columns = list(records[0]) if records else []
    if query.shape == "array":
        return records
    body: dict[str, Any] = {"ok": True}
    if query.shape == "arrays":
        body |= {"columns": columns, "rows": [list(record.values()) for record in records]}
    else:
        body["rows"] = records
    place = None if answer is None else answer.next_place
    body |= {
        "total": matching if answer is None else answer.results.total,
        "truncated": answer is not None and answer.results.truncated,
        "weak": 0 if answer is None else answer.results.weak,
        "next": None if place is None else place.token(),
        "next_url": next_url,
        "facet_results": _facet_results(facets),
        "query": _query(target, query, filters)
        | {"did_you_mean": None if answer is None else answer.results.did_you_mean},
        "warnings": [] if answer is None else list(answer.notices),
    }
    return body | _extras(query, answer, facets, columns)


def _query(target: Target, query: QueryString, filters: tuple[RowFilter, ...]) -> dict[str, Any]:
    return {
        "q": query.q,
        "mode": query.mode,
        "like": query.like,
        "filters": [each.description for each in filters],
        "sort": query.sort,
        "descending": query.descending,
        "size": query.size,
        "database": target.database,
        "table": target.source.table,
        "model": target.index.model,
        "text_columns": list(target.index.text.columns),
    }


def _facet_results(facets: Facets) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for block in facets.blocks:
        name, number = block.name, 2
        while name in results:  # one column may be faceted in two ways
            name, number = f"{block.name}_{number}", number + 1
        results[name] = block.as_dict()
    return {"results": results, "timed_out": list(facets.timed_out)}


def _extras(query: QueryString, answer: Answer | None, facets: Facets, columns: list[str]) -> dict[str, Any]:
    hits: tuple[Hit, ...] = () if answer is None else answer.results.hits
    found: dict[str, Any] = {}
    if "columns" in query.extras:
        found["columns"] = columns
    if "timing" in query.extras:
        stages: Mapping[str, float] = {} if answer is None else answer.results.timings
        total = 0.0 if answer is None else answer.seconds
        found["timing"] = {"total_ms": _milliseconds(total)} | {
            f"{stage}_ms": _milliseconds(seconds) for stage, seconds in stages.items()
        }
    if "why" in query.extras:
        found["why"] = [[_term(each) for each in hit.why] for hit in hits]
    if "passages" in query.extras:
        found["passages"] = [[{"text": text, "mark": mark} for text, mark in segments(hit.passage)] for hit in hits]
    if "suggested_facets" in query.extras:
        found["suggested_facets"] = [
            {"name": column, "type": kind, "toggle_url": url} for column, kind, url in facets.more
        ]
    return found


def _term(each: Any) -> dict[str, Any]:
    return {"name": each.name, "weight": each.weight, "value": each.value, "adds": each.weight * each.value}


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1_000, 2)
