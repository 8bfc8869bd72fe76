"""How families of models want queries and documents, and how one index asks its model.

A *profile* is knowledge about a model (hook `register_profiles`); a *manner* is what was chosen for one index and is
kept in its catalog entry, so that queries are asked as its documents were, whatever profiles say later.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatchcase
from typing import Any, Final

from ..errors import BadOption
from ..hookspecs import Profile, Task, hookimpl, plugin_manager, profiles
from ..records import IndexRecord

__all__ = ["MANNER", "Manner", "choose_manner", "manner_of", "plain_manner", "profile_of"]

MANNER: Final = "embedding"
"""The setting of an index that holds its manner."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How one index asks its model."""

    query_prefix: str = ""
    document_prefix: str = ""
    query_type: str | None = None
    document_type: str | None = None
    dimensions: int | None = None
    """To how many dimensions vectors are cut; None for all that the model gives."""

    def as_settings(self) -> dict[str, Any]:
        """Return what differs from the plain manner, for the catalog."""
        plain = Manner()
        return {name: value for name, value in asdict(self).items() if value != getattr(plain, name)}


def manner_of(record: IndexRecord) -> Manner:
    """Return the manner in which an index was made."""
    known = {field.name for field in fields(Manner)}
    stored: Mapping[str, Any] = record.settings.get(MANNER) or {}
    return Manner(**{name: value for name, value in stored.items() if name in known})


def profile_of(model: str) -> Profile:
    """Return the most particular profile for a model id; a plain one where nothing is known."""
    manager = plugin_manager()
    if not manager.has_plugin(__name__):
        manager.register(sys.modules[__name__], name=__name__)
    name = model.lower()
    return next((each for each in profiles() if fnmatchcase(name, each.models.lower())), Profile(models=model))


def choose_manner(
    model: str,
    *,
    task: str | None = None,
    dimensions: int | None = None,
    query_prefix: str | None = None,
    document_prefix: str | None = None,
) -> Manner:
    """Return how an index asks a model: as its profile says, or as it was told here.

    Raises BadOption for a task that the profile does not know, and for dimensions that the model cannot be cut to.
    """
    profile = profile_of(model)
    chosen = Task(query_prefix=profile.query_prefix, document_prefix=profile.document_prefix)
    chosen = profile.tasks.get(_DEFAULT_TASK, chosen)
    if task is not None:
        spelled = task.lower().replace("_", "-").replace(" ", "-")
        if spelled != _DEFAULT_TASK and spelled not in profile.tasks:
            known = ", ".join(sorted(profile.tasks)) or "none"
            raise BadOption(f"model {model!r} has no task {task!r}; it has: {known}")
        chosen = profile.tasks.get(spelled, chosen)
    if dimensions is not None and not profile.shortens:
        raise BadOption(
            f"model {model!r} is not known to keep its meaning when its vectors are cut to {dimensions} dimensions; "
            "leave out --dimensions, or register a profile that says so"
        )
    return Manner(
        query_prefix=chosen.query_prefix if query_prefix is None else query_prefix,
        document_prefix=chosen.document_prefix if document_prefix is None else document_prefix,
        query_type=chosen.query_type,
        document_type=chosen.document_type,
        dimensions=dimensions,
    )


def plain_manner(manner: Manner) -> Manner:
    """Return the manner without prefixes and task types: how llm itself asks its models."""
    return Manner(dimensions=manner.dimensions)


# --- what we know ourselves ------------------------------------------------------------------------------------------

_DEFAULT_TASK: Final = "retrieval"


def _gemini_types() -> dict[str, Task]:
    """The task types of https://ai.google.dev/api/embeddings#tasktype: three for queries only, three for both sides."""
    questions = {
        _DEFAULT_TASK: "RETRIEVAL_QUERY",
        "question-answering": "QUESTION_ANSWERING",
        "fact-verification": "FACT_VERIFICATION",
        "code-retrieval-query": "CODE_RETRIEVAL_QUERY",
    }
    both = ("semantic-similarity", "classification", "clustering")
    return {name: Task(query_type=kind, document_type="RETRIEVAL_DOCUMENT") for name, kind in questions.items()} | {
        name: Task(query_type=name.upper().replace("-", "_"), document_type=name.upper().replace("-", "_"))
        for name in both
    }


def _google_prefixes() -> dict[str, Task]:
    """The prefixes of https://ai.google.dev/gemini-api/docs/embeddings (Gemini 2, which ignores `taskType`) and of
    https://ai.google.dev/gemma/docs/embeddinggemma/model_card."""
    questions = {
        _DEFAULT_TASK: "search result",
        "question-answering": "question answering",
        "fact-verification": "fact checking",
        "code-retrieval-query": "code retrieval",
    }
    both = {
        "semantic-similarity": "sentence similarity",
        "classification": "classification",
        "clustering": "clustering",
    }
    return {
        name: Task(query_prefix=f"task: {words} | query: ", document_prefix="title: none | text: ")
        for name, words in questions.items()
    } | {
        name: Task(query_prefix=f"task: {words} | query: ", document_prefix=f"task: {words} | query: ")
        for name, words in both.items()
    }


