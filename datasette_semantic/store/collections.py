"""Reading llm's collections of vectors: its tables `collections` and `embeddings`, in any file. Nothing here writes.

Source: https://llm.datasette.io/en/stable/embeddings/storage.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..records import Cell
from .connection import Connection
from .source import json_list

__all__ = ["LlmCollection", "collection_names", "find_collection", "read_vectors"]


@dataclass(frozen=True, slots=True)
class LlmCollection:
    """One collection: its vectors were all made by one model."""

    id: int
    name: str
    model: str
    size: int


def collection_names(connection: Connection) -> list[str]:
    """Return the names of the collections in a file; none where it has no such tables."""
    tables = "select count(*) from sqlite_master where type = 'table' and name in ('collections', 'embeddings')"
    columns = "select count(*) from pragma_table_info('collections') where name in ('id', 'name', 'model')"
    if connection.execute(tables).fetchone()[0] < 2 or connection.execute(columns).fetchone()[0] < 3:
        return []
    return [row[0] for row in connection.execute("select name from collections order by name").fetchall()]


def find_collection(connection: Connection, name: str) -> LlmCollection | None:
    """Return a collection by its name, None where the file holds none of that name."""
    if name not in collection_names(connection):
        return None
    id_, model = connection.execute("select id, model from collections where name = ?", (name,)).fetchone()
    (size,) = connection.execute("select count(*) from embeddings where collection_id = ?", (id_,)).fetchone()
    return LlmCollection(id=id_, name=name, model=model, size=size)


def read_vectors(connection: Connection, collection: LlmCollection, ids: Sequence[str]) -> dict[str, Cell]:
    """Return id to stored vector, for the ids that the collection holds."""
    rows = connection.execute(
        "select id, embedding from embeddings where collection_id = ? and id in (select value from json_each(?))",
        (collection.id, json_list(ids)),
    )
    return dict(map(tuple, rows.fetchall()))
