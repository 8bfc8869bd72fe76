"""Alembic: the tables of an index are derived data, and no migration should make or drop them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import Connection

from ...config import OWN_PREFIX
from ...store import catalog
from ...store.companions import companion_names
from .engines import run_on
from .vectors import is_virtual

__all__ = ["leave_alone"]


# vec0 does not own up to all its shadow tables: SQLite takes those with numbers for ordinary ones.
_VEC0_SHADOW = re.compile(r"(?P<table>.+)_(?:vector_chunks|metadatachunks|metadatatext)[0-9]{2}")


def leave_alone(connection: Connection) -> Callable[[Any, str | None, str, bool, Any], bool]:
    """Return the `include_object` for Alembic's `context.configure`: it passes over an index's tables, and over
    virtual tables with the shadow tables that SQLite keeps for them.

        context.configure(connection=connection, target_metadata=..., include_object=leave_alone(connection))
    """
    derived: set[str] = run_on(connection.connection.dbapi_connection, lambda raw: set(_derived(raw)))

    def include_object(item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
        table = item if kind == "table" else getattr(item, "table", None)
        if table is None:
            return True
        return table.name not in derived and not table.name.startswith(OWN_PREFIX) and not is_virtual(table)

    return include_object


def _derived(raw: Any) -> Iterable[str]:
    tables = raw.execute("select name, type from pragma_table_list where schema = 'main'").fetchall()
    kinds = dict(map(tuple, tables))
    for name, kind in kinds.items():
        shadow = _VEC0_SHADOW.fullmatch(name)
        if kind in ("virtual", "shadow") or (shadow is not None and kinds.get(shadow["table"]) == "virtual"):
            yield name
    for index in (*catalog.all_indexes(raw), *(index for _role, index in catalog.all_beside(raw))):
        yield from companion_names(index)
