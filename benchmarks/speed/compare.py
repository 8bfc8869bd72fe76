"""The vector list of every peer over one set, side by side in one run."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .given import Given
from .peers import PEERS, Peer
from .processes import Outcome, run
from .sets import VectorSet
from .tables import peer_line

_RECALL = 0.95
"""What the peers are tuned to where ours is not among them."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a comparison is run."""

    place: Path
    alpha: str | None
    """The Python that has sqlite-vec's newest alpha."""
    limit: float
    """Seconds that building may take."""
    seconds: float
    """Seconds that the measured queries of a peer may take together."""


def compare(
    vectors: VectorSet, names: Sequence[str], manner: Manner, before: Sequence[dict[str, Any]] = ()
) -> Iterator[dict[str, Any]]:
    """Measure peers one after another; yield a record for each. What fails is in the record.

    `before` are records of earlier runs over the same set: the recall to reach is that of ours.
    """
    ours = next((record for record in before if record["name"] == "ours"), {})
    try:
        for kind in (PEERS[name] for name in names):
            recall = ours.get("recall", _RECALL)
            record = {"name": kind.name, "title": kind.title, **_measured(kind, vectors, recall, manner)}
            if kind.name == "ours":
                ours = record
            print(peer_line(record, ours), flush=True)
            yield record
    finally:
        for name in names:
            shutil.rmtree(manner.place / name, ignore_errors=True)


def _measured(kind: type[Peer], vectors: VectorSet, recall: float, manner: Manner) -> dict[str, Any]:
    python = manner.alpha if kind.alpha else sys.executable
    if python is None:
        return {"error": "needs --alpha-python"}
    place = manner.place / (kind.files_of or kind.name)
    given = Given(
        kind.name, "build", vectors.folder, str(place), vectors.rows, vectors.dimensions, recall, manner.seconds
    )
    built: Outcome | None = None
    if kind.files_of is None:
        shutil.rmtree(place, ignore_errors=True)
        built = run(given, python=python, limit=manner.limit)
        if built.error is not None:
            return {"error": f"building: {built.error}"}
    elif not place.exists():
        return {"error": f"needs the files of {kind.files_of}"}
    disk = disk_megabytes(place)
    searched = run(Given(**{**asdict(given), "step": "search"}), python=python, limit=manner.limit)
    if kind.files_of is None and not any(each.files_of == kind.name for each in PEERS.values()):
        shutil.rmtree(place, ignore_errors=True)
    if searched.error is not None:
        return {"error": f"searching: {searched.error}"}
    figures: dict[str, Any] = {**searched.answer, "disk": disk, "memory": round(searched.megabytes, 1)}
    if built is not None:
        figures |= {"build": round(built.seconds, 2), "build_memory": round(built.megabytes, 1)}
    return figures


def disk_megabytes(place: Path) -> float:
    """Return the size of the files in a folder, in millions of bytes."""
    return round(sum(file.stat().st_size for file in place.rglob("*") if file.is_file()) / 1e6, 1)
