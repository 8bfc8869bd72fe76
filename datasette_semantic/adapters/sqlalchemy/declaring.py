"""The index that a mapped class declares: made with its tables, brought up to date, looked at, dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, event, inspect
from sqlalchemy.orm import Session, scoped_session

from ...api import SemanticIndex
from ...errors import BadOption
from ...records import ChunkSpec, IndexStatus, OnMismatch, Progress, UpdateReport
from ..declaration import Declaration
from .engines import run_on

__all__ = ["Bind", "check", "declaration_of", "drop", "searchable", "status", "update"]

Bind = Engine | Connection | Session | scoped_session[Any]
"""Where the table lives. Of an AsyncSession or AsyncConnection: `await session.run_sync(update, Note)`."""

_Model = TypeVar("_Model", bound=type[Any])
_T = TypeVar("_T")

_ATTRIBUTE = "__semantic__"


def searchable(
    *columns: Any,
    model: str | None = None,
    template: str | None = None,
    where: str | None = None,
    chunks: ChunkSpec | None = None,
    tokenize: str = "auto",
    partition_by: str | None = None,
    recall: float | None = None,
    column_weights: Mapping[str, float] | None = None,
    task: str | None = None,
    dimensions: int | None = None,
    query_prefix: str | None = None,
    document_prefix: str | None = None,
    on_mismatch: OnMismatch = "error",
) -> Callable[[_Model], _Model]:
    """Declare, above a mapped class, that its table has an index over these columns, made as the options say: they
    mean what they mean in `SemanticIndex.create`.

    `metadata.create_all()` then makes the index where it is not there, and holds one that is there to the
    declaration: `on_mismatch` says whether an index made otherwise is rebuilt, refused with IndexStateError, or kept.
    `drop_all()` drops it. Triggers queue each row that is flushed, by whatever program; `update()` embeds the queue.
    """
    names = tuple(str(getattr(column, "name", column)) for column in columns)
    declaration = Declaration(
        columns=names,
        model=model,
        template=template,
        where=where,
        chunks=chunks,
        tokenize=tokenize,
        partition_by=partition_by,
        recall=recall,
        column_weights=column_weights,
        task=task,
        dimensions=dimensions,
        query_prefix=query_prefix,
        document_prefix=document_prefix,
        on_mismatch=on_mismatch,
    )

    def declare(cls: _Model) -> _Model:
        setattr(cls, _ATTRIBUTE, declaration)
        table = inspect(cls).local_table
        # The metadata's event comes with every create_all(); the table's only when the table itself is made.
        event.listen(table.metadata, "after_create", _after_create(cls, table))
        event.listen(table, "before_drop", _before_drop)
        return cls

    return declare


def declaration_of(cls: type[Any]) -> Declaration | None:
    """Return what `searchable` declared of a class."""
    found: Declaration | None = getattr(cls, _ATTRIBUTE, None)
    return found


def update(bind: Bind, model: type[Any], *, progress: Callable[[Progress], None] | None = None) -> UpdateReport:
    """Embed the rows that are new or changed since, and drop what is gone; the index is made if it is not there.

    A session is flushed first; within its open transaction the vectors are written with it, so commit before, or pass
    the engine, where other programs should be able to write meanwhile.
    Raises ModelError, IndexStateError, DatabaseProblem.
    """
    return _on_index(bind, model, lambda index: index.update(progress=progress))


def status(bind: Bind, model: type[Any]) -> IndexStatus:
    """Return what `sqlite-utils embeddings` lists: state, rows, chunks, pending, failed. Raises NoSuchIndex."""
    table = inspect(model).local_table.name
    return _on_raw(bind, model, lambda raw: SemanticIndex(raw, table).status())


def drop(bind: Bind, model: type[Any]) -> None:
    """Remove the index; the table and the file's schema are then as they were before. Raises NoSuchIndex."""
    table = inspect(model).local_table.name
    _on_raw(bind, model, lambda raw: SemanticIndex(raw, table).drop())


def check(bind: Bind, model: type[Any]) -> SemanticIndex:
    """Return the index, made or rebuilt where the declaration asks for it. Raises IndexStateError, NoSuchIndex."""
    return _on_index(bind, model, lambda index: index)


def _on_index(bind: Bind, model: type[Any], work: Callable[[SemanticIndex], _T]) -> _T:
    declared = declaration_of(model)
    table = inspect(model).local_table.name

    def on(raw: Any) -> _T:
        return work(declared.enforce(raw, table) if declared else SemanticIndex(raw, table))

    return _on_raw(bind, model, on)


def _on_raw(bind: Bind, model: type[Any], work: Callable[[Any], _T]) -> _T:
    with _connected(bind, model) as connection:
        return run_on(connection.connection.dbapi_connection, work)


@contextmanager
def _connected(bind: Bind, model: type[Any]) -> Iterator[Connection]:
    if isinstance(bind, Engine):
        with bind.connect() as connection:
            yield connection
    elif isinstance(bind, Connection):
        yield bind
    elif isinstance(bind, Session | scoped_session):
        bind.flush()
        yield bind.connection(bind_arguments={"mapper": inspect(model)})
    else:
        raise BadOption(
            f"an Engine, Connection or Session is needed, not {type(bind).__name__}; "
            "of an async one: await session.run_sync(update, Model)"
        )


def _after_create(cls: type[Any], table: Any) -> Callable[..., None]:
    def listener(_target: Any, connection: Connection, *, tables: Sequence[Any] | None = None, **_: Any) -> None:
        if connection.dialect.name == "sqlite" and inspect(connection).has_table(table.name):
            check(connection, cls)

    return listener


def _before_drop(table: Any, connection: Connection, **_: Any) -> None:
    def work(raw: Any) -> None:
        from ...store import catalog

        if catalog.find_or_none(raw, table.name) is not None:
            SemanticIndex(raw, table.name).drop()

    if connection.dialect.name == "sqlite":
        run_on(connection.connection.dbapi_connection, work)
