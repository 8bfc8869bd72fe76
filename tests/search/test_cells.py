"""A trained index answers as the exact one does: unfiltered to its recall, filtered never with fewer rows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datasette_semantic.api import SemanticIndex
from datasette_semantic.config import DEFAULT_RECALL
from datasette_semantic.embedding.models import embedder
from datasette_semantic.errors import BadOption
from datasette_semantic.ingest import train as training
from datasette_semantic.laws.clustering import cell_count, kmeans, nearest_centroids
from datasette_semantic.store import catalog, cells, vector_index

QUERIES = ("robot love", "winter storm on the island", "a doctor with a violin", "steam engine", "tulip and rose")


@pytest.fixture
def trained(corpus_path: Path, tmp_path: Path) -> Iterator[SemanticIndex]:
    path = tmp_path / "trained.db"
    shutil.copy(corpus_path, path)
    with SemanticIndex(path, "notes") as index:
        index.record = training.train(index._connection, index.record, vectors=600)
        yield index


def test_clustering_finds_clusters() -> None:
    draw = np.random.default_rng(1)
    centres = np.eye(8, dtype=np.float32)
    points = np.repeat(centres, 50, axis=0) + draw.normal(0, 0.05, (400, 8)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    found = kmeans(points, cells=16, seed=3)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    nearest = nearest_centroids(points, found)
    drawn = points[draw.choice(400, 16, replace=False)]
    assert (points * found[nearest]).sum(axis=1).mean() > 0.9
    assert (points * found[nearest]).sum() > (points * drawn[nearest_centroids(points, drawn)]).sum()
    assert (kmeans(points, cells=16, seed=3) == found).all()


def test_cells_grow_slower_than_vectors() -> None:
    assert [cell_count(n) for n in (0, 1, 20_000, 100_000, 1_000_000)] == [1, 2, 256, 512, 2048]


def test_every_vector_is_in_the_cell_of_its_nearest_centroid(trained: SemanticIndex) -> None:
    connection, index = trained._connection, trained.record
    rows = connection.execute("select cell, embedding from notes_vec").fetchall()
    vectors = np.stack([np.frombuffer(blob, "<f4") for _, blob in rows])
    assert [cell for cell, _ in rows] == cells.assign(connection, index, vectors)
    assert len(rows) == 600
    assert not cells.unplaced(connection, index)


def test_recall_is_what_the_catalog_says(trained: SemanticIndex) -> None:
    found = cells.cells_of(trained.record)
    assert found is not None
    assert found.recall >= DEFAULT_RECALL
    hits = 0
    for query in QUERIES:
        vector = embedder("wordllama").embed_query(query)
        exact = vector_index.nearest(trained._connection, trained.record, vector, k=10, exact=True)
        probed = vector_index.nearest(trained._connection, trained.record, vector, k=10)
        hits += len({id_ for _, id_, _ in exact} & {id_ for _, id_, _ in probed})
    assert hits >= 0.8 * 10 * len(QUERIES)


@pytest.mark.parametrize("query", QUERIES)
def test_exact_is_one_option_away(trained: SemanticIndex, notes: SemanticIndex, query: str) -> None:
    assert trained.search(query, exact=True, limit=50).hits == notes.search(query, limit=50).hits


@pytest.mark.parametrize("query", QUERIES)
def test_what_is_read_is_what_vec0_finds(trained: SemanticIndex, notes: SemanticIndex, query: str) -> None:
    vector = embedder("wordllama").embed_query(query)
    for index in (notes, trained):
        theirs = index._connection.execute(
            "select id, distance from notes_vec where embedding match ? and k = 500 order by distance",
            (vector.tobytes(),),
        ).fetchall()
        ours = vector_index.nearest(index._connection, index.record, vector, k=500, exact=True)
        assert {id_ for _, id_, _ in ours} == {row[0] for row in theirs}
        assert [distance for *_, distance in ours] == pytest.approx([row[1] ** 2 / 2 for row in theirs], abs=1e-5)


def test_more_than_vec0_would_give(notes: SemanticIndex) -> None:
    """vec0's own k ends at 4,096: a table of long rows may need more chunks than that for its rows."""
    vector = embedder("wordllama").embed_query(QUERIES[0])
    found = vector_index.nearest(notes._connection, notes.record, vector, k=100_000)
    assert len(found) == len({row_id for row_id, *_ in found}) == 600


def test_equal_vectors_are_equally_near_wherever_they_lie(trained: SemanticIndex) -> None:
    connection = trained._connection
    connection.executemany(
        "insert into notes values (?, 'the same', 'the same words in every row', 2020, '[]')",
        [(f"same-{n:03}",) for n in range(300)],
    )
    connection.commit()
    trained.update()
    for exact in (False, True):
        hits = trained.search("same words in rows", mode="semantic", limit=300, exact=exact).hits
        assert [hit.key for hit in hits] == [(f"same-{n:03}",) for n in range(300)]
        assert len({hit.distance for hit in hits}) == 1


@pytest.mark.parametrize("where", ["1", "year < 2005", "year = 1995", "slug = 'n042'", "slug in ('n001', 'n500')", "0"])
@pytest.mark.parametrize("few", [0, 10, 10_000])
def test_filtered_agrees_with_an_oracle(
    trained: SemanticIndex, monkeypatch: pytest.MonkeyPatch, where: str, few: int
) -> None:
    """Whichever plan is chosen; with every row asked for, nothing may be missing."""
    monkeypatch.setattr(vector_index, "FEW_ALLOWED", few)
    expected = {row[0] for row in trained._connection.execute(f"select slug from notes where {where}")}
    for query in QUERIES:
        exact = trained.search(query, mode="semantic", where=where, exact=True, limit=1000)
        found = trained.search(query, mode="semantic", where=where, limit=1000)
        assert {hit.key[0] for hit in found} == expected
        assert [hit.key for hit in found] == [hit.key for hit in exact]
        assert len(trained.search(query, mode="semantic", where=where, limit=10)) == min(10, len(expected))


