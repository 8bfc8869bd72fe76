"""The SQL functions, on any connection, with sqlite-vec loaded beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from datasette_semantic.api import SemanticIndex
from datasette_semantic.laws.vectors import from_blob
from datasette_semantic.sql_functions import OPTIONS, register
from datasette_semantic.store.connection import Connection, connect, sqlite_errors

KEYS = ["id", "score", "rank", "keyword_rank", "semantic_rank", "distance", "passage"]


@pytest.fixture
def connection(articles: Path) -> Connection:
    with SemanticIndex.create(articles, "articles", ["title", "body"], model="wordllama") as index:
        index.update()
    opened = connect(articles, read_only=True)
    register(opened)
    return opened


def one(connection: Connection, sql: str, *params: object) -> Any:
    return connection.execute(sql, params).fetchone()[0]


def test_embed(connection: Connection) -> None:
    (vector,) = from_blob(one(connection, "select embed('robots in love')"), dimensions=256)
    assert float(vector @ vector) == pytest.approx(1.0, abs=1e-5)
    assert one(connection, "select embed(null)") is None
    assert one(connection, "select embed('words', 'wordllama') = embed('words')") == 1


def test_by_hand(connection: Connection) -> None:
    """The contract of plain sqlite-vec."""
    rows = connection.execute(
        "select id, distance from articles_vec where embedding match embed(?) and k = 10", ("a robot in love",)
    ).fetchall()
    assert len(rows) == 6
    assert rows[0][0] == 1


def test_hybrid_search(connection: Connection) -> None:
    records = json.loads(one(connection, "select hybrid_search('articles', 'a robot that loves')"))
    assert records[0]["id"] == 1
    assert all(list(record) == KEYS for record in records)
    assert len(json.loads(one(connection, "select hybrid_search('articles', 'ships', 2)"))) == 2


def test_join_on_json_each(connection: Connection) -> None:
    rows = connection.execute(
        "select a.title, r.value ->> 'score' as score from json_each(hybrid_search('articles', ?, 3)) r "
        "join articles a on a.id = r.value ->> 'id' order by r.key",
        ("letters to ships",),
    ).fetchall()
    assert rows[0][0] == "Lighthouses"
    assert [score for _, score in rows] == sorted((score for _, score in rows), reverse=True)


def test_options(connection: Connection) -> None:
    def search(options: dict[str, object]) -> list[dict[str, Any]]:
        found = json.loads(one(connection, "select hybrid_search('articles', 'ships', 10, ?)", json.dumps(options)))
        assert isinstance(found, list), found
        return found

    assert {record["id"] for record in search({"mode": "keyword"})} == {3, 6}
    assert {record["id"] for record in search({"where": {"year__gte": 2019}})} == {5, 6}
    assert {record["id"] for record in search({"where": "topic=sea"})} == {3, 6}
    assert "title" in search({"columns": ["title"]})[0]
    assert search({"offset": 2})[0]["rank"] == 3
    assert search({"exact": True}) == search({})
    ranks = search({"fusion": "rrf"})[0]
    assert ranks["score"] == pytest.approx(1 / (60 + ranks["keyword_rank"]) + 1 / (60 + ranks["semantic_rank"]))
    assert search({"weights": [1, 0]})[0]["keyword_rank"] == 1
    assert search({"weights": {"keyword": 0, "semantic": 1}})[0]["semantic_rank"] == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("hybrid_search('articles', 'x', 5, '{\"bogus\": 1}')", "'bogus'"),
        ("hybrid_search('articles', 'x', 5, 'not json')", "not JSON"),
        ("hybrid_search('articles', 'x', 5, '[1]')", "object"),
        ("hybrid_search('articles', 'x', -5)", "-5"),
        ("hybrid_search('articles', 'x', 'many')", "many"),
        ("hybrid_search('articles', 'x', 5, '{\"weights\": [1]}')", "weights"),
        ("hybrid_search('articles', 'x', 5, '{\"weights\": 3}')", "weights"),
        ("hybrid_search('articles', 'x', 5, '{\"mode\": \"magic\"}')", "magic"),
        ("hybrid_search('articles', 'x', 5, '{\"offset\": -1}')", "-1"),
        ("hybrid_search('articles', 'x', 5, '{\"columns\": [\"nope\"]}')", "nope"),
        ("hybrid_search('articles', 'x', 5, '{\"where\": {\"nope\": 1}}')", "nope"),
        ("hybrid_search('artcles', 'x')", "did you mean 'articles'"),
        ("hybrid_search(null, 'x')", "None"),
        ("similar_rows('articles', 99)", "99"),
        ("similar_rows('articles', '[1, 2]')", "2 were given"),
    ],
)
def test_errors_are_told(connection: Connection, call: str, message: str) -> None:
    answer = json.loads(one(connection, f"select {call}"))
    assert message in answer["error"]
    with pytest.raises(sqlite_errors(), match="malformed JSON"):
        connection.execute(f"select value ->> 'id' from json_each({call})").fetchall()


def test_similar_rows(connection: Connection) -> None:
    records = json.loads(one(connection, "select similar_rows('articles', 3, 2)"))
    assert [list(record) for record in records] == [KEYS, KEYS]
    assert records[0]["id"] == 6
    assert json.loads(one(connection, "select similar_rows('articles', '3', 2)")) == records


def test_null_and_odd_queries(connection: Connection) -> None:
    for query in (None, "", '"', "*", "a" * 10_000, 12, 1.5, b"bytes"):
        assert isinstance(json.loads(one(connection, "select hybrid_search('articles', ?)", query)), list)


def test_called_for_many_rows(connection: Connection) -> None:
    rows = connection.execute("select id, similar_rows('articles', id, 1) from articles").fetchall()
    assert all(json.loads(found)[0]["id"] != id_ for id_, found in rows)


def test_registering_again_keeps_what_is_there(connection: Connection) -> None:
    cursor = connection.execute("select id from articles")  # an active statement: registering anew would fail
    cursor.fetchone()
    register(connection)


def test_extension_loading_is_off_again(connection: Connection) -> None:
    with pytest.raises(sqlite_errors(), match="not authorized"):
        connection.execute("select load_extension('nothing')")


def test_options_are_documented() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    missing = [name for name in OPTIONS if f"`{name}`" not in readme]
    assert not missing


def test_a_model_that_may_cost_money_needs_leave(articles: Path, demo_embed: Any) -> None:
    with SemanticIndex.create(articles, "articles", ["title", "body"], model="demo-embed") as index:
        index.update()
    demo_embed.clear()
    opened = connect(articles)
    register(opened)
    by_words = json.loads(one(opened, "select hybrid_search('articles', 'ships')"))
    assert by_words
    assert all(record["semantic_rank"] is None for record in by_words)
    refused = json.loads(one(opened, "select hybrid_search('articles', 'ships', 5, '{\"mode\": \"semantic\"}')"))
    assert "sql_models" in refused["error"]
    with pytest.raises(sqlite_errors()):
        opened.execute("select embed('ships', 'demo-embed')")
    assert demo_embed.texts == []
    allowed = connect(articles)
    register(allowed, allow_models=["demo-embed"])
    found = json.loads(one(allowed, "select hybrid_search('articles', 'ships')"))
    assert any(record["semantic_rank"] is not None for record in found)
    assert demo_embed.texts == ["ships"]
