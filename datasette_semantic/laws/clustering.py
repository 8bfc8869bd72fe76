"""K-means on the unit sphere: which regions a set of vectors falls into.

Source: Dhillon, Modha: *Concept Decompositions for Large Sparse Text Data Using Clustering*, Machine Learning 42, 2001.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .vectors import FloatMatrix

__all__ = ["cell_count", "kmeans", "nearest_centroids"]

ITERATIONS: Final = 5
"""More move no centroid by much; what is lost by fewer is made up by probing one cell more."""

_BLOCK: Final = 2_048
"""Vectors compared with all centroids at a time: bounds the memory."""


def cell_count(vectors: int) -> int:
    """Return how many cells suit a number of vectors: the power of two nearest to 1.6 times its square root.

    A probe then reads about as much in centroids as in vectors.
    """
    return int(2 ** round(np.log2(max(1.0, 1.6 * vectors**0.5))))


def kmeans(sample: FloatMatrix, *, cells: int, seed: int = 0, iterations: int = ITERATIONS) -> FloatMatrix:
    """Return `cells` unit centroids, shape (cells, dimensions), of a sample of unit vectors; fewer where it is smaller.

    The same sample and seed give the same centroids. An empty cell is given a vector drawn from the sample.
    """
    draw = np.random.default_rng(seed)
    cells = min(cells, len(sample))
    centroids = sample[draw.choice(len(sample), cells, replace=False)].copy()
    for _ in range(iterations):
        nearest = nearest_centroids(sample, centroids)
        order = np.argsort(nearest, kind="stable")
        counts = np.bincount(nearest, minlength=cells)
        filled = np.flatnonzero(counts)
        starts = np.concatenate(([0], np.cumsum(counts[filled])[:-1]))
        sums = sample[draw.choice(len(sample), cells)].copy()
        for cell, members in zip(filled, np.split(order, starts[1:]), strict=True):
            sums[cell] = sample[members].sum(axis=0)
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        centroids = np.where(norms > 0, sums / np.maximum(norms, 1e-12), centroids).astype("<f4")
    return centroids


def nearest_centroids(vectors: FloatMatrix, centroids: FloatMatrix) -> NDArray[np.intp]:
    """Return for each unit vector the place of its nearest unit centroid, shape (vectors,)."""
    if not len(vectors):
        return np.zeros(0, dtype=np.intp)
    blocks = [
        (vectors[start : start + _BLOCK] @ centroids.T).argmax(axis=1) for start in range(0, len(vectors), _BLOCK)
    ]
    return np.concatenate(blocks)
