"""The threads that ask the model, while the main thread keeps the SQLite connection to itself.

Daemon threads of our own rather than an executor: an executor's threads are waited for at the end of the program, so
that Ctrl-C would hang as long as a request does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import numpy as np
from numpy.typing import NDArray

from ..embedding.models import Embedder
from ..embedding.pace import Pace, Stopped
from ..errors import ModelBusy, ModelError, ModelKeyMissing, ModelRefused
from ..laws.chunking import estimate_tokens
from ..laws.vectors import FloatMatrix

__all__ = ["Answer", "Crew", "Request", "concerns_all"]


@dataclass(frozen=True, slots=True)
class Request:
    """Texts to be embedded in one call, with their hashes."""

    hashes: tuple[bytes, ...]
    texts: tuple[str, ...]

    def halves(self) -> tuple[Request, Request]:
        """Return the request as two."""
        half = len(self.texts) // 2
        return Request(self.hashes[:half], self.texts[:half]), Request(self.hashes[half:], self.texts[half:])


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request: unit vectors and the mask of the usable ones, or what was raised."""

    request: Request
    vectors: FloatMatrix | None
    usable: NDArray[np.bool_] | None
    error: BaseException | None
    tokens: int


def concerns_all(error: BaseException) -> bool:
    """True where not the texts of a request are at fault but the model, its service, or ourselves."""
    return not isinstance(error, ModelError) or isinstance(error, ModelBusy | ModelKeyMissing | ModelRefused)


class Crew:
    """A number of threads; requests go in, answers come out in whatever order they are ready."""

    def __init__(self, embedder: Embedder, pace: Pace, *, size: int) -> None:
        self.size = size
        self._embedder = embedder
        self._pace = pace
        self._inbox: SimpleQueue[Request | None] = SimpleQueue()
        self._outbox: SimpleQueue[Answer] = SimpleQueue()
        self.under_way = 0
        for n in range(size):
            threading.Thread(target=self._work, name=f"semantic-embed-{n}", daemon=True).start()

    def send(self, request: Request) -> None:
        """Hand a request to the next free thread."""
        self.under_way += 1
        self._inbox.put(request)

    def answer(self, *, timeout: float | None) -> Answer | None:
        """Return the next answer; None if there is none within `timeout` seconds (None: wait for ever)."""
        try:
            found = self._outbox.get(timeout=timeout) if timeout != 0 else self._outbox.get_nowait()
        except Empty:
            return None
        self.under_way -= 1
        return found

    def dismiss(self) -> None:
        """Let the threads end after what they are doing."""
        self._pace.stop()
        for _ in range(self.size):
            self._inbox.put(None)

    def _work(self) -> None:
        while (request := self._inbox.get()) is not None:
            answer = self._answered(request)
            self._outbox.put(answer)
            if answer.error is not None and concerns_all(answer.error):
                self._pace.stop()  # whoever asks next would only hear the same

    def _answered(self, request: Request) -> Answer:
        remote = self._embedder.remote
        tokens = sum(map(estimate_tokens, request.texts)) if remote else 0
        requests = len(request.texts) if self._embedder.profile.items_are_requests else 1
        call: Callable[[], tuple[FloatMatrix, NDArray[np.bool_]]] = lambda: self._embedder.embed_documents(  # noqa: E731
            request.texts
        )
        try:
            vectors, usable = self._pace.ask(call, requests=requests, tokens=tokens) if remote else call()
        except Stopped as stopped:
            return Answer(request, None, None, stopped, 0)
        except BaseException as error:  # noqa: BLE001 whatever it is, the main thread waits for it and raises it
            return Answer(request, None, None, error, 0)
        return Answer(request, vectors, usable, None, tokens)
