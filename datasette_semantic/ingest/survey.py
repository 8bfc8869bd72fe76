"""Looking at every vector that is to be taken over, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import BadVector, InputError
from ..laws.key_text import key_text
from ..laws.vectors import FloatVector, normalise
from ..records import Adoption, RowKey, Source
from ..store.connection import Connection
from ..store.source import ordered_keys
from .supply import Supply

__all__ = ["survey", "unit_vector"]

_NAMED = 5
"""Rows named in a message; of the others only the number is told."""

_SHORT = 1e-6
"""Vectors shorter than this are looked at one by one."""


@dataclass(slots=True)
class _Found:
    given: int = 0
    bad: int = 0
    why: list[str] = field(default_factory=list)
    missing: int = 0
    without: list[str] = field(default_factory=list)

    def note_bad(self, key: RowKey, error: BadVector) -> None:
        self.bad += 1
        if len(self.why) < _NAMED:
            self.why.append(f"row {key_text(key)}: {error}")

    def note_missing(self, key: RowKey) -> None:
        self.missing += 1
        if len(self.without) < _NAMED:
            self.without.append(key_text(key))


def survey(
    connection: Connection, source: Source, supply: Supply, *, where: str | None, dimensions: int | None
) -> Adoption:
    """Return how many rows have a vector, having looked at each vector.

    `dimensions` are those of the model, None where they are not known: the first vector then says. Raises BadVector
    that names the rows whose vectors cannot be used, InputError where no row has a vector.
    """
    found = _Found()
    for batch in ordered_keys(connection, source, where=where):
        vectors = supply.vectors(batch)
        for key in batch:
            if key not in vectors:
                found.note_missing(key)
        found.given += len(vectors)
        dimensions = dimensions or _dimensions(vectors)
        if not _all_usable(vectors, dimensions or 0):
            _note_bad(found, vectors, dimensions or 0)
    if not found.given:
        raise InputError(_none_fits(source, supply, found))
    if found.bad or dimensions is None:
        raise BadVector(
            f"{found.bad:,} of the {found.given:,} vectors in {supply.name} cannot be used, so nothing was written: "
            f"{'; '.join(found.why)}{' ...' if found.bad > len(found.why) else ''}"
        )
    return Adoption(
        source=supply.said,
        name=supply.name,
        dimensions=dimensions,
        given=found.given,
        missing=found.missing,
        missing_keys=tuple(found.without),
        unused=max(0, supply.size - found.given),
        keys_digest=supply.keys_digest,
    )


def unit_vector(stored: Any, *, dimensions: int) -> FloatVector:
    """Return a stored vector, a BLOB or an array, at unit length, shape (dimensions,).

    Raises BadVector for what is neither, is of another length, zero, or holds NaN or infinity.
    """
    if isinstance(stored, bytes):
        if len(stored) % 4:
            raise BadVector(f"{len(stored):,} bytes are no whole number of float32 values")
        if len(stored) != 4 * dimensions:
            raise BadVector(f"{len(stored):,} bytes, not the {4 * dimensions:,} of {dimensions:,} float32 values")
        stored = np.frombuffer(stored, dtype="<f4")
    if not isinstance(stored, np.ndarray):
        raise BadVector(f"{stored!r:.40} is no BLOB of float32 values")
    if len(stored) != dimensions:
        raise BadVector(f"{len(stored):,} dimensions, not {dimensions:,}")
    return normalise(stored)


def _none_fits(source: Source, supply: Supply, found: _Found) -> str:
    told = f"none of the {supply.size:,} vectors in {supply.name} belongs to a row of {source.table!r}"
    if not supply.size or not found.without:
        return told
    return f"{told}: their ids are like {supply.example()!r}, the keys of the table like {found.without[0]!r}"


def _dimensions(vectors: Mapping[RowKey, Any]) -> int | None:
    """Return the length that most of the vectors have, None where none is a vector."""
    sizes = [len(each) // 4 if isinstance(each, bytes) else len(each) for each in vectors.values() if _may_be(each)]
    return max(set(sizes), key=sizes.count) if sizes else None


def _may_be(stored: Any) -> bool:
    return isinstance(stored, np.ndarray) or (isinstance(stored, bytes) and bool(stored) and len(stored) % 4 == 0)


def _all_usable(vectors: Mapping[RowKey, Any], dimensions: int) -> bool:
    """True where nothing is wrong with any of the vectors, found out for all at once."""
    if not vectors:
        return True
    blobs = [each if isinstance(each, bytes) else each.tobytes() for each in vectors.values() if _may_be(each)]
    if len(blobs) < len(vectors) or any(len(blob) != 4 * dimensions for blob in blobs):
        return False
    matrix = np.frombuffer(b"".join(blobs), dtype="<f4").reshape(-1, dimensions)
    norms = np.sqrt(np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64))
    return bool(np.all(np.isfinite(norms) & (norms > _SHORT)))


def _note_bad(found: _Found, vectors: Mapping[RowKey, Any], dimensions: int) -> None:
    for key, stored in vectors.items():
        try:
            unit_vector(stored, dimensions=dimensions)
        except BadVector as error:  # noqa: PERF203 the few batches with something wrong in them only
            found.note_bad(key, error)
