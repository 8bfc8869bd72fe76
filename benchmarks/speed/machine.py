"""The machine and the programs that a result was measured with."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    from sqlite_utils.utils import sqlite3

    return {
        "cpu": _line("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gigabytes": round(int((_line("/proc/meminfo", "MemTotal") or "0 kB").split()[0]) / 1024**2, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "sqlite_vec": version("sqlite-vec"),
    }


def told(found: dict[str, Any]) -> str:
    return (
        f"{found['cpu']}, {found['cores']} cores, {found['memory_gigabytes']:g} GB, {found['system']}, "
        f"Python {found['python']}, SQLite {found['sqlite']}, sqlite-vec {found['sqlite_vec']}"
    )


def _line(file: str, name: str) -> str | None:
    """Return what a file of the system says under a name, None where there is no such file."""
    path = Path(file)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)
