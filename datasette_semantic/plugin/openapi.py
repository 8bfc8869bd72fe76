"""The OpenAPI description of the JSON API, made from the parameters that the code reads.

It is the same for everybody: databases and tables are parameters of its paths, and none is named in it. The schemas are
those of JSON Schema 2020-12, which OpenAPI 3.1 uses; tests hold every kind of answer against them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .parameters import PARAMETERS, Parameter

__all__ = ["document"]

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_NUMBER: Schema = {"type": "number"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_RANK_OR_NULL: Schema = {"type": ["integer", "null"], "minimum": 1}


def document(*, version: str, base_url: str) -> dict[str, Any]:
    """Return the description. `base_url` is the path under which Datasette is served."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hybrid search",
            "version": version,
            "summary": "Search tables by meaning and by words at once, narrow the matches by facets.",
            "description": (
                "Each result is a row with its passage and the reasons for its place. Filters, facets, sorting and "
                "paging are written as for Datasette's own tables. Pages joined are the whole ranking: follow "
                "`next_url`, which is in the `Link` header too."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base_url.rstrip("/") or "/"}],
        "security": [{}, {"token": []}, {"cookie": []}],
        "paths": _paths(),
        "components": {
            "parameters": {each.name: _parameter(each) for each in PARAMETERS}
            | {"database": _path_parameter("database"), "table_name": _path_parameter("table"), "filters": _FILTERS},
            "schemas": _schemas(),
            "responses": _errors(),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token of Datasette's."},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "ds_actor"},
            },
        },
    }


# --- paths -----------------------------------------------------------------------------------------------------------


def _paths() -> dict[str, Any]:
    return {
        "/{database}/{table}/-/hybrid-search.json": _get(
            "searchTable", "Search one table", "table", ("database", "table_name", "filters"), _json_answer("Answer")
        ),
        "/{database}/{table}/-/hybrid-search.csv": _get(
            "searchTableAsCsv",
            "The whole match set of one table, in the order of its ranking",
            "csv",
            ("database", "table_name", "filters"),
            {
                "description": "A record per match, with the keys of `Row`.",
                "headers": {"Content-Disposition": {"schema": _TEXT}},
                "content": {"text/csv": {"schema": _TEXT}},
            },
        ),
        "/{database}/-/hybrid-search.json": _get(
            "searchDatabase",
            "Search all tables of a database in one ranking",
            "across",
            ("database",),
            _json_answer("AnswerAcross"),
        ),
        "/-/hybrid-search.json": _get(
            "searchEverything", "Search all tables in one ranking", "across", (), _json_answer("AnswerAcross")
        ),
    }


def _get(name: str, summary: str, where: str, more: Sequence[str], answer: Schema) -> dict[str, Any]:
    named = [*more, *(each.name for each in PARAMETERS if where in each.where)]
    errors = {status: _ref("responses", f"Error{status}") for status in _ERRORS}
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "parameters": [_ref("parameters", each) for each in named],
            "responses": {"200": answer} | errors,
        }
    }


def _json_answer(kind: str) -> dict[str, Any]:
    across = "Across" if kind == "AnswerAcross" else ""
    shapes = [_ref("schemas", kind), {"type": "array", "items": _ref("schemas", f"Row{across}")}]
    if not across:
        shapes.insert(1, _ref("schemas", "AnswerOfArrays"))
    return {
        "description": "The matches, best first. `_shape` says which of the forms it has.",
        "headers": {
            "Link": {"description": 'The next page, `rel="next"`; missing on the last.', "schema": _TEXT},
            "Referrer-Policy": {"schema": {"const": "no-referrer"}},
        },
        "content": {
            "application/json": {"schema": {"anyOf": shapes}},
            "text/plain": {"schema": {"type": "string", "description": "`_shape=array&_nl=on`: a row per line."}},
        },
    }


# --- parameters ------------------------------------------------------------------------------------------------------

