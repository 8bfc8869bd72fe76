"""A table of related rows says what `similar` says, for all rows at once."""

from __future__ import annotations

import random
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils.utils import sqlite3

from datasette_semantic import api
from datasette_semantic.api import SemanticIndex
from datasette_semantic.errors import BadOption, DatabaseProblem
from datasette_semantic.ingest import train as training
from datasette_semantic.records import ChunkSpec, Progress
from datasette_semantic.search import related
from datasette_semantic.store import related_table

from .conftest import WORDS


@pytest.fixture
def notes_copy(corpus_path: Path, tmp_path: Path) -> Iterator[SemanticIndex]:
    """The index of the table `notes`, to write beside."""
    path = tmp_path / "notes.db"
    shutil.copy(corpus_path, path)
    with SemanticIndex(path, "notes") as index:
        yield index


@pytest.fixture(params=["one batch", "many batches"])
def batches(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "many batches":
        monkeypatch.setattr(related, "_BATCH_BYTES", 100_000)
        monkeypatch.setattr(related, "_TILE", 128)
        monkeypatch.setattr(related, "_ROWS_PER_PRODUCT", 7)


def lines_of(index: SemanticIndex, table: str, width: int = 1) -> dict[tuple[Any, ...], list[tuple[Any, ...]]]:
    """Return row key to its lines, (related key, score, rank, distance), in the order of rank."""
    found = defaultdict(list)
    for row in index._connection.execute(f'select * from "{table}" order by rank').fetchall():
        found[tuple(row[:width])].append((tuple(row[width : 2 * width]), *row[2 * width :]))
    return found


def agree(lines: Sequence[tuple[Any, ...]], index: SemanticIndex, key: tuple[Any, ...], limit: int) -> None:
    """Check a row's lines against what `similar` finds. Equals may change places: products round differently."""
    hits = list(index.similar(key, limit=limit, columns=()))
    assert [rank for _key, _score, rank, _distance in lines] == [hit.rank for hit in hits]
    assert [distance for *_rest, distance in lines] == pytest.approx([hit.distance for hit in hits], abs=1e-5)
    assert [score for _key, score, *_rest in lines] == pytest.approx([hit.score for hit in hits], abs=1e-5)
    last = hits[-1].distance - 1e-5 if hits and hits[-1].distance else 0
    sure = {hit.key for hit in hits if hit.distance is not None and hit.distance < last}
    assert sure <= {related for related, *_rest in lines}


def test_each_row_has_what_similar_finds(notes_copy: SemanticIndex, batches: None) -> None:
    assert notes_copy.save_similar("related", limit=5) == 3_000
    found = lines_of(notes_copy, "related")
    assert len(found) == 600
    for number in range(0, 600, 23):
        agree(found[(f"n{number:03}",)], notes_copy, (f"n{number:03}",), 5)
    names = [row[0] for row in notes_copy._connection.execute("select name from pragma_table_info('related')")]
    assert names == ["slug", "similar_slug", "score", "rank", "distance"]


def test_a_filter_says_which_rows_may_be_related(notes_copy: SemanticIndex) -> None:
    where = {"year__gte": 2015}
    notes_copy.save_similar("related", limit=4, where=where)
    found = lines_of(notes_copy, "related")
    assert len(found) == 600
    for key in (("n000",), ("n027",)):  # of 1990 and of 2017
        wanted = [hit.key for hit in notes_copy.similar(key, limit=4, where=where)]
        assert [related for related, *_rest in found[key]] == wanted
    none = notes_copy.save_similar("none_at_all", where="year > :y", params={"y": 3000})
    assert none == 0
    assert notes_copy._connection.execute("select count(*) from none_at_all").fetchone()[0] == 0


def test_a_trained_index_reads_its_cells(notes_copy: SemanticIndex, batches: None) -> None:
    exact = {key: {line[0] for line in lines} for key, lines in saved(notes_copy, "exact", 10).items()}
    connection = notes_copy._connection
    notes_copy.record = training.train(connection, notes_copy.record, vectors=600)
    found = {key: {line[0] for line in lines} for key, lines in saved(notes_copy, "by_cells", 10).items()}
    assert all(len(lines) == 10 for lines in found.values())
    recall = sum(len(found[key] & exact[key]) for key in exact) / 6_000
    assert recall > 0.9
    few = saved(notes_copy, "few", 10, where={"year": 1990})
    assert {len(lines) for key, lines in few.items()} == {10}
    every = saved(notes_copy, "every", 700)
    assert {len(lines) for lines in every.values()} == {599}


def saved(index: SemanticIndex, table: str, limit: int, **options: Any) -> dict[Any, Any]:
    index.save_similar(table, limit=limit, **options)
    return lines_of(index, table)


def test_rows_of_many_chunks_under_a_compound_key(tmp_path: Path, batches: None) -> None:
    draw = random.Random(3)
    path = tmp_path / "long.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table pages (book text, rank integer, text text, primary key (book, rank))")
        rows = [
            (f"book {n % 7}", n, ". ".join(" ".join(draw.choices(WORDS, k=9)) for _ in range(n))) for n in range(60)
        ]
        database.executemany("insert into pages values (?, ?, ?)", rows)
    with SemanticIndex.create(path, "pages", ["text"], chunks=ChunkSpec(max_tokens=30)) as index:
        index.update()
        index.save_similar("related", limit=6)
        assert related_table.columns_of(index.source) == (
            *("book", "rank", "similar_book", "similar_rank"),
            *("score", "similar_similar_rank", "distance"),
        )
        found = defaultdict(list)
        for row in index._connection.execute("select * from related order by similar_similar_rank").fetchall():
            found[tuple(row[:2])].append((tuple(row[2:4]), *row[4:]))
        assert len(found) == 59  # the empty page has no vector
        for number in (1, 2, 30, 59):
            agree(found[(f"book {number % 7}", number)], index, (f"book {number % 7}", number), 6)


