"""`SemanticIndex.nearest`: keys and distances, as brute force finds them, whatever has been written meanwhile."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from datasette_semantic.api import SemanticIndex
from datasette_semantic.embedding.models import embedder
from datasette_semantic.errors import BadFilter, BadOption, BadVector, NoSuchColumn
from datasette_semantic.ingest import train as training
from datasette_semantic.records import Neighbour
from datasette_semantic.store.connection import connect


@pytest.fixture
def own(corpus_path: Path, tmp_path: Path) -> Iterator[SemanticIndex]:
    """A copy of the table `notes` and its index, to be written to."""
    path = tmp_path / "own.db"
    shutil.copy(corpus_path, path)
    with SemanticIndex(path, "notes") as index:
        yield index


def brute_force(index: SemanticIndex, vector: np.ndarray, where: str = "true") -> list[tuple[str, float]]:
    rows = index._connection.execute(
        "select n.slug, v.embedding from notes n join _semantic_rows_notes r on r.k0 = n.slug "
        f"join _semantic_chunks_notes c on c.row_id = r.row_id join notes_vec v on v.id = c.id where {where}"
    ).fetchall()
    distances = 1 - np.stack([np.frombuffer(blob, "<f4") for _, blob in rows]) @ vector
    best: dict[str, float] = {}
    for (slug, _), distance in zip(rows, distances.tolist(), strict=True):
        best[slug] = min(distance, best.get(slug, 2.0))
    return sorted(best.items(), key=lambda pair: pair[1])


@pytest.mark.parametrize(("where", "sql"), [(None, "true"), ({"year__gte": 2005}, "n.year >= 2005")])
def test_it_finds_what_brute_force_finds(notes: SemanticIndex, where: dict | None, sql: str) -> None:
    vector = embedder("wordllama").embed_query("a ship in a winter storm")
    expected = brute_force(notes, vector, sql)[:25]
    found = notes.nearest(vector, k=25, where=where)
    assert [each.distance for each in found] == pytest.approx([distance for _, distance in expected], abs=1e-5)
    assert {each.key[0] for each in found[:20]} <= {slug for slug, _ in expected}
    assert notes.nearest("a ship in a winter storm", k=25, where=where) == found
    longer = notes.nearest((7 * vector).tolist(), k=25, where=where)
    assert [each.key for each in longer] == [each.key for each in found]


def test_it_gives_the_semantic_list_of_a_search(notes: SemanticIndex) -> None:
    hits = notes.search("steam engine", mode="semantic", limit=10, weak=True)
    assert [(hit.key, hit.distance) for hit in hits] == [
        (each.key, pytest.approx(each.distance)) for each in notes.nearest("steam engine")
    ]


def test_a_trained_index_is_compared_with_in_full_when_asked(own: SemanticIndex) -> None:
    training.train(own._connection, own.record, vectors=600)
    vector = embedder("wordllama").embed_query("apple and frost")
    expected = [distance for _, distance in brute_force(own, vector)[:10]]
    assert [each.distance for each in own.nearest(vector, exact=True)] == pytest.approx(expected, abs=1e-5)
    assert len(own.nearest(vector)) == 10


def test_a_long_row_is_there_once_with_the_span_that_is_near(tmp_path: Path) -> None:
    path = tmp_path / "long.db"
    pages = ["Ships and sailors in the harbour. " * 60, "Roses, tulips and other flowers. " * 60]
    with sqlite3.connect(path) as database:
        database.execute("create table books (id integer primary key, text text)")
        database.executemany("insert into books (text) values (?)", [("\n\n".join(pages),), (pages[0],)])
    database.close()
    with SemanticIndex.create(path, "books", ["text"]) as index:
        assert index.update().failed == 0
        assert index.status().chunks > 2
        nearest, other = index.nearest("flowers in a garden", k=2)
        assert (nearest.key, other.key) == ((1,), (2,))
        text = "\n\n".join(pages)
        assert "tulips" in text[nearest.start : nearest.end]
        assert nearest.start > 0
        assert index.nearest("flowers", k=0) == []


def test_what_others_write_is_seen(own: SemanticIndex, tmp_path: Path) -> None:
    before = own.nearest("violin doctor", k=3)
    other = connect(tmp_path / "own.db")
    other.execute("delete from notes where slug = ?", before[0].key)
    other.commit()
    assert own.nearest("violin doctor", k=2) == before[1:]
    # Another index answers by now: other dimensions, other columns.
    SemanticIndex.create(other, "notes", ["title"], dimensions=128).update()
    assert own.nearest("violin doctor", k=3)[0].key
    assert own.record.dimensions == 128
    with pytest.raises(BadVector, match="128"):
        own.nearest([1.0] * 256)
    other.close()


def test_what_it_refuses(notes: SemanticIndex) -> None:
    bad = ([0.1, 0.2], [float("nan")] * 256, [float("inf")] * 256, [0.0] * 256, ["x"] * 256, None, [[1.0] * 256])
    for vector in bad:
        with pytest.raises(BadVector):
            notes.nearest(vector)  # type: ignore[arg-type]
    with pytest.raises(BadOption):
        notes.nearest([1.0] * 256, k=-1)
    with pytest.raises(NoSuchColumn):
        notes.nearest([1.0] * 256, where={"decade": 1990})
    with pytest.raises(BadFilter):
        notes.nearest([1.0] * 256, where="year >")


def test_its_records_are_immutable(notes: SemanticIndex) -> None:
    (found,) = notes.nearest("stone bridge", k=1)
    assert isinstance(found, Neighbour)
    with pytest.raises(AttributeError):
        found.distance = 0.0  # type: ignore[misc]
