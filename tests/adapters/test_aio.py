"""The index of asyncio programs does what the other does, and never holds up the event loop."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import pytest

from datasette_semantic import AsyncSemanticIndex, SemanticIndex
from datasette_semantic.errors import IndexStateError, NoSuchTable
from datasette_semantic.records import ListWeights


def test_it_has_every_method() -> None:
    sync = {name for name, _ in inspect.getmembers(SemanticIndex, callable) if not name.startswith("_")}
    alike = dict(inspect.getmembers(AsyncSemanticIndex, callable))
    assert sync <= set(alike)
    assert all(inspect.iscoroutinefunction(alike[name]) for name in sync)


@pytest.mark.asyncio
async def test_reading(path: Path) -> None:
    async with await AsyncSemanticIndex.open(path, "notes") as index:
        with SemanticIndex(path, "notes") as other:
            assert (await index.search("robots", limit=3)).hits == other.search("robots", limit=3).hits
            assert (await index.similar(1, limit=3)).hits == other.similar(1, limit=3).hits
            assert await index.nearest("robots", k=3) == other.nearest("robots", k=3)
            assert await index.statuses() == [await index.status()] == other.statuses()
            assert await index.filters({"id__gt": 3}) == other.filters({"id__gt": 3})
            assert (index.record, index.source) == (other.record, other.source)
        assert await index.failures() == []
    with pytest.raises(NoSuchTable):
        await AsyncSemanticIndex.open(path, "films")


@pytest.mark.asyncio
async def test_writing(path: Path, tmp_path: Path) -> None:
    assert (await AsyncSemanticIndex.plan(path, "notes", ["content"])).rows == 40
    async with await AsyncSemanticIndex.create(path, "notes", ["content"]) as index:
        assert (await index.update()).rows == 40
        assert (await index.status()).columns == ("content",)
        await index.keep_weights(ListWeights(0.9, 0.1))
        await index.keep_weights(None)
        await index.rollback()
        assert (await index.status()).columns == ("title", "content")
        assert await index.forget_previous()
        with pytest.raises(IndexStateError):
            await index.renew()
        assert await index.export(tmp_path / "vectors.npy") == 40
        await index.drop()


@pytest.mark.asyncio
async def test_the_event_loop_goes_on(path: Path) -> None:
    """An index made anew takes a while: the loop turns meanwhile."""
    turns = 0

    async def turning() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(turning())
    async with await AsyncSemanticIndex.create(path, "notes", ["title"]) as index:
        await index.update()
    other.cancel()
    assert turns > 10
