"""Results as JSON files, one per set, so that tables and plots can be made again without measuring."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .machine import machine

RESULTS = Path(__file__).resolve().parents[1] / "results"
_LOAD = round(os.getloadavg()[0], 1)
"""How many processes wanted to run, over a minute, before the benchmark began."""


def save(kind: str, name: str, values: dict[str, Any], *, folder: Path = RESULTS) -> dict[str, Any]:
    """Write a result; return it."""
    day = datetime.now(timezone.utc).date().isoformat()
    result = {"kind": kind, "day": day, "load": _LOAD, "machine": machine(), **values}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{kind}-{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def load(kind: str, *, folder: Path = RESULTS) -> list[dict[str, Any]]:
    """Return the results of a kind: by dimensions, then rows."""
    found = [json.loads(file.read_text(encoding="utf-8")) for file in folder.glob(f"{kind}-*.json")]
    return sorted(found, key=lambda each: (each.get("set", each).get("dimensions", 0), each.get("set", each)["rows"]))
