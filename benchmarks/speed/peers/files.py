"""SQLite files as the peers use them: the vectors read from the set, the extension loaded."""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..given import Given


def connect(path: Path | str) -> Any:
    """Return a connection that can load extensions: pysqlite3's where it is installed."""
    try:
        driver = importlib.import_module("pysqlite3")
    except ImportError:
        driver = sqlite3
    connection = driver.connect(str(path))
    connection.enable_load_extension(True)
    return connection


def with_vec(path: Path | str) -> Any:
    """Return a connection with sqlite-vec loaded and nothing else changed."""
    import sqlite_vec

    connection = connect(path)
    sqlite_vec.load(connection)
    return connection


def numbered(given: Given) -> Iterator[tuple[int, bytes]]:
    """Yield (number from 1, vector as a BLOB)."""
    for place, vector in enumerate(np.load(given.data_folder / "base.npy", mmap_mode="r")):
        yield place + 1, vector.tobytes()
