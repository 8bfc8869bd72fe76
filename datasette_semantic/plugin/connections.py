"""Datasette's connections: prepared quietly, with the reason kept where that fails."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ..errors import ExtensionMissing
from .settings import settings_for
from .state import state_of

__all__ = ["missing_extension", "prepare_quietly"]

_INTERNAL = frozenset({"_internal", "__INTERNAL__"})


def prepare_quietly(datasette: Any, database: str, conn: Any, prepare: Callable[..., None]) -> None:
    """Prepare a connection that Datasette has opened. Never raises: an exception here would stop the server."""
    if database in _INTERNAL:
        return
    reasons = state_of(datasette).missing_extension
    try:
        prepare(conn, allow_models=settings_for(datasette, database).sql_models)
    except ExtensionMissing as error:
        reasons[database] = str(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the rest of the site must still be served
        reasons[database] = f"{type(error).__name__}: {error}"
        print(f"datasette-semantic: connection to {database!r} not prepared: {error!r}", file=sys.stderr)  # noqa: T201
    else:
        reasons.pop(database, None)


def missing_extension(datasette: Any, database: str) -> str | None:
    """Return why search by meaning cannot work on this database, None where it can."""
    return state_of(datasette).missing_extension.get(database)
