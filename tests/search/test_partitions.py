"""A partitioned index answers as any other does, reading less; its vectors follow the value of their row."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlite_utils.utils import sqlite3

from datasette_semantic.api import SemanticIndex
from datasette_semantic.errors import BadOption, IndexStateError, NoSuchColumn
from datasette_semantic.ingest import parting
from datasette_semantic.ingest import train as training
from datasette_semantic.laws.quoting import quote
from datasette_semantic.store import blocks, cells, names, partitions

from .conftest import WORDS

QUERIES = ("robot love", "winter storm on the island", "a doctor with a violin", "steam engine")

WHERES: tuple[tuple[Any, dict[str, Any]], ...] = (
    ({"tenant": "b"}, {}),
    ({"tenant__in": "a,c"}, {}),
    ({"tenant__isnull": 1}, {}),
    ({"tenant": "nobody"}, {}),
    ({"tenant": "B"}, {}),
    ({"tenant": "b", "year__gte": 2005}, {}),
    ("tenant = 'b'", {}),
    ("tenant = :t and year > 2010", {"t": "a"}),
    ("(notes.tenant in ('a', 'b') and year > 2010)", {}),
    ("tenant is null", {}),
    ("tenant = '7'", {}),
    ("tenant = 7", {}),
    ("tenant != 'b'", {}),
    ("tenant = 'a' or year = 1999", {}),
    ("year = 1999", {}),
    ("upper(tenant) = 'A'", {}),
    (None, {}),
)

VALUES = ("a", "a", "a", "b", "b", "c", None, "7", "B", "")


def write(path: Path, *, rows: int = 600, kind: str = "text") -> None:
    draw = random.Random(7)
    database = sqlite3.connect(path)
    database.execute(f"create table notes (slug text primary key, body text, year integer, tenant {kind})")
    for number in range(rows):
        body = " ".join(draw.choices(WORDS, k=12))
        values = (f"n{number:03}", body, 1990 + number % 30, draw.choice(VALUES))
        database.execute("insert into notes values (?, ?, ?, ?)", values)
    database.commit()
    database.close()


@pytest.fixture(scope="module")
def both_paths(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same table, indexed with and without a partition."""
    folder = tmp_path_factory.mktemp("partitions")
    parted, plain = folder / "parted.db", folder / "plain.db"
    write(parted)
    shutil.copy(parted, plain)
    for path, options in ((parted, {"partition_by": "Tenant"}), (plain, {})):
        with SemanticIndex.create(path, "notes", ["body"], **options) as index:
            index.update()
    return parted, plain


@pytest.fixture(params=["untrained", "trained"])
def both(
    both_paths: tuple[Path, Path], tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[SemanticIndex, SemanticIndex]]:
    copies = [shutil.copy(path, tmp_path / path.name) for path in both_paths]
    with SemanticIndex(copies[0], "notes") as parted, SemanticIndex(copies[1], "notes") as plain:
        if request.param == "trained":
            parted.record = training.train(parted._connection, parted.record, vectors=600)
        yield parted, plain


def found(index: SemanticIndex, query: str, where: Any, params: Any, **options: Any) -> list[Any]:
    hits = index.search(query, where=where, params=params, limit=1000, **options).hits
    return [
        (hit.key, hit.keyword_rank, hit.semantic_rank, None if hit.distance is None else round(hit.distance, 5))
        for hit in hits
    ]


@pytest.mark.parametrize("exact", [True, False])
def test_the_same_as_without_a_partition(both: tuple[SemanticIndex, SemanticIndex], exact: bool) -> None:
    for where, params in WHERES:
        for query in QUERIES:
            for mode in ("semantic", "hybrid"):
                options: dict[str, Any] = {"mode": mode, "exact": exact, "weak": True}
                ours, theirs = (found(index, query, where, params, **options) for index in both)
                assert [each[:3] for each in ours] == [each[:3] for each in theirs]
                distances = [each[3] for each in theirs]
                assert [each[3] for each in ours] == pytest.approx(distances, abs=1e-4)


def test_never_fewer_than_there_are(both: tuple[SemanticIndex, SemanticIndex]) -> None:
    parted, _plain = both
    for value in (*VALUES, "nobody"):
        (count,) = parted._connection.execute("select count(*) from notes where tenant is ?", (value,)).fetchone()
        for limit in (5, 100, 1000):
            neighbours = parted.nearest("robot love", k=limit, where="tenant is :t", params={"t": value})
            assert len(neighbours) == min(limit, count)


