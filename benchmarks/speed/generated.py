"""Vectors made by a recipe, for sizes and dimensions of which there are no real ones here.

Text embeddings are neither spread evenly over the sphere nor heaps far from each other: they fill a region of few
dimensions, unevenly, and the others thinly. So a vector is drawn in 64 latent dimensions, the n-th of standard
deviation 1/sqrt(n): one of 500 centres, chosen by Zipf's law with exponent 0.7, plus as much scatter around it as the
centres have themselves, so that the heaps run into each other. An orthonormal map takes it into all dimensions, where
even noise with 0.4 times its length is added; then it is cut to length 1. Queries are further draws.

Scatter and noise were set so that nearest neighbours are as far to seek as among real passages of text, measured on
50,000 of each: the intrinsic dimension around a vector (26 real, 28 to 31 generated), and how many of 512 cells hold
0.95 of the ten nearest (30 real, 25 to 29 generated).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

RECIPE = "generated: 64 latent dimensions, 500 overlapping heaps, noise"
LATENT, HEAPS, ZIPF, SCATTER, NOISE = 64, 500, 0.7, 1.0, 0.4
_BLOCK = 20_000


def generated(rows: int, dimensions: int, *, seed: int = 1) -> Iterator[Floats]:
    """Yield blocks of unit vectors, `rows` in all; the same ones for the same arguments."""
    draw = np.random.default_rng(seed)
    deviation = (1 + np.arange(LATENT)) ** -0.5
    into = np.linalg.qr(draw.standard_normal((dimensions, LATENT)))[0].T.astype(np.float32)
    centres = draw.standard_normal((HEAPS, LATENT)) * deviation
    chance = 1 / np.arange(1, HEAPS + 1) ** ZIPF
    length = np.sqrt((1 + SCATTER**2) * (deviation**2).sum())
    for start in range(0, rows, _BLOCK):
        count = min(_BLOCK, rows - start)
        heap = draw.choice(HEAPS, count, p=chance / chance.sum())
        latent = centres[heap] + SCATTER * deviation * draw.standard_normal((count, LATENT))
        noise = draw.standard_normal((count, dimensions), dtype=np.float32)
        vectors = latent.astype(np.float32) @ into + np.float32(NOISE * length / np.sqrt(dimensions)) * noise
        yield vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def intrinsic_dimension(vectors: Floats, *, sample: int = 300, neighbours: int = 20, seed: int = 0) -> float:
    """Return how many dimensions the vectors fill around one of them: the median over a sample.

    Source: Levina, Bickel: *Maximum Likelihood Estimation of Intrinsic Dimension*, NIPS 2004.
    """
    chosen = np.random.default_rng(seed).choice(len(vectors), min(sample, len(vectors)), replace=False)
    near = np.sqrt(np.maximum(0.0, 2 - 2 * np.sort(vectors[chosen] @ vectors.T, axis=1)[:, ::-1]))
    near = near[:, 1 : neighbours + 1]
    near = near[near[:, 0] > 1e-3]
    return float(np.median(1 / np.mean(np.log(near[:, -1:] / near[:, :-1]), axis=1)))
