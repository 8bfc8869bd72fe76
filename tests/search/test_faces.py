"""Every face gives the same rows, in the same order, with the same scores."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner
from datasette.app import Datasette
from sqlite_utils.cli import cli

from datasette_semantic import prepare_connection
from datasette_semantic.api import SemanticIndex
from datasette_semantic.records import MODES
from datasette_semantic.search.request import check_weights, weights_of
from datasette_semantic.store.connection import connect

from .conftest import WORDS

FIELDS = ("slug", "score", "rank", "keyword_rank", "semantic_rank", "distance", "passage")


def requests() -> list[tuple[str, str, dict[str, Any]]]:
    """40 requests: words, phrases, exclusions, questions; every mode; some with a filter."""
    draw = random.Random(11)
    shapes = ("{} {}", '"{} {}"', "{} -{}", "where is the {} of a {}?", "{}* {}", "title:{} {}")
    wheres: tuple[dict[str, Any], ...] = ({}, {"year__gte": 2005}, {"tags__arraycontains": "red"})
    made = []
    for number in range(40):
        typed = shapes[number % len(shapes)].format(*draw.sample(WORDS, 2))
        made.append((typed, MODES[number % 3], wheres[number // 3 % 3]))
    return made


def plain(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: record[name] for name in FIELDS} for record in records]


@pytest.mark.asyncio
async def test_all_faces_agree(corpus_path: Path) -> None:
    datasette = Datasette([str(corpus_path)])
    await datasette.invoke_startup()
    connection = connect(corpus_path, read_only=True)
    prepare_connection(connection)
    with SemanticIndex(corpus_path, "notes") as index:
        for typed, mode, where in requests():
            results = index.search(typed, mode=mode, where=where or None, limit=15)
            expected = plain([hit.as_dict(results.key_columns) for hit in results])

            options = json.dumps({"mode": mode} | ({"where": where} if where else {}))
            (answer,) = connection.execute("select hybrid_search('notes', ?, 15, ?)", (typed, options)).fetchone()
            assert plain(json.loads(answer)) == expected, typed

            query = urlencode({"q": typed, "mode": mode, "_size": 15, **where})
            response = await datasette.client.get(f"/corpus/notes/-/hybrid-search.json?{query}")
            assert plain(response.json()["rows"]) == expected, typed

            if not where:  # the command's filters are SQL
                arguments = ["hybrid-search", str(corpus_path), "notes", "--mode", mode, "-n", "15", "--", typed]
                assert plain(json.loads(CliRunner().invoke(cli, arguments).stdout)) == expected, typed
    connection.close()


WISHES: list[dict[str, Any]] = [
    {"boost": ["year:0.3"]},
    {"boost": ["year:-0.2:5"], "diversity": 0.4},
    {"weights": [0.2, 0.8]},
    {"fusion": "rrf"},
    {"rrf_k": 5, "weights": [1, 0.5], "diversity": 0.2},
]


@pytest.mark.parametrize("wishes", WISHES, ids=str)
@pytest.mark.asyncio
async def test_all_faces_agree_on_wishes(corpus_path: Path, wishes: dict[str, Any]) -> None:
    typed = "robot garden"
    connection = connect(corpus_path, read_only=True)
    prepare_connection(connection)
    (answer,) = connection.execute("select hybrid_search('notes', ?, 15, ?)", (typed, json.dumps(wishes))).fetchone()
    expected = plain(json.loads(answer))
    (usual,) = connection.execute("select hybrid_search('notes', ?, 15)", (typed,)).fetchone()
    assert expected != plain(json.loads(usual))
    connection.close()

    pairs: list[tuple[str, Any]] = [("q", typed), ("_size", 15)]
    arguments = ["hybrid-search", str(corpus_path), "notes", typed, "-n", "15"]
    for name, value in wishes.items():
        parts = value if isinstance(value, list) else [value]
        pairs += [(f"_{name}", ",".join(map(str, parts)))]
        arguments += [f"--{name.replace('_', '-')}", *map(str, parts)]
    datasette = Datasette([str(corpus_path)])
    await datasette.invoke_startup()
    response = await datasette.client.get(f"/corpus/notes/-/hybrid-search.json?{urlencode(pairs)}")
    assert plain(response.json()["rows"]) == expected
    assert plain(json.loads(CliRunner().invoke(cli, arguments).stdout)) == expected

    with SemanticIndex(corpus_path, "notes") as index:
        joined = {name: wishes.get(name) for name in ("weights", "fusion", "rrf_k")}
        weights = check_weights(**joined, default=weights_of(index.record)) if any(joined.values()) else None
        others = {name: value for name, value in wishes.items() if name in ("boost", "diversity")}
        results = index.search(typed, weights=weights, limit=15, **others)
        assert plain([hit.as_dict(results.key_columns) for hit in results]) == expected
        for hit in results:
            assert hit.score == pytest.approx(sum(each.weight * each.value for each in hit.why))
