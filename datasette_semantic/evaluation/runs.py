"""Runs: what a search returned for each query, made by asking it, or kept in TREC's format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .judgments import Queries
    from .measures import Run

__all__ = ["DEPTH", "make_run", "read_run", "write_run"]

DEPTH: Final = 100
"""Results asked for per query: as deep as the deepest measure looks."""


def make_run(search: Callable[[str], Sequence[str]], queries: Queries, *, judged: Iterable[str] | None = None) -> Run:
    """Ask `search` (text to doc_ids, best first) every query, or only those in `judged`."""
    wanted = set(queries if judged is None else judged)
    return {query_id: list(search(text))[:DEPTH] for query_id, text in queries.items() if query_id in wanted}


def write_run(run: Run, path: str | Path, *, tag: str) -> None:
    """Write a run as TREC has it: query_id Q0 doc_id rank score tag. Raises InputError for ids with spaces."""
    lines = []
    for query_id, ranking in run.items():
        for rank, doc_id in enumerate(ranking, 1):
            if len(f"{query_id} {doc_id}".split()) != 2:
                raise InputError(f"TREC's format has no room for spaces in ids: {query_id!r}, {doc_id!r}")
            lines.append(f"{query_id} Q0 {doc_id} {rank} {len(ranking) - rank + 1} {tag}\n")
    Path(path).write_text("".join(lines), encoding="utf-8")


def read_run(path: str | Path) -> Run:
    """Read a run in TREC's format, ordered by score as TREC's own tools do. Raises InputError."""
    scored: dict[str, list[tuple[float, str]]] = {}
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if not fields:
            continue
        try:
            query_id, _, doc_id, _, score, _ = fields
            scored.setdefault(query_id, []).append((float(score), doc_id))
        except ValueError as error:
            raise InputError(f"{path}, line {number}: not 'query_id Q0 doc_id rank score tag'") from error
    return {query_id: [doc_id for _, doc_id in sorted(ranking, reverse=True)] for query_id, ranking in scored.items()}
