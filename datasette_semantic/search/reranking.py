"""A second opinion on the first rows of a ranking, from a model that reads query and row together.

It takes two searches: the first finds the rows to be read; then, with no statement running, the model reads them; the
second ranks with what it said. The rows and their number depend on the query alone, so every page has the same ranking,
and an opinion once given is kept for the pages that follow, as is a failure, for a minute.

A reranker that fails, or takes longer than it may, leaves the ranking as it is, with a warning.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..embedding.rerankers import reranker
from ..errors import ModelError, SemanticError
from ..hookspecs import Reranker
from ..laws.fts_query import parse
from ..laws.text import row_text
from ..records import Hit, IndexRecord, Rerank, RowKey, SearchRequest, SearchResults

__all__ = ["first_rows", "opinion_on", "reranked"]

_MOST_CHARS = 2_000
"""Of a longer row the model reads its beginning and the passage that matched."""

_BEGINNING = 300
_KEPT = 256
_FAILURE_KEPT = 60.0


@dataclass(frozen=True, slots=True)
class _Outcome:
    scores: tuple[float, ...] | None
    """A score per row; None where there are none."""
    why_not: str
    moment: float


_outcomes: OrderedDict[tuple[str, str, tuple[str, ...]], _Outcome] = OrderedDict()
_outcomes_lock = threading.Lock()


def reranked(
    index: IndexRecord, request: SearchRequest, rerank: Rerank | None, answer: Callable[[SearchRequest], SearchResults]
) -> SearchResults:
    """Return `answer(request)`, with the opinion that is wanted, if one is. Raises BadOption for an unknown name."""
    if rerank is None or not request.query.strip():
        return answer(request)
    opinion, warnings = opinion_on(rerank, index, request.query, answer(first_rows(request, rerank, index)).hits)
    results = answer(replace(request, opinion=opinion))
    return replace(results, warnings=(*results.warnings, *warnings))


def first_rows(request: SearchRequest, rerank: Rerank, index: IndexRecord) -> SearchRequest:
    """Return the request for the rows that the model is to read."""
    return replace(request, limit=rerank.depth, offset=0, within=(), diversity=0.0, columns=index.text.columns)


def opinion_on(
    rerank: Rerank, index: IndexRecord, query: str, hits: Sequence[Hit]
) -> tuple[Mapping[RowKey, float] | None, tuple[str, ...]]:
    """Return row key to score, or None and why there is none. It may call the network. Raises BadOption."""
    model = reranker(rerank.name)
    asked = parse(query).text
    if not hits or not asked:
        return None, ()
    texts = tuple(_read_by_model(index, hit) for hit in hits)
    key = (rerank.name, asked, texts)
    outcome = _known(key) or _keep(key, _ask(model, rerank, asked, texts))
    if outcome.scores is None:
        return None, (f"The order is that of the lists: {outcome.why_not}.",)
    return dict(zip((hit.key for hit in hits), outcome.scores, strict=True)), ()


def _read_by_model(index: IndexRecord, hit: Hit) -> str:
    values = dict.fromkeys(index.text.columns) | dict(hit.row)
    text = row_text(values, index.text)
    return text if len(text) <= _MOST_CHARS else f"{text[:_BEGINNING]} ... {hit.passage.text}"[:_MOST_CHARS]


def _ask(model: Reranker, rerank: Rerank, query: str, texts: Sequence[str]) -> _Outcome:
    """Ask in a thread of its own, which is left to itself when time is up."""
    found: list[Sequence[float]] = []
    failed: list[str] = []

    def work() -> None:
        try:
            scores = [float(score) for score in model(query, texts)]
            if len(scores) != len(texts) or not all(map(math.isfinite, scores)):
                raise ModelError(f"it gave {len(scores)} scores for {len(texts)} rows, or some that are no numbers")
            found.append(scores)
        except SemanticError as error:
            failed.append(f"{rerank.name} could not rerank: {error}")
        except Exception as error:  # noqa: BLE001 - a plugin's model may raise anything, and a search must not fail by it
            failed.append(f"{rerank.name} could not rerank: {type(error).__name__}: {error}")

    thread = threading.Thread(target=work, name=f"rerank {rerank.name}", daemon=True)
    thread.start()
    thread.join(rerank.seconds)
    why_not = failed[0] if failed else f"{rerank.name} took longer than {rerank.seconds:g} seconds"
    return _Outcome(tuple(found[0]) if found else None, why_not, time.monotonic())


def _known(key: tuple[str, str, tuple[str, ...]]) -> _Outcome | None:
    with _outcomes_lock:
        outcome = _outcomes.get(key)
        if outcome is None or (outcome.scores is None and time.monotonic() - outcome.moment > _FAILURE_KEPT):
            return None
        _outcomes.move_to_end(key)
        return outcome


def _keep(key: tuple[str, str, tuple[str, ...]], outcome: _Outcome) -> _Outcome:
    with _outcomes_lock:
        _outcomes[key] = outcome
        while len(_outcomes) > _KEPT:
            _outcomes.popitem(last=False)
    return outcome
