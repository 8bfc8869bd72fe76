"""How families of models are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from datasette_semantic.embedding.models import embedder, embedder_for
from datasette_semantic.embedding.profiles import Manner, choose_manner, manner_of, profile_of
from datasette_semantic.errors import BadOption
from datasette_semantic.hookspecs import Profile, hookimpl, plugin_manager
from datasette_semantic.records import ChunkSpec, IndexRecord, TextSpec

RECORD = IndexRecord(
    id=1,
    table="t",
    text=TextSpec(("a",)),
    chunks=ChunkSpec(),
    keyword=None,
    model="wordllama",
    dimensions=256,
    vec_table="t_vec",
    chunk_table="c",
    row_table="r",
    state="ready",
)


@pytest.mark.parametrize(
    ("model", "query", "document"),
    [
        ("sentence-transformers/intfloat/multilingual-e5-small", "query: ", "passage: "),
        ("sentence-transformers/nomic-ai/nomic-embed-text-v1.5", "search_query: ", "search_document: "),
        ("BAAI/bge-small-en-v1.5", "Represent this sentence for searching relevant passages: ", ""),
        ("BAAI/bge-m3", "", ""),
        ("google/embeddinggemma-300m", "task: search result | query: ", "title: none | text: "),
        ("mixedbread-ai/mxbai-embed-large-v1", "Represent this sentence for searching relevant passages: ", ""),
        ("mixedbread-ai/mxbai-embed-xsmall-v1", "", ""),
        ("mixedbread-ai/deepset-mxbai-embed-de-large-v1", "query: ", "passage: "),
        ("nomic-embed-text:latest", "search_query: ", "search_document: "),
        ("jinaai/jina-embeddings-v2-base-en", "", ""),
        ("jinaai/jina-embeddings-v4", "Query: ", "Passage: "),
        ("jinaai/jina-embeddings-v5-text-small", "Query: ", "Document: "),
        ("Snowflake/snowflake-arctic-embed-l-v2.0", "query: ", ""),
        ("snowflake-arctic-embed2:latest", "query: ", ""),
        ("gemini-embedding-2-768", "task: search result | query: ", "title: none | text: "),
        ("sentence-transformers/all-MiniLM-L6-v2", "", ""),
    ],
)
def test_prefixes(model: str, query: str, document: str) -> None:
    manner = choose_manner(model)
    assert (manner.query_prefix, manner.document_prefix) == (query, document)


def test_instructions() -> None:
    qwen = choose_manner("Qwen/Qwen3-Embedding-0.6B")
    assert qwen.query_prefix.startswith("Instruct: ")
    assert qwen.query_prefix.endswith("\nQuery:")
    e5 = choose_manner("intfloat/multilingual-e5-large-instruct")
    assert (e5.query_prefix, e5.document_prefix) == (qwen.query_prefix + " ", "")
    assert choose_manner("jinaai/jina-embeddings-v3").document_prefix.startswith("Represent the document")


@pytest.mark.parametrize(
    ("model", "tokens", "shortens"),
    [
        ("gemini-embedding-001", 2048, True),
        ("gemini-embedding-2", 8192, True),
        ("nomic-ai/nomic-embed-text-v1", 8192, False),
        ("nomic-ai/nomic-embed-text-v2-moe", 512, True),
        ("nomic-embed-text:latest", 8192, True),
        ("mixedbread-ai/mxbai-embed-xsmall-v1", 4096, True),
        ("Snowflake/snowflake-arctic-embed-m", 512, False),
        ("Snowflake/snowflake-arctic-embed-m-v1.5", 512, True),
        ("snowflake-arctic-embed2:latest", 8192, True),
        ("intfloat/e5-mistral-7b-instruct", 4096, False),
        ("BAAI/bge-m3", 8192, False),
        ("Qwen/Qwen3-Embedding-8B", 32_768, True),
    ],
)
def test_limits(model: str, tokens: int, shortens: bool) -> None:
    profile = profile_of(model)
    assert (profile.max_tokens, profile.shortens) == (tokens, shortens)


def test_what_the_user_says_goes() -> None:
    manner = choose_manner("intfloat/e5-small", query_prefix="ask: ", document_prefix="")
    assert (manner.query_prefix, manner.document_prefix) == ("ask: ", "")


def test_a_manner_survives_the_catalog() -> None:
    manner = choose_manner("gemini-embedding-001", task="clustering", dimensions=768)
    record = replace(RECORD, settings={"embedding": manner.as_settings()})
    assert manner_of(record) == manner
    assert manner_of(RECORD) == Manner()


def test_shortened_vectors_are_of_unit_length_again() -> None:
    import numpy as np

    short = embedder_for(replace(RECORD, settings={"embedding": {"dimensions": 64}}))
    whole = embedder("wordllama")
    vector = short.embed_query("a robot in the garden")
    assert vector.shape == (64,)
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-6)
    cut = whole.embed_query("a robot in the garden")[:64]
    assert np.allclose(vector, cut / np.linalg.norm(cut), atol=1e-6)


def test_models_that_lose_their_meaning_are_not_cut() -> None:
    with pytest.raises(BadOption, match="not known to keep its meaning"):
        choose_manner("all-MiniLM-L6-v2", dimensions=64)
    with pytest.raises(BadOption, match="64, 128 or 256"):
        embedder("wordllama", Manner(dimensions=100))


@pytest.fixture
def plugin() -> Iterator[Callable[[Profile], None]]:
    names = []

    def register(profile: Profile) -> None:
        class Plugin:
            @hookimpl
            def register_profiles(self, register: Callable[[Profile], None]) -> None:
                register(profile)

        names.append(f"test-{len(names)}")
        plugin_manager().register(Plugin(), name=names[-1])

    yield register
    for name in names:
        plugin_manager().unregister(name=name)


def test_a_plugins_profile_wins_over_ours(plugin: Callable[[Profile], None]) -> None:
    plugin(Profile("*e5-*", "frage: ", "antwort: "))
    assert profile_of("intfloat/e5-small").query_prefix == "frage: "
