"""Vectors follow the value of their row, on every kind of table, whoever writes and however."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from datasette_semantic import SemanticIndex
from datasette_semantic.ingest import train as training
from datasette_semantic.laws.quoting import quote
from datasette_semantic.store import cells, names, partitions
from datasette_semantic.store.source import read_leniently

TEXTS = ("robot", "a garden", "the harbour", "apple", "late frost", "a ship in the storm", None)
VALUES = (1, 2, 3, None, 7)


def check_parts(index: SemanticIndex, column: str) -> None:
    """Raise AssertionError unless each value has one number, and each vector the number of its row's value."""
    connection, record, source = index._connection, index.record, index.source

    def ask(sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in read_leniently(connection, sql, ())]

    table, parts = quote(source.table), quote(names.parts_table(record))
    assert not ask(f"select value from {parts} group by value collate binary, typeof(value) having count(*) > 1")
    link = (
        f"s.{quote(direct)} = r.row_id"
        if (direct := names.direct_key(source))
        else names.key_match(source, source_alias="s", row_alias="r", source_first=True)
    )
    rows = ask(
        f"select p.value is s.{quote(column)} collate binary, typeof(p.value) = typeof(s.{quote(column)}), "
        f"v.part = r.part "
        f"from {table} s join {quote(record.row_table)} r on {link} join {quote(record.chunk_table)} c "
        f"on c.row_id = r.row_id join {quote(record.vec_table)} v on v.id = c.id left join {parts} p on p.part = v.part"
    )
    assert len(rows) == ask(f"select count(*) from {quote(record.vec_table)}")[0][0]
    assert set(rows) <= {(1, 1, 1)}


@pytest.mark.parametrize("seed", range(2))
def test_a_storm_of_changes(shape: Any, plain: Any, writer: Any, tmp_path: Path, in_step: Any, seed: int) -> None:
    path = tmp_path / "t.db"
    run = plain(path)
    run.connection.executescript(shape.ddl)
    write = writer(path, shape)
    draw = random.Random(seed)
    table = quote(shape.table)
    where = " and ".join(f"{quote(key)} = ?" for key in shape.keys)
    for n in range(1, 25):
        write.insert(n, draw.choice(TEXTS[:-1]), draw.choice(TEXTS[:-1]))
        run(f"update {table} set other = ? where {where}", draw.choice(VALUES), *shape.key(n))
    with SemanticIndex.create(path, shape.table, shape.columns, partition_by="other") as index:
        index.update()
        for round_ in range(4):
            for _ in range(12):
                n, m = draw.randrange(1, 30), draw.randrange(1, 30)
                match draw.randrange(6):
                    case 0:
                        write.insert(n, draw.choice(TEXTS), draw.choice(TEXTS), verb="insert or replace")
                    case 1:
                        write.delete(n)
                    case 2 if write.has(n) and not write.has(m):
                        write.rekey(n, m)
                    case 3 if write.has(n):
                        write.update(n, draw.choice(TEXTS))
                    case _:
                        run(f"update {table} set other = ? where {where}", draw.choice(VALUES), *shape.key(n))
            agree(index, run, shape)
            index.update()
            # A connection of its own: FTS5 calls a file corrupt that others have written to, and means its own cache.
            with SemanticIndex(path, shape.table) as again:
                in_step(again)
            check_parts(index, "other")
            agree(index, run, shape)
            if round_ == 1:
                index.record = training.train(index._connection, index.record, vectors=30)
        assert not cells.unplaced(index._connection, index.record)
        index.drop()
    assert not run("select name from sqlite_master where name glob '_semantic*'")


def agree(index: SemanticIndex, run: Any, shape: Any) -> None:
    """Raise AssertionError unless a filter finds what it should, by whichever plan."""
    assert partitions.within(index._connection, index.record, index.filters({"other": 1})) is not None
    keys = ", ".join(map(quote, shape.keys))
    for value in VALUES:
        where = {"other__isnull": 1} if value is None else {"other": value}
        there = set(run(f"select {keys} from {quote(shape.table)} where other is ?", value))
        found = index.nearest("robot", k=100, where=where)
        slow = index.nearest("robot", k=100, where="other is :v or other is :v", params={"v": value})
        assert {each.key for each in found} <= there
        assert [each.key for each in found] == [each.key for each in slow]


def test_a_table_whose_column_changes_its_type(tmp_path: Path, in_step: Any) -> None:
    """sqlite-utils makes such a table anew and drops its triggers; the next run finds its way."""
    path = tmp_path / "transform.db"
    database = Database(path)
    database["t"].insert_all(({"id": n, "text": f"robot {n}", "year": str(2000 + n % 3)} for n in range(30)), pk="id")
    with SemanticIndex.create(path, "t", ["text"], partition_by="year") as index:
        index.update()
        assert len(index.nearest("robot", k=100, where="year = '2001'")) == 10
        database["t"].transform(types={"year": int})
        assert index.update().embedded == 0
        in_step(index)
        check_parts(index, "year")
        for where in ("year = 2001", "year = '2001'", {"year": "2001"}, {"year": 2001}):
            assert len(index.nearest("robot", k=100, where=where)) == 10
