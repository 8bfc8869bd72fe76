"""Peewee: hybrid search over models.

from datasette_semantic.adapters.peewee import Declaration, SemanticDatabase, SemanticModel

db = SemanticDatabase("notes.db")

class Note(SemanticModel):
    title = TextField()
    content = TextField()

    class Meta:
        database = db
        semantic = Declaration(["title", "content"])

db.create_tables([Note])                        # the table, and its index
Note.update_index()                             # embeds what is new
for note in Note.hybrid_search("moving to the sea"):
    print(note.rank, note.score, note.title, note.passage)
"""

from __future__ import annotations

from ..declaration import Declaration
from ..extras import extra

with extra("peewee", "peewee"):
    from .database import PooledSemanticDatabase, SemanticConnections, SemanticDatabase
    from .models import SemanticModel
    from .vectors import VectorField, VectorModel

__all__ = [
    "Declaration",
    "PooledSemanticDatabase",
    "SemanticConnections",
    "SemanticDatabase",
    "SemanticModel",
    "VectorField",
    "VectorModel",
]
