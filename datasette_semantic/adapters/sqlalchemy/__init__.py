"""SQLAlchemy 2: hybrid search over mapped classes.

from datasette_semantic.adapters.sqlalchemy import create_engine, hybrid_search, searchable, update

@searchable("title", "content")
class Note(Base): ...

engine = create_engine("sqlite:///notes.db")
Base.metadata.create_all(engine)                # the tables, and the index
update(engine, Note)                            # embeds what is new
for note, score, *_ in session.execute(hybrid_search(Note, "moving to the sea", where=[Note.year > 1990])):
    ...
"""

from __future__ import annotations

from ..extras import extra

with extra("sqlalchemy", "sqlalchemy"):
    from .declaring import drop, searchable, status, update
    from .engines import create_async_engine, create_engine, prepare_engine
    from .migrations import leave_alone
    from .searching import hits, hybrid_search, nearest, similar
    from .vectors import Vector

__all__ = [
    "Vector",
    "create_async_engine",
    "create_engine",
    "drop",
    "hits",
    "hybrid_search",
    "leave_alone",
    "nearest",
    "prepare_engine",
    "searchable",
    "similar",
    "status",
    "update",
]
