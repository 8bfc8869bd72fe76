"""Every failure that datasette-semantic reports on purpose.

    SemanticError                 400  base; its text is fit to show to a user as it stands
    ├── InputError                400  what was asked for makes no sense
    │   ├── NoSuchTable           404
    │   ├── NoSuchColumn          404
    │   ├── NoSuchRow             404
    │   ├── NotATable             400  a view, a virtual table, one of our own
    │   ├── BadOption             400  an unknown option, or a value it cannot take
    │   ├── BadFilter             400  a filter outside Datasette's grammar
    │   └── BadVector             400  wrong length, zero, NaN or infinite
    ├── NoSuchIndex               404  the table has not been embedded yet
    ├── IndexStateError           409  the index cannot do this in its state
    │   └── IndexChanged          409  another index answers in its place by now
    ├── ModelError                503  the embedding model failed or does not exist
    │   ├── NoSuchModel           404
    │   ├── ModelKeyMissing       503
    │   ├── ModelBusy             503  it may answer later; knows for how long it asked to wait
    │   ├── ModelRefused          503  key, permission or plan: no retry helps
    │   ├── ModelNotAllowed       403  a model that may not be called from SQL
    │   └── BadModelOutput        502  wrong number or length of vectors
    ├── ExtensionMissing          501  sqlite-vec cannot be loaded into this SQLite
    ├── ExtraMissing              501  an optional package is not installed; also an ImportError
    └── DatabaseProblem           500  locked, read-only, damaged, or no database at all

The message says what happened, with which value, and what to do next. The class knows its HTTP status, so that each
face translates with one `except`.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "BadFilter",
    "BadModelOutput",
    "BadOption",
    "BadVector",
    "DatabaseProblem",
    "ExtensionMissing",
    "ExtraMissing",
    "IndexChanged",
    "IndexStateError",
    "InputError",
    "ModelBusy",
    "ModelError",
    "ModelKeyMissing",
    "ModelNotAllowed",
    "ModelRefused",
    "NoSuchColumn",
    "NoSuchIndex",
    "NoSuchModel",
    "NoSuchRow",
    "NoSuchTable",
    "NotATable",
    "SemanticError",
]


class SemanticError(Exception):
    """Base of all our errors; `str(error)` is fit to show to a user."""

    status: ClassVar[int] = 400


class InputError(SemanticError):
    """What was asked for makes no sense."""


class NoSuchTable(InputError):
    """The database holds no table of that name."""

    status = 404


class NoSuchColumn(InputError):
    """The table holds no column of that name."""

    status = 404


class NoSuchRow(InputError):
    """The table holds no row with that primary key."""

    status = 404


class NotATable(InputError):
    """A view, a virtual table or one of our own tables was named where an ordinary table is needed."""


class BadOption(InputError):
    """An option is unknown or has a value it cannot take."""


class BadFilter(InputError):
    """A filter is outside Datasette's grammar, or its SQL does not run."""


class BadVector(InputError):
    """A vector has the wrong length, is zero, or holds NaN or infinity."""


class NoSuchIndex(SemanticError):
    """The table has not been embedded yet."""

    status = 404


class IndexStateError(SemanticError):
    """The index cannot do this in its present state."""

    status = 409


class IndexChanged(IndexStateError):
    """Another index answers for the table by now, or this one has other tables: read the catalog again."""


class ModelError(SemanticError):
    """The embedding model failed."""

    status = 503


class NoSuchModel(ModelError):
    """No installed llm plugin knows an embedding model of that name."""

    status = 404


class ModelKeyMissing(ModelError):
    """The model needs an API key and none was found."""


class ModelBusy(ModelError):
    """The model cannot answer now: too many requests, an outage, a time-out. Trying again later helps."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        """`retry_after`: the seconds that the server itself asked to wait, None where it did not say."""
        super().__init__(message)
        self.retry_after = retry_after


class ModelRefused(ModelError):
    """The service turns us away: key, permission, plan, unknown model. Trying again does not help."""


class ModelNotAllowed(ModelError):
    """A model that may reach the network was asked for from SQL without the site's leave."""

    status = 403


class BadModelOutput(ModelError):
    """The model returned the wrong number or length of vectors."""

    status = 502


class ExtensionMissing(SemanticError):
    """sqlite-vec cannot be loaded into this SQLite."""

    status = 501


class ExtraMissing(SemanticError, ImportError):
    """An optional package is not installed; the message names the extra that brings it."""

    status = 501


class DatabaseProblem(SemanticError):
    """The file is locked, read-only, damaged, or no database at all."""

    status = 500
