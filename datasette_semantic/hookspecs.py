"""What other packages may add: ways to cut text, models' habits, second opinions on a ranking.

A plugin is a package with an entry point in the group `datasette_semantic`; its module marks functions with `hookimpl`:

    from datasette_semantic.hookspecs import hookimpl

    @hookimpl
    def register_chunkers(register):
        register("sentences", cut_into_sentences)

Plugins are loaded when the first hook is asked, not at import: `sqlite-utils --help` does not pay for them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, Protocol

from pluggy import HookimplMarker, HookspecMarker, PluginManager

from .records import Chunk, ChunkSpec

__all__ = [
    "ENTRY_POINT_GROUP",
    "Chunker",
    "Profile",
    "Reranker",
    "Task",
    "chunkers",
    "hookimpl",
    "plugin_manager",
    "profiles",
    "rerankers",
]

ENTRY_POINT_GROUP = "datasette_semantic"

hookspec = HookspecMarker(ENTRY_POINT_GROUP)
hookimpl = HookimplMarker(ENTRY_POINT_GROUP)


class Chunker(Protocol):
    """Cuts a text into chunks."""

    def __call__(self, text: str, spec: ChunkSpec, count_tokens: Callable[[str], int], /) -> Iterable[Chunk]:
        """Yield chunks in the order of the text, each with `text[chunk.start:chunk.end] == chunk.text`.

        `count_tokens` is the model's own count, or an estimate that is never too low. An empty text yields nothing.
        """
        ...


class Reranker(Protocol):
    """Scores passages against a query once more, with a model that reads both together."""

    def __call__(self, query: str, passages: Sequence[str], /) -> Sequence[float]:
        """Return a score per passage, in their order; high is good."""
        ...


@dataclass(frozen=True, slots=True)
class Task:
    """How texts are given to a model for one purpose: as prefixes, or as a name that its API takes."""

    query_prefix: str = ""
    document_prefix: str = ""
    query_type: str | None = None
    """Gemini's `taskType` for queries."""
    document_type: str | None = None
    """Gemini's `taskType` for documents."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How a family of embedding models wants its texts; what llm does not know of a model."""

    models: str
    """The model ids that it speaks for, as a shell pattern: `*nomic-embed-text*`."""
    query_prefix: str = ""
    document_prefix: str = ""
    max_tokens: int | None = None
    """The longest text that the model reads; None where it is not known."""
    shortens: bool = False
    """True where a vector may be cut to its first dimensions (Matryoshka)."""
    output: Literal["unit", "raw"] = "raw"
    """Whether the model's vectors are of unit length already."""
    tasks: Mapping[str, Task] = field(default_factory=dict)
    """What `embed --task` may name; "retrieval" stands for the prefixes above."""
    price: float | None = None
    """US dollars per million tokens, where the provider publishes a price; `--price` overrides it."""
    items_are_requests: bool = False
    """True where the provider counts every text of a batch as a request of its own."""


@hookspec
def register_chunkers(register: Callable[[str, Chunker], None]) -> None:
    """Call `register(name, chunker)` for each way to cut text; `embed --chunker NAME` picks it."""


@hookspec
def register_profiles(register: Callable[[Profile], None]) -> None:
    """Call `register(profile)` for each family of models; the longest pattern that fits a model wins."""


@hookspec
def register_rerankers(register: Callable[[str, Reranker], None]) -> None:
    """Call `register(name, reranker)` for each reranker."""


@lru_cache(maxsize=1)
def plugin_manager() -> PluginManager:
    """Return the plugin manager, with the installed plugins loaded."""
    manager = PluginManager(ENTRY_POINT_GROUP)
    manager.add_hookspecs(sys.modules[__name__])
    manager.load_setuptools_entrypoints(ENTRY_POINT_GROUP)
    return manager


def chunkers() -> dict[str, Chunker]:
    """Return the registered chunkers by name."""
    found: dict[str, Chunker] = {}
    plugin_manager().hook.register_chunkers(register=found.__setitem__)
    return found


def profiles() -> list[Profile]:
    """Return the registered profiles, the most particular pattern first."""
    found: list[Profile] = []
    plugin_manager().hook.register_profiles(register=found.append)
    return sorted(found, key=lambda profile: -len(profile.models))


def rerankers() -> dict[str, Reranker]:
    """Return the registered rerankers by name."""
    found: dict[str, Reranker] = {}
    plugin_manager().hook.register_rerankers(register=found.__setitem__)
    return found
