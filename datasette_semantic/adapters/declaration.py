"""What a program says of an index in its code, and the index of a table that is held to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from ..api import SemanticIndex
from ..errors import BadOption
from ..records import ChunkSpec, OnMismatch

__all__ = ["Declaration"]


@dataclass(frozen=True, slots=True)
class Declaration:
    """How the rows of a table become text and vectors. The names mean what they mean in `SemanticIndex.create`."""

    columns: Sequence[str] = ()
    model: str | None = None
    """None for the model the index has, else llm's default, else the built-in one."""
    template: str | None = None
    where: str | None = None
    chunks: ChunkSpec | None = None
    tokenize: str = "auto"
    partition_by: str | None = None
    """None for what the index has, "" for none."""
    recall: float | None = None
    column_weights: Mapping[str, float] | None = None
    task: str | None = None
    dimensions: int | None = None
    query_prefix: str | None = None
    document_prefix: str | None = None
    on_mismatch: OnMismatch = "error"
    """What becomes of an index in the file that was made otherwise. Vectors are derived data, so "rebuild" loses
    nothing but the time, or the money, of embedding the table again."""

    def __post_init__(self) -> None:
        if isinstance(self.columns, str):
            raise BadOption(f"columns is a list of names, not the text {self.columns!r}")
        if not self.columns and self.template is None:
            raise BadOption("declare the columns to embed, or a template")
        if self.on_mismatch not in get_args(OnMismatch):
            raise BadOption(f"unknown on_mismatch {self.on_mismatch!r}; there are: {', '.join(get_args(OnMismatch))}")

    @property
    def asked(self) -> dict[str, Any]:
        """How the model is asked, as far as that is declared and not left to its profile."""
        given = {
            "task": self.task,
            "dimensions": self.dimensions,
            "query_prefix": self.query_prefix,
            "document_prefix": self.document_prefix,
        }
        return {name: value for name, value in given.items() if value is not None}

    def enforce(self, connection: Any, table: str) -> SemanticIndex:
        """Return the index of a table, made if it is not there; the table may be empty.

        Raises IndexStateError where it was made otherwise and `on_mismatch` is "error", and what
        `SemanticIndex.create` raises.
        """
        return SemanticIndex.create(
            connection,
            table,
            tuple(self.columns),
            model=self.model,
            template=self.template,
            where=self.where,
            chunks=self.chunks,
            tokenize=self.tokenize,
            partition_by=self.partition_by,
            recall=self.recall,
            column_weights=self.column_weights,
            **self.asked,
            on_mismatch=self.on_mismatch,
            allow_empty=True,
        )
