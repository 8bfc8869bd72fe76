"""Vectors that exist already are taken over: nothing is paid for twice, nothing wrong is let in."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasette_semantic import SemanticIndex
from datasette_semantic.api import indexes
from datasette_semantic.errors import BadModelOutput, BadOption, BadVector, IndexStateError, InputError, ModelKeyMissing
from datasette_semantic.laws.key_text import key_text
from datasette_semantic.laws.quoting import quote
from datasette_semantic.laws.text import row_text
from datasette_semantic.records import ChunkSpec, RowKey, TextSpec
from tests.conftest import bag_of_words

SOURCES = ("collection", "column", "csv", "json", "order")


def vector_of(text: str, *, scale: float = 3.0) -> bytes:
    return (np.array(bag_of_words(text), dtype="<f4") * scale).tobytes()


def texts_of(run: Any, shape: Any) -> dict[RowKey, str]:
    names = ", ".join(map(quote, (*shape.keys, *shape.columns)))
    spec = TextSpec(columns=shape.columns)
    width = len(shape.keys)
    order = ", ".join(map(quote, shape.keys))
    rows = run(f"select {names} from {quote(shape.table)} order by {order}")
    return {row[:width]: row_text(dict(zip(shape.columns, row[width:], strict=True)), spec) for row in rows}


def collection(run: Any, vectors: dict[str, bytes], *, model: str = "demo-embed", name: str = "old") -> None:
    """Make a collection as llm does."""
    run("create table collections (id integer primary key, name text, model text)")
    run(
        "create table embeddings (collection_id integer, id text, embedding blob, content text, content_blob blob, "
        "content_hash blob, metadata text, updated integer, primary key (collection_id, id))"
    )
    run("insert into collections values (1, ?, ?), (2, 'another', 'other-model')", name, model)
    for id_, vector in vectors.items():
        run("insert into embeddings (collection_id, id, embedding) values (1, ?, ?)", id_, vector)


def offer(kind: str, run: Any, shape: Any, folder: Path, texts: dict[RowKey, str]) -> str:
    """Put the vectors of the rows where `kind` says; return what names them."""
    if kind == "collection":
        collection(run, {key_text(key): vector_of(text) for key, text in texts.items()})
        return "collection:old"
    if kind == "column":
        run(f"alter table {quote(shape.table)} add column [the vector] blob")
        match = " and ".join(f"{quote(key)} = ?" for key in shape.keys)
        for key, text in texts.items():
            run(f"update {quote(shape.table)} set [the vector] = ? where {match}", vector_of(text), *key)
        return "column:the vector"
    keys = list(texts)
    if kind != "order":
        keys.reverse()
    matrix = np.stack([np.frombuffer(vector_of(texts[key]), dtype="<f4") for key in keys])
    np.save(folder / "v.npy", matrix)
    if kind == "csv":
        with (folder / "v.ids.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*shape.keys, "note"])
            writer.writerows([*(key_text((value,)) for value in key), "x"] for key in keys)
    elif kind == "json":
        listed = [[key_text((v,)) if isinstance(v, bytes) else v for v in key] for key in keys]
        (folder / "v.ids.json").write_text(json.dumps([key[0] if len(key) == 1 else key for key in listed]))
    return str(folder / "v.npy")


@pytest.mark.parametrize("kind", SOURCES)
def test_every_kind_of_table_takes_over_from_every_source(
    kind: str, shape: Any, writer: Any, tmp_path: Path, demo_embed: Any, in_step: Any, snapshot_of: Any
) -> None:
    path = tmp_path / "t.db"
    write = writer(path, shape)
    shape.create(write.run.connection)
    for n, text in enumerate(("a robot in a garden", "steam engine", "late frost", "harbour ship"), 1):
        write.insert(n, f"title {n}", text)
    texts = texts_of(write.run, shape)
    said = offer(kind, write.run, shape, tmp_path, texts)
    with SemanticIndex.create(path, shape.table, shape.columns, model="demo-embed", vectors_from=said) as index:
        report = index.update()
        assert (report.adopted, report.embedded, report.failed) == (4, 0, 0)
        assert demo_embed.texts == []
        in_step(index)
        held = snapshot_of(index)["rows"]
        for key, text in texts.items():
            ((_ordinal, start, end, _hash, blob),) = held[key][1]
            assert (start, end) == (0, len(text))
            unit = np.frombuffer(vector_of(text), dtype="<f4")
            assert np.allclose(np.frombuffer(blob, dtype="<f4"), unit / np.linalg.norm(unit), atol=1e-6)
        write.insert(9, "title 9", "a lamp on the quay")
        write.update(1, "the robot has gone")
        assert (index.update().embedded, len(demo_embed.texts)) == (2, 2)
        in_step(index)


@pytest.fixture
def table(plain: Any, tmp_path: Path) -> tuple[Path, Any]:
    """Six hundred rows of words."""
    path = tmp_path / "t.db"
    run = plain(path)
    run("create table t (id integer primary key, text text)")
    run(
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 600) "
        "insert into t select i, 'robot ' || i || ' in garden ' || (i % 7) from n"
    )
    return path, run


def all_texts(run: Any) -> dict[int, str]:
    return dict(run("select id, text from t order by id"))


def test_rows_without_a_vector_are_told_and_embedded(table: Any, demo_embed: Any, in_step: Any) -> None:
    path, run = table
    collection(run, {str(i): vector_of(t) for i, t in all_texts(run).items() if i % 100} | {"9999": vector_of("x")})
    with SemanticIndex.create(path, "t", ["text"], vectors_from="collection:old") as index:
        adoption = index.adoption
        assert adoption is not None
        assert (adoption.given, adoption.missing, adoption.unused, adoption.dimensions) == (594, 6, 1, 64)
        assert adoption.missing_keys == ("100", "200", "300", "400", "500")
        assert index.record.model == "demo-embed"
        assert demo_embed.texts == []
        report = index.update()
        assert (report.adopted, report.embedded) == (594, 6)
        # What is more was asked to measure the index, as for any other of llm's models that need no key.
        assert set(all_texts(run).values()) & set(demo_embed.texts[:6]) == set(demo_embed.texts[:6])
        in_step(index)


def test_without_the_model_the_others_are_searchable(table: Any, register_model: Any) -> None:
    import llm

    class Keyed(llm.EmbeddingModel):
        model_id = "keyed"
        needs_key = "keyed"
        key_env_var = "NO_SUCH_KEY_OF_A_TEST"

        def embed_batch(self, items: Any, *, key: str | None = None) -> Any:
            raise AssertionError("it has no key")

    register_model(Keyed())
    path, run = table
    collection(run, {str(i): vector_of(t) for i, t in all_texts(run).items() if i > 3}, model="keyed")
    with SemanticIndex.create(path, "t", ["text"], vectors_from="collection:old") as index:
        report = index.update()
        assert (report.adopted, report.embedded, report.failed) == (597, 0, 3)
        failures = index.failures()
        assert [failure.key for failure in failures] == [(1,), (2,), (3,)]
        assert "no vector to take over" in failures[0].error
        assert "key" in failures[0].error
        assert index.status().state == "ready"
        assert {hit.key for hit in index.search("robot", mode="keyword", limit=1000)} == {(i,) for i in range(1, 601)}
        found = index.search(mode="semantic", query="-", vector=np.frombuffer(vector_of("robot 77 in garden 0"), "<f4"))
        assert found.hits[0].key == (77,)
        run("insert into t values (601, 'a new row')")
        with pytest.raises(ModelKeyMissing):
            index.update()


@pytest.mark.parametrize("kind", ["collection", "column", "csv"])
@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (np.zeros(64, dtype="<f4"), "row 17: the vector is zero"),
        (np.full(64, np.nan, dtype="<f4"), "row 17: the vector holds NaN"),
        (np.full(64, np.inf, dtype="<f4"), "row 17: the vector holds NaN or infinity"),
        (np.ones(32, dtype="<f4"), "row 17: 128 bytes, not the 256 of 64 float32 values"),
        (b"\x00\x01\x02", "row 17: 3 bytes are no whole number of float32 values"),
        ("[1, 2]", "row 17: '[1, 2]' is no BLOB of float32 values"),
    ],
    ids=["zero", "nan", "infinite", "short", "odd", "text"],
)
def test_what_cannot_be_used_is_told_before_anything_is_written(
    kind: str, bad: Any, words: str, table: Any, tmp_path: Path, demo_embed: Any
) -> None:
    path, run = table
    stored = {i: vector_of(text) for i, text in all_texts(run).items()}
    if kind == "csv":
        if not isinstance(bad, np.ndarray) or len(bad) != 64:
            pytest.skip("all rows of a matrix are alike")
        matrix = np.stack([np.frombuffer(blob, dtype="<f4") for blob in stored.values()])
        matrix[16] = bad
        np.save(tmp_path / "v.npy", matrix)
        (tmp_path / "v.ids.csv").write_text("\n".join(["id", *map(str, stored)]))
        said = str(tmp_path / "v.npy")
    else:
        stored[17] = bad.tobytes() if isinstance(bad, np.ndarray) else bad
        if kind == "collection":
            collection(run, {str(i): blob for i, blob in stored.items()})
            said = "collection:old"
        else:
            run("alter table t add column e")
            for i, blob in stored.items():
                run("update t set e = ? where id = ?", blob, i)
            said = "column:e"
    before = path.read_bytes()
    with pytest.raises(BadVector) as caught:
        SemanticIndex.create(path, "t", ["text"], model="demo-embed", vectors_from=said)
    assert "1 of the 600 vectors" in str(caught.value)
    assert words in str(caught.value)
    assert path.read_bytes() == before


def test_dimensions_are_the_models(table: Any, tmp_path: Path) -> None:
    path, run = table
    np.save(tmp_path / "v.npy", np.ones((600, 64)))
    with pytest.raises(BadVector, match=r"600 of the 600 .* row 1: 64 dimensions, not 256.* \.\.\.$"):
        SemanticIndex.create(path, "t", ["text"], model="wordllama", vectors_from=tmp_path / "v.npy")
    assert run("select count(*) from sqlite_master") == [(1,)]


def test_a_model_that_gives_other_dimensions_is_found_out(table: Any, register_model: Any, tmp_path: Path) -> None:
    import llm

    class Wide(llm.EmbeddingModel):
        model_id = "wide"

        def embed_batch(self, items: Any, *, key: str | None = None) -> Any:
            return [[1.0] * 128 for _ in items]

    register_model(Wide())
    path, run = table
    np.save(tmp_path / "v.npy", np.stack([np.frombuffer(vector_of(t), "<f4") for t in all_texts(run).values()]))
    with SemanticIndex.create(path, "t", ["text"], model="wide", vectors_from=tmp_path / "v.npy") as index:
        with pytest.raises(BadModelOutput, match="128 dimensions where 64 belong"):
            index.update()  # the vectors are in; what shows it is that the index is measured
        results = index.search("robot 77")
        assert "128 dimensions where 64 belong" in results.warnings[0]
        assert results.hits
        assert index.status().chunks == 600


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("collection:none", "no collection 'none'.* there are: another, old"),
        ("collection:old@missing.db", "no collection 'old@missing.db'"),
        ("column:none", "no column 'none'"),
        ("column:t.none", "no column 't.none'"),
        ("column:text", "600 of the 600 .* is no BLOB"),
        ("none.npy", "no file '.*none.npy'"),
        ("vectors.txt", "names no vectors to take over"),
        ("collection:another", "model 'other-model'|no embedding model 'other-model'"),
    ],
)
def test_what_is_not_there_is_told(said: str, words: str, table: Any, demo_embed: Any) -> None:
    path, run = table
    collection(run, {})
    before = path.read_bytes()
    with pytest.raises(Exception, match=words):
        SemanticIndex.create(path, "t", ["text"], model="demo-embed", vectors_from=said)
    assert path.read_bytes() == before


def test_files_that_do_not_fit_are_told(table: Any, tmp_path: Path, demo_embed: Any) -> None:
    path, _run = table
    file = tmp_path / "v.npy"

    def refused(words: str, kind: type[Exception] = InputError) -> None:
        with pytest.raises(kind, match=words):
            SemanticIndex.create(path, "t", ["text"], model="demo-embed", vectors_from=file)

    np.save(file, np.ones((599, 64), dtype="<f4"))
    refused("holds 599 vectors, but the table has 600 rows; name the row of each in '.*v.ids.csv'")
    (tmp_path / "v.ids.csv").write_text("id\n1\n2\n")
    refused("holds 599 vectors, but '.*v.ids.csv' has 2 ids")
    (tmp_path / "v.ids.csv").write_text("key\n1\n2\n")
    refused("must name the key columns: id")
    np.save(file, np.ones((2, 64), dtype="<f4"))
    (tmp_path / "v.ids.csv").write_text("id\n1\n1\n")
    refused("more than one vector for the row '1'")
    (tmp_path / "v.ids.csv").write_text("id\nx\ny\n")
    refused("none of the 2 vectors .* their ids are like 'x', the keys of the table like '1'")
    (tmp_path / "v.ids.csv").unlink()
    (tmp_path / "v.ids.json").write_text("{}")
    refused("not an array")
    (tmp_path / "v.ids.json").write_text("[1, [2, 3]]")
    refused("key 2 .* has 2 values")
    file.write_bytes(b"no matrix")
    refused("is not an .npy file", BadOption)
    np.save(file, np.ones(64))
    refused("shape \\(64,\\)", BadVector)
    np.save(file, np.ones((2, 64), dtype=int))
    refused("array of int64", BadVector)


def test_the_model_has_to_be_named_where_nothing_says(table: Any, tmp_path: Path, demo_embed: Any) -> None:
    path, run = table
    np.save(tmp_path / "v.npy", np.ones((600, 64)))
    with pytest.raises(BadOption, match="-m MODEL"):
        SemanticIndex.create(path, "t", ["text"], vectors_from=tmp_path / "v.npy")
    collection(run, {"1": vector_of("robot")})
    with pytest.raises(BadOption, match="made by the model 'demo-embed', not by 'wordllama'"):
        SemanticIndex.create(path, "t", ["text"], model="wordllama", vectors_from="collection:old")
    with pytest.raises(BadOption, match="whole rows"):
        SemanticIndex.create(path, "t", ["text"], chunks=ChunkSpec(max_tokens=9), vectors_from="collection:old")
    with SemanticIndex.create(path, "t", ["text"], model="demo", vectors_from="collection:old") as index:
        assert index.record.model == "demo-embed"


def test_a_collection_is_asked_as_llm_asks(table: Any, register_model: Any, tmp_path: Path) -> None:
    """llm puts no prefix before texts, whatever the model's profile says."""
    import llm

    asked = []

    class Prefixed(llm.EmbeddingModel):
        model_id = "my-e5-small"

        def embed_batch(self, items: Any, *, key: str | None = None) -> Any:
            listed = list(items)
            asked.extend(listed)
            return [bag_of_words(str(item)) for item in listed]

    register_model(Prefixed())
    path, run = table
    collection(run, {"1": vector_of("robot")}, model="my-e5-small")
    with SemanticIndex.create(path, "t", ["text"], vectors_from="collection:old") as index:
        index.search("robot", mode="semantic")
        assert asked == ["robot"]


