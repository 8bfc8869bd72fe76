"""What a step of a measurement is given, on its way into a process of its own and back, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

WARMING = 100
"""The first queries of a set warm a peer up. By the others its setting is chosen, and it is measured."""
MEASURED = 300
NEIGHBOURS = 10


@dataclass(frozen=True, slots=True)
class Given:
    """A step of one peer: what it works on, and where."""

    peer: str
    step: str
    data: str
    """Folder of the set."""
    place: str
    """Folder for the peer's own files; what it takes there is its disk."""
    rows: int
    dimensions: int
    recall: float
    """The recall@10 that a peer with a setting for it is to reach."""
    seconds: float
    """How long the measured queries may take together: a slow peer is asked fewer."""

    @property
    def data_folder(self) -> Path:
        return Path(self.data)

    @property
    def place_folder(self) -> Path:
        return Path(self.place)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Given:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return cls(**values)
