"""Tables of every shape: whoever writes, the index follows, and dropping it leaves no trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlite_utils.utils import sqlite3

from datasette_semantic import SemanticIndex
from datasette_semantic.laws.quoting import quote
from datasette_semantic.records import ChunkSpec

TEXTS = (
    "a robot learns to love",
    "roses in a garden",
    "ships in the harbour",
    "steam engine 7",
    "apple and late frost",
)
KEYWORDS = ("unicode61", "english")  # words that triggers keep, words that the drain keeps


def filled(path: Path, shape: Any, writer: Any, **options: Any) -> Any:
    connection = sqlite3.connect(str(path))
    shape.create(connection)
    connection.close()
    write = writer(path, shape, **options)
    for n, text in enumerate(TEXTS, 1):
        write.insert(n, text, f"{text} again", "third", "fourth")
    return write


def schema(path: Path) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(str(path))
    try:
        return connection.execute("select type, name, tbl_name, sql from sqlite_master order by type, name").fetchall()
    finally:
        connection.close()


def rows(path: Path, table: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(str(path))
    try:
        return connection.execute(f"select *, rowid from {quote(table)}").fetchall()
    except sqlite3.OperationalError:  # WITHOUT ROWID
        return connection.execute(f"select * from {quote(table)}").fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize("tokenize", KEYWORDS)
def test_made_updated_and_dropped_without_a_trace(
    shape: Any, writer: Any, tmp_path: Path, in_step: Any, fresh_build: Any, snapshot_of: Any, tokenize: str
) -> None:
    path = tmp_path / "t.db"
    filled(path, shape, writer)
    before, source_rows = schema(path), rows(path, shape.table)
    with SemanticIndex.create(path, shape.table, shape.columns, tokenize=tokenize) as index:
        report = index.update()
        assert report.rows == len(TEXTS)
        in_step(index)
        assert snapshot_of(index) == fresh_build(index)
        best = index.search("robot love").hits[0]
        assert "robot" in best.passage.text
        assert rows(path, shape.table) == source_rows
        index.drop()
    assert schema(path) == before
    assert rows(path, shape.table) == source_rows


@pytest.mark.parametrize("recursive", [False, True], ids=["", "recursive-triggers"])
@pytest.mark.parametrize("tokenize", KEYWORDS)
def test_every_way_to_write(
    shape: Any,
    writer: Any,
    tmp_path: Path,
    in_step: Any,
    fresh_build: Any,
    snapshot_of: Any,
    tokenize: str,
    recursive: bool,
) -> None:
    path = tmp_path / "t.db"
    write = filled(path, shape, writer, recursive=recursive)
    with SemanticIndex.create(path, shape.table, shape.columns, tokenize=tokenize) as index:
        index.update()

        def settled() -> None:
            index.update()
            in_step(index)
            assert snapshot_of(index) == fresh_build(index)

        write.insert(6, "a new lighthouse", "with a keeper")
        settled()
        write.insert(1, "replaced by gardeners", "who love frost", verb="insert or replace")
        settled()
        write.insert(2, "ignored robot", "never seen", verb="insert or ignore")
        write.update(2, "changed after it was ignored")
        settled()
        if "_" not in shape.keys[0] and shape.keys != ("rowid",):  # a bare rowid is no conflict target
            write.upsert(3, "upserted harbour", "ship robot")
            write.upsert(8, "upserted newcomer", "apple")
            settled()
        write.update(4, "engines of steam 7")
        write.update(5, None)
        settled()
        write.update(5, "back again")
        write.rekey(4, 9)
        settled()
        write.rekey(9, 6, verb="update or replace")
        settled()
        write.delete(1)
        write.insert(1, "the very same key again", "robot")
        write.delete(2)
        settled()
        write.run("begin")
        write.insert(77, "never committed", "robot")
        write.delete(3)
        write.update(5, "never committed either")
        write.run("rollback")
        assert index.status().pending == 0
        settled()
        write.run(f"delete from {write.table}")
        settled()
        write.insert(1, "after the end", "robot")
        settled()


def test_a_deleted_row_is_gone_from_results_before_any_drain(shape: Any, writer: Any, tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    write = filled(path, shape, writer)
    with SemanticIndex.create(path, shape.table, shape.columns) as index:
        index.update()
        assert len(index.search("robot love", mode="semantic")) == len(TEXTS)
        write.delete(1)
        for mode in ("semantic", "keyword", "hybrid"):
            assert tuple(shape.key(1)) not in [hit.key for hit in index.search("robot love", mode=mode)]


def test_a_key_that_only_changes_its_case(shapes: Any, writer: Any, tmp_path: Path, in_step: Any) -> None:
    for shape in (each for each in shapes if each.id.startswith("nocase")):
        path = tmp_path / f"{shape.id}.db"
        write = filled(path, shape, writer)
        with SemanticIndex.create(path, "t", ["title"]) as index:
            index.update()
            write.run("update t set id = upper(id) where id = ?", "Key1")
            write.run("update t set title = 'renamed robots' where id = ?", "KEY1")
            index.update()
            in_step(index)
            assert index.search("renamed").hits[0].key == ("KEY1",)


@pytest.mark.parametrize("verb", ["insert or replace", "replace"])
@pytest.mark.parametrize("recursive", [False, True])
@pytest.mark.parametrize("tokenize", KEYWORDS)
def test_replace_through_another_unique_key(
    plain: Any,
    tmp_path: Path,
    in_step: Any,
    fresh_build: Any,
    snapshot_of: Any,
    verb: str,
    recursive: bool,
    tokenize: str,
) -> None:
    """The rows that stand in the way go without a delete trigger."""
    for key in ("integer primary key", "text primary key"):
        path = tmp_path / "u.db"
        path.unlink(missing_ok=True)
        run = plain(path, recursive=recursive)
        run(f"create table t (id {key}, slug text unique collate nocase, a int, b int, title text, unique (a, b))")
        for n, text in enumerate(TEXTS, 1):
            run("insert into t values (?, ?, ?, ?, ?)", n, f"Slug{n}", n, n, text)
        with SemanticIndex.create(path, "t", ["title"], tokenize=tokenize) as index:
            index.update()
            run(f"{verb} into t values (10, 'SLUG1', 2, 2, 'takes the place of two robots')")
            assert [row[0] for row in run("select id from t order by id + 0")] in ([3, 4, 5, 10], ["3", "4", "5", "10"])
            index.update()
            in_step(index)
            assert snapshot_of(index) == fresh_build(index)
            run("update or replace t set slug = 'slug3' where id = 4")
            index.update()
            in_step(index)
            if not recursive:  # there SQLite refuses it as soon as a table has any delete trigger
                run("update or replace t set id = 10, slug = 'slug5' where id = 4")
            index.update()
            in_step(index)
            assert snapshot_of(index) == fresh_build(index)
            run("insert or ignore into t values (11, 'slug5', 0, 0, 'ignored')")
            run(
                "insert into t (id, slug, title) values (12, 'slug5', 'up') "
                "on conflict (slug) do update set title = excluded.title"
            )
            index.update()
            in_step(index)
            assert snapshot_of(index) == fresh_build(index)
        run.close()


def test_triggers_of_the_user_that_write_to_the_same_row(plain: Any, tmp_path: Path, in_step: Any) -> None:
    path = tmp_path / "u.db"
    run = plain(path)
    run("create table t (id integer primary key, title text, stamp text)")
    run("create trigger touch after insert on t begin update t set title = title || ' touched' where id = new.id; end")
    run("insert into t values (1, 'robot', null)")
    with SemanticIndex.create(path, "t", ["title"], tokenize="unicode61") as index:
        index.update()
        run(
            "create trigger later after insert on t begin update t set title = title || ' later' where id = new.id; end"
        )
        run("insert or replace into t values (1, 'garden', null)")
        run("insert into t values (2, 'harbour', null)")
        index.update()
        in_step(index)
        assert [hit.key for hit in index.search("later touched", mode="keyword")] == [(1,), (2,)]


def test_rows_whose_key_holds_null_are_left_out_and_do_no_harm(plain: Any, tmp_path: Path, in_step: Any) -> None:
    path = tmp_path / "n.db"
    run = plain(path)
    run("create table t (a text, b text, title text, primary key (a, b))")
    run("insert into t values ('x', null, 'robot null'), (null, null, 'robot none'), ('x', 'y', 'robot whole')")
    with SemanticIndex.create(path, "t", ["title"], tokenize="unicode61") as index:
        index.update()
        in_step(index)
        run("insert into t values (null, 'y', 'another robot')")
        run("update t set title = 'garden' where a is null")
        run("update t set b = 'now' where a = 'x' and b is null")
        run("update t set a = null where b = 'y'")
        index.update()
        in_step(index)
        assert [hit.key for hit in index.search("robot", mode="keyword")] == [("x", "now")]
        run("delete from t where a is null")
        index.update()
        in_step(index)


def with_gaps(run: Any, path: Path) -> None:
    """A table without a key whose rowids VACUUM would number anew, with an index in step."""
    run("create table t (title text)")
    for n in range(40):
        run("insert into t values (?)", f"{TEXTS[n % 5]} number{n}")
    with SemanticIndex.create(path, "t", ["title"], tokenize="unicode61") as index:
        index.update()
        run("delete from t where rowid % 3 = 0")
        index.update()


def test_vacuum_leaves_rows_without_a_key_in_step(plain: Any, tmp_path: Path, in_step: Any) -> None:
    path = tmp_path / "v.db"
    run = plain(path)
    with_gaps(run, path)
    before = run("select rowid, title from t")
    run("vacuum")
    assert run("select rowid, title from t") == before
    with SemanticIndex(path, "t") as index:
        assert index.search("number7", mode="keyword").hits[0].row["title"].endswith("number7")
        in_step(index)
        run("insert into t values ('a lighthouse after the vacuum')")
        run("vacuum")
        index.update()
        in_step(index)
        assert "lighthouse" in index.search("lighthouse after", mode="semantic").hits[0].row["title"]
        index.drop()
    assert run("select name from sqlite_master") == [("t",)]


def test_rows_that_vacuum_has_renumbered_are_found_again(plain: Any, tmp_path: Path, in_step: Any) -> None:
    """As in a file whose index an older version made."""
    path = tmp_path / "v.db"
    run = plain(path)
    with_gaps(run, path)
    (empty,) = run("select name from sqlite_master where type = 'index' and tbl_name = 't'")
    run(f'drop index "{empty[0]}"')
    before = run("select rowid, title from t")
    run("vacuum")
    assert run("select rowid, title from t") != before
    run("insert into t values ('a lighthouse after the vacuum')")
    with SemanticIndex(path, "t") as index:
        report = index.update()
        assert report.rows >= 27
        in_step(index)
        assert "number7" in index.search("number7", mode="keyword").hits[0].row["title"]
    assert run("select name from sqlite_master where type = 'index' and tbl_name = 't'") == [empty]


def test_vacuum_leaves_text_keys_in_step(shapes: Any, writer: Any, tmp_path: Path, in_step: Any) -> None:
    for shape in shapes:
        if shape.keys in (("rowid",), ("_rowid_",)):
            continue
        path = tmp_path / f"{shape.id}.db"
        write = filled(path, shape, writer)
        with SemanticIndex.create(path, shape.table, shape.columns) as index:
            index.update()
            write.delete(2)
            index.update()
            write.run("vacuum")
            in_step(index)
            assert index.update().rows == 0, shape.id


@pytest.mark.parametrize("key", ["integer primary key", "text primary key"])
def test_a_users_own_full_text_index_is_used_and_only_read(plain: Any, tmp_path: Path, in_step: Any, key: str) -> None:
    from sqlite_utils import Database

    path = tmp_path / "f.db"
    database = Database(path, execute_plugins=False)
    database.execute(f"create table t (id {key}, title text)")
    database["t"].insert_all({"id": str(n), "title": text} for n, text in enumerate(TEXTS, 1))
    database["t"].enable_fts(["title"], create_triggers=True)
    database.close()
    before = schema(path)
    run = plain(path)
    with SemanticIndex.create(path, "t", ["title"]) as index:
        index.update()
        assert index.record.keyword is not None
        assert (index.record.keyword.fts_table, index.record.keyword.owned) == ("t_fts", False)
        run("insert or replace into t values (1, 'a lighthouse')")
        run("update t set title = 'robots everywhere' where id = 2")
        run("delete from t where id = 3")
        index.update()
        in_step(index)
        assert [str(hit.key[0]) for hit in index.search("robots", mode="keyword")] == ["2"]
        index.drop()
    assert schema(path) == before


def test_part_of_a_table(plain: Any, tmp_path: Path, in_step: Any, fresh_build: Any, snapshot_of: Any) -> None:
    for key in ("integer primary key", "text primary key"):
        for tokenize in KEYWORDS:
            path = tmp_path / "w.db"
            path.unlink(missing_ok=True)
            run = plain(path)
            run(f"create table t (id {key}, title text, year int)")
            for n, text in enumerate(TEXTS, 1):
                run("insert into t values (?, ?, ?)", n, text, 2000 + n)
            with SemanticIndex.create(path, "t", ["title"], where="year > 2002 -- recent", tokenize=tokenize) as index:
                index.update()
                in_step(index)
                assert len(index.search("robot", mode="keyword")) == 0
                run("update t set year = 2010 where id = 1")
                run("update t set year = 1990 where id = 5")
                run("insert into t values (6, 'an old robot', 1950), (7, 'a new robot', 2020)")
                run("insert or replace into t values (3, 'ships in the harbour', 1900)")
                index.update()
                in_step(index)
                assert snapshot_of(index) == fresh_build(index)
                found = {str(hit.key[0]) for hit in index.search("robot", mode="keyword")}
                assert found == {"1", "7"}
                run("update t set year = 2030")
                index.update()
                in_step(index)
                assert snapshot_of(index) == fresh_build(index)
            run.close()


def test_whole_texts_have_the_vector_under_the_rows_own_key(plain: Any, tmp_path: Path, in_step: Any) -> None:
    path = tmp_path / "i.db"
    run = plain(path)
    run("create table t (id integer primary key, title text)")
    for n, text in zip((-5, 3, 1000, 2**53 + 1, 2**62), TEXTS, strict=True):
        run("insert into t values (?, ?)", n, text)
    with SemanticIndex.create(path, "t", ["title"], chunks=ChunkSpec(chunker="none")) as index:
        index.update()
        in_step(index)
        ids = [row[0] for row in index._connection.execute("select id from t_vec order by id")]
        assert ids == [-5, 3, 1000, 2**53 + 1, 2**62]
        run("update t set id = 4 where id = 3")
        run("update t set id = 3 where id = 1000")
        run("delete from t where id = -5")
        run("insert into t values (-5, 'back at once')")
        index.update()
        in_step(index)
        assert index.search("back at once").hits[0].key == (-5,)


def test_a_table_of_the_user_named_like_sqlite_sequence_content_stays(plain: Any, tmp_path: Path) -> None:
    """vec0 makes SQLite keep `sqlite_sequence`; it goes again only where it was not there before."""
    path = tmp_path / "s.db"
    run = plain(path)
    run("create table counted (id integer primary key autoincrement, x)")
    run("insert into counted (x) values (1), (2)")
    run("create table t (id integer primary key, title text)")
    run("insert into t values (1, 'robot')")
    before = schema(path)
    index = SemanticIndex.create(path, "t", ["title"])
    index.update()
    index.drop()
    index.close()
    assert schema(path) == before
    assert run("select * from sqlite_sequence") == [("counted", 2)]
    run("insert into counted (x) values (3)")
    assert run("select max(id) from counted") == [(3,)]


def test_two_indexes_dropped_one_after_the_other(plain: Any, tmp_path: Path, in_step: Any) -> None:
    path = tmp_path / "two.db"
    run = plain(path)
    for table in ("t", "u"):
        run(f"create table {table} (id integer primary key, title text)")
        run(f"insert into {table} values (1, 'robot'), (2, 'garden')")
    before = schema(path)
    first = SemanticIndex.create(path, "t", ["title"])
    first.update()
    second = SemanticIndex.create(path, "u", ["title"])
    second.update()
    first.drop()
    in_step(second)
    assert second.search("robot").hits[0].key == (1,)
    second.drop()
    first.close()
    second.close()
    assert schema(path) == before
    assert run("pragma integrity_check") == [("ok",)]
    run("create table later (id integer primary key autoincrement)")
    run("insert into later default values")
    assert run("select * from sqlite_sequence") == [("later", 1)]


def test_the_table_is_made_again_by_another_tool(plain: Any, tmp_path: Path, in_step: Any) -> None:
    """The way that SQLite's manual describes: new table, copy, drop, rename."""
    path = tmp_path / "again.db"
    run = plain(path)
    run("create table t (id integer primary key, title text)")
    run("insert into t values (1, 'robot'), (2, 'garden')")
    index = SemanticIndex.create(path, "t", ["title"], tokenize="unicode61")
    index.update()
    index.close()
    run("begin")
    run("create table new_t (id integer primary key, title text, extra text)")
    run("insert into new_t select id, title, null from t where id = 2")
    run("drop table t")
    run("alter table new_t rename to t")
    run("insert into t values (3, 'a lighthouse', null)")
    run("commit")
    with SemanticIndex(path, "t") as index:
        report = index.update()
        assert report.embedded == 1
        in_step(index)
        run("insert into t values (4, 'a harbour', null)")
        assert index.status().pending == 1