_NOMIC: Final = {
    _DEFAULT_TASK: Task("search_query: ", "search_document: "),
    "classification": Task("classification: ", "classification: "),
    "clustering": Task("clustering: ", "clustering: "),
}
_ASK_FOR_PASSAGES: Final = "Represent this sentence for searching relevant passages: "
_INSTRUCT: Final = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"

OWN: Final = (
    Profile("wordllama", max_tokens=None, shortens=True),
    # ai.google.dev/gemini-api/docs/embeddings and .../pricing: 001 cuts to 128 to 3,072 dimensions without normalising.
    Profile(
        "gemini-embedding-001*",
        max_tokens=2048,
        shortens=True,
        tasks=_gemini_types(),
        price=0.15,
        items_are_requests=True,
    ),
    Profile(
        "gemini-embedding-2*",
        max_tokens=8192,
        shortens=True,
        tasks=_google_prefixes(),
        price=0.20,
        items_are_requests=True,
    ),
    Profile("*embeddinggemma*", max_tokens=2048, shortens=True, tasks=_google_prefixes()),
    # Model cards of intfloat: one blank after "Query:".
    Profile("*e5-*", "query: ", "passage: ", max_tokens=512, output="unit"),
    Profile("*e5-*instruct*", _INSTRUCT + " ", "", max_tokens=512, output="unit"),
    Profile("*e5-mistral*instruct*", _INSTRUCT + " ", "", max_tokens=4096, output="unit"),
    # Model cards of nomic-ai. Only v1 was not trained to be cut; what Ollama calls by a tag is v1.5.
    Profile("*nomic-embed-text*", max_tokens=8192, tasks=_NOMIC),
    Profile("*nomic-embed-text:*", max_tokens=8192, tasks=_NOMIC, shortens=True),
    Profile("*nomic-embed-text-v1.5*", max_tokens=8192, tasks=_NOMIC, shortens=True),
    Profile("*nomic-embed-text-v2*", max_tokens=512, tasks=_NOMIC, shortens=True),
    # github.com/FlagOpen/FlagEmbedding, the list of models: no instruction for documents, and none at all for m3.
    Profile("*bge-*-en*", _ASK_FOR_PASSAGES, max_tokens=512, output="unit"),
    Profile("*bge-*-zh*", "为这个句子生成表示以用于检索相关文章：", max_tokens=512, output="unit"),
    Profile("*bge-m3*", max_tokens=8192, output="unit"),
    # github.com/QwenLM/Qwen3-Embedding, get_detailed_instruct: no blank after "Query:".
    Profile("*qwen3-embedding*", _INSTRUCT, max_tokens=32_768, shortens=True, output="unit"),
    # mixedbread.com/docs/embeddings/models: xsmall was trained without a prompt.
    Profile("*mxbai-embed*", _ASK_FOR_PASSAGES, max_tokens=512, shortens=True),
    Profile("*mxbai-embed-xsmall*", max_tokens=4096, shortens=True),
    Profile("*mxbai-embed-de*", "query: ", "passage: ", max_tokens=512, shortens=True),
    # "prompts" in config_sentence_transformers.json of jinaai's models; of v5, nano reads the fewest tokens.
    Profile("*jina-embeddings-v2*", max_tokens=8192),
    Profile(
        "*jina-embeddings-v3*",
        "Represent the query for retrieving evidence documents: ",
        "Represent the document for retrieval: ",
        max_tokens=8192,
        shortens=True,
    ),
    Profile("*jina-embeddings-v4*", "Query: ", "Passage: ", max_tokens=32_768, shortens=True),
    Profile("*jina-embeddings-v5*", "Query: ", "Document: ", max_tokens=8192, shortens=True),
    # Model cards of Snowflake; the second generation is called ...2 by Ollama, ...v2.0 elsewhere.
    Profile("*snowflake-arctic-embed*", _ASK_FOR_PASSAGES, max_tokens=512),
    Profile("*snowflake-arctic-embed*v1.5*", _ASK_FOR_PASSAGES, max_tokens=512, shortens=True),
    Profile("*snowflake-arctic-embed2*", "query: ", max_tokens=8192, shortens=True),
    Profile("*snowflake-arctic-embed*v2*", "query: ", max_tokens=8192, shortens=True),
    # platform.openai.com/docs/guides/embeddings
    Profile("*text-embedding-3-small*", max_tokens=8191, shortens=True, output="unit", price=0.02),
    Profile("*text-embedding-3-large*", max_tokens=8191, shortens=True, output="unit", price=0.13),
    Profile("3-small*", max_tokens=8191, shortens=True, output="unit", price=0.02),
    Profile("3-large*", max_tokens=8191, shortens=True, output="unit", price=0.13),
)
"""Prefixes and limits are those of the model cards, checked in 2026. Prices are the providers' list prices of that year
for text, not in batches, in US dollars per million tokens; `--price` overrides them."""


@hookimpl(trylast=True)
def register_profiles(register: Callable[[Profile], None]) -> None:
    """Ours come last, so that a plugin's profile for the same models wins."""
    for profile in OWN:
        register(profile)
