"""`embed --from`, `embeddings --export` and `--clear-cache`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlite_utils import Database

from tests.conftest import ARTICLES, bag_of_words


def with_column(path: Path, *, but: int | None = None) -> None:
    database = Database(path, execute_plugins=False)
    database.table("articles").add_column("embedding", bytes)
    for article in ARTICLES:
        if article["id"] != but:
            vector = np.array(bag_of_words(article["body"]), dtype="<f4").tobytes()
            database.table("articles").update(article["id"], {"embedding": vector})
    database.close()


def test_taking_over_is_told(run: Any, articles: Path, demo_embed: Any) -> None:
    with_column(articles, but=4)
    command = ("embed", articles, "articles", "title", "body", "--from", "column:embedding")
    refused = run(*command)
    assert (refused.exit_code, "-m MODEL" in refused.stderr) == (1, True)
    planned = run(*command, "-m", "demo-embed", "--dry-run")
    assert "6 rows to look at, 5 of them with a vector to take over, 1 chunks, 1 texts to send" in planned.stdout
    assert demo_embed.texts == []
    done = run(*command, "-m", "demo-embed")
    assert done.exit_code == 0
    first, last = done.stderr.strip().splitlines()
    assert first == (
        "articles: 5 vectors of 64 dimensions taken over from the column 'embedding'; "
        "1 rows have none there and are embedded: 4"
    )
    assert last.startswith("articles: 6 rows looked at, 5 vectors taken over, 1 texts embedded")
    assert demo_embed.texts == ["Engines\nHow steam moved the machines"]
    again = run(*command, "-m", "demo-embed")
    assert "keeps them; to take over others, drop-embeddings first" in again.stderr
    assert len(demo_embed.texts) == 1
    assert run(*command, "-m", "demo-embed", "--quiet").stderr == ""


def test_what_does_not_go_together(run: Any, articles: Path, fingerprint: Any) -> None:
    with_column(articles)
    before = fingerprint(articles)
    source = ("--from", "column:embedding")
    assert "--from says how an index is made" in run("embed", articles, *source).stderr
    chunked = run("embed", articles, "articles", "body", "-m", "wordllama", *source, "--chunk-tokens", "50")
    assert "whole rows" in chunked.stderr
    wrong = run("embed", articles, "articles", "body", "-m", "wordllama", *source)
    assert (wrong.exit_code, "256 bytes, not the 1,024 of 256 float32 values" in wrong.stderr) == (1, True)
    assert len(wrong.stderr.splitlines()) == 1
    nowhere = run("embed", articles, "articles", "body", "-m", "wordllama", "--from", "vectors")
    assert "collection:NAME, collection:NAME@FILE, column:NAME, column:TABLE.NAME and FILE.npy" in nowhere.stderr
    assert fingerprint(articles) == before


@pytest.mark.parametrize("name", ["v.npy", "v.parquet"])
def test_export(name: str, run: Any, embedded: Path, tmp_path: Path) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    (record,) = json.loads(run("embeddings", embedded, "articles", "--export", tmp_path / name).stdout)
    file = str(tmp_path / name)
    assert record == {"table": "articles", "file": file, "vectors": 6, "dimensions": 256, "model": "wordllama"}
    assert (tmp_path / name).exists()


def test_one_table_of_several(run: Any, embedded: Path) -> None:
    run("semantic-demo", embedded, "--quiet")
    Database(embedded, execute_plugins=False).execute("delete from python_docs where id > 20").connection.commit()
    run("embed", embedded, "python_docs", "name")
    assert [each["table"] for each in json.loads(run("embeddings", embedded).stdout)] == ["articles", "python_docs"]
    assert [each["table"] for each in json.loads(run("embeddings", embedded, "articles").stdout)] == ["articles"]
    assert run("embeddings", embedded, "--export", "v.npy").exit_code == 2
    assert "no table 'nothing'" in run("embeddings", embedded, "nothing").stderr


def test_the_cache_of_models_given_up_is_cleared(
    run: Any, articles: Path, demo_embed: Any, register_model: Any
) -> None:
    import llm

    class Other(llm.EmbeddingModel):
        model_id = "other"

        def embed_batch(self, items: Any, *, key: str | None = None) -> Any:
            return [bag_of_words(str(item))[:32] for item in items]

    register_model(Other())
    assert json.loads(run("embeddings", articles, "--clear-cache").stdout) == []
    run("embed", articles, "articles", "body", "-m", "demo-embed")
    database = Database(articles, execute_plugins=False)
    with database.conn:
        database.execute("update articles set body = 'changed' where id = 1")
    run("embed", articles)
    assert json.loads(run("embeddings", articles, "--clear-cache").stdout) == []  # a text may come back
    assert database.execute("select count(*) from _semantic_cache").fetchone() == (1,)
    run("drop-embeddings", articles, "articles")
    run("embed", articles, "articles", "body", "-m", "other")
    with database.conn:
        database.executescript(
            "insert into _semantic_cache values ('demo-embed', 64, 'document', x'00', zeroblob(256)), "
            "('demo-embed', 64, 'document', x'01', zeroblob(256)), ('other', 32, 'document', x'02', zeroblob(128)), "
            "('other', 16, 'document', x'02', zeroblob(64))"
        )
    cleared = json.loads(run("embeddings", articles, "--clear-cache").stdout)
    assert cleared == [
        {"model": "demo-embed", "dimensions": 64, "vectors": 2},
        {"model": "other", "dimensions": 16, "vectors": 1},
    ]
    assert database.execute("select model, dimensions from _semantic_cache").fetchall() == [("other", 32)]
    database.close()
