"""Sets of vectors and texts in folders of their own: made once, read by every peer.

base.npy      the vectors of the rows, unit length, shape (rows, dimensions)
queries.npy   vectors that are none of the rows'; the first WARMING of them to warm up with
truth.npy     for each query the places of its nearest rows, by comparing with all of them
texts.txt     a passage per row, a line each (sets of text only)
set.json      what it is
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .generated import RECIPE, Floats, generated, intrinsic_dimension
from .given import MEASURED, NEIGHBOURS, WARMING
from .passages import invented, passages, questions
from .windows import Windows

MODEL_DIMENSIONS = 256
WINDOWS = "overlapping windows of real text"
QUESTIONS = 440
"""Half of them for the words alone, half for words with meaning: of each 20 to warm up with, 200 to measure."""
_QUERIES = WARMING + MEASURED
_BLOCK = 20_000
_SAMPLE = 50_000


@dataclass(frozen=True, slots=True)
class VectorSet:
    """A set that lies in a folder."""

    folder: str
    rows: int
    dimensions: int
    kind: str
    """What the vectors are, in a few words."""
    intrinsic: float
    """Intrinsic dimension around a vector, of the first 50,000."""


def vector_set(place: Path, rows: int, dimensions: int, *, by_recipe: bool = False) -> VectorSet:
    """Return a set of vectors: of real texts where there are as many and the built-in model has these dimensions,
    unless they are wanted by the recipe."""
    real = real_texts(rows) if dimensions == MODEL_DIMENSIONS and not by_recipe else None
    if real is not None and real.kind == WINDOWS:
        return text_set(place, rows)
    folder = place / f"{'generated' if by_recipe else 'vectors'}-{dimensions}-{rows}"
    if (there := _there(folder)) is not None:
        return there
    if real is not None:
        kind, blocks = f"{real.kind}, the built-in model", embedded(real.texts)
        queries = np.concatenate(list(embedded(real.queries)))
    else:
        kind, blocks = RECIPE, generated(rows + _QUERIES, dimensions)
        queries = np.zeros((0, dimensions), dtype=np.float32)
    return _write(folder, rows, dimensions, kind, blocks, queries)


def text_set(place: Path, rows: int, *, windows: bool = False) -> VectorSet:
    """Return a set of texts with the vectors of the built-in model, and questions about them.

    `windows`: of one population whatever the number of rows, so that sets of several sizes can be compared.
    """
    real = real_texts(rows, windows=windows)
    folder = place / f"{'windows' if real is not None and real.kind == WINDOWS else 'texts'}-{rows}"
    if (there := _there(folder)) is not None:
        return there
    if real is None:
        print("the collections are not there: the texts are made up", file=sys.stderr)
        real = Texts("made-up words", invented(rows), list(invented(_QUERIES)))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "texts.txt").open("w", encoding="utf-8") as file:
        file.writelines(f"{text}\n" for text in real.texts)
    asked = questions(QUESTIONS) or real.queries[:QUESTIONS]
    (folder / "questions.json").write_text(json.dumps(asked), encoding="utf-8")
    queries = np.concatenate(list(embedded(real.queries)))
    return _write(folder, rows, MODEL_DIMENSIONS, real.kind, embedded(texts_of(folder)), queries)


def given_set(place: Path, rows: int, given: Path) -> VectorSet:
    """Return a set of vectors that were made before, by `embed.py`: the first `rows` of them."""
    base, told = np.load(given / "base.npy", mmap_mode="r"), json.loads((given / "told.json").read_text("utf-8"))
    folder = place / f"vectors-{base.shape[1]}-{rows}"
    if (there := _there(folder)) is not None and there.kind == told["kind"]:
        return there
    blocks = (base[start : start + _BLOCK] for start in range(0, min(rows, len(base)), _BLOCK))
    return _write(folder, rows, base.shape[1], told["kind"], blocks, np.load(given / "queries.npy"))


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts for rows, and others for queries."""

    kind: str
    texts: Iterable[str]
    queries: list[str]


def real_texts(rows: int, *, windows: bool = False) -> Texts | None:
    """Return passages that lie side by side where there are as many, else windows; None without collections."""
    listed = [] if windows else passages()
    if len(listed) >= rows + _QUERIES:
        return Texts("real passages", listed[:rows], listed[-_QUERIES:])
    real = Windows()
    return Texts(WINDOWS, real.rows(rows), real.queries(_QUERIES)) if real else None


def texts_of(folder: Path) -> Iterator[str]:
    with (folder / "texts.txt").open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            yield line.rstrip("\n")


def embedded(texts: Iterable[str]) -> Iterator[Floats]:
    """Yield blocks of unit vectors by the built-in model."""
    from datasette_semantic.embedding.weights import load

    model, waiting = load(), iter(texts)
    while block := list(islice(waiting, 1_024)):
        vectors = model.embed(block)
        yield vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def truth(base: Floats, queries: Floats) -> NDArray[np.int64]:
    """Return the places of the nearest rows of each query, shape (queries, NEIGHBOURS), by one pass over all rows."""
    best = np.full((len(queries), NEIGHBOURS), -np.inf, dtype=np.float32)
    places = np.zeros((len(queries), NEIGHBOURS), dtype=np.int64)
    for start in range(0, len(base), _BLOCK):
        block = base[start : start + _BLOCK]
        nearness = np.concatenate([best, queries @ block.T], axis=1)
        numbers = np.broadcast_to(np.arange(start, start + len(block)), (len(queries), len(block)))
        listed = np.concatenate([places, numbers], axis=1)
        keep = np.argpartition(-nearness, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
        best, places = np.take_along_axis(nearness, keep, axis=1), np.take_along_axis(listed, keep, axis=1)
    return places


def _there(folder: Path) -> VectorSet | None:
    file = folder / "set.json"
    return VectorSet(**json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None


def _write(folder: Path, rows: int, dimensions: int, kind: str, blocks: Iterable[Floats], queries: Floats) -> VectorSet:
    """Write vectors as they come; what is more than the rows becomes queries."""
    folder.mkdir(parents=True, exist_ok=True)
    base = np.lib.format.open_memmap(folder / "base.npy", mode="w+", dtype=np.float32, shape=(rows, dimensions))
    written, over = 0, [queries]
    for block in blocks:
        fits = block[: rows - written]
        base[written : written + len(fits)] = fits
        written += len(fits)
        over.append(block[len(fits) :])
    if written < rows:
        raise SystemExit(f"only {written:,} vectors for {rows:,} rows")
    base.flush()
    queries = np.concatenate(over).astype(np.float32)
    np.save(folder / "queries.npy", queries)
    np.save(folder / "truth.npy", truth(base, queries))
    intrinsic = intrinsic_dimension(base[:_SAMPLE])
    made = VectorSet(str(folder), rows, dimensions, kind, round(intrinsic, 1))
    (folder / "set.json").write_text(json.dumps(asdict(made)), encoding="utf-8")
    return made
