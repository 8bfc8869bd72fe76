"""Random storms of writes and drains: whatever came, the index equals one that was built afresh."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlite_utils.utils import sqlite3

from datasette_semantic import SemanticIndex
from datasette_semantic.records import ChunkSpec

WORDS = ("robot", "garden", "harbour", "ship", "apple", "late frost", "love", "engine", "7", "12.5", "", None)
TEXT = st.one_of(
    st.sampled_from(WORDS),
    st.lists(st.sampled_from([word for word in WORDS if word]), max_size=40).map(". ".join),
)
KEY = st.integers(1, 6)
STEP = st.one_of(
    st.tuples(st.sampled_from(["insert", "insert or replace", "insert or ignore", "upsert"]), KEY, TEXT, TEXT),
    st.tuples(st.sampled_from(["update", "update or replace", "update other"]), KEY, TEXT),
    st.tuples(st.sampled_from(["rekey", "rekey or replace", "rekey or ignore"]), KEY, KEY),
    st.tuples(st.sampled_from(["delete"]), KEY),
    st.tuples(st.sampled_from(["drain", "vacuum", "begin", "commit", "rollback", "swap"])),
)


@pytest.mark.parametrize("recursive", [False, True], ids=["", "recursive-triggers"])
@pytest.mark.parametrize("tokenize", ["unicode61", "english"])
@pytest.mark.parametrize("name", ["integer", "text", "without-rowid-compound", "nocase", "no-key", "key-in-text"])
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(steps=st.lists(STEP, min_size=5, max_size=40), split=st.booleans())
def test_any_storm_ends_like_a_fresh_build(
    shapes: Any,
    writer: Any,
    tmp_path: Path,
    in_step: Any,
    fresh_build: Any,
    snapshot_of: Any,
    name: str,
    tokenize: str,
    recursive: bool,
    steps: list[tuple[Any, ...]],
    split: bool,
) -> None:
    shape = next(each for each in shapes if each.id == name)
    folder = tmp_path / "storm"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / "t.db"
    connection = sqlite3.connect(str(path))
    connection.execute("pragma synchronous = off")
    shape.create(connection)
    connection.close()
    write = writer(path, shape, recursive=recursive)
    write.insert(1, "the first robot", "of many")
    chunks = ChunkSpec(max_tokens=12, overlap=3) if split else ChunkSpec()
    try:
        with SemanticIndex.create(path, shape.table, shape.columns, tokenize=tokenize, chunks=chunks) as index:
            index._connection.execute("pragma synchronous = off")
            for step in steps:
                take(write, index, step)
            take(write, index, ("commit",))
            index.update()
            in_step(index)
            assert snapshot_of(index) == fresh_build(index)
    finally:
        write.run.close()


def take(write: Any, index: SemanticIndex, step: tuple[Any, ...]) -> None:  # noqa: C901 a branch per verb
    """Take one step; one that the table itself refuses is passed over."""
    verb, *arguments = step
    open_ = write.run.connection.in_transaction
    try:
        if verb == "drain":
            if not open_:
                index.update()
        elif verb == "vacuum":
            if not open_:
                write.run("vacuum")
        elif verb == "begin":
            if not open_:
                write.run("begin immediate")
        elif verb in ("commit", "rollback"):
            if open_:
                write.run(verb)
        elif verb == "swap":
            swap(write)
        elif verb == "upsert":
            if write.shape.keys != ("rowid",):
                write.upsert(*arguments)
        elif verb.startswith("insert"):
            write.insert(*arguments, verb=verb)
        elif verb == "update other":
            write.run(f"update {write.table} set other = ? where {write._where()}", 5, *write.shape.key(arguments[0]))
        elif verb.startswith("rekey"):
            write.rekey(*arguments, verb=verb.replace("rekey", "update"))
        elif verb == "delete":
            write.delete(*arguments)
        else:
            write.update(*arguments, verb=verb)
    except sqlite3.IntegrityError:
        pass


def swap(write: Any) -> None:
    """Two rows change their texts."""
    column = next(column for column in write.shape.columns if column not in write.shape.keys)
    write.run(
        f"update {write.table} set {column} = (select o.{column} from {write.table} o "
        f"where o.{column} is not {write.table}.{column} limit 1) where other is null"
    )
