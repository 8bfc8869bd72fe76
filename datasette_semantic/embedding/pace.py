"""How fast a model may be asked, and how long it must be left alone; shared by all threads that ask it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from ..errors import ModelBusy

__all__ = ["Pace", "Stopped"]

Answer = TypeVar("Answer")

_ATTEMPTS: Final = 8
_LONGEST: Final = 60.0
"""Seconds of the longest pause of our own choosing; what the server asks for is obeyed, up to _PATIENCE."""
_PATIENCE: Final = 900.0


class Stopped(Exception):
    """The run was stopped while a thread waited its turn."""


class Pace:
    """Limits per minute, and pauses. Safe to share between threads."""

    def __init__(
        self,
        *,
        max_rpm: float | None = None,
        max_tpm: float | None = None,
        attempts: int = _ATTEMPTS,
        on_pause: Callable[[float, str], None] | None = None,
    ) -> None:
        """`max_rpm`, `max_tpm`: requests and tokens per minute, None for no limit. `on_pause` hears of every pause:
        its seconds and its reason."""
        self._rates = (max_rpm, max_tpm)
        self._attempts = attempts
        self._on_pause = on_pause
        self._lock = threading.Lock()
        self._free_at = [0.0, 0.0]
        self._quiet_until = 0.0
        self._stop = threading.Event()
        self._parts: list[Pace] = []

    def part(self) -> Pace:
        """Return the pace of one drain among several: the same limits, but its end is not the end of the others."""
        part = Pace(max_rpm=self._rates[0], max_tpm=self._rates[1], attempts=self._attempts, on_pause=self._on_pause)
        part._lock, part._free_at, part._quiet_until = self._lock, self._free_at, self._quiet_until
        self._parts.append(part)
        if self._stop.is_set():
            part.stop()
        return part

    def stop(self) -> None:
        """Wake all who wait; they raise Stopped."""
        self._stop.set()
        for part in self._parts:
            part.stop()

    def ask(self, call: Callable[[], Answer], *, requests: int, tokens: int) -> Answer:
        """Call when it is allowed to, again after a pause where the model is busy.

        Raises ModelBusy as the model did at the last attempt, Stopped, and whatever else the call raises.
        """
        attempt = 1
        while True:
            self._wait(requests, tokens)
            try:
                return call()
            except ModelBusy as busy:
                asked = busy.retry_after
                if attempt >= self._attempts or (asked or 0.0) > _PATIENCE:
                    raise
                own = min(_LONGEST, 0.5 * 2**attempt) * random.uniform(0.75, 1.0)
                self._hold(own if asked is None else asked, busy)
            attempt += 1

    def _wait(self, requests: int, tokens: int) -> None:
        """Return when a call of this size may go out. Calls are spread evenly, so no minute holds more than allowed."""
        with self._lock:
            now = time.monotonic()
            start = max(now, self._quiet_until, *self._free_at)
            for n, (rate, amount) in enumerate(zip(self._rates, (requests, tokens), strict=True)):
                if rate is not None:
                    self._free_at[n] = start + 60.0 * amount / rate
        while True:
            left = max(start, self._quiet_until) - time.monotonic()
            if self._stop.wait(max(left, 0.0)):
                raise Stopped
            if max(start, self._quiet_until) <= time.monotonic():
                return

    def _hold(self, seconds: float, busy: ModelBusy) -> None:
        """Nobody asks again for so long."""
        with self._lock:
            until = time.monotonic() + seconds
            fresh = until > self._quiet_until
            self._quiet_until = max(self._quiet_until, until)
        if fresh and self._on_pause is not None:
            self._on_pause(seconds, str(busy))
