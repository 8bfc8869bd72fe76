"""Models in code name an embedding model; while its index is being built, that of another answers."""

from __future__ import annotations

import inspect
import json
import sqlite3
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from datasette_semantic import SemanticIndex
from datasette_semantic.adapters.declaration import Declaration
from datasette_semantic.adapters.hits import HitsRequest, prepare, query_blob
from datasette_semantic.adapters.sqlalchemy import searchable
from datasette_semantic.errors import IndexStateError
from datasette_semantic.store.connection import connect


def test_a_vector_of_the_declared_model_is_not_compared_with_another(tmp_path: Path, demo_embed: Any) -> None:
    path = tmp_path / "notes.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table notes (id integer primary key, text text)")
        database.executemany("insert into notes (text) values (?)", [("a robot",), ("a garden",), ("a ship",)])
    with SemanticIndex.create(path, "notes", ["text"], dimensions=64) as index:
        index.update()
        SemanticIndex.create(path, "notes", ["text"], model="demo-embed").close()
        request = HitsRequest("notes", "garden", mode="semantic", model="demo-embed")
        blob = query_blob(request.model, request)
        assert blob is not None
        connection = connect(path)
        prepare(connection)

        def asked() -> list[Any]:
            (found,) = connection.execute("select semantic_hits(?, ?)", (request.to_json(), blob)).fetchone()
            return [round(hit["distance"], 4) for hit in json.loads(found)]

        wanted = [round(hit.distance or 0.0, 4) for hit in index.search("garden", mode="semantic")]
        assert asked() == wanted
        index.update()
        demo_embed.clear()
        assert asked() != wanted
        assert demo_embed.texts == []  # the vector that was given fits now
        connection.close()


def test_a_query_is_asked_as_the_declaration_says(tmp_path: Path, demo_embed: Any) -> None:
    declared = Declaration(["text"], model="demo-embed", query_prefix="ask: ", document_prefix="tell: ")
    path = tmp_path / "notes.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table notes (id integer primary key, text text)")
        database.execute("insert into notes (text) values ('a robot')")
    with closing(connect(path)) as connection:
        declared.enforce(connection, "notes").update()
        assert demo_embed.texts[0] == "tell: a robot"
        request = HitsRequest("notes", "robots", mode="semantic", model=declared.model, asked=declared.asked)
        blob = query_blob(request.model, request)
        assert demo_embed.texts[-1] == "ask: robots"
        demo_embed.clear()
        prepare(connection)
        (found,) = connection.execute("select semantic_hits(?, ?)", (request.to_json(), blob)).fetchone()
        assert len(json.loads(found)) == 1
        assert demo_embed.texts == []


def test_an_index_of_other_dimensions_is_refused_or_made_anew(path: Path) -> None:
    with closing(connect(path)) as connection:
        shorter = Declaration(["title", "content"], dimensions=64)
        with pytest.raises(IndexStateError, match="dimensions"):
            shorter.enforce(connection, "notes")
        assert replace(shorter, on_mismatch="keep").enforce(connection, "notes").record.dimensions == 256
        index = replace(shorter, on_mismatch="rebuild").enforce(connection, "notes")
        index.update()
        assert index.record.dimensions == 64
        assert Declaration(["title", "content"]).enforce(connection, "notes").record.dimensions == 64


def test_both_orms_declare_what_an_index_takes() -> None:
    options = set(inspect.signature(SemanticIndex.create).parameters) - {"database", "table", "columns"}
    options -= {"allow_empty", "vectors_from"}  # a declaration holds over an empty table; vectors come once
    assert {field.name for field in fields(Declaration)} - {"columns"} == options
    assert set(inspect.signature(searchable).parameters) - {"columns"} == options