def test_a_collection_in_another_file_and_in_llms_own(
    table: Any, plain: Any, tmp_path: Path, demo_embed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, run = table
    other = plain(tmp_path / "other.db")
    collection(other, {str(i): vector_of(text) for i, text in all_texts(run).items()}, name="mail@home")
    monkeypatch.chdir(tmp_path)
    with SemanticIndex.create(path, "t", ["text"], vectors_from="collection:mail@home@other.db") as index:
        monkeypatch.chdir("/")
        assert index.update().adopted == 600
        index.drop()
    folder = tmp_path / "llm"
    folder.mkdir()
    monkeypatch.setenv("LLM_USER_PATH", str(folder))
    with pytest.raises(InputError, match=r"neither in this database nor in '.*embeddings.db'"):
        SemanticIndex.create(path, "t", ["text"], vectors_from="collection:mail@home")
    shutil.copy(tmp_path / "other.db", folder / "embeddings.db")
    with SemanticIndex.create(path, "t", ["text"], vectors_from="collection:mail@home") as index:
        assert index.update().adopted == 600


def test_vectors_that_llm_itself_made(table: Any, demo_embed: Any) -> None:
    import llm
    from sqlite_utils import Database

    path, run = table
    made = llm.Collection("notes", Database(path, execute_plugins=False), model_id="demo-embed")
    made.embed_multi((i, text) for i, text in all_texts(run).items())
    demo_embed.clear()
    with SemanticIndex.create(path, "t", ["text"], vectors_from="collection:notes") as index:
        report = index.update()
        assert (report.adopted, report.embedded) == (600, 0)


def test_a_column_of_a_table_beside(table: Any, tmp_path: Path, demo_embed: Any) -> None:
    """As datasette-embeddings keeps them, with the same key, and sqlite-vec's users, by rowid."""
    path, run = table
    run("create table _embeddings_t (id integer primary key, emb_demo blob)")
    for i, text in all_texts(run).items():
        run("insert into _embeddings_t values (?, ?)", i, vector_of(text))
    with SemanticIndex.create(
        path, "t", ["text"], model="demo-embed", vectors_from="column:_embeddings_t.emb_demo"
    ) as index:
        assert index.update().adopted == 600
        index._connection.execute("create virtual table [my.vec] using vec0(contents float[64])")
        for i, text in all_texts(run).items():
            index._connection.execute("insert into [my.vec] (rowid, contents) values (?, ?)", (i, vector_of(text)))
        index._connection.commit()
        index.drop()
    with SemanticIndex.create(path, "t", ["text"], model="demo-embed", vectors_from="column:my.vec.contents") as index:
        assert index.update().adopted == 600


def test_a_part_of_a_table(table: Any, tmp_path: Path, demo_embed: Any, in_step: Any) -> None:
    path, run = table
    texts = {i: text for i, text in all_texts(run).items() if i % 2}
    np.save(tmp_path / "v.npy", np.stack([np.frombuffer(vector_of(text), "<f4") for text in texts.values()]))
    with SemanticIndex.create(
        path, "t", ["text"], model="demo-embed", where="id % 2", vectors_from=tmp_path / "v.npy"
    ) as index:
        assert index.update().adopted == 300
        in_step(index)


def test_positions_are_no_keys_once_rows_have_come_or_gone(table: Any, tmp_path: Path, demo_embed: Any) -> None:
    path, run = table
    np.save(tmp_path / "v.npy", np.ones((600, 64)))
    with SemanticIndex.create(path, "t", ["text"], model="demo-embed", vectors_from=tmp_path / "v.npy") as index:
        run("delete from t where id = 3")
        run("insert into t values (1000, 'as many rows as before')")
        with pytest.raises(IndexStateError, match="have come or gone"):
            index.update()
        assert index.status().chunks == 0


def test_the_same_command_again_changes_nothing(table: Any, demo_embed: Any) -> None:
    path, run = table
    collection(run, {str(i): vector_of(text) for i, text in all_texts(run).items()})
    with SemanticIndex.create(path, "t", ["text"], vectors_from="collection:old") as index:
        index.update()
        run("update t set text = 'quite another text' where id = 1")
        demo_embed.clear()
        index.update()
        assert demo_embed.texts == ["quite another text"]
    demo_embed.clear()
    with SemanticIndex.create(path, "t", ["text"], vectors_from="collection:old") as index:
        assert index.adoption is None
        report = index.update()
        assert (report.adopted, report.embedded) == (0, 0)
    assert demo_embed.texts == []


def test_a_row_that_changes_meanwhile_does_not_get_the_old_vector(table: Any, demo_embed: Any, in_step: Any) -> None:
    path, run = table
    collection(run, {str(i): vector_of(text) for i, text in all_texts(run).items()})
    with SemanticIndex.create(path, "t", ["text"], vectors_from="collection:old") as index:
        run("update t set text = 'changed' where id = 300")
        run("insert into t values (700, 'new')")
        run("delete from t where id = 5")
        report = index.update()
        assert (report.adopted, report.embedded) == (598, 2)
        in_step(index)


def test_an_index_without_vectors_is_begun_again(table: Any, demo_embed: Any) -> None:
    path, run = table
    collection(run, {str(i): vector_of(text) for i, text in all_texts(run).items()})
    SemanticIndex.create(path, "t", ["text"], model="demo-embed", chunks=ChunkSpec(chunker="none")).close()
    with SemanticIndex.create(path, "t", ["text"], vectors_from="collection:old") as index:
        assert index.update().adopted == 600


def test_dry_run_counts_what_is_to_be_paid_for(table: Any, demo_embed: Any) -> None:
    path, run = table
    collection(run, {str(i): vector_of(text) for i, text in all_texts(run).items() if i > 10})
    plan = SemanticIndex.plan(path, "t", ["text"], vectors_from="collection:old")
    assert (plan.rows, plan.adopted, plan.texts) == (600, 590, 10)
    assert demo_embed.texts == []
    assert indexes(path) == []


KILLED = """
import os, signal, sys
sys.path.insert(0, {root!r})
from datasette_semantic import SemanticIndex
from datasette_semantic.ingest import adopt

left = int(sys.argv[2])
give = adopt._Giver.give
def killed(self, index, keys):
    global left
    left -= 1
    give(self, index, keys)
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
adopt._Giver.give = killed
SemanticIndex.create(sys.argv[1], "t", ["text"], model="wordllama", vectors_from="column:e").update()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_kill_is_made_up_for_by_the_next_run(at: int, table: Any, in_step: Any) -> None:
    path, run = table
    run("alter table t add column e blob")
    generator = np.random.default_rng(7)
    for i in all_texts(run):
        run("update t set e = ? where id = ?", generator.normal(size=256).astype("<f4").tobytes(), i)
    script = textwrap.dedent(KILLED).format(root=str(Path(__file__).parents[2]))
    killed = subprocess.run([sys.executable, "-c", script, str(path), str(at)], check=False, env={**os.environ})
    assert killed.returncode == -signal.SIGKILL
    with SemanticIndex(path, "t") as index:
        assert index.status().chunks < 600
        report = index.update()
        assert report.embedded == 0
        assert index.status().chunks == 600
        in_step(index)


def test_searching_finds_by_the_vectors_that_were_taken_over(demo_embed: Any, table: Any) -> None:
    path, run = table
    texts = all_texts(run)
    collection(run, {str(i): vector_of("lighthouse" if i == 42 else text) for i, text in texts.items()})
    with SemanticIndex.create(path, "t", ["text"], vectors_from="collection:old") as index:
        index.update()
        assert index.search("lighthouse", mode="semantic", limit=1).hits[0].key == (42,)
        assert index.similar(42, limit=1).hits[0].key != (42,)
