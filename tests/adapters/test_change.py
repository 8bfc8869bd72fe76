"""Models in code name an embedding model; while its index is being built, that of another answers."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from datasette_semantic import SemanticIndex
from datasette_semantic.adapters.hits import HitsRequest, prepare, query_blob
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
