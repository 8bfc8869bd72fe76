"""Optional packages: what is missing is told with the extra that brings it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import ExtraMissing

__all__ = ["extra"]


@contextmanager
def extra(name: str, *packages: str) -> Iterator[None]:
    """Import the optional `packages` in the body. Raises ExtraMissing, which is an ImportError too, where one is not
    there."""
    try:
        yield
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in packages:
            raise
        raise ExtraMissing(
            f"{error.name} is not installed; pip install 'datasette-semantic[{name}]'", name=error.name
        ) from error
