"""Vectors of real passages by any model that llm knows, for `vectors.py --given`.

    python benchmarks/embed.py sentence-transformers/all-MiniLM-L6-v2 minilm --rows 50000
    python benchmarks/vectors.py --given minilm --rows 50000

The model may need an environment that has nothing else of the benchmarks but llm and numpy. Killed, it goes on where it
was; `vectors.py` may be given any number of rows up to those that are there. One core takes all-MiniLM-L6-v2 about half
an hour for 50,000 passages.
"""

from __future__ import annotations

import argparse
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from speed.given import MEASURED, WARMING
from speed.passages import passages

_STEP = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=50_000)
    options = parser.parse_args()
    embed(options.model, options.folder, options.rows)


def embed(model: str, folder: Path, rows: int) -> None:
    """Write base.npy, queries.npy and told.json; parts of base.npy lie in the folder until all are there."""
    texts = passages()
    held_out = texts[-(WARMING + MEASURED) :]
    if rows + len(held_out) > len(texts):
        raise SystemExit(f"there are {len(texts):,} passages, of which {len(held_out)} are for queries")
    folder.mkdir(parents=True, exist_ok=True)
    _once(folder / "queries.npy", model, held_out)
    parts = [folder / f"part-{start}.npy" for start in range(0, rows, _STEP)]
    for number, part in enumerate(parts):
        _once(part, model, texts[number * _STEP : min(rows, (number + 1) * _STEP)])
    np.save(folder / "base.npy", np.concatenate([np.load(part) for part in parts]))
    (folder / "told.json").write_text(json.dumps({"kind": f"real passages, {model.rpartition('/')[2]}"}))
    for part in parts:
        part.unlink()


def _once(file: Path, model: str, texts: list[str]) -> None:
    """Write the unit vectors of texts to a file, unless it is there."""
    if file.exists():
        return
    vectors = np.array(list(_loaded(model).embed_multi(texts)), dtype=np.float32)
    written = file.with_suffix(".written")
    with written.open("wb") as out:
        np.save(out, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    written.rename(file)


@cache
def _loaded(model: str) -> Any:
    import llm

    return llm.get_embedding_model(model)


if __name__ == "__main__":
    main()
