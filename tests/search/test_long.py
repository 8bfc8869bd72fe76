"""Long rows: found by what stands in their last chunk, once each, and shown by it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from datasette_semantic import SemanticIndex
from datasette_semantic.laws.quoting import quote

ROWS = 50
JOINED = 12
"""Texts of the collection, which are cut at 12,000 characters, that make one of more than 100,000."""


@pytest.fixture(scope="module")
def peps(corpora: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`peps_facets` as it is, and `joined`, whose texts are ten times as long."""
    from sqlite_utils import Database

    collection = corpora("peps-facets")
    path: Path = collection.write(tmp_path_factory.mktemp("long") / "peps.db")
    database = Database(path, execute_plugins=False)
    texts = [doc["text"] for doc in collection.docs]
    database.table("joined").insert_all(
        ({"id": n, "text": "\n\n".join(texts[n : n + JOINED])} for n in range(0, len(texts), JOINED)), pk="id"
    )
    database.close()
    for table, columns in (("peps_facets", ["title", "text"]), ("joined", ["text"])):
        with SemanticIndex.create(path, table, columns) as index:
            index.update()
    return path


def sentences(text: str) -> Iterator[str]:
    for found in re.finditer(r"[A-Z][^.!?]{40,300}[.!?](?=\s|$)", text):
        sentence = " ".join(found[0].split())
        if len(sentence) >= 60:
            yield sentence


def last_chunks(index: SemanticIndex) -> Iterator[tuple[Any, str, str]]:
    """Yield the longest rows with their last chunk and its longest sentence that no other row holds."""
    record, source = index.record, index.source
    names = ", ".join(map(quote, (*source.key_columns, *record.text.columns)))
    rows = index._connection.execute(f"select {names} from {quote(source.table)}").fetchall()
    texts = {row[0]: "\n".join(filter(None, tuple(row)[1:])) for row in rows}
    flat = {key: " ".join(text.split()) for key, text in texts.items()}
    for key in sorted(texts, key=lambda key: (-len(texts[key]), str(key))):
        (start,) = index._connection.execute(
            f"select max(start) from {quote(record.chunk_table)} where row_id = (select row_id from "
            f"{quote(record.row_table)} where {'k0' if source.rowid_key is None else 'row_id'} = ?)",
            (key,),
        ).fetchone()
        last = texts[key][start:]
        alone = [each for each in sentences(last) if sum(each in other for other in flat.values()) == 1]
        if alone:
            yield key, " ".join(last.split()), max(alone, key=len)


@pytest.mark.parametrize(("table", "least", "first"), [("peps_facets", ROWS, 0.9), ("joined", 30, 0.8)])
def test_the_last_chunk_finds_its_row(table: str, least: int, first: float, peps: Path) -> None:
    with SemanticIndex(peps, table) as index:
        asked = list(islice(last_chunks(index), ROWS))
        assert len(asked) >= least
        ranks, shown, nearest = [], 0, 0
        for key, last, sentence in asked:
            hits = index.search(sentence, limit=100).hits
            keys = [hit.key for hit in hits]
            assert len(set(keys)) == len(keys)
            ranks.append(keys.index((key,)) + 1)
            shown += hits[ranks[-1] - 1].passage.text.strip("…. ")[:60] in last
            by_meaning = index.search(sentence, mode="semantic", limit=10).hits
            assert len({hit.key for hit in by_meaning}) == len(by_meaning)
            nearest += (key,) in [hit.key for hit in by_meaning]
        found = {k: sum(rank <= k for rank in ranks) for k in (1, 3, 10)}
        told = f"{table}: {found} of {len(asked)} in hybrid mode, {nearest} at 10 by meaning, {shown} shown by it"
        assert found[1] >= first * len(asked), told
        assert found[10] >= 0.95 * len(asked), told
        assert shown >= 0.95 * len(asked), told
        assert nearest >= 0.6 * len(asked), told
        print(told)  # noqa: T201 measured, for -s


def test_the_long_texts_are_long(peps: Path) -> None:
    with SemanticIndex(peps, "joined") as index:
        (mean,) = index._connection.execute("select avg(length(text)) from joined").fetchone()
        assert mean > 100_000
        assert index.status().chunks > 60 * index.status().rows
