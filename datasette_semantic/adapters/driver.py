"""Which sqlite3 module a program should use: one whose connections can load extensions."""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import Any

from ..errors import ExtensionMissing

__all__ = ["dbapi"]


@lru_cache(maxsize=1)
def dbapi() -> Any:
    """Return the DBAPI module: pysqlite3's where it is installed, as in Datasette and sqlite-utils, else Python's own.

    Raises ExtensionMissing, with the cure, where neither can load extensions.
    """
    for name in ("pysqlite3.dbapi2", "sqlite3.dbapi2"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        if hasattr(module.Connection, "enable_load_extension"):
            return module
    raise ExtensionMissing(
        "this Python's sqlite3 was built without extension loading, so sqlite-vec cannot be used: "
        "`pip install pysqlite3` where it has a wheel (Linux x86_64, macOS arm64, Windows), or use another Python"
    )
