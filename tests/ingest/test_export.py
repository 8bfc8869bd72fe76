"""Vectors are given away with the rows that they belong to, and come back as they went."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasette_semantic import SemanticIndex
from datasette_semantic.errors import BadOption, ExtraMissing, InputError
from datasette_semantic.laws.key_text import key_text
from datasette_semantic.laws.quoting import quote
from datasette_semantic.records import ChunkSpec, RowKey

WHOLE = ChunkSpec(chunker="none")


def stored(index: SemanticIndex) -> list[tuple[RowKey, int, int, int, bytes]]:
    """Every chunk with its row's key and its vector, in the order of rows."""
    connection, record, source = index._connection, index.record, index.source
    from datasette_semantic.store import chunks

    rows = connection.execute(
        f"select c.row_id, ordinal, start, end, (select embedding from {quote(record.vec_table)} v where v.id = c.id) "
        f"from {quote(record.chunk_table)} c order by row_id, ordinal"
    ).fetchall()
    keys = chunks.keys_of(connection, source, record, [row[0] for row in rows])
    return [(keys[row_id], *rest) for row_id, *rest in map(tuple, rows)]


def make(path: Path, shape: Any, writer: Any, *, rows: int = 8) -> Any:
    write = writer(path, shape)
    shape.create(write.run.connection)
    for n in range(rows):
        words = "a robot in a garden and a steam engine by the harbour " * (1 + n % 3)
        write.insert(n, f"title {n}", f"{words} {n}")
    return write


def test_every_kind_of_table_goes_out_and_comes_back(
    shape: Any, writer: Any, tmp_path: Path, demo_embed: Any, in_step: Any
) -> None:
    path = tmp_path / "t.db"
    write = make(path, shape, writer)
    with SemanticIndex.create(path, shape.table, shape.columns, model="demo-embed", chunks=WHOLE) as index:
        index.update()
        assert index.export(tmp_path / "v.npy") == 8
        wanted = [index.search(query).hits for query in ("robot", "steam engine 3", "title 5")]
        matrix = np.load(tmp_path / "v.npy")
        assert (matrix.dtype, matrix.shape) == (np.dtype("<f4"), (8, 64))
        before = stored(index)
        assert [row[-1] for row in before] == [row.tobytes() for row in matrix]
        with (tmp_path / "v.ids.csv").open(newline="") as file:
            lines = list(csv.reader(file))
        own = ["chunk_ordinal" if "ordinal" in shape.keys else "ordinal", "start", "end"]
        assert lines[0] == [*shape.keys, *own]
        for line, (key, *place, _vector) in zip(lines[1:], before, strict=True):
            assert line == [*(key_text((value,)) for value in key), *map(str, place)]
        index.drop()
    demo_embed.clear()
    with SemanticIndex.create(
        path, shape.table, shape.columns, model="demo-embed", vectors_from=tmp_path / "v.npy"
    ) as index:
        assert index.update().adopted == 8
        assert demo_embed.texts == []
        assert [index.search(query).hits for query in ("robot", "steam engine 3", "title 5")] == wanted
        for old, new in zip(before, stored(index), strict=True):
            assert old[:-1] == new[:-1]
            assert np.allclose(np.frombuffer(old[-1], "<f4"), np.frombuffer(new[-1], "<f4"), atol=1e-7)
        in_step(index)
    write.run.close()


def test_parquet_holds_the_same(shape: Any, writer: Any, tmp_path: Path, demo_embed: Any) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t.db"
    make(path, shape, writer)
    with SemanticIndex.create(
        path, shape.table, shape.columns, model="demo-embed", chunks=ChunkSpec(max_tokens=12)
    ) as index:
        index.update()
        count = index.export(tmp_path / "v.parquet")
        before = stored(index)
    table = parquet.read_table(tmp_path / "v.parquet")
    assert count == table.num_rows == len(before) >= 8
    assert table.schema.metadata[b"model"] == b"demo-embed"
    assert (table.schema.types[-1].list_size, str(table.schema.types[-1].value_type)) == (64, "float")
    records = table.to_pylist()
    mixed = shape.id == "any"
    for record, (key, *place, vector) in zip(records, before, strict=True):
        values = list(record.values())
        assert values[: len(key)] == [str(value) if mixed else value for value in key]
        assert values[len(key) : -1] == place
        assert np.array(values[-1], dtype="<f4").tobytes() == vector


