"""Vectors: unit length, float32, little-endian, as sqlite-vec stores them.

Unit vectors make L2 order as cosine does: cosine distance = L2² / 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import BadModelOutput, BadVector

__all__ = ["FloatMatrix", "FloatVector", "from_blob", "normalise", "to_blob", "unit_rows"]

FloatVector = NDArray[np.float32]
"""Shape (dimensions,)."""

FloatMatrix = NDArray[np.float32]
"""Shape (texts, dimensions)."""

_SMALLEST_NORM = 1e-12


def normalise(values: ArrayLike) -> FloatVector:
    """Return `values` as a float32 vector of unit length, shape (n,).

    Raises BadVector for anything that is not a list of numbers, and for a zero, NaN or infinite vector.
    """
    try:
        vector = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadVector(f"not a vector of numbers: {error}") from error
    if vector.ndim != 1 or vector.size == 0:
        raise BadVector(f"a vector is one list of numbers, but this has the shape {vector.shape}")
    norm = float(np.linalg.norm(vector))
    if not np.isfinite(norm):
        raise BadVector("the vector holds NaN or infinity, which have no place among distances")
    if norm < _SMALLEST_NORM:
        raise BadVector("the vector is zero, so it points nowhere and is near to nothing")
    return (vector / norm).astype("<f4")


def unit_rows(
    rows: Iterable[Sequence[float]] | ArrayLike, *, count: int, model: str
) -> tuple[FloatMatrix, NDArray[np.bool_]]:
    """Return a model's output as unit rows, shape (count, n), and a mask, shape (count,), of the rows that are usable.

    A zero or non-finite row is not usable and is left zero: the caller sets its text aside.
    Raises BadModelOutput where the model returned another number of vectors, or vectors of unequal length.
    """
    listed = rows if isinstance(rows, np.ndarray) else list(rows)  # type: ignore[arg-type]
    try:
        matrix = np.asarray(listed, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise BadModelOutput(
            f"model {model!r} returned vectors of unequal length or not of numbers: {error}"
        ) from error
    if len(matrix) != count:
        raise BadModelOutput(f"model {model!r} returned {len(matrix)} vectors for {count} texts")
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise BadModelOutput(f"model {model!r} returned vectors of the shape {matrix.shape[1:]}, not lists of numbers")
    norms = np.sqrt(np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64))
    usable = np.isfinite(norms) & (norms >= _SMALLEST_NORM)
    scale = np.zeros_like(norms)
    np.divide(1.0, norms, out=scale, where=usable)
    unit = np.where(usable[:, None], matrix, 0.0) * scale[:, None]
    return unit.astype("<f4"), usable


def to_blob(vector: FloatVector) -> bytes:
    """Return a vector as sqlite-vec's float32 BLOB, 4 bytes a dimension."""
    return np.ascontiguousarray(vector, dtype="<f4").tobytes()


def from_blob(blob: bytes, *, dimensions: int) -> FloatMatrix:
    """Return one or several concatenated float32 BLOBs as a matrix, shape (vectors, dimensions).

    Raises BadVector where the length is no multiple of `4 * dimensions` bytes.
    """
    if len(blob) % (4 * dimensions):
        raise BadVector(f"a BLOB of {len(blob)} bytes holds no whole number of vectors of {dimensions} dimensions")
    return np.frombuffer(blob, dtype="<f4").reshape(-1, dimensions)