_FILTERS: Schema = {
    "name": "filters",
    "in": "query",
    "description": (
        "Conditions on columns in Datasette's grammar: `column=value`, `column__gt=10`, `column__contains=text`, "
        "`column__in=a,b` ... They hold before ranking; a value of a facet in the same address narrows what was found."
    ),
    "style": "form",
    "explode": True,
    "schema": {"type": "object", "additionalProperties": _TEXT},
    "example": {"year__gte": "1990"},
}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema = {"type": "array", "items": parameter.schema} if parameter.many else dict(parameter.schema)
    described = {"name": parameter.name, "in": "query", "description": parameter.says, "schema": schema}
    return described | ({"style": "form", "explode": True} if parameter.many else {})


def _path_parameter(name: str) -> dict[str, Any]:
    says = f"The name of the {name}, tilde-encoded as in Datasette's own addresses."
    return {"name": name, "in": "path", "required": True, "description": says, "schema": _TEXT}


# --- schemas ---------------------------------------------------------------------------------------------------------


def _schemas() -> dict[str, Any]:
    answer = _envelope(_array(_ref("schemas", "Row")), "Query") | _EXTRAS
    required = list(_envelope({}, "Query"))
    of_arrays = answer | {"columns": _array(_TEXT), "rows": _array(_array(_ref("schemas", "Cell")))}
    return {
        "Answer": _object(answer, required=required),
        "AnswerOfArrays": _object(of_arrays, required=[*required, "columns"]),
        "AnswerAcross": _object(_envelope(_array(_ref("schemas", "RowAcross")), "QueryAcross")),
        "Row": _row({}),
        "RowAcross": _row({"database": _TEXT, "table": _TEXT}),
        "Cell": {
            "description": "A value of SQLite's. Infinity is null; bytes are an object.",
            "anyOf": [{"type": ["string", "number", "null"]}, _ref("schemas", "Bytes")],
        },
        "Bytes": _object({"$base64": {"const": True}, "encoded": {"type": "string", "contentEncoding": "base64"}}),
        "Query": _object(_QUERY | _TABLE_QUERY),
        "QueryAcross": _object(_QUERY),
        "FacetResults": _object(
            {
                "results": {"type": "object", "additionalProperties": _ref("schemas", "Facet")},
                "timed_out": _array(_TEXT),
            }
        ),
        "Facet": _object(_FACET),
        "FacetValue": _object(_FACET_VALUE),
        "SuggestedFacet": _object({"name": _TEXT, "type": _TEXT, "toggle_url": _TEXT}),
        "Term": _object({"name": _TEXT, "weight": _NUMBER, "value": _NUMBER, "adds": _NUMBER}),
        "Piece": _object({"text": _TEXT, "mark": {"type": "string", "enum": ["", "word", "near"]}}),
        "Error": _object(_ERROR),
    }


def _object(properties: Schema, *, required: Sequence[str] | None = None) -> dict[str, Any]:
    needed = list(properties) if required is None else list(required)
    return {"type": "object", "required": needed, "properties": dict(properties)}


def _array(items: Schema) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _ref(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}


def _says(schema: Schema, description: str) -> dict[str, Any]:
    return {**schema, "description": description}


def _envelope(rows: Schema, query: str) -> dict[str, Any]:
    return {
        "ok": {"const": True},
        "rows": rows,
        "total": _says(_COUNT, "Matches: what pages and facets run through. Without a search, the rows that pass."),
        "truncated": _says(_FLAG, "There are more matches than are ranked; these are the best."),
        "weak": _says(_COUNT, "Weaker matches that were left out; `weak=1` brings them."),
        "next": _says(_TEXT_OR_NULL, "The `_next` of the next page; null on the last."),
        "next_url": {"type": ["string", "null"], "format": "uri"},
        "facet_results": _ref("schemas", "FacetResults"),
        "query": _ref("schemas", query),
        "warnings": _says(_array(_TEXT), "What a reader should know, such as why search by meaning is missing."),
    }


