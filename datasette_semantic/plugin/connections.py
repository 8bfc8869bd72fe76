"""Datasette's connections: prepared quietly, with the reason kept where that fails."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

from ..errors import ExtensionMissing
from .settings import settings_for
from .state import state_of

__all__ = ["missing_extension", "prepare_quietly"]

_loading = threading.Lock()

_INTERNAL = frozenset({"_internal", "__INTERNAL__"})


def prepare_quietly(datasette: Any, database: str, conn: Any, prepare: Callable[..., None]) -> None:
    """Prepare a connection that Datasette has opened. Never raises: an exception here would stop the server."""
    if database in _INTERNAL:
        return
    _load_plugins_of_sqlite_utils()
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


def _load_plugins_of_sqlite_utils() -> None:
    """Have sqlite-utils load its plugins, ours among them, before two of Datasette's threads can do so at once.

    Datasette 1.0 wraps its connections in `sqlite_utils.Database`, which loads them at the first call without a lock:
    two first calls at the same time end in "Plugin name already registered", a page with status 500.
    """
    from sqlite_utils.plugins import ensure_plugins_loaded

    with _loading:
        ensure_plugins_loaded()


def missing_extension(datasette: Any, database: str) -> str | None:
    """Return why search by meaning cannot work on this database, None where it can."""
    return state_of(datasette).missing_extension.get(database)
