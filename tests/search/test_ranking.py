"""The ranking: both lists, fused, stable over pages, the same for the same question."""

from __future__ import annotations

import random

import numpy as np
import pytest

from datasette_semantic.api import SemanticIndex
from datasette_semantic.embedding.models import embedder
from datasette_semantic.errors import BadOption, NoSuchRow
from datasette_semantic.laws.vectors import from_blob
from datasette_semantic.records import MODES, ListWeights, SearchResults

QUERIES = ("robot love", "winter storm on the island", "a doctor with a violin", "steam", '"apple frost" letter')


def keys(results: SearchResults) -> list[object]:
    return [hit.key for hit in results]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("query", QUERIES)
def test_pages_joined_are_the_whole_ranking(notes: SemanticIndex, mode: str, query: str) -> None:
    whole = notes.search(query, mode=mode, limit=1000)
    joined = [
        key
        for offset in range(0, whole.total, 70)
        for key in keys(notes.search(query, mode=mode, limit=70, offset=offset))
    ]
    assert joined == keys(whole) == list(whole.match_keys)
    assert len(set(joined)) == whole.total
    assert [hit.rank for hit in whole] == list(range(1, whole.total + 1))


@pytest.mark.parametrize("mode", MODES)
def test_scores_fall_and_are_explained(notes: SemanticIndex, mode: str) -> None:
    hits = notes.search("robot love", mode=mode, limit=1000).hits
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    for hit in hits:
        assert sum(term.weight * term.value for term in hit.why) == pytest.approx(hit.score)


def test_semantic_list_is_exact(notes: SemanticIndex) -> None:
    """Against cosine by numpy over the stored vectors."""
    connection = notes._connection
    rows = connection.execute(
        "select r.k0, v.embedding from notes_vec v join _semantic_chunks_notes c on c.id = v.id "
        "join _semantic_rows_notes r on r.row_id = c.row_id"
    ).fetchall()
    matrix = np.concatenate([from_blob(blob, dimensions=256) for _, blob in rows])
    cosine = matrix @ embedder("wordllama").embed_query("winter storm on the island")
    best = sorted(zip((-cosine).tolist(), (slug for slug, _ in rows), strict=True))[:20]
    hits = notes.search("winter storm on the island", mode="semantic", limit=20).hits
    assert [hit.key[0] for hit in hits] == [slug for _, slug in best]
    assert [hit.distance for hit in hits] == pytest.approx([1 + value for value, _ in best], abs=1e-5)


def test_keyword_list_is_bm25(notes: SemanticIndex) -> None:
    rows = notes._connection.execute(
        "select r.k0, -bm25(notes_fts, 1.5, 1.0) as b "
        "from notes_fts f join _semantic_rows_notes r on r.row_id = f.rowid "
        "where notes_fts match 'robot OR love' order by b desc, r.row_id limit 30"
    ).fetchall()
    hits = notes.search("robot love", mode="keyword", limit=30).hits
    assert [(hit.key[0], hit.score) for hit in hits] == [(slug, pytest.approx(score)) for slug, score in rows]
    assert all(hit.distance is None and hit.semantic_rank is None for hit in hits)


def test_ranks_are_those_of_the_single_lists(notes: SemanticIndex) -> None:
    by_words = {hit.key: hit.rank for hit in notes.search("robot love", mode="keyword", limit=1000)}
    by_meaning = {hit.key: hit.rank for hit in notes.search("robot love", mode="semantic", limit=1000)}
    for hit in notes.search("robot love", limit=200):
        assert hit.keyword_rank == by_words.get(hit.key)
        assert hit.semantic_rank == by_meaning.get(hit.key)


def test_whole_title_comes_first(notes: SemanticIndex) -> None:
    rows = notes._connection.execute("select slug, title from notes").fetchall()
    for slug, title in random.Random(1).sample(rows, 40):
        sharing = {other for other, its in rows if its == title}
        assert notes.search(title.upper() + "!", limit=1).hits[0].key[0] in sharing, slug


