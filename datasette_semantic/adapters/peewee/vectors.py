"""`VectorField`, a column of vectors, and `VectorModel`, a vec0 table of them.

class Clip(VectorModel):
    embedding = VectorField(3)

    class Meta:
        database = db

for clip in Clip.nearest(Clip.embedding, [0.1, 0.2, 0.3], k=10):
    print(clip.id, clip.distance)
"""

from __future__ import annotations

from typing import Any

from peewee import SQL, AutoField, EnclosedNodeList, Expression, Field
from playhouse.sqlite_ext import VirtualModel, VirtualTableSchemaManager

from ...errors import BadOption
from ...laws.vectors import FloatVector
from ..packing import check_dimensions, pack, unpack

__all__ = ["VectorField", "VectorModel"]

_KINDS = {"TEXT": "text", "VARCHAR": "text", "CHAR": "text", "FLOAT": "float", "DOUBLE": "float", "REAL": "float"}
"""Peewee's types in vec0's words; all others are integers."""


class VectorField(Field):
    """A vector of `dimensions` float32 numbers: a list, a numpy array or a BLOB in, a numpy array out.

    In an ordinary model a BLOB; in a VectorModel a vector column of vec0. Raises BadVector for a wrong length, NaN,
    infinity, what is not numbers, and for None unless `null=True`.
    """

    field_type = "BLOB"

    def __init__(self, dimensions: int, **options: Any) -> None:
        self.dimensions = check_dimensions(dimensions)
        super().__init__(**options)

    def db_value(self, value: Any) -> bytes | None:
        return pack(value, dimensions=self.dimensions, optional=self.null)

    def python_value(self, value: Any) -> FloatVector | None:
        return unpack(value, dimensions=self.dimensions)


class _Vec0SchemaManager(VirtualTableSchemaManager):
    """vec0 wants the types that Peewee leaves out of virtual tables."""

    def _create_virtual_table(self, safe: bool = True, **options: Any) -> Any:
        meta = self.model._meta
        context = self._create_context()
        context.literal("CREATE VIRTUAL TABLE IF NOT EXISTS " if safe else "CREATE VIRTUAL TABLE ")
        arguments = [_definition(field) for field in meta.sorted_fields]
        arguments += [SQL(each) for each in meta.arguments or ()]
        return context.sql(self.model).literal(" USING vec0 ").sql(EnclosedNodeList(arguments))


class VectorModel(VirtualModel):
    """A vec0 table. `Meta.arguments` are added to its definition: `arguments = ["chunk_size=256"]`."""

    id = AutoField()

    class Meta:
        extension_module = "vec0"
        primary_key = None
        schema_manager_class = _Vec0SchemaManager

    @classmethod
    def nearest(cls, field: VectorField, vector: Any, *, k: int = 10) -> Any:
        """Return a query for the `k` rows whose `field` is nearest to `vector`, nearest first, each with `distance`.

        Raises BadVector, and BadOption where the field is no VectorField.
        """
        if not isinstance(field, VectorField):
            raise BadOption(f"{field!r} is not a VectorField")
        distance = SQL("distance")
        return (
            cls.select(cls, distance)
            .where(Expression(field, "MATCH", pack(vector, dimensions=field.dimensions)), SQL("k = ?", [k]))
            .order_by(distance)
        )


def _definition(field: Field) -> SQL:
    """One column in vec0's own words: plain names, and neither NOT NULL nor constraints."""
    name = field.column_name
    if not name.isidentifier():
        raise BadOption(f"vec0 takes plain names for its columns, not {name!r}")
    if isinstance(field, VectorField):
        return SQL(f"{name} float[{field.dimensions}]")
    kind = _KINDS.get(field.field_type, "integer")
    return SQL(f"{name} {kind} primary key" if field.primary_key else f"{name} {kind}")
