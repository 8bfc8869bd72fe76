"""What every peer can do. The runner knows no more of it than this."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from ..given import Given


class Peer:
    """A way of finding the nearest vectors. Built in one process, searched in another."""

    name: str
    title: str
    package: str
    """The distribution whose version is told."""
    alpha = False
    """True where sqlite-vec's newest alpha is wanted."""
    files_of: str | None = None
    """The peer whose files are searched, for one that has none of its own."""
    knobs: Sequence[Any] = ()
    """What may be set to find more at the price of time, cheapest first."""

    def version(self) -> str:
        return f"{self.package} {version(self.package)}"

    def prepare(self, given: Given) -> None:
        """Do what is needed before building and does not count as such."""

    def build(self, given: Given) -> None:
        """Make files in `given.place` of `base.npy`."""
        raise NotImplementedError

    def open(self, given: Given) -> None:
        """Get ready to be asked."""
        raise NotImplementedError

    def encode(self, vector: Any) -> Any:
        """Return a query's vector in the form in which it is passed; this is not timed."""
        return vector

    def ask(self, query: Any) -> list[int]:
        """Return the places, from 0, of the ten nearest rows."""
        raise NotImplementedError

    def turn(self, knob: Any) -> None:
        """Set one of `knobs`."""

    def told(self, knob: Any) -> str:
        """Return a setting in words."""
        return str(knob)

    def close(self) -> None:
        """Stop what was started."""
