"""Vectors in an `.npy` file, and beside it, in `NAME.ids.csv` or `NAME.ids.json`, the rows that they belong to.

    vectors.npy         shape (vectors, dimensions), of any type of float
    vectors.ids.csv     a line per vector, in the same order, under a heading that names the table's key columns
    vectors.ids.json    or an array with a key per vector: `[1, 2, 3]`, `[[2024, "a"], [2024, "b"]]`

Without ids the vectors are those of the table's rows in the order of their keys, as many as there are rows.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np

from ..errors import BadOption, BadVector, InputError
from ..laws.key_text import key_text
from ..laws.vectors import FloatVector
from ..records import RowKey
from ..store.places import Places

__all__ = ["MatrixFile", "ids_beside"]


class MatrixFile:
    """The vectors of an `.npy` file by row key: read one by one, so that memory stays flat."""

    model: str | None = None

    def __init__(self, path: Path, *, key_columns: Sequence[str], keys_in_order: Iterable[RowKey]) -> None:
        """Read the head of the file and its ids; `keys_in_order` are taken for ids where none stand beside it.

        Raises BadOption for a file that is not there or not of this kind, InputError for ids that do not fit.
        """
        self.said = str(path)
        self.name = repr(self.said)
        self.size, self.width, self._type, self._start = _head(path)
        beside = ids_beside(path)
        digest = blake2b(digest_size=16)
        ids = _digested(map(key_text, keys_in_order), digest) if beside is None else _ids(beside, key_columns)
        try:
            self._places = Places(ids)
        except ValueError as error:
            raise InputError(
                f"{str(beside or path)!r} holds more than one vector for the row {str(error)!r}; only vectors of whole "
                "rows can be taken over, one for each"
            ) from error
        if self._places.count != self.size:
            what = f"the table has {self._places.count:,} rows" if beside is None else f"{str(beside)!r} has "
            what = what if beside is None else f"{what}{self._places.count:,} ids"
            cure = f"; name the row of each in {str(_ids_csv(path))!r}" if beside is None else ""
            raise InputError(f"{str(path)!r} holds {self.size:,} vectors, but {what}{cure}")
        self.keys_digest: str | None = digest.hexdigest() if beside is None else None
        self._file = path.open("rb")

    def vectors(self, keys: Sequence[RowKey]) -> dict[RowKey, FloatVector]:
        """Return row key to vector, for the rows that have one."""
        by_text = {key_text(key): key for key in keys}
        found = self._places.find(list(by_text))
        return {by_text[id_]: self._read(place) for id_, place in sorted(found.items(), key=lambda item: item[1])}

    def example(self) -> str:
        """Return one of the ids."""
        return self._places.first() or ""

    def close(self) -> None:
        self._places.close()
        self._file.close()

    def _read(self, place: int) -> FloatVector:
        length = self.width * self._type.itemsize
        self._file.seek(self._start + place * length)
        return np.frombuffer(self._file.read(length), dtype=self._type).astype("<f4")


def _digested(ids: Iterable[str], digest: blake2b) -> Iterator[str]:
    """Yield the ids, and let `digest` have them."""
    for id_ in ids:
        digest.update(id_.encode("utf-8", "surrogatepass") + b"\0")
        yield id_


def ids_beside(path: Path) -> Path | None:
    """Return the file with the ids of an `.npy` file, None where there is none."""
    return next((file for file in (_ids_csv(path), path.with_suffix(".ids.json")) if file.exists()), None)


def _ids_csv(path: Path) -> Path:
    return path.with_suffix(".ids.csv")


def _head(path: Path) -> tuple[int, int, np.dtype[np.floating], int]:
    """Return the number of vectors, their dimensions and type, and where they begin."""
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, by_columns, kind = read(file)
            start = file.tell()
    except FileNotFoundError as error:
        raise BadOption(f"there is no file {str(path)!r}; check its name") from error
    except (OSError, ValueError) as error:
        raise BadOption(f"{str(path)!r} is not an .npy file: {error}") from error
    if len(shape) != 2 or not shape[1] or by_columns or kind.kind != "f":
        order = ", in Fortran's order" if by_columns else ""
        raise BadVector(
            f"{str(path)!r} holds an array of {kind} of the shape {shape}{order}; vectors are floats of the shape "
            "(vectors, dimensions), row after row"
        )
    if path.stat().st_size < start + shape[0] * shape[1] * kind.itemsize:
        raise BadOption(f"{str(path)!r} ends before the last of its {shape[0]:,} vectors")
    return int(shape[0]), int(shape[1]), kind, start


def _ids(file: Path, key_columns: Sequence[str]) -> Iterator[str]:
    return _json_ids(file, key_columns) if file.suffix == ".json" else _csv_ids(file, key_columns)


def _csv_ids(file: Path, key_columns: Sequence[str]) -> Iterator[str]:
    with file.open(encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines)
        missing = [column for column in key_columns if column not in (reader.fieldnames or ())]
        if missing:
            raise InputError(f"the first line of {str(file)!r} must name the key columns: {', '.join(key_columns)}")
        for line in reader:
            yield key_text(tuple(line[column] for column in key_columns))


def _json_ids(file: Path, key_columns: Sequence[str]) -> Iterator[str]:
    try:
        listed = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{str(file)!r} is not JSON: {error}") from error
    if not isinstance(listed, list):
        raise InputError(f"{str(file)!r} is not an array with a key per vector")
    for place, key in enumerate(listed):
        values = tuple(key) if isinstance(key, list) else (key,)
        if len(values) != len(key_columns):
            raise InputError(
                f"key {place + 1} in {str(file)!r} has {len(values)} values, "
                f"but the table's key is {', '.join(key_columns)}"
            )
        yield key_text(values)