def test_new_rows_go_to_their_cells_and_are_found(trained: SemanticIndex) -> None:
    connection = trained._connection
    connection.execute("insert into notes values ('new', 'walrus', 'walrus walrus walrus', 2020, '[]')")
    connection.commit()
    trained.update()
    assert not cells.unplaced(connection, trained.record)
    assert trained.search("walrus", mode="semantic", limit=1).hits[0].key == ("new",)


def test_another_recall_is_measured_and_nothing_else_done(trained: SemanticIndex) -> None:
    before = cells.cells_of(trained.record)
    assert before is not None
    probes = []
    for recall in (0.3, 0.8, 0.99):
        with SemanticIndex.create(trained._connection, "notes", ["title", "body"], recall=recall) as again:
            assert again.record.id == trained.record.id
            report = again.update()
            status = again.status()
            after = cells.cells_of(again.record)
        assert (report.rows, report.embedded) == (0, 0)
        assert after is not None
        assert (after.version, after.first, after.count) == (before.version, before.first, before.count)
        assert status.recall == after.wanted == recall
        assert status.measured_recall == after.recall >= recall
        probes.append(after.probes)
    assert probes == sorted(set(probes))


def test_a_recall_of_one_reads_everything(trained: SemanticIndex) -> None:
    trained.keep_recall(1)
    trained.update()
    found = cells.cells_of(trained.record)
    assert found is not None
    assert (found.probes, found.recall) == (found.count, 1.0)
    for query in QUERIES:
        exact = trained.search(query, mode="semantic", exact=True, limit=100)
        assert [hit.key for hit in trained.search(query, mode="semantic", limit=100)] == [hit.key for hit in exact]


def test_a_recall_is_kept_until_there_are_cells(notes: SemanticIndex, corpus_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.db"
    shutil.copy(corpus_path, path)
    with SemanticIndex(path, "notes") as index:
        assert (index.status().recall, index.status().measured_recall) == (DEFAULT_RECALL, 1.0)
        index.keep_recall(0.7)
        assert (index.status().recall, index.status().measured_recall) == (0.7, 1.0)
        index.record = training.train(index._connection, index.record, vectors=600)
        assert index.status().measured_recall >= 0.7
        assert not training.needs_probes(index.record)


def test_a_file_trained_before_recall_could_be_chosen(trained: SemanticIndex) -> None:
    connection = trained._connection
    values = {name: value for name, value in trained.record.settings["cells"].items() if name != "wanted"}
    catalog.save_settings(connection, trained.record, {**trained.record.settings, "cells": values})
    connection.commit()
    with SemanticIndex(connection, "notes") as again:
        assert again.status().recall == DEFAULT_RECALL
        assert not training.needs_probes(again.record)


@pytest.mark.parametrize("recall", [0, -1, 1.01, float("nan"), "0.9", True, None])
def test_what_is_no_recall(notes: SemanticIndex, recall: object) -> None:
    with pytest.raises(BadOption, match="recall is a number above 0"):
        notes.keep_recall(recall)  # type: ignore[arg-type]


def test_training_again_moves_everything(trained: SemanticIndex) -> None:
    connection = trained._connection
    before = cells.cells_of(trained.record)
    again = training.train(connection, trained.record, vectors=600)
    after = cells.cells_of(again)
    assert before is not None
    assert after is not None
    assert after.first == before.first + before.count
    assert not cells.unplaced(connection, again)
    numbers = connection.execute("select min(cell), count(*) from notes_vec_cells").fetchone()
    assert tuple(numbers) == (after.first, after.count)


def test_broken_off_training_is_right_and_goes_on(
    corpus_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "broken.db"
    shutil.copy(corpus_path, path)
    with SemanticIndex(path, "notes") as index:
        expected = index.search("robot love", limit=20).hits
        place = cells.place
        calls = []

        def break_off(*arguments: object) -> None:
            calls.append(1)
            if len(calls) == 2:
                raise KeyboardInterrupt
            place(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(cells, "place", break_off)
        with pytest.raises(KeyboardInterrupt):
            training.train(index._connection, index.record, vectors=600)
        monkeypatch.undo()
    with SemanticIndex(path, "notes") as index:
        assert cells.unplaced(index._connection, index.record)
        assert index.search("robot love", limit=20).hits == expected
        assert training.needs_training(index.record, vectors=600)
        index.record = training.train(index._connection, index.record, vectors=600)
        assert not cells.unplaced(index._connection, index.record)
        assert index.search("robot love", exact=True, limit=20).hits == expected
        assert index._connection.execute("pragma integrity_check").fetchone()[0] == "ok"


def test_when_training_is_due(notes: SemanticIndex) -> None:
    assert not training.needs_training(notes.record, vectors=19_999)
    assert training.needs_training(notes.record, vectors=20_000)
    values = {"version": "v", "first": 1, "count": 8, "probes": 2, "recall": 0.96, "trained_at": 20_000}
    trained = replace(notes.record, settings={"cells": values})
    assert not training.needs_training(trained, vectors=79_999)
    assert training.needs_training(trained, vectors=80_000)
    assert not training.needs_training(trained, vectors=5_001)
    assert training.needs_training(trained, vectors=5_000)
    assert not training.needs_training(trained, vectors=1_999)
