"""Vectors of a program to and from the BLOBs of a column: float32, little-endian, as sqlite-vec reads them.

Unlike an index's own vectors these keep their length: the column is the program's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import BadOption, BadVector
from ..laws.vectors import FloatVector, from_blob, to_blob

__all__ = ["check_dimensions", "pack", "unpack"]

_MOST = 8_192
"""sqlite-vec takes no longer vectors."""


def check_dimensions(dimensions: Any) -> int:
    """Return `dimensions` if sqlite-vec takes vectors of that length. Raises BadOption."""
    if not isinstance(dimensions, int) or isinstance(dimensions, bool) or not 1 <= dimensions <= _MOST:
        raise BadOption(f"a vector has from 1 to {_MOST:,} dimensions, not {dimensions!r}")
    return dimensions


def pack(value: Any, *, dimensions: int, optional: bool = False) -> bytes | None:
    """Return a list, a numpy array or a float32 BLOB as the BLOB of a vector, shape (dimensions,); None, where
    `optional`, as None.

    Raises BadVector for None elsewhere, for another length or shape, for what is not numbers, for NaN and infinity,
    also where a number is only too large for float32.
    """
    if value is None:
        if optional:
            return None
        raise BadVector("there is no vector (None); give one, or declare the column with optional=True")
    vector = _from_bytes(bytes(value), dimensions) if isinstance(value, bytes | memoryview) else _from_numbers(value)
    if vector.shape != (dimensions,):
        raise BadVector(f"a vector of shape {vector.shape} was given where the column takes {dimensions} dimensions")
    if not np.isfinite(vector).all():
        raise BadVector("the vector holds NaN or infinity, or a number too large for float32")
    return to_blob(vector)


def unpack(blob: bytes | None, *, dimensions: int) -> FloatVector | None:
    """Return the vector of a BLOB, shape (dimensions,), NULL as None. Raises BadVector where the BLOB is no such."""
    if blob is None:
        return None
    vector: FloatVector = _from_bytes(bytes(blob), dimensions).copy()
    return vector


def _from_bytes(blob: bytes, dimensions: int) -> FloatVector:
    matrix = from_blob(blob, dimensions=dimensions)
    if len(matrix) != 1:
        raise BadVector(f"a BLOB of {len(blob)} bytes is not one vector of {dimensions} dimensions")
    vector: FloatVector = matrix[0]
    return vector


def _from_numbers(value: Any) -> FloatVector:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise BadVector(f"not a vector of numbers: {error}") from error
    if array.dtype.kind not in "fiu":
        raise BadVector(f"a vector is made of real numbers, not of {array.dtype} as in {_short(value)}")
    with np.errstate(over="ignore"):  # what overflows becomes infinite and is refused as such
        return array.astype("<f4")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
