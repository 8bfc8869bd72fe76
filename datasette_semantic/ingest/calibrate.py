"""Measuring an index on itself: how far each list may be trusted, and from where on nearness says nothing.

The questions come from the index's own rows, so no judgments are needed; what is measured is kept in the settings.
A model that needs a key is not asked (each call may cost money), nor is one of llm's about a small table: the index
then keeps the default weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np

from ..config import CALIBRATE_AT, FLOOR_AT
from ..embedding.models import Embedder
from ..errors import BadVector
from ..laws.analysis import tokens
from ..laws.calibration import MAX_TRIALS, PROBES, keyword_scores, list_weights, semantic_floor, trials
from ..laws.quoting import quote
from ..laws.text import row_text
from ..laws.vectors import FloatMatrix, FloatVector
from ..records import IndexRecord, Source
from ..store import catalog, chunks, vector_index
from ..store.connection import Connection

__all__ = ["calibrate"]

_TEXTS = 2 * MAX_TRIALS
"""Rows whose text is read: not all of them can be cut in two."""


def calibrate(connection: Connection, source: Source, index: IndexRecord, embedder: Embedder) -> IndexRecord:
    """Measure weights and floor and keep them; return the record as it then stands.

    No transaction is open while the model works.
    """
    rows, _chunks = chunks.count(connection, index)
    if embedder.remote and (not embedder.keyless or rows < CALIBRATE_AT):
        return index
    measured: dict[str, object] = {}
    tried = trials(_texts(connection, source, index))
    if tried:
        questions = _unit([trial.question for trial in tried], embedder)
        rests, _usable = embedder.embed_documents([trial.rest for trial in tried])
        analyzer = (index.keyword.analyzer if index.keyword else None) or "english"
        words = keyword_scores(
            [tokens(trial.question, analyzer) for trial in tried], [tokens(trial.rest, analyzer) for trial in tried]
        )
        measured["weights"] = asdict(list_weights(words, questions @ rests.T))
    if rows >= FLOOR_AT:
        measured["floor"] = semantic_floor(_chance(connection, index, embedder))
    with catalog.writing(connection, index) as current:
        catalog.save_settings(connection, current, {**current.settings, **measured})
    return catalog.again(connection, index)


def _texts(connection: Connection, source: Source, index: IndexRecord) -> Iterator[str]:
    """Yield texts of rows from all over the table."""
    low, high = connection.execute(f"select min(row_id), max(row_id) from {quote(index.row_table)}").fetchone()
    if low is None:
        return
    step = max(1, (high - low + 1) // _TEXTS)
    places = connection.execute(
        "with recursive place(n) as (select :low union all select n + :step from place where n + :step <= :high) "
        f"select distinct (select row_id from {quote(index.row_table)} where row_id >= n and hash is not null "
        "order by row_id limit 1) from place",
        {"low": low, "high": high, "step": step},
    ).fetchall()
    row_ids = [row[0] for row in places if row[0] is not None]
    found = chunks.read_rows_by_id(connection, source, index, row_ids, index.text.columns)
    for row_id in row_ids:
        if row_id in found:
            yield row_text(found[row_id], index.text)


def _unit(texts: list[str], embedder: Embedder) -> FloatMatrix:
    """Embed questions as questions are embedded; one that the model sees no meaning in is left zero."""
    return np.stack([_query_vector(text, embedder) for text in texts])


def _query_vector(text: str, embedder: Embedder) -> FloatVector:
    try:
        return embedder.embed_query(text)
    except BadVector:
        return np.zeros(embedder.dimensions or 0, dtype=np.float32)


def _chance(connection: Connection, index: IndexRecord, embedder: Embedder) -> FloatMatrix:
    """Return the cosine of the row nearest to each everyday question, shape (probes,); NaN where there is none."""
    found = []
    for vector in _unit(list(PROBES), embedder):
        nearest = vector_index.nearest(connection, index, vector, k=1) if vector.any() else []
        found.append(1.0 - nearest[0][2] if nearest else np.nan)
    return np.array(found, dtype=np.float32)