def test_only_the_parts_asked_for_are_read(
    both: tuple[SemanticIndex, SemanticIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    parted, _plain = both
    read: list[int] = []
    cosines = blocks.cosines

    def counted(*arguments: Any, **options: Any) -> Any:
        ids, values = cosines(*arguments, **options)
        read.append(len(ids))
        return ids, values

    monkeypatch.setattr(blocks, "cosines", counted)
    for where in ({"tenant": "c"}, "tenant in ('c')", {"tenant__in": ["c"]}, {"tenant": "c", "year__gte": 1990}):
        parted.nearest("robot", k=10, where=where)
    (count,) = parted._connection.execute("select count(*) from notes where tenant = 'c'").fetchone()
    assert read
    assert max(read) <= count


def check_parts(index: SemanticIndex) -> None:
    """Raise AssertionError unless every vector is in the part of its row's value, and in its cell."""
    connection, record = index._connection, index.record
    rows = connection.execute(
        "select n.tenant, p.value, typeof(n.tenant) = typeof(p.value), v.embedding, v.cell, r.part "
        f"from notes n join {quote(record.row_table)} r on r.k0 = n.slug join {quote(record.chunk_table)} c "
        f"on c.row_id = r.row_id join {quote(record.vec_table)} v on v.id = c.id "
        f"left join {quote(names.parts_table(record))} p on p.part = v.part where p.part = r.part"
    ).fetchall()
    assert len(rows) == connection.execute(f"select count(*) from {quote(record.vec_table)}").fetchone()[0]
    assert all(value == kept and same for value, kept, same, *_ in map(tuple, rows))
    vectors = np.stack([np.frombuffer(row[3], "<f4") for row in rows])
    assert [row[4] for row in rows] == cells.assign(connection, record, vectors)


def test_a_row_moves_with_its_value(both: tuple[SemanticIndex, SemanticIndex]) -> None:
    """Before the next run its vectors are found all the same; that run moves them and embeds nothing."""
    parted, plain = both
    check_parts(parted)
    statements = (
        "update notes set tenant = 'b' where slug in ('n001', 'n002', 'n003')",
        "update notes set tenant = null where slug = 'n004'",
        "update notes set tenant = 'new' where slug = 'n005'",
        "update notes set tenant = 'new', body = 'a walrus' where slug = 'n006'",
        "insert or replace into notes values ('n007', 'a walrus on ice', 1990, 'b')",
        "delete from notes where slug = 'n008'",
        "update notes set slug = 'm009', tenant = 'c' where slug = 'n009'",
    )
    for index in both:
        writer = sqlite3.connect(index._connection.execute("pragma database_list").fetchone()[2])
        for statement in statements:
            writer.execute(statement)
        writer.commit()
        writer.close()
    wheres = (*WHERES, ({"tenant": "new"}, {}))
    for where, params in wheres:
        options = {"mode": "semantic", "exact": True}
        assert found(parted, "robot", where, params, **options) == found(plain, "robot", where, params, **options)
    report = parted.update()
    assert (report.rows, report.embedded) == (8, 3)
    plain.update()
    check_parts(parted)
    for where, params in wheres:
        options = {"mode": "semantic", "exact": True}
        assert found(parted, "walrus", where, params, **options) == found(plain, "walrus", where, params, **options)
    assert parted.update().rows == 0


def test_space_given_back_leaves_parts_apart(both: tuple[SemanticIndex, SemanticIndex]) -> None:
    parted, _plain = both
    parted._connection.execute("delete from notes where year % 5")
    parted._connection.commit()
    parted.update()
    before = [found(parted, query, {"tenant": "a"}, {}) for query in QUERIES]
    parted.compact()
    check_parts(parted)
    assert [found(parted, query, {"tenant": "a"}, {}) for query in QUERIES] == before


def test_recall_is_measured_within_a_part(both: tuple[SemanticIndex, SemanticIndex]) -> None:
    parted, _plain = both
    trained = cells.cells_of(parted.record)
    if trained is None:
        return
    assert trained.recall >= 0.95
    assert not cells.unplaced(parted._connection, parted.record)
    hits, wanted = 0, 0
    for query in QUERIES:
        exact = {each.key for each in parted.nearest(query, where={"tenant": "a"}, exact=True)}
        hits += len(exact & {each.key for each in parted.nearest(query, where={"tenant": "a"})})
        wanted += len(exact)
    assert hits >= 0.9 * wanted


# --- values of every kind --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text",
        "integer",
        "real",
        "blob",
        "numeric",
        "varchar(20)",
        "text collate nocase",
        "text collate rtrim",
        "any",
    ],
)
def test_values_of_any_type_and_collation(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "kinds.db"
    database = sqlite3.connect(path)
    database.execute(f"create table t (id integer primary key, body text, p {kind})")
    values = (
        1,
        "1",
        1.5,
        "1.5",
        "1.50",
        None,
        b"1",
        b"x",
        "a",
        "A",
        "a ",
        "",
        0,
        "0",
        -7,
        "ä",
        "1e3",
        1000,
        9007199254740993,
    )
    for number in range(95):
        value = values[number % len(values)]
        database.execute("insert into t (body, p) values (?, ?)", (f"robot number {number}", value))
    database.commit()
    with SemanticIndex.create(database, "t", ["body"], partition_by="p") as index:
        index.update()
        for value in values:
            for operator in ("=", "is", "in"):
                sql = f"p {operator} (:v)" if operator == "in" else f"p {operator} :v"
                expected = {row[0] for row in database.execute(f"select id from t where {sql}", {"v": value})}
                assert partitions.within(database, index.record, index.filters(sql, {"v": value})) is not None
                keys = {each.key[0] for each in index.nearest("robot", k=100, where=sql, params={"v": value})}
                assert keys == expected, (kind, sql, value)
            grammar = {"p": value} if not isinstance(value, bytes) and value is not None else {"p__isnull": 1}
            condition = index.filters(grammar)[0]
            sql, params = condition.sql, dict(condition.params)
            expected = {row[0] for row in database.execute(f"select id from t where {sql}", params)}
            assert {each.key[0] for each in index.nearest("robot", k=100, where=grammar)} == expected
    database.close()


@pytest.mark.parametrize("column", ["part", "value", "group by", 'a "b"', "semantic_part"])
def test_odd_columns_and_tables(tmp_path: Path, column: str) -> None:
    table = f"t {column}"
    database = sqlite3.connect(tmp_path / "odd.db")
    database.execute(f"create table {quote(table)} (id integer primary key, body text, {quote(column)} text)")
    for number in range(40):
        database.execute(f"insert into {quote(table)} values (?, 'robot', ?)", (number, "xy"[number % 2]))
    database.commit()
    with SemanticIndex.create(database, table, ["body"], partition_by=column) as index:
        index.update()
        assert index.status().partition_by == column
        for where in ({column: "y"}, f"{quote(table)}.{quote(column)} = 'y'", {f"{column}__in": "y,z"}):
            assert {each.key[0] % 2 for each in index.nearest("robot", k=40, where=where)} == {1}
        schema = "select count(*) from sqlite_master where name glob '_semantic*'"
        index.drop()
        assert database.execute(schema).fetchone() == (0,)
    database.close()


def test_a_generated_column(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "generated.db")
    database.execute("create table t (id integer primary key, body text, day text, year as (substr(day, 1, 4)))")
    for number in range(40):
        database.execute("insert into t (body, day) values ('robot', ?)", (f"{2000 + number % 4}-01-01",))
    database.commit()
    with SemanticIndex.create(database, "t", ["body"], partition_by="year") as index:
        index.update()
        assert len(index.nearest("robot", k=40, where={"year": "2001"})) == 10
        database.execute("update t set day = '2001-05-05' where id = 1")
        database.commit()
        assert len(index.nearest("robot", k=40, where={"year": "2001"})) == 11
        assert index.update().embedded == 0
        assert len(index.nearest("robot", k=40, where={"year": "2001"})) == 11
    database.close()


# --- making, changing, refusing --------------------------------------------------------------------------------------


def test_another_column_embeds_nothing_again(tmp_path: Path, demo_embed: Any) -> None:
    path = tmp_path / "change.db"
    write(path, rows=60)
    with SemanticIndex.create(path, "notes", ["body"], model="demo-embed") as index:
        assert index.update().rows == 60
        expected = found(index, "robot", {"tenant": "a"}, {})
    for column, kept in (("tenant", "tenant"), (None, "tenant"), ("year", "year"), ("", None), ("tenant", "tenant")):
        with SemanticIndex.create(path, "notes", ["body"], model="demo-embed", partition_by=column) as index:
            report = index.update()
            assert report.embedded == 0
            assert index.status().partition_by == kept
            assert found(index, "robot", {"tenant": "a"}, {}) == expected
    with SemanticIndex(path, "notes") as index:
        index.rollback()
        assert index.status().partition_by is None
        index.rollback()
        assert index.status().partition_by == "tenant"
        index.update()
        check_parts(index)
        assert SemanticIndex.plan(path, "notes", ["body"], model="demo-embed", partition_by="year").texts == 0


def test_columns_need_not_be_named_again(tmp_path: Path) -> None:
    path = tmp_path / "again.db"
    write(path, rows=30)
    with pytest.raises(BadOption, match="name the columns"):
        SemanticIndex.create(path, "notes", partition_by="tenant")
    with SemanticIndex.create(path, "notes", template="{body} of {year}", where="year > 1995") as index:
        index.update()
        text = index.record.text
    with SemanticIndex.create(path, "notes", partition_by="tenant") as index:
        index.update()
        assert (index.record.text, index.status().partition_by) == (text, "tenant")


def test_what_was_made_otherwise_is_told(tmp_path: Path) -> None:
    path = tmp_path / "error.db"
    write(path, rows=30)
    SemanticIndex.create(path, "notes", ["body"]).update()
    with pytest.raises(IndexStateError, match="partition_by: None there, 'tenant' asked for"):
        SemanticIndex.create(path, "notes", ["body"], partition_by="tenant", on_mismatch="error")
    with pytest.raises(NoSuchColumn, match="did you mean 'tenant'"):
        SemanticIndex.create(path, "notes", ["body"], partition_by="tennant")


def test_too_many_values_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "many.db"
    write(path, rows=100)
    SemanticIndex.create(path, "notes", ["body"], partition_by="slug").drop()  # a small table may do as it likes
    monkeypatch.setattr(parting, "_WASTED_BYTES", 100_000)
    before = path.read_bytes()
    with pytest.raises(BadOption, match=r"100 values in 100 rows.*8\.0 times their space"):
        SemanticIndex.create(path, "notes", ["body"], partition_by="slug")
    assert path.read_bytes() == before


def test_a_table_without_rows_yet(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    write(path, rows=0)
    with SemanticIndex.create(path, "notes", ["body"], partition_by="tenant", allow_empty=True) as index:
        assert index.update().rows == 0
        index._connection.execute("insert into notes values ('x', 'robot', 2000, 'a')")
        index._connection.commit()
        index.update()
        assert index.status().partition_by == "tenant"
        assert len(index.nearest("robot", where={"tenant": "a"})) == 1
        check_parts(index)


def test_vectors_taken_over_are_kept_apart(tmp_path: Path) -> None:
    path, file = tmp_path / "from.db", tmp_path / "v.npy"
    write(path, rows=60)
    with SemanticIndex.create(path, "notes", ["body"]) as index:
        index.update()
        expected = found(index, "robot", {"tenant": "a"}, {})
        index.export(file)
        index.drop()
    options: dict[str, Any] = {"model": "wordllama", "vectors_from": file, "partition_by": "tenant"}
    with SemanticIndex.create(path, "notes", ["body"], **options) as index:
        assert index.update().adopted == 60
        check_parts(index)
        assert [each[0] for each in found(index, "robot", {"tenant": "a"}, {})] == [each[0] for each in expected]


def test_many_rows_waiting(both_paths: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where too many have changed for looking at each, the search does without parts, and is as right."""
    path = shutil.copy(both_paths[0], tmp_path / "waiting.db")
    monkeypatch.setattr(partitions, "FEW_ALLOWED", 20)
    with SemanticIndex(path, "notes") as index:
        index._connection.execute("update notes set tenant = 'z' where year < 2010")
        index._connection.commit()
        assert partitions.within(index._connection, index.record, index.filters({"tenant": "z"})) is None
        assert len(index.nearest("robot", k=1000, where={"tenant": "z"})) == 400
        index.update()
        assert partitions.within(index._connection, index.record, index.filters({"tenant": "z"})) is not None
        assert len(index.nearest("robot", k=1000, where={"tenant": "z"})) == 400


@pytest.mark.parametrize(("rows", "trained"), [(400, False), (8_000, True)])
def test_when_cells_pay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, trained: bool) -> None:
    from datasette_semantic.ingest import update

    for module in (parting, update):
        monkeypatch.setattr(module, "TRAIN_AT", 2_000)
        monkeypatch.setattr(module, "PARTED_TRAIN_AT", 1_000)
    path = tmp_path / "pay.db"
    write(path, rows=rows)
    with SemanticIndex.create(path, "notes", ["body"], partition_by="tenant") as index:
        index.update()
        assert (cells.cells_of(index.record) is not None) == trained
        check_parts(index)
        assert not training.needs_probes(index.record)
        assert index.update().rows == 0
