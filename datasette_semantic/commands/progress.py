"""The progress bar: on a terminal only."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..records import Progress

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(label: str, *, quiet: bool = False) -> Iterator[Callable[[Progress], None] | None]:
    """Yield what `SemanticIndex.update` calls as it goes; None where nobody is watching."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    with ExitStack() as stack:
        yield _Bar(label, stack)


class _Bar:
    """Rows done, rows a second and the time left. It appears with the first report: only then is the length known."""

    def __init__(self, label: str, stack: ExitStack) -> None:
        self._label = label
        self._stack = stack
        self._bar: Any = None
        self._started = time.perf_counter()

    def __call__(self, progress: Progress) -> None:
        if self._bar is None:
            self._bar = self._open(progress.total)
        self._bar.length = progress.total
        rate = progress.done / max(time.perf_counter() - self._started, 1e-9)
        self._bar.update(progress.done - self._bar.pos, f"{rate:,.0f} rows/s")

    def _open(self, total: int) -> Any:
        bar = click.progressbar(
            length=total, label=self._label, show_pos=True, item_show_func=lambda item: item, file=sys.stderr
        )
        return self._stack.enter_context(bar)
