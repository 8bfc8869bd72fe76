"""`SemanticIndex` for asyncio programs.

async with await AsyncSemanticIndex.open("movies.db", "movies") as index:
    results = await index.search("a robot that falls in love")
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ..api import SemanticIndex, Where
from ..records import (
    Adoption,
    Compaction,
    Failure,
    IndexRecord,
    IndexStatus,
    ListWeights,
    Neighbour,
    Plan,
    RowFilter,
    SearchResults,
    Source,
    UpdateReport,
)

__all__ = ["AsyncSemanticIndex"]

_T = TypeVar("_T")


class AsyncSemanticIndex:
    """A `SemanticIndex` on a thread of its own: calls wait for each other in order, never for the event loop.

    Options, results and errors are those of `SemanticIndex`. For searches side by side open several indexes.
    """

    def __init__(self, index: SemanticIndex, thread: ThreadPoolExecutor) -> None:
        """Use `open` or `create`."""
        self._index = index
        self._thread = thread

    @classmethod
    async def open(cls, database: Any, table: str) -> AsyncSemanticIndex:
        """Open the index of a table. Raises NoSuchTable, NoSuchIndex, ExtensionMissing, DatabaseProblem."""
        return await cls._made(partial(SemanticIndex, database, table))

    @classmethod
    async def create(cls, database: Any, table: str, columns: Sequence[str] = (), **options: Any) -> AsyncSemanticIndex:
        """Declare an index, with the options of `SemanticIndex.create`."""
        return await cls._made(partial(SemanticIndex.create, database, table, columns, **options))

    @classmethod
    async def _made(cls, make: Callable[[], SemanticIndex]) -> AsyncSemanticIndex:
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="semantic-index")
        try:
            return cls(await asyncio.get_running_loop().run_in_executor(thread, make), thread)
        except BaseException:
            thread.shutdown(wait=False)
            raise

    @classmethod
    async def plan(cls, database: Any, table: str, columns: Sequence[str] = (), **options: Any) -> Plan:
        """Return what `create` and `update` would do and cost, with the options of `SemanticIndex.plan`."""
        return await asyncio.to_thread(partial(SemanticIndex.plan, database, table, columns, **options))

    @property
    def record(self) -> IndexRecord:
        """What the catalog says of this index."""
        return self._index.record

    @property
    def source(self) -> Source:
        """The table."""
        return self._index.source

    @property
    def adoption(self) -> Adoption | None:
        """What `create` found out about the vectors that it was to take over."""
        return self._index.adoption

    async def update(self, **options: Any) -> UpdateReport:
        """Embed what is new or changed and drop what is gone. `progress` is called on the index's thread."""
        return await self._run(partial(self._index.update, **options))

    async def rollback(self) -> None:
        """Undo the last change of the index. Raises IndexStateError where there is nothing to go back to."""
        await self._run(self._index.rollback)

    async def forget_previous(self) -> bool:
        """Give up the index that `rollback` would bring back; return whether there was one."""
        return await self._run(self._index.forget_previous)

    async def renew(self) -> None:
        """Have a stale index made anew. Raises IndexStateError where it is not stale."""
        await self._run(self._index.renew)

    async def keep_recall(self, recall: float) -> None:
        """Have searches by meaning find so large a share of the ten nearest rows."""
        await self._run(partial(self._index.keep_recall, recall))

    async def keep_weights(self, weights: ListWeights | None) -> None:
        """Search with these weights from now on; None returns to the index's own."""
        await self._run(partial(self._index.keep_weights, weights))

    async def keep_column_weights(self, weights: Mapping[str, float] | None) -> None:
        """Have words count more, or less, in some columns from now on; None returns to the usual."""
        await self._run(partial(self._index.keep_column_weights, weights))

    async def export(self, path: str | Path) -> int:
        """Write every vector to an `.npy` or `.parquet` file; return how many there are."""
        return await self._run(partial(self._index.export, path))

    async def compact(self) -> Compaction:
        """Give back the space of what was deleted."""
        return await self._run(self._index.compact)

    async def drop(self) -> None:
        """Remove the index and every trace of it."""
        await self._run(self._index.drop)

    async def search(self, query: str = "", **options: Any) -> SearchResults:
        """Search, with the options of `SemanticIndex.search`."""
        return await self._run(partial(self._index.search, query, **options))

    async def similar(self, key: Any, **options: Any) -> SearchResults:
        """Return rows like a row, with the options of `SemanticIndex.similar`."""
        return await self._run(partial(self._index.similar, key, **options))

    async def save_similar(self, table: str, **options: Any) -> int:
        """Write a table with rows like each row, with the options of `SemanticIndex.save_similar`."""
        return await self._run(partial(self._index.save_similar, table, **options))

    async def nearest(self, query: Any, **options: Any) -> list[Neighbour]:
        """Return the rows nearest to a text or a vector, with the options of `SemanticIndex.nearest`."""
        return await self._run(partial(self._index.nearest, query, **options))

    async def filters(self, where: Where, params: Mapping[str, Any] | None = None) -> tuple[RowFilter, ...]:
        """Return checked filters. Raises BadFilter, NoSuchColumn."""
        return await self._run(partial(self._index.filters, where, params))

    async def status(self) -> IndexStatus:
        """Return what `embeddings` lists of the index that answers."""
        return await self._run(self._index.status)

    async def statuses(self) -> list[IndexStatus]:
        """Return what `embeddings` lists: the index that answers, and those beside it."""
        return await self._run(self._index.statuses)

    async def failures(self, *, limit: int = 100) -> list[Failure]:
        """Return the rows that were set aside, with their errors."""
        return await self._run(partial(self._index.failures, limit=limit))

    async def close(self) -> None:
        """Close the connection, if it was opened here, and end the thread, once what was begun is done."""
        await self._run(self._index.close)
        self._thread.shutdown(wait=False)

    async def __aenter__(self) -> AsyncSemanticIndex:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