def _row(first: Schema) -> dict[str, Any]:
    own = {
        **first,
        "score": _says(_NUMBER, "High is good; what the ranking is by."),
        "rank": {"type": "integer", "minimum": 1},
        "keyword_rank": _says(_RANK_OR_NULL, "Place among the matches by words."),
        "semantic_rank": _says(_RANK_OR_NULL, "Place among the matches by meaning."),
        "distance": {
            "type": ["number", "null"],
            "minimum": 0,
            "description": "Cosine distance of the row's nearest passage, 0 to 2; low is good.",
        },
        "passage": _says(_TEXT, "The piece of the row's text that matched best."),
    }
    return _object(own) | {
        "description": "The row's key comes first, its other columns last. A column that is called like one of the "
        "keys here gives way to it.",
        "additionalProperties": _ref("schemas", "Cell"),
    }


_QUERY: Schema = {
    "q": _TEXT,
    "mode": {"type": "string", "enum": ["hybrid", "semantic", "keyword"]},
    "size": _COUNT,
    "did_you_mean": _says(_TEXT_OR_NULL, "The query with mistyped words put right."),
}
_TABLE_QUERY: Schema = {
    "like": _TEXT_OR_NULL,
    "filters": _says(_array(_TEXT), "The conditions, in words."),
    "sort": _TEXT_OR_NULL,
    "descending": _FLAG,
    "database": _TEXT,
    "table": _TEXT,
    "model": _says(_TEXT, "The embedding model of the index."),
    "text_columns": _says(_array(_TEXT), "The columns that are searched."),
}
_FACET: Schema = {
    "name": _TEXT,
    "type": _says(_TEXT, "`column`, `array`, `date`, or that of a plugin."),
    "hideable": _FLAG,
    "toggle_url": _says(_TEXT_OR_NULL, "The address without this facet, where the address asked for it."),
    "results": _array(_ref("schemas", "FacetValue")),
    "truncated": _says(_FLAG, "There are more values; `_facet_size` shows more."),
}
_FACET_VALUE: Schema = {
    "value": _ref("schemas", "Cell"),
    "label": _TEXT,
    "count": _COUNT,
    "toggle_url": _says(_TEXT, "The address with this value picked, or no longer picked."),
    "selected": _FLAG,
}
_EXTRAS: Schema = {
    "columns": _says(_array(_TEXT), "The keys of a row, in order."),
    "timing": {
        "type": "object",
        "description": "Milliseconds: of all, and of each stage that was run.",
        "required": ["total_ms"],
        "properties": {"total_ms": _NUMBER},
        "additionalProperties": _NUMBER,
    },
    "why": _says(_array(_array(_ref("schemas", "Term"))), "For each row, the terms that add up to its score."),
    "passages": _says(_array(_array(_ref("schemas", "Piece"))), "For each row, its passage in marked pieces."),
    "suggested_facets": _array(_ref("schemas", "SuggestedFacet")),
}


# --- errors ----------------------------------------------------------------------------------------------------------

_ERROR: Schema = {
    "ok": {"const": False},
    "error": _says(_TEXT, "What is wrong and what to do, fit to show."),
    "errors": _array(_TEXT),
    "status": {"type": "integer", "minimum": 400, "maximum": 599},
}
_ERRORS: Mapping[str, str] = {
    "400": "A parameter makes no sense; the message names it and says what it may hold.",
    "403": "You may not view this.",
    "404": "There is no such database, table, row, or the table has no index yet.",
    "500": "The database failed, or the search took longer than the site allows.",
}


def _errors() -> dict[str, Any]:
    content = {"application/json": {"schema": _ref("schemas", "Error")}}
    return {f"Error{status}": {"description": says, "content": content} for status, says in _ERRORS.items()}
