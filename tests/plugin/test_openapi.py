"""The OpenAPI description is held against what the plugin really answers, and against what its code reads."""

from __future__ import annotations

import ast
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from datasette_semantic.plugin import parameters

from .conftest import SEARCH, Make, get, get_json, write_secrets

DESCRIPTION = "/-/hybrid-search.openapi.json"
TABLE, CSV = "/{database}/{table}/-/hybrid-search.json", "/{database}/{table}/-/hybrid-search.csv"
DATABASE, EVERYTHING = "/{database}/-/hybrid-search.json", "/-/hybrid-search.json"
PLUGIN = Path(parameters.__file__).parent

ALL_EXTRAS = ",".join(parameters.EXTRAS)
EXAMPLES = {
    "q": "storm",
    "mode": "keyword",
    "like": "3",
    "weak": "1",
    "table": "articles/articles",
    "_weights": "0.7,0.3",
    "_fusion": "rrf",
    "_rrf_k": "10",
    "_boost": "year:0.2",
    "_diversity": "0.3",
    "_rerank": "",  # none is allowed here; the refusal is asked for below
    "_size": "max",
    "_next": "WzIsIiJd",
    "_sort": "year",
    "_sort_desc": "year",
    "_sort_by_desc": "on",
    "_col": "title",
    "_nocol": "title",
    "_where": "year > 1990",
    "_facet": "topic",
    "_facet_array": "tags",
    "_facet_date": "written",
    "_facet_size": "2",
    "_shape": "array",
    "_nl": "on",
    "_extra": ALL_EXTRAS,
}
"""A value of each parameter."""

GOOD = [
    (TABLE, ""),
    (TABLE, "?q=storm"),
    (TABLE, "?q=storm&_size=2&mode=semantic"),
    (TABLE, "?q=nosuchword&mode=keyword"),
    (TABLE, "?q=tulpi+garden&mode=keyword"),
    (TABLE, "?like=4&_size=3"),
    (TABLE, f"?q=storm&_extra={ALL_EXTRAS}&_facet=topic&_facet_array=tags&_facet_date=written&topic=sea"),
    (TABLE, "?q=storm&_shape=arrays&_extra=columns"),
    (TABLE, "?_shape=arrays"),
    (TABLE, "?q=storm&_shape=array"),
    (DATABASE, "?q=storm"),
    (DATABASE, ""),
    (EVERYTHING, "?q=storm&_size=2"),
    (EVERYTHING, "?q=storm&table=articles/articles"),
    (EVERYTHING, "?q=storm&_shape=array"),
]
BAD = [
    (TABLE, "?mode=fuzzy", 400),
    (TABLE, "?q=x&_rerank=llm", 400),
    (TABLE, "?q=x&_col=nosuch", 400),
    (TABLE, "?like=9999", 404),
    (EVERYTHING, "?like=3", 400),
    (DATABASE, "?q=x&_shape=arrays", 400),
]


@pytest.fixture
def description(site: Any) -> Any:
    """Asks a site for the description of its API."""

    async def ask(datasette: Any = site) -> Any:
        return await get_json(datasette, DESCRIPTION)

    return ask


