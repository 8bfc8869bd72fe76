"""Compact codes in vec0 tables, beside float32: time, disk, and what of the ten nearest is among the first by code.

int8    a byte per dimension, scaled so that the largest value fits
bit     a bit per dimension of vectors that were centred and turned at random, so that every bit says as much
pca     float32 of the directions in which the vectors differ most
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .given import WARMING
from .peers.files import with_vec
from .sets import VectorSet
from .timing import Timed, recall, timed

_ASKED = 200
_DEPTHS = (10, 40, 100, 1000)
_CHUNK = 128
_BLOCK = 10_000
_RECALL = 0.95


Encode = Callable[[Any], Any]
"""From vectors, shape (n, dimensions), to codes, a line each."""


@dataclass(frozen=True, slots=True)
class Code:
    name: str
    declared: str
    """The type of vec0's column."""
    wrapped: str
    """How a BLOB is passed."""
    encode: Encode


def codes(vectors: VectorSet, place: Path, *, seconds: float) -> list[dict[str, Any]]:
    """Return a record for each code: fetched are the first 10, 40, 100 or 1,000, the least with 0.95 of the ten."""
    folder = Path(vectors.folder)
    base, truth = np.load(folder / "base.npy", mmap_mode="r"), np.load(folder / "truth.npy")[WARMING:][:_ASKED]
    queries = np.load(folder / "queries.npy")[WARMING:][:_ASKED]
    found = []
    for code in _codes(base):
        file = place / "codes.db"
        _fill(file, base, code)
        for depth in _DEPTHS:
            answers = _asked(file, code, queries, depth, seconds)
            share = recall(answers.answers, truth)
            if share >= _RECALL:
                break
        disk = round(file.stat().st_size / 1e6, 1)
        file.unlink()
        found.append(
            {"code": code.name, "depth": depth, "recall": round(share, 4), "median": answers.median, "disk": disk}
        )
        print(found[-1], flush=True)
    return found


def _codes(base: Any) -> list[Code]:
    dimensions = base.shape[1]
    sample = np.array(base[:: max(1, len(base) // 20_000)])
    mean = sample.mean(axis=0)
    scale = 127 / np.quantile(np.abs(sample), 0.9999)
    turned = np.linalg.qr(np.random.default_rng(0).standard_normal((dimensions, dimensions)))[0].astype(np.float32)
    directions = np.linalg.eigh(np.cov(sample.T))[1][:, ::-1].astype(np.float32)

    def int8(vectors: Any) -> Any:
        return np.clip(np.round(vectors * scale), -127, 127).astype(np.int8)

    def bit(vectors: Any) -> Any:
        return np.packbits((vectors - mean) @ turned > 0, axis=1, bitorder="little")

    def pca(size: int) -> Code:
        def encode(vectors: Any) -> Any:
            return np.ascontiguousarray(((vectors - mean) @ directions[:, :size]).astype(np.float32))

        return Code(f"pca {size}", f"float[{size}]", "?", encode)

    return [
        Code("float32", f"float[{dimensions}]", "?", np.ascontiguousarray),
        Code("int8", f"int8[{dimensions}]", "vec_int8(?)", int8),
        Code("bit", f"bit[{dimensions}]", "vec_bit(?)", bit),
        pca(dimensions // 2),
        pca(dimensions // 4),
    ]


def _fill(file: Path, base: Any, code: Code) -> None:
    file.unlink(missing_ok=True)
    connection = with_vec(file)
    connection.execute(
        f"create virtual table codes using vec0(id integer primary key, code {code.declared}, chunk_size={_CHUNK})"
    )
    with connection:
        for start in range(0, len(base), _BLOCK):
            block = code.encode(np.array(base[start : start + _BLOCK]))
            connection.executemany(
                f"insert into codes (id, code) values (?, {code.wrapped})",
                ((start + n, line.tobytes()) for n, line in enumerate(block)),
            )
    connection.close()


def _asked(file: Path, code: Code, queries: Any, depth: int, seconds: float) -> Timed:
    connection = with_vec(file)
    connection.execute(f"pragma mmap_size = {2**31 - 2**16}").fetchone()
    sql = f"select id from codes where code match {code.wrapped} and k = {depth}"

    def ask(query: bytes) -> list[int]:
        return [row[0] for row in connection.execute(sql, (query,)).fetchall()]

    listed = [line.tobytes() for line in code.encode(queries)]
    timed(ask, listed[:5], seconds=seconds / 4)
    found = timed(ask, listed, seconds=seconds)
    connection.close()
    return found
