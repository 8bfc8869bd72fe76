"""The rows that at least one list found, with what the lists say of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from datasette_semantic.records import RowKey

__all__ = ["Candidate", "Candidates", "Column"]

Column = NDArray[Any]
"""Shape (candidates,)."""


class Candidate(NamedTuple):
    """A row that at least one list found."""

    row_id: int
    key: RowKey
    bm25: float | None
    """High is good, above 0; None where the keyword list does not hold the row."""
    cosine: float | None
    """-1 to 1; also known for rows that only the keyword list found. None where the row has no vector."""
    keyword_rank: int | None
    """From 1; None where the list does not hold the row."""
    semantic_rank: int | None
    exact: bool = False
    """What was typed is the whole value of one of the row's columns."""
    sole: bool = False
    """No other row of the table holds one of the query's words."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The rows that at least one list found, by columns: a search joins thousands of rows, of which it shows ten."""

    row_ids: Column
    keys: Mapping[int, RowKey]
    """By row_id; of more rows than these, perhaps."""
    bm25: Column
    """NaN where `Candidate` has None."""
    cosine: Column
    keyword_rank: Column
    """0 where `Candidate` has None."""
    semantic_rank: Column
    exact: Column
    sole: Column

    @classmethod
    def of(cls, rows: Iterable[Candidate]) -> Candidates:
        listed = list(rows)
        columns = list(zip(*listed, strict=True)) or [()] * len(Candidate._fields)
        row_ids, keys, bm25, cosine, keyword_rank, semantic_rank, exact, sole = columns
        return cls(
            np.array(row_ids, dtype=np.int64),
            dict(zip(row_ids, keys, strict=True)),
            np.array(bm25, dtype=np.float64),
            np.array(cosine, dtype=np.float64),
            np.array([rank or 0 for rank in keyword_rank], dtype=np.int64),
            np.array([rank or 0 for rank in semantic_rank], dtype=np.int64),
            np.array(exact, dtype=np.bool_),
            np.array(sole, dtype=np.bool_),
        )

    def __len__(self) -> int:
        return len(self.row_ids)

    def __getitem__(self, place: int) -> Candidate:
        bm25, cosine = float(self.bm25[place]), float(self.cosine[place])
        row_id = int(self.row_ids[place])
        return Candidate(
            row_id,
            self.keys[row_id],
            None if np.isnan(bm25) else bm25,
            None if np.isnan(cosine) else cosine,
            int(self.keyword_rank[place]) or None,
            int(self.semantic_rank[place]) or None,
            bool(self.exact[place]),
            bool(self.sole[place]),
        )

    def only(self, kept: NDArray[np.bool_]) -> Candidates:
        """Return those where `kept` is true, in the same order."""
        if kept.all():
            return self
        return Candidates(
            self.row_ids[kept],
            self.keys,
            self.bm25[kept],
            self.cosine[kept],
            self.keyword_rank[kept],
            self.semantic_rank[kept],
            self.exact[kept],
            self.sole[kept],
        )