def test_rows_without_a_primary_key(tmp_path: Path) -> None:
    path = tmp_path / "plain.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table lines (text text)")
        database.executemany("insert into lines values (?)", [("a ship at sea",), ("a boat at sea",), ("roses",)])
    with SemanticIndex.create(path, "lines", ["text"]) as index:
        index.update()
        assert index.save_similar("related", limit=1) == 3
        assert lines_of(index, "related")[(1,)][0][0] == (2,)
        assert index._connection.execute("pragma foreign_key_list(related)").fetchall() == []


def test_it_goes_with_its_rows_where_foreign_keys_are_kept(notes_copy: SemanticIndex) -> None:
    notes_copy.save_similar("related", limit=3)
    connection = notes_copy._connection
    assert not connection.execute("pragma foreign_key_check").fetchall()
    connection.execute("pragma foreign_keys = on")
    connection.execute("delete from notes where slug = 'n000'")
    connection.commit()
    left = "select count(*) from related where 'n000' in (slug, similar_slug)"
    assert connection.execute(left).fetchone()[0] == 0


def test_no_model_is_called(notes_copy: SemanticIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("embedder", "embedder_for"):
        monkeypatch.setattr(api, name, None)
    assert notes_copy.save_similar("related", limit=1) == 600


@pytest.mark.parametrize("name", ["notes", "notes_vec", "notes_fts", "a_view", "other", "NOTES"])
def test_nothing_else_is_overwritten(notes_copy: SemanticIndex, name: str) -> None:
    connection = notes_copy._connection
    with connection:
        connection.execute("create table other (slug text, similar_slug text)")
        connection.execute("create view a_view as select 1 as one")
    before = connection.execute("select name, sql from sqlite_master order by name").fetchall()
    for replace in (False, True):
        with pytest.raises(BadOption, match="choose another name"):
            notes_copy.save_similar(name, replace=replace)
    assert connection.execute("select name, sql from sqlite_master order by name").fetchall() == before


@pytest.mark.parametrize("name", ["", " ", "sqlite_x", "_semantic_x"])
def test_names_that_no_table_can_have(notes_copy: SemanticIndex, name: str) -> None:
    with pytest.raises(BadOption, match="cannot be named"):
        notes_copy.save_similar(name)


def test_replacing_keeps_the_old_one_until_the_new_one_is_complete(notes_copy: SemanticIndex) -> None:
    connection = notes_copy._connection
    with connection:
        connection.execute("create view broken as select * from nowhere")
    notes_copy.save_similar("related", limit=2)
    with pytest.raises(BadOption, match="exists already"):
        notes_copy.save_similar("related", limit=1)

    def interrupted(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        notes_copy.save_similar("related", limit=1, replace=True, progress=interrupted)
    count = "select count(*) from related"
    assert connection.execute(count).fetchone()[0] == 1_200
    assert not connection.execute("select 1 from sqlite_master where name like '%saving%'").fetchall()
    assert notes_copy.save_similar("related", limit=1, replace=True) == 600
    assert connection.execute(count).fetchone()[0] == 600


def test_others_write_while_it_runs(notes_copy: SemanticIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(related, "_BATCH_BYTES", 100_000)
    path = notes_copy._connection.execute("pragma database_list").fetchone()[2]
    seen: list[Progress] = []

    def write(progress: Progress) -> None:
        with closing(sqlite3.connect(path, timeout=0)) as other, other:
            other.execute("insert into notes (slug, body) values (?, 'written meanwhile')", (f"new{progress.done}",))
            other.execute("delete from notes where slug = ?", (f"n{599 - len(seen):03}",))
        seen.append(progress)

    notes_copy.save_similar("related", limit=2, progress=write)
    assert len(seen) > 5
    assert seen[-1].done <= seen[-1].total == 600
    gone = "select count(*) from related where slug >= :first and slug not in (select slug from notes)"
    assert notes_copy._connection.execute(gone, {"first": "n599"}).fetchone()[0] == 0


def test_a_file_that_cannot_be_written_to(corpus_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    shutil.copy(corpus_path, path)
    with closing(sqlite3.connect(path)) as other, SemanticIndex(path, "notes") as index:
        index._connection.execute("pragma busy_timeout = 10")
        other.execute("begin immediate")
        with pytest.raises(DatabaseProblem, match="locked"):
            index.save_similar("related")


def test_dropping_the_index_leaves_the_table_and_nothing_of_ours(notes_copy: SemanticIndex) -> None:
    connection = notes_copy._connection
    notes_copy.save_similar("related", limit=1)
    related_table.begin(connection, notes_copy.source)  # as a run leaves it that was killed
    notes_copy.drop()
    names = [row[0] for row in connection.execute("select name from sqlite_master where type = 'table'").fetchall()]
    assert sorted(names) == ["notes", "related"]