def test_chunks_do_not_come_back_as_rows(plain: Any, tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    run = plain(path)
    run("create table t (id integer primary key, text text)")
    run("insert into t values (1, ?)", "One sentence about robots. Another about gardens. " * 40)
    with SemanticIndex.create(path, "t", ["text"], chunks=ChunkSpec(max_tokens=20)) as index:
        index.update()
        assert index.export(tmp_path / "v.npy") > 1
        index.drop()
    with pytest.raises(InputError, match="more than one vector for the row '1'"):
        SemanticIndex.create(path, "t", ["text"], model="wordllama", vectors_from=tmp_path / "v.npy")


def test_key_columns_called_like_ours(plain: Any, tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    run = plain(path)
    run('create table t (start text, "End" integer, vector text, text text, primary key (start, "End", vector))')
    run("insert into t values ('a', 1, 'x', 'robot'), ('b', 2, 'y', 'garden')")
    with SemanticIndex.create(path, "t", ["text"], chunks=WHOLE) as index:
        index.update()
        index.export(tmp_path / "v.npy")
        heading = (tmp_path / "v.ids.csv").read_text().splitlines()[0]
        assert heading == "start,End,vector,ordinal,chunk_start,chunk_end"
        index.drop()
    with SemanticIndex.create(path, "t", ["text"], model="wordllama", vectors_from=tmp_path / "v.npy") as index:
        assert index.update().adopted == 2


def test_a_file_is_replaced_whole_or_not_at_all(plain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datasette_semantic.ingest import export

    path = tmp_path / "t.db"
    run = plain(path)
    run("create table t (id integer primary key, text text)")
    run("insert into t values (1, 'robot'), (2, 'garden')")
    with SemanticIndex.create(path, "t", ["text"]) as index:
        index.update()
        (tmp_path / "v.npy").write_bytes(b"what was there")
        with monkeypatch.context() as patch:
            patch.setattr(export.vector_index, "vectors", lambda *_: {})
            with pytest.raises(Exception, match="out of step"):
                index.export(tmp_path / "v.npy")
        assert (tmp_path / "v.npy").read_bytes() == b"what was there"
        assert sorted(file.name for file in tmp_path.iterdir()) == ["t.db", "v.npy"]
        with pytest.raises(BadOption, match=r"end in \.npy or \.parquet"):
            index.export(tmp_path / "v.txt")
        with pytest.raises(BadOption, match="no folder"):
            index.export(tmp_path / "nowhere" / "v.npy")
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(ExtraMissing, match=r"pip install 'datasette-semantic\[parquet\]'"):
            index.export(tmp_path / "v.parquet")
        assert sorted(file.name for file in tmp_path.iterdir()) == ["t.db", "v.npy"]
        run("delete from t")
        index.update()
        assert index.export(tmp_path / "v.npy") == 0
        assert np.load(tmp_path / "v.npy").shape == (0, 256)


FLAT = """
import resource, sys
from datasette_semantic import SemanticIndex

index = SemanticIndex(sys.argv[1], "t")
index.export(sys.argv[2])
index.drop()
index.close()
import numpy, pyarrow.parquet  # what it takes to have them loaded is not at issue
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with SemanticIndex.create(sys.argv[1], "t", ["text"], model="wordllama", vectors_from=sys.argv[2]) as index:
    index.update()
    index.export(sys.argv[2])
    index.export(sys.argv[3])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux")
def test_memory_stays_flat(plain: Any, tmp_path: Path) -> None:
    import subprocess

    pytest.importorskip("pyarrow")
    path = tmp_path / "t.db"
    run = plain(path)
    run("create table t (id integer primary key, text text)")
    run(
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 40000) "
        "insert into t select i, 'robot ' || i || ' in garden ' || (i % 7) from n"
    )
    with SemanticIndex.create(path, "t", ["text"], chunks=WHOLE) as index:
        index.update()
    done = subprocess.run(
        [sys.executable, "-c", FLAT, str(path), str(tmp_path / "v.npy"), str(tmp_path / "v.parquet")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert (tmp_path / "v.npy").stat().st_size > 40_000_000
    assert int(done.stdout) < 150_000
