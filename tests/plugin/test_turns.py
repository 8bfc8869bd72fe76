"""Searches take turns, and none waits for long."""

from __future__ import annotations

import asyncio

import pytest

from datasette_semantic.plugin import turns
from datasette_semantic.plugin.turns import Turns


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_SECONDS", 3600.0)


async def hold(each: Turns, running: list[str], name: str, until: asyncio.Event) -> None:
    async with each.one():
        running.append(name)
        await until.wait()
        running.remove(name)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.asyncio
async def test_one_after_the_other(patience: None) -> None:
    each, running = Turns(), list[str]()
    ends = [asyncio.Event() for _ in range(3)]
    tasks = [asyncio.ensure_future(hold(each, running, str(n), end)) for n, end in enumerate(ends)]
    for n, end in enumerate(ends):
        await settled()
        assert running == [str(n)]
        end.set()
    await asyncio.gather(*tasks)
    assert not each._lock.locked()


@pytest.mark.asyncio
async def test_nobody_waits_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_SECONDS", 0.0)
    each, running, end = Turns(), list[str](), asyncio.Event()
    tasks = [asyncio.ensure_future(hold(each, running, str(n), end)) for n in range(3)]
    await asyncio.sleep(0.05)
    assert len(running) == 3
    end.set()
    await asyncio.gather(*tasks)
    assert not each._lock.locked()


@pytest.mark.asyncio
async def test_a_fault_ends_a_turn(patience: None) -> None:
    each = Turns()
    with pytest.raises(ValueError, match="mine"):
        async with each.one():
            raise ValueError("mine")
    assert not each._lock.locked()


@pytest.mark.asyncio
@pytest.mark.parametrize("cancelled", [0, 1, 2])
async def test_whoever_is_gone_keeps_nobody_waiting(patience: None, cancelled: int) -> None:
    each, running = Turns(), list[str]()
    ends = [asyncio.Event() for _ in range(3)]
    tasks = [asyncio.ensure_future(hold(each, running, str(n), end)) for n, end in enumerate(ends)]
    await settled()
    tasks[cancelled].cancel()
    for end in ends:
        await settled()
        end.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(each, asyncio.CancelledError) for each in found] == [n == cancelled for n in range(3)]
    await settled()
    assert not each._lock.locked()


@pytest.mark.asyncio
async def test_cancelled_as_the_turn_comes(patience: None) -> None:
    each, running = Turns(), list[str]()
    first, second = asyncio.Event(), asyncio.Event()
    tasks = [asyncio.ensure_future(hold(each, running, name, end)) for name, end in (("a", first), ("b", second))]
    await settled()
    first.set()
    for _ in range(3):  # at one of these moments the lock is given, but not yet known to be
        await asyncio.sleep(0)
        tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await settled()
    assert not each._lock.locked()
