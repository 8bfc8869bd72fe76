"""`Vector(n)`, a column of vectors, and `create virtual table ... using vec0` as the DDL of ordinary `Table` objects.

class Clip(Base):
    __tablename__ = "clips"
    __table_args__ = {"sqlite_using": "vec0"}
    id: Mapped[int] = mapped_column(primary_key=True)
    embedding: Mapped[Any] = mapped_column(Vector(3))
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sqlalchemy import Column, LargeBinary, Table
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateTable
from sqlalchemy.types import TypeDecorator

from ...errors import BadOption
from ...laws.vectors import FloatVector
from ..packing import check_dimensions, pack, unpack

__all__ = ["Vector", "is_virtual"]

_USING = "using"
Table.argument_for("sqlite", _USING, None)


class Vector(TypeDecorator[FloatVector]):
    """A vector of `dimensions` float32 numbers: a list, a numpy array or a BLOB in, a numpy array out.

    In an ordinary table a BLOB; in a table with `sqlite_using="vec0"` a vector column of vec0. Raises BadVector for a
    wrong length, NaN, infinity, what is not numbers, and for None unless `optional`: on an engine of ours as it is,
    on another within SQLAlchemy's StatementError.
    """

    impl = LargeBinary
    cache_ok = True
    hashable = False
    """Rows are told apart by their identity, not by an array's hash, which it has not."""

    def __init__(self, dimensions: int, *, optional: bool = False) -> None:
        super().__init__()
        self.dimensions = check_dimensions(dimensions)
        self.optional = optional

    def process_bind_param(self, value: Any, dialect: Any) -> bytes | None:
        return pack(value, dimensions=self.dimensions, optional=self.optional)

    def process_result_value(self, value: Any, dialect: Any) -> FloatVector | None:
        return unpack(value, dimensions=self.dimensions)

    def compare_values(self, x: Any, y: Any) -> bool:
        """Return whether a vector was not changed; `==` on arrays gives an array."""
        return bool(np.array_equal(x, y))

    def __repr__(self) -> str:
        return f"Vector({self.dimensions})"


def is_virtual(table: Any) -> bool:
    """True where a Table is declared with `sqlite_using`."""
    return bool(table.dialect_options["sqlite"][_USING])


@compiles(CreateTable, "sqlite")
def _create_table(element: CreateTable, compiler: Any, **options: Any) -> Any:
    table = element.element
    if not isinstance(table, Table) or not is_virtual(table):
        return compiler.visit_create_table(element, **options)
    preparer = compiler.preparer
    columns = ", ".join(_column(column, compiler) for column in table.columns)
    exists = "IF NOT EXISTS " if element.if_not_exists else ""
    module = table.dialect_options["sqlite"][_USING]
    return f"\nCREATE VIRTUAL TABLE {exists}{preparer.format_table(table)} USING {module}({columns})\n\n"


def _column(column: Column[Any], compiler: Any) -> str:
    """One column in vec0's own words: it knows neither NOT NULL nor constraints."""
    name = column.name
    if not name.isidentifier():
        raise BadOption(f"vec0 takes plain names for its columns, not {name!r}")
    if isinstance(column.type, Vector):
        return f"{name} float[{column.type.dimensions}]"
    kind = compiler.dialect.type_compiler_instance.process(column.type, type_expression=column)
    kind = {"VARCHAR": "TEXT"}.get(kind.partition("(")[0], kind)
    return f"{name} {kind} primary key" if column.primary_key else f"{name} {kind}"