def closed(schema: Any) -> Any:
    """Return the schema such that a key which is not described is an error."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    if "properties" in found and isinstance(schema["properties"], Mapping):
        found.setdefault("additionalProperties", False)
    return found


def check(document: Mapping[str, Any], path: str, status: int, answer: Any) -> None:
    """Hold an answer against what the description says of it; what it does not say must not be there."""
    resource = Resource.from_contents(closed(document), default_specification=DRAFT202012)
    operation = document["paths"][path]["get"]["responses"]
    place = f"/paths/{path.replace('~', '~0').replace('/', '~1')}/get/responses/{status}"
    if "$ref" in operation[str(status)]:
        place = operation[str(status)]["$ref"].removeprefix("#")
    schema = {"$ref": f"urn:api#{place.replace('{', '%7B').replace('}', '%7D')}/content/application~1json/schema"}
    registry = Registry().with_resource("urn:api", resource)
    jsonschema.Draft202012Validator(schema, registry=registry).validate(answer)


def address(path: str) -> str:
    return path.format(database="articles", table="articles")


@pytest.mark.asyncio
async def test_the_description_is_valid_openapi(description: Any) -> None:
    OpenAPIV31SpecValidator(await description()).validate()


@pytest.mark.asyncio
@pytest.mark.parametrize(("path", "query"), GOOD)
async def test_answers_are_as_described(site: Any, description: Any, path: str, query: str) -> None:
    check(await description(), path, 200, await get_json(site, f"{address(path)}{query}"))


@pytest.mark.asyncio
@pytest.mark.parametrize(("path", "query", "status"), BAD)
async def test_refusals_are_as_described(site: Any, description: Any, path: str, query: str, status: int) -> None:
    check(await description(), path, status, await get_json(site, f"{address(path)}{query}", status=status))


@pytest.mark.asyncio
async def test_what_one_may_not_view_is_refused_as_described(make: Make, tmp_path: Path, description: Any) -> None:
    datasette = make([write_secrets(tmp_path / "hidden.db")], config={"databases": {"hidden": {"allow": False}}})
    for path in (TABLE, DATABASE):
        answer = await get_json(datasette, path.format(database="hidden", table="secrets"), status=403)
        check(await description(), path, 403, answer)


@pytest.mark.asyncio
async def test_odd_values_are_as_described(make: Make, tmp_path: Path, description: Any) -> None:
    from .conftest import embed

    path = tmp_path / "odd.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table odd (a text, b blob, text text, number real, rank text, primary key (a, b))")
        database.execute("insert into odd values ('x', x'00ff', 'a ship at sea', 9e999, 'captain')")
    embed(path, "odd", ["text"])
    answer = await get_json(make([path]), "/odd/odd/-/hybrid-search.json?q=ship")
    assert answer["rows"][0]["b"] == {"$base64": True, "encoded": "AP8="}
    check(await description(), TABLE, 200, answer)


@pytest.mark.asyncio
async def test_every_key_that_is_described_comes(site: Any, description: Any) -> None:
    """The other way round: nothing is promised that never comes."""
    schemas = (await description())["components"]["schemas"]
    described = {key for schema in schemas.values() for key in schema.get("properties", {})}
    found: set[str] = {"$base64", "encoded"}  # of bytes, which the test before this one sees
    for path, query in GOOD:
        found |= set(keys_of(await get_json(site, f"{address(path)}{query}")))
    found |= set(keys_of(await get_json(site, f"{SEARCH}.json?mode=fuzzy", status=400)))
    assert described - found == set()


def keys_of(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from value
    for each in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from keys_of(each)


# --- parameters ------------------------------------------------------------------------------------------------------


def names_read_by_the_code() -> set[str]:
    """Return every name by which the plugin's code asks an address for an argument."""
    found = set()
    for file in PLUGIN.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr in ("first", "all", "switch") and getattr(node.func.value, "id", "") == "given":
                    found.add(node.args[0].value)
            elif isinstance(node, ast.Compare) and getattr(node.left, "id", "") == "key":
                found |= {each.value for each in node.comparators if isinstance(getattr(each, "value", None), str)}
    return found


def test_every_parameter_that_the_code_reads_is_described_and_the_other_way_round() -> None:
    described = {parameter.name for parameter in parameters.PARAMETERS}
    read_by_datasette = {"_facet_array", "_facet_date", "_facet_size"}  # its facet classes; ours go by "_facet_"
    assert names_read_by_the_code() | read_by_datasette == described == set(EXAMPLES)


def test_a_parameter_that_is_not_described_cannot_be_read() -> None:
    with pytest.raises(KeyError):
        parameters.Given("q=x&_new=1").first("_new")


@pytest.mark.asyncio
@pytest.mark.parametrize("path", [TABLE, CSV, DATABASE, EVERYTHING])
async def test_described_parameters_are_taken_where_the_description_says(
    site: Any, description: Any, path: str
) -> None:
    document = await description()
    for reference in document["paths"][path]["get"]["parameters"]:
        each = document["components"]["parameters"][reference["$ref"].rpartition("/")[2]]
        if each["in"] == "path" or each["name"] == "filters":
            continue
        name, value = each["name"], EXAMPLES[each["name"]]
        schema = each["schema"]["items"] if each["schema"].get("type") == "array" else each["schema"]
        jsonschema.validate(as_typed(value, schema), schema)
        base = "" if name in ("q", "like") else "&q=ship"
        response = await get(site, f"{address(path)}?{name}={value}{base}")
        assert response.status_code == 200, (name, response.text[:300])


def as_typed(value: str, schema: Mapping[str, Any]) -> Any:
    """Return the value of an argument as its schema has it: an address knows text only."""
    kinds = {each.get("type") for each in [schema, *schema.get("anyOf", ())]}
    read: Callable[[str], Any] = int if "integer" in kinds else float if "number" in kinds else str
    return read(value) if value.replace(".", "").isdigit() else value


# --- permissions -----------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("actor", [None, "root"])
async def test_the_description_names_no_database_and_no_table(make: Make, tmp_path: Path, actor: str | None) -> None:
    path = write_secrets(tmp_path / "vaults.db", "treasures")
    text = (await get(make([path]), DESCRIPTION, actor=actor)).text
    assert "vaults" not in text
    assert "treasures" not in text
    assert "zanzibar" not in text


@pytest.mark.asyncio
async def test_the_description_is_for_those_who_may_view_the_site(make: Make, articles_file: Path) -> None:
    datasette = make([articles_file], config={"allow": {"id": "root"}})
    refused = await get_json(datasette, DESCRIPTION, status=403)
    assert refused["ok"] is False
    assert (await get_json(datasette, DESCRIPTION, actor="root"))["openapi"] == "3.1.0"


@pytest.mark.asyncio
async def test_other_sites_may_read_it_where_datasette_lets_them(make: Make, articles_file: Path) -> None:
    datasette = make([articles_file], cors=True, settings={"base_url": "/data/"})
    response = await get(datasette, DESCRIPTION)
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.json()["servers"] == [{"url": "/data"}]
