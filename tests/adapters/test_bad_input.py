"""What is wrong is told with an error of our own, before anything is written."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import peewee
import pytest
import sqlalchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from datasette_semantic.adapters.peewee import Declaration as PeeweeDeclaration
from datasette_semantic.adapters.peewee import SemanticDatabase, VectorField, VectorModel
from datasette_semantic.adapters.sqlalchemy import (
    Vector,
    create_engine,
    hybrid_search,
    nearest,
    prepare_engine,
    searchable,
    update,
)
from datasette_semantic.api import SemanticIndex
from datasette_semantic.errors import BadFilter, BadOption, BadVector, NoSuchColumn, NoSuchIndex, SemanticError

from .conftest import Note

BAD_VECTORS: dict[str, Any] = {
    "too short": [1.0, 2.0],
    "too long": [1.0, 2.0, 3.0, 4.0],
    "empty": [],
    "NaN": [1.0, float("nan"), 0.0],
    "infinity": [1.0, float("inf"), 0.0],
    "minus infinity": np.array([1.0, -np.inf, 0.0]),
    "too large for float32": [1e39, 0.0, 0.0],
    "text": "0.1, 0.2, 0.3",
    "numbers as text": ["1", "2", "3"],
    "complex": [1 + 2j, 0, 0],
    "truth values": [True, False, True],
    "nested": [[1.0, 2.0, 3.0]],
    "ragged": [[1.0], [2.0, 3.0]],
    "None within": [None, 1.0, 2.0],
    "objects": [object(), 1.0, 2.0],
    "a number": 3.0,
    "a mapping": {0: 1.0, 1: 2.0, 2: 3.0},
    "a short BLOB": b"\x00" * 8,
    "a long BLOB": b"\x00" * 24,
    "a BLOB of NaN": np.array([np.nan] * 3, "<f4").tobytes(),
    "None": None,
}

GOOD_VECTORS: dict[str, Any] = {
    "float list": [1.0, 2.0, 3.0],
    "integers": [1, 2, 3],
    "a tuple": (1.0, 2.0, 3.0),
    "float64": np.array([1.0, 2.0, 3.0]),
    "float16": np.array([1.0, 2.0, 3.0], np.float16),
    "int64": np.array([1, 2, 3]),
    "big-endian": np.array([1.0, 2.0, 3.0], ">f4"),
    "every other": np.array([1.0, 9.0, 2.0, 9.0, 3.0], "<f4")[::2],
    "a BLOB": np.array([1.0, 2.0, 3.0], "<f4").tobytes(),
}


class Base(DeclarativeBase):
    pass


class Plain(Base):
    __tablename__ = "plain"
    id: Mapped[int] = mapped_column(primary_key=True)
    embedding: Mapped[Any] = mapped_column(Vector(3))


class Virtual(Base):
    __tablename__ = "virtual"
    __table_args__ = {"sqlite_using": "vec0"}  # noqa: RUF012
    id: Mapped[int] = mapped_column(primary_key=True)
    embedding: Mapped[Any] = mapped_column(Vector(3))


@pytest.fixture
def vectors(tmp_path: Path) -> Iterator[sqlalchemy.Engine]:
    engine = create_engine(f"sqlite:///{tmp_path / 'vectors.db'}")
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("kind", [Plain, Virtual])
@pytest.mark.parametrize("name", BAD_VECTORS)
def test_sqlalchemy_writes_no_bad_vector(vectors: sqlalchemy.Engine, kind: type[Any], name: str) -> None:
    with Session(vectors) as session:
        session.add(kind(id=1, embedding=[3.0, 2.0, 1.0]))
        session.commit()
        session.add_all([kind(id=2, embedding=[1.0, 1.0, 1.0]), kind(id=3, embedding=BAD_VECTORS[name])])
        with pytest.raises(BadVector):
            session.commit()
        session.rollback()
        session.get_one(kind, 1).embedding = BAD_VECTORS[name]
        with pytest.raises(BadVector):
            session.commit()
        session.rollback()
        (row,) = session.scalars(sqlalchemy.select(kind))
        assert row.embedding.tolist() == [3.0, 2.0, 1.0]
    with pytest.raises(BadVector), Session(vectors) as session:
        session.execute(nearest(Virtual, Virtual.embedding, BAD_VECTORS[name]))


@pytest.mark.parametrize("kind", [Plain, Virtual])
@pytest.mark.parametrize("name", GOOD_VECTORS)
def test_sqlalchemy_takes_every_good_vector(vectors: sqlalchemy.Engine, kind: type[Any], name: str) -> None:
    with Session(vectors) as session:
        session.add(kind(id=1, embedding=GOOD_VECTORS[name]))
        session.commit()
        assert session.scalars(sqlalchemy.select(kind)).one().embedding.tolist() == [1.0, 2.0, 3.0]
        row = session.get_one(kind, 1)
        row.embedding = [9.0, 9.0, 9.0]
        session.commit()
        row.embedding = GOOD_VECTORS[name]
        session.commit()
        found = row.embedding
        row.embedding = found.copy()
        assert not session.is_modified(row)
    assert (found.dtype, found.tolist()) == (np.dtype("float32"), [1.0, 2.0, 3.0])


@pytest.fixture
def peewee_kinds(tmp_path: Path) -> Iterator[tuple[type[Any], type[Any]]]:
    database = SemanticDatabase(str(tmp_path / "peewee.db"))

    class Plain(peewee.Model):
        embedding = VectorField(3)

        class Meta:
            pass

    class Virtual(VectorModel):
        embedding = VectorField(3)

        class Meta:
            pass

    database.bind([Plain, Virtual])
    database.create_tables([Plain, Virtual])
    yield Plain, Virtual
    database.close()


@pytest.mark.parametrize("name", BAD_VECTORS)
def test_peewee_writes_no_bad_vector(peewee_kinds: tuple[type[Any], type[Any]], name: str) -> None:
    for kind in peewee_kinds:
        kind.create(embedding=[3.0, 2.0, 1.0])
        with pytest.raises(BadVector):
            kind.create(embedding=BAD_VECTORS[name])
        with pytest.raises(BadVector):
            kind.insert_many([{"embedding": [1.0, 1.0, 1.0]}, {"embedding": BAD_VECTORS[name]}]).execute()
        with pytest.raises(BadVector):
            kind.update(embedding=BAD_VECTORS[name]).execute()
        (row,) = kind.select()
        assert row.embedding.tolist() == [3.0, 2.0, 1.0]
    with pytest.raises(BadVector):
        peewee_kinds[1].nearest(peewee_kinds[1].embedding, BAD_VECTORS[name])


@pytest.mark.parametrize("name", GOOD_VECTORS)
def test_peewee_takes_every_good_vector(peewee_kinds: tuple[type[Any], type[Any]], name: str) -> None:
    for kind in peewee_kinds:
        kind.create(embedding=GOOD_VECTORS[name])
        found = kind.select().get().embedding
        assert (found.dtype, found.tolist()) == (np.dtype("float32"), [1.0, 2.0, 3.0])


@pytest.mark.parametrize("name", [name for name in BAD_VECTORS if name != "too large for float32"])
def test_no_search_takes_a_bad_vector(path: Path, name: str) -> None:
    before = path.read_bytes()
    with SemanticIndex(path, "notes") as index:
        with pytest.raises(BadVector):
            index.nearest(_not_text(BAD_VECTORS[name]))
        if BAD_VECTORS[name] is not None:
            with pytest.raises(BadVector):
                index.search(vector=BAD_VECTORS[name], mode="semantic")
    assert path.read_bytes() == before


def _not_text(value: Any) -> Any:
    """`nearest` takes text as text."""
    return [value] if isinstance(value, str) else value


@pytest.mark.parametrize("dimensions", [0, -1, 1.5, True, "3", None, 8_193])
def test_no_column_has_such_dimensions(dimensions: Any) -> None:
    with pytest.raises(BadOption):
        Vector(dimensions)
    with pytest.raises(BadOption):
        VectorField(dimensions)


def test_a_declaration_is_checked_where_it_stands() -> None:
    for declare in (searchable, lambda *columns, **options: PeeweeDeclaration(columns, **options)):
        with pytest.raises(BadOption, match="columns"):
            declare()
        with pytest.raises(BadOption, match="on_mismatch"):
            declare("title", on_mismatch="drop")
    with pytest.raises(BadOption, match="list of names"):
        PeeweeDeclaration("title")


def test_a_declared_column_that_is_not_there(tmp_path: Path) -> None:
    class Base(DeclarativeBase):
        pass

    @searchable("tilte")
    class Wrong(Base):
        __tablename__ = "wrong"
        id: Mapped[int] = mapped_column(primary_key=True)
        title: Mapped[str]

    engine = create_engine(f"sqlite:///{tmp_path / 'wrong.db'}")
    with pytest.raises(NoSuchColumn, match="did you mean 'title'"):
        Base.metadata.create_all(engine)
    assert not [name for name in sqlalchemy.inspect(engine).get_table_names() if "semantic" in name]
    engine.dispose()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"mode": "fuzzy"}, BadOption),
        ({"k": -1}, BadOption),
        ({"k": "ten"}, BadOption),
        ({"offset": -1}, BadOption),
        ({"diversity": 2}, BadOption),
        ({"boost": "year"}, BadOption),
        ({"where": {"decade": 1}}, NoSuchColumn),
        ({"where": {"title__near": "x"}}, BadFilter),
    ],
    ids=str,
)
def test_the_orms_refuse_what_the_index_refuses(
    engine: sqlalchemy.Engine, peewee_note: Any, options: dict[str, Any], error: type[SemanticError]
) -> None:
    with pytest.raises(error), Session(engine) as session:
        session.execute(hybrid_search(Note, "robots", **options)).all()
    with pytest.raises(error):
        list(peewee_note.hybrid_search("robots", **options))


def test_a_table_without_an_index(tmp_path: Path) -> None:
    class Base(DeclarativeBase):
        pass

    class Bare(Base):
        __tablename__ = "bare"
        id: Mapped[int] = mapped_column(primary_key=True)
        title: Mapped[str]

    engine = create_engine(f"sqlite:///{tmp_path / 'bare.db'}")
    Base.metadata.create_all(engine)
    with pytest.raises(NoSuchIndex), Session(engine) as session:
        session.execute(hybrid_search(Bare, "robots")).all()
    with pytest.raises(BadOption, match="Engine, Connection or Session"):
        update("sqlite:///bare.db", Bare)  # type: ignore[arg-type]
    with pytest.raises(BadOption, match="mysql"):
        prepare_engine(sqlalchemy.create_engine("mysql://", module=SimpleNamespace(paramstyle="pyformat")))
    engine.dispose()


@pytest.mark.parametrize(
    ("absent", "program"),
    [
        ("sqlalchemy", "import datasette_semantic.adapters.sqlalchemy"),
        ("peewee", "import datasette_semantic.adapters.peewee"),
        (
            "aiosqlite",
            "from datasette_semantic.adapters.sqlalchemy import create_async_engine as c; c('sqlite+aiosqlite:///n.db')",
        ),
    ],
)
def test_a_missing_package_names_the_extra(absent: str, program: str, tmp_path: Path) -> None:
    """In a process of its own, where the package cannot be imported."""
    extra = "peewee" if absent == "peewee" else "sqlalchemy"
    code = f"import sys; sys.modules[{absent!r}] = None; {program}"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 1
    assert f"ExtraMissing: {absent} is not installed; pip install 'datasette-semantic[{extra}]'" in result.stderr
    assert not list(tmp_path.iterdir())