def test_excluded_words_are_in_neither_list(notes: SemanticIndex) -> None:
    for mode in MODES:
        hits = notes.search("robot love -ship", mode=mode, limit=1000).hits
        assert hits
        assert not [hit.key for hit in hits if "ship" in f"{hit.row['title']} {hit.row['body']}".split()]


def test_required_phrase(notes: SemanticIndex) -> None:
    hits = notes.search('"robot love"', mode="keyword", limit=1000).hits
    texts = [f"{hit.row['title']}\n{hit.row['body']}" for hit in hits]
    everything = notes._connection.execute("select title, body from notes").fetchall()
    expected = [row for row in everything if any("robot love" in column for column in row)]
    assert len(texts) == len(expected)
    assert all("robot love" in text for text in texts)


def test_rrf(notes: SemanticIndex) -> None:
    hits = notes.search("robot love", weights=ListWeights(1.0, 1.0, "rrf"), limit=50).hits
    for hit in hits:
        terms = [1 / (60 + rank) for rank in (hit.keyword_rank, hit.semantic_rank) if rank is not None]
        plain = [term for term in hit.why if term.name in ("keyword", "semantic")]
        assert sum(term.weight * term.value for term in plain) == pytest.approx(sum(terms))


def test_similar_leaves_out_the_row_itself(notes: SemanticIndex) -> None:
    results = notes.similar("n010", limit=50)
    assert len(results) == 50
    assert ("n010",) not in keys(results)
    distances = [hit.distance for hit in results]
    assert distances == sorted(distances)  # type: ignore[type-var]


def test_missing_row(notes: SemanticIndex) -> None:
    with pytest.raises(NoSuchRow, match="n999"):
        notes.similar("n999")


@pytest.mark.parametrize("options", [{"mode": "magic"}, {"limit": -1}, {"limit": 10_001}])
def test_bad_options(notes: SemanticIndex, options: dict[str, object]) -> None:
    with pytest.raises(BadOption):
        notes.search("robot", **options)  # type: ignore[arg-type]


def test_what_is_typed_never_raises(notes: SemanticIndex) -> None:
    draw = random.Random(3)
    alphabet = [
        *"\"'*-:()[]{}^+~,.;!?\\/<>|&%$#@= \t\n\x00",
        "OR",
        "AND",
        "NOT",
        "NEAR(",
        "title:",
        "robot",
        "愛",
        "мир",
        "\ud800",
        "🤖",
        "e\u0301",
    ]
    for _ in range(600):
        query = "".join(draw.choices(alphabet, k=draw.randint(0, 14)))
        notes.search(query, mode=draw.choice(MODES), limit=3)


def test_nothing_asked_finds_nothing(notes: SemanticIndex) -> None:
    for query in ("", "   ", "?!", "-robot"):
        assert notes.search(query).total == 0


def test_a_question_about_something_else_is_told_so(notes: SemanticIndex) -> None:
    """None of its words is there, so nothing is left out; but nobody is to take the nearest rows for an answer."""
    floor = notes.record.settings["floor"]
    found = notes.search("kubernetes ingress timeout")
    assert max(1 - hit.distance for hit in found if hit.distance is not None) < floor
    assert [warning.split(",")[0] for warning in found.warnings] == ["No row holds any of these words"]
    assert not notes.search("kubernetes ingress timeout", where={"year": 1990}).warnings
    assert not notes.search("kubernetes ingress timeout", mode="semantic").warnings
    assert not notes.search("robot love").warnings


def test_the_rows_like_a_row_are_the_best_so_many_too(notes: SemanticIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (notes.similar("n000").total, notes.similar("n000").truncated) == (599, False)
    monkeypatch.setattr("datasette_semantic.search.engine.LIST_DEPTH", 90)
    assert (notes.similar("n000").total, notes.similar("n000").truncated) == (89, True)