def test_a_new_unique_key_is_noticed(plain: Any, tmp_path: Path, in_step: Any) -> None:
    path = tmp_path / "k.db"
    run = plain(path)
    run("create table t (id integer primary key, slug text, title text)")
    run("insert into t values (1, 'a', 'robot'), (2, 'b', 'garden')")
    with SemanticIndex.create(path, "t", ["title"], tokenize="unicode61") as index:
        index.update()
        run("create unique index t_slug on t (slug)")
        assert index.update().embedded == 0
        run("replace into t values (3, 'a', 'a lighthouse')")
        index.update()
        in_step(index)


def test_values_that_are_not_text(plain: Any, tmp_path: Path, in_step: Any, fresh_build: Any, snapshot_of: Any) -> None:
    path = tmp_path / "x.db"
    run = plain(path)
    run("create table t (id integer primary key, a, b)")
    run("insert into t values (1, 1.0, 'robot'), (2, x'00ff', 'garden'), (3, 7, null), (4, null, null), (5, '', ' ')")
    run("insert into t values (6, cast(x'eda080' as text), 'lone surrogate')")
    for tokenize in KEYWORDS:
        with SemanticIndex.create(path, "t", ["a", "b"], tokenize=tokenize) as index:
            index.update()
            run("update t set a = 1 where id = 1")
            run("insert or replace into t values (3, 7.0, null)")
            run("update t set a = 'now text' where id = 2")
            index.update()
            in_step(index)
            assert snapshot_of(index) == fresh_build(index)
            index.drop()
