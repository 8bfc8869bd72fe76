"""What each command does when all is well."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlite_utils.utils import sqlite3

from datasette_semantic.api import SemanticIndex


def records(result) -> list[dict]:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def schema(path: Path) -> list[tuple]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("select type, name, tbl_name, sql from sqlite_master order by name").fetchall()
    finally:
        connection.close()


def test_embed_says_what_it_did(run, articles: Path) -> None:
    result = run("embed", articles, "articles", "title", "body")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "articles: 6 rows looked at, 6 texts embedded" in result.stderr


def test_embed_again_says_that_nothing_changed(run, embedded: Path) -> None:
    assert "nothing changed" in run("embed", embedded, "articles", "title", "body").stderr
    assert "nothing changed" in run("embed", embedded, "articles").stderr
    assert "nothing changed" in run("embed", embedded).stderr


def test_quiet_is_quiet(run, articles: Path) -> None:
    assert run("embed", articles, "articles", "title", "--quiet").output == ""
    assert run("drop-embeddings", articles, "articles", "--silent").output == ""


def test_a_change_is_embedded_and_nothing_else(run, articles: Path, demo_embed) -> None:
    run("embed", articles, "articles", "title", "body", "-m", "demo-embed")
    demo_embed.clear()
    connection = sqlite3.connect(articles)
    with connection:
        connection.execute("update articles set body = 'Kites over the dunes' where id = 2")
        connection.execute("update articles set year = 1900 where id = 3")
        connection.execute("delete from articles where id = 4")
    connection.close()
    result = run("embed", articles)
    assert demo_embed.texts == ["Gardens\nKites over the dunes"]
    assert "1 texts embedded" in result.stderr
    found = records(run("hybrid-search", articles, "articles", "kites dunes"))
    assert found[0]["id"] == 2
    assert 4 not in [record["id"] for record in found]


def test_the_model_may_be_named_by_its_alias(run, articles: Path, demo_embed) -> None:
    run("embed", articles, "articles", "title", "-m", "demo")
    assert records(run("embeddings", articles))[0]["model"] == "demo-embed"


def test_the_default_model_of_llm_is_used_where_one_is_set(run, articles: Path, demo_embed) -> None:
    import llm

    llm.set_default_embedding_model("demo-embed")
    try:
        run("embed", articles, "articles", "title")
    finally:
        llm.set_default_embedding_model(None)
    assert records(run("embeddings", articles))[0]["model"] == "demo-embed"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--where", "year > 2010"], 3),
        (["--template", "{title}: {topic}"], 6),
        (["--no-chunk"], 6),
        (["--chunk-tokens", "100", "--overlap", "10"], 6),
    ],
)
def test_how_an_index_is_made(run, articles: Path, options: list[str], expected: int) -> None:
    assert run("embed", articles, "articles", "title", "body", *options).exit_code == 0
    assert records(run("embeddings", articles))[0]["rows"] == expected


def test_embeddings_lists_every_index(run, embedded: Path) -> None:
    (record,) = records(run("embeddings", embedded))
    assert list(record)[:9] == [
        *("table", "columns", "model", "dimensions", "state", "rows", "chunks", "pending", "failed"),
    ]
    assert (record["table"], record["model"], record["dimensions"]) == ("articles", "wordllama", 256)
    assert (record["rows"], record["pending"], record["failed"], record["state"]) == (6, 0, 0, "ready")


@pytest.mark.parametrize("mode", ["hybrid", "semantic", "keyword"])
def test_hybrid_search_modes(run, embedded: Path, mode: str) -> None:
    found = records(run("hybrid-search", embedded, "articles", "ships", "--mode", mode))
    assert {record["id"] for record in found[:2]} == {3, 6}
    if mode == "semantic":
        assert all(record["keyword_rank"] is None for record in found)
    if mode == "keyword":
        assert all(record["semantic_rank"] is None for record in found)


def test_hybrid_search_filters_with_parameters(run, embedded: Path) -> None:
    found = records(run("hybrid-search", embedded, "articles", "ships", "--where", "year > :y", "-p", "y", "2010"))
    assert found
    assert all(record["year"] > 2010 for record in found)


def test_hybrid_search_pages(run, embedded: Path) -> None:
    whole = records(run("hybrid-search", embedded, "articles", "machines and ships"))
    parts = [
        *records(run("hybrid-search", embedded, "articles", "machines and ships", "-n", 2)),
        *records(run("hybrid-search", embedded, "articles", "machines and ships", "-n", 2, "--offset", 2)),
    ]
    assert parts == whole[:4]


def test_hybrid_search_columns(run, embedded: Path) -> None:
    found = records(run("hybrid-search", embedded, "articles", "ships", "-c", "year", "-c", "title"))
    assert list(found[0])[-2:] == ["year", "title"]


def test_hybrid_search_weights_and_fusion(run, embedded: Path) -> None:
    by_words = records(run("hybrid-search", embedded, "articles", "ships", "--weights", "1", "0"))
    assert by_words[0]["keyword_rank"] == 1
    by_rank = records(run("hybrid-search", embedded, "articles", "ships", "--fusion", "rrf"))
    assert {record["id"] for record in by_rank[:2]} == {3, 6}


def test_similar(run, embedded: Path) -> None:
    found = records(run("similar", embedded, "articles", "3", "-n", 2))
    assert len(found) == 2
    assert 3 not in [record["id"] for record in found]
    assert found[0]["id"] == 6


def test_similar_for_all_rows(run, embedded: Path) -> None:
    assert records(run("similar", embedded, "articles", "--save", "related", "-n", 2)) == [
        {"table": "related", "rows": 12}
    ]
    of_three = records(run("rows", embedded, "related", "--where", "id = 3 order by rank"))
    found = records(run("similar", embedded, "articles", "3", "-n", 2))
    assert [(each["similar_id"], each["rank"]) for each in of_three] == [(each["id"], each["rank"]) for each in found]
    assert [each["distance"] for each in of_three] == pytest.approx([each["distance"] for each in found], abs=1e-5)
    again = run("similar", embedded, "articles", "--save", "related", "-n", 1, "--where", "year > 2000", "--replace")
    assert records(again) == [{"table": "related", "rows": 6}]
    assert not records(run("rows", embedded, "related", "--where", "similar_id = 1"))


def test_similar_with_a_compound_key(run, tmp_path: Path) -> None:
    path = tmp_path / "compound.db"
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("create table notes (book text, page integer, text text, primary key (book, page))")
        connection.executemany(
            "insert into notes values (?, ?, ?)",
            [("a", 1, "ships at sea"), ("a", 2, "roses in a garden"), ("b", 1, "a ship in the harbour")],
        )
    connection.close()
    assert run("embed", path, "notes", "text").exit_code == 0
    found = records(run("similar", path, "notes", "a", "1"))
    assert (found[0]["book"], found[0]["page"]) == ("b", 1)


def test_drop_embeddings_leaves_the_schema_as_it_was(run, articles: Path) -> None:
    before = schema(articles)
    run("embed", articles, "articles", "title", "body")
    assert schema(articles) != before
    result = run("drop-embeddings", articles, "articles")
    assert result.exit_code == 0
    assert schema(articles) == before


def test_drop_embeddings_leaves_the_users_own_full_text_index(run, articles: Path) -> None:
    run("enable-fts", articles, "articles", "title", "body", "--create-triggers", "--fts5")
    before = schema(articles)
    run("embed", articles, "articles", "title", "body")
    assert records(run("embeddings", articles))[0]["keyword_table"] == "articles_fts"
    run("drop-embeddings", articles, "articles")
    assert schema(articles) == before


def test_drop_embeddings_can_ignore_what_is_not_there(run, articles: Path) -> None:
    assert run("drop-embeddings", articles, "articles").exit_code == 1
    assert run("drop-embeddings", articles, "articles", "--ignore").exit_code == 0


def test_the_sql_functions_are_there_in_sqlite_utils(run, embedded: Path) -> None:
    sql = "select r.value ->> 'id' as id from json_each(hybrid_search('articles', 'ships', 2)) r order by r.key"
    assert {record["id"] for record in records(run("query", embedded, sql))} == {3, 6}
    by_hand = "select id from articles_vec where embedding match embed('ships at sea') and k = 2"
    assert {record["id"] for record in records(run("query", embedded, by_hand))} == {3, 6}


@pytest.mark.parametrize("table", ["it's", 'say "hi"', "[brackets]", "two words", "größe", "select"])
def test_odd_table_names(run, tmp_path: Path, table: str) -> None:
    path = tmp_path / "odd.db"
    quoted = '"' + table.replace('"', '""') + '"'
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(f"create table {quoted} (id integer primary key, \"the 'text'\" text)")
        connection.execute(f"insert into {quoted} values (1, 'ships at sea'), (2, 'roses')")
    connection.close()
    before = schema(path)
    assert run("embed", path, table, "the 'text'").exit_code == 0
    assert records(run("hybrid-search", path, table, "ships"))[0]["id"] == 1
    assert run("drop-embeddings", path, table).exit_code == 0
    assert schema(path) == before


def test_embeddings_lists_rows_that_failed(run, articles: Path, register_model) -> None:
    import llm

    class Picky(llm.EmbeddingModel):
        model_id = "picky"
        batch_size = 4

        def embed_batch(self, items, *, key=None):
            return [[0.0, 0.0] if "Orchards" in item else [1.0, float(len(item))] for item in items]

    register_model(Picky())
    told = run("embed", articles, "articles", "title", "-m", "picky").stderr
    assert "embeddings --failed" in told
    (record,) = json.loads(run("embeddings", articles, "--failed").stdout)
    assert (record["table"], record["key"]) == ("articles", [5])
    assert "zero" in record["error"]


def test_mistyped_words_are_told_beside_the_records(run, embedded: Path) -> None:
    result = run("hybrid-search", embedded, "articles", "lihgthouses", "--mode", "keyword")
    assert [record["id"] for record in json.loads(result.stdout)] == [6]
    assert "Warning: No row holds these words: the words looked for are lighthouses" in result.stderr
    assert "Did you mean: lighthouses" in result.stderr


def test_recall_of_an_index(run, articles: Path) -> None:
    run("embed", articles, "articles", "title", "body", "--recall", "0.9", "--quiet")
    (record,) = records(run("embeddings", articles))
    assert (record["recall"], record["measured_recall"]) == (0.9, 1.0)
    assert "nothing changed" in run("embed", articles, "articles", "--recall", "1").stderr
    assert records(run("embeddings", articles))[0]["recall"] == 1.0
    assert run("embed", articles, "--recall", "0.9").exit_code == 2
    assert run("embed", articles, "articles", "--recall", "0").exit_code == 2
    assert run("embed", articles, "articles", "--rollback", "--recall", "0.9").exit_code == 2


def test_space_is_given_back(run, tmp_path: Path) -> None:
    path = tmp_path / "many.db"
    connection = sqlite3.connect(path)
    connection.execute("create table notes (id integer primary key, text text)")
    connection.executemany("insert into notes (text) values (?)", [(f"robot number {n}",) for n in range(2000)])
    connection.commit()
    run("embed", path, "notes", "text", "--quiet")
    connection.execute("delete from notes where id > 100")
    connection.commit()
    connection.close()
    size = path.stat().st_size
    (record,) = records(run("embeddings", path, "--compact"))
    assert (record["tables"], record["bytes_before"]) == (["notes"], size)
    assert record["bytes_after"] == path.stat().st_size < size / 3
    (again,) = records(run("embeddings", path, "notes", "--compact"))
    assert again["bytes_after"] == record["bytes_after"]


def test_partition_by(run, articles: Path) -> None:
    run("embed", articles, "articles", "title", "body", "--partition-by", "title", "--quiet")
    assert records(run("embeddings", articles))[0]["partition_by"] == "title"
    assert "nothing changed" in run("embed", articles, "articles", "title", "body").stderr
    result = run("embed", articles, "articles", "--partition-by", "body")
    assert "articles: wordllama with 256 dimensions over title, body answers now" in result.stderr
    assert records(run("embeddings", articles))[0]["partition_by"] == "body"
    run("embed", articles, "articles", "--partition-by", "", "--quiet")
    assert records(run("embeddings", articles))[0]["partition_by"] is None
    assert (
        "no column 'boddy'; did you mean 'body'" in run("embed", articles, "articles", "--partition-by", "boddy").stderr
    )
    assert run("embed", articles, "--partition-by", "body").exit_code == 2


def test_weights_of_columns(run, articles: Path) -> None:
    run("embed", articles, "articles", "title", "body", "--column-weight", "title", "4", "--quiet")
    assert SemanticIndex(articles, "articles").record.keyword.column_weights == (4.0, 1.0)
    told = run("embed", articles, "articles", "--column-weight", "title", "2", "--column-weight", "body", "3")
    assert "nothing changed" in told.stderr
    assert SemanticIndex(articles, "articles").record.keyword.column_weights == (2.0, 3.0)
    assert run("embed", articles, "--column-weight", "title", "2").exit_code == 2
    assert run("embed", articles, "articles", "--column-weight", "title", "0").exit_code == 2
    assert "no column 'decade'" in run("embed", articles, "articles", "--column-weight", "decade", "2").stderr
