"""Giving vectors away: to an `.npy` file with the rows that they belong to beside it, or to Parquet.

    vectors.npy         float32, shape (chunks, dimensions), unit vectors
    vectors.ids.csv     a line per vector in the same order: the key columns, then ordinal, start and end of the chunk
    vectors.parquet     the same columns and `vector`, a list of fixed size

`start` and `end` count characters in the row's text. `embed --from vectors.npy` takes an index of whole rows back.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadOption, ExtraMissing, IndexStateError
from ..laws.key_text import key_text
from ..laws.quoting import quote
from ..laws.vectors import FloatMatrix
from ..records import IndexRecord, RowKey, Source
from ..store import chunks as chunk_store
from ..store import vector_index
from ..store.chunks import StoredChunk
from ..store.connection import Connection, snapshot

__all__ = ["export"]

_BATCH = 2_000


def export(connection: Connection, source: Source, index: IndexRecord, path: Path) -> int:
    """Write every vector of an index to `path`, in the order of its rows; return how many there are.

    Memory stays flat, and the file is one view of the index, whoever writes meanwhile. A file of that name is replaced
    once the new one is complete. Raises BadOption for another ending than `.npy` and `.parquet`, ExtraMissing without
    pyarrow, IndexStateError where the index is out of step with its table.
    """
    writers: dict[str, Callable[..., None]] = {".npy": _write_npy, ".parquet": _write_parquet}
    if path.suffix not in writers:
        raise BadOption(f"vectors are exported to files that end in .npy or .parquet, not to {str(path)!r}")
    if not path.absolute().parent.is_dir():
        raise BadOption(f"there is no folder {str(path.absolute().parent)!r}")
    with snapshot(connection):
        _rows, count = chunk_store.count(connection, index)
        writers[path.suffix](path, connection, source, index, count)
    return count


@dataclass(frozen=True, slots=True)
class _Batch:
    chunks: list[StoredChunk]
    keys: list[RowKey]
    """The row key of each chunk."""
    vectors: FloatMatrix
    """Shape (chunks, dimensions)."""


def _batches(connection: Connection, source: Source, index: IndexRecord) -> Iterator[_Batch]:
    for listed in chunk_store.all_chunks(connection, index, size=_BATCH):
        ids = [chunk.id for chunk in listed]
        keys = chunk_store.keys_of(connection, source, index, sorted({chunk.row_id for chunk in listed}))
        found = vector_index.vectors(connection, index, ids)
        if len(found) < len(ids) or any(chunk.row_id not in keys for chunk in listed):
            raise IndexStateError(f"the index of {source.table!r} is out of step with its rows: run embed, then export")
        vectors = vector_index.stack(found, ids, dimensions=index.dimensions)
        yield _Batch(listed, [keys[chunk.row_id] for chunk in listed], vectors)


def _headings(source: Source, *own: str) -> list[str]:
    """Return the key columns and our own, which give way where a key column is called alike."""
    taken = {column.lower() for column in source.key_columns}
    return [*source.key_columns, *(f"chunk_{name}" if name in taken else name for name in own)]


@contextmanager
def _replacing(*paths: Path) -> Iterator[list[Path]]:
    """Yield names to write to; the files take their places once all are complete."""
    parts = [path.with_name(path.name + ".part") for path in paths]
    try:
        yield parts
        for part, path in zip(parts, paths, strict=True):
            part.replace(path)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


# --- npy -------------------------------------------------------------------------------------------------------------


def _write_npy(path: Path, connection: Connection, source: Source, index: IndexRecord, count: int) -> None:
    with _replacing(path, path.with_suffix(".ids.csv")) as (matrix_path, ids_path), ExitStack() as stack:
        matrix = stack.enter_context(matrix_path.open("wb"))
        ids = csv.writer(stack.enter_context(ids_path.open("w", encoding="utf-8", newline="")), lineterminator="\n")
        head = {"descr": "<f4", "fortran_order": False, "shape": (count, index.dimensions)}
        np.lib.format.write_array_header_1_0(matrix, head)
        ids.writerow(_headings(source, "ordinal", "start", "end"))
        for batch in _batches(connection, source, index):
            matrix.write(batch.vectors.tobytes())
            for key, chunk in zip(batch.keys, batch.chunks, strict=True):
                ids.writerow((*(key_text((value,)) for value in key), chunk.ordinal, chunk.start, chunk.end))


# --- Parquet ---------------------------------------------------------------------------------------------------------


def _write_parquet(path: Path, connection: Connection, source: Source, index: IndexRecord, count: int) -> None:
    pa, parquet = _pyarrow()
    kinds = [_kind(connection, source, column) for column in source.key_columns]
    types = [
        {"integer": pa.int64(), "real": pa.float64(), "blob": pa.binary()}.get(kind, pa.string()) for kind in kinds
    ]
    names = _headings(source, "ordinal", "start", "end", "vector")
    vector_type = pa.list_(pa.float32(), index.dimensions)
    schema = pa.schema(
        list(zip(names, [*types, pa.int32(), pa.int64(), pa.int64(), vector_type], strict=True)),
        metadata={"model": index.model, "table": index.table, "text": ", ".join(index.text.columns)},
    )
    with _replacing(path) as (part,), parquet.ParquetWriter(part, schema) as writer:
        for batch in _batches(connection, source, index):
            keys = [_column(kind, [key[n] for key in batch.keys]) for n, kind in enumerate(kinds)]
            own = [[getattr(chunk, name) for chunk in batch.chunks] for name in ("ordinal", "start", "end")]
            arrays = [pa.array(values, kind) for values, kind in zip((*keys, *own), schema.types[:-1], strict=True)]
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(batch.vectors.reshape(-1)), type=vector_type)
            writer.write_batch(pa.record_batch([*arrays, vectors], schema=schema))


def _pyarrow() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise ExtraMissing(
            "writing Parquet needs pyarrow: pip install 'datasette-semantic[parquet]', or export to .npy",
            name=error.name,
        ) from error


def _kind(connection: Connection, source: Source, column: str) -> str:
    """Return the type that all values of a key column have, as SQLite calls it; `text` where they differ."""
    rows = connection.execute(f"select distinct typeof({quote(column)}) from {quote(source.table)}").fetchall()
    kinds = {row[0] for row in rows} - {"null"}
    return kinds.pop() if len(kinds) == 1 else "text"


def _column(kind: str, values: Sequence[Any]) -> Sequence[Any]:
    return [key_text((value,)) for value in values] if kind == "text" else values
