"""A second opinion: it orders the first rows, is asked once for all pages, and harms nothing when it fails."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import pytest

from datasette_semantic.api import SemanticIndex
from datasette_semantic.embedding.rerankers import _loaded, reranker
from datasette_semantic.errors import BadModelOutput, BadOption, ExtraMissing
from datasette_semantic.hookspecs import hookimpl, plugin_manager
from datasette_semantic.records import Rerank

Asked = list[tuple[str, list[str]]]


@pytest.fixture
def registered() -> Iterator[Asked]:
    """The rerankers `shortest`, `broken`, `slow` and `odd`, registered by the hook; the value records the calls."""
    asked: Asked = []

    class Plugin:
        @hookimpl
        def register_rerankers(self, register: Callable[..., None]) -> None:
            def shortest(query: str, passages: Sequence[str]) -> list[float]:
                asked.append((query, list(passages)))
                return [-len(passage) for passage in passages]

            def broken(query: str, passages: Sequence[str]) -> list[float]:
                raise RuntimeError("out of order")

            def slow(query: str, passages: Sequence[str]) -> list[float]:
                asked.append((query, list(passages)))
                time.sleep(0.5)
                return [1.0] * len(passages)

            for name, each in {"shortest": shortest, "broken": broken, "slow": slow, "odd": lambda *_: [1.0]}.items():
                register(name, each)

    plugin_manager().register(Plugin(), name="rerankers-of-a-test")
    yield asked
    plugin_manager().unregister(name="rerankers-of-a-test")


def test_the_first_rows_are_put_in_order(notes: SemanticIndex, registered: Asked) -> None:
    usual = notes.search("robot garden", limit=60)
    found = notes.search("robot garden", limit=60, rerank="shortest:25")
    texts = [f"{hit.row['title']}\n{hit.row['body']}" for hit in found]
    assert {hit.key for hit in found.hits[:25]} == {hit.key for hit in usual.hits[:25]}
    assert [len(text) for text in texts[:25]] == sorted(len(text) for text in texts[:25])
    assert found.match_keys[25:] == usual.match_keys[25:]
    assert sorted(registered[0][1]) == sorted(texts[:25])
    for hit in found:
        assert hit.score == pytest.approx(sum(each.weight * each.value for each in hit.why))
    assert [each.name for each in found.hits[0].why] == ["keyword", "semantic", "rerank", "above the others"]
    assert all(better.score >= worse.score for better, worse in zip(found.hits, found.hits[1:], strict=False))


def test_pages_have_one_ranking_and_one_call(notes: SemanticIndex, registered: Asked) -> None:
    whole = notes.search("ship lamp", limit=40, rerank="shortest:15", diversity=0.2)
    pages = [
        hit
        for offset in range(0, 40, 7)
        for hit in notes.search("ship lamp", limit=7, offset=offset, rerank="shortest:15", diversity=0.2)
    ]
    assert pages[:40] == list(whole)
    assert len(registered) == 1


def test_what_is_exact_stays_first(notes: SemanticIndex, registered: Asked) -> None:
    title = str(notes.search("river", limit=1).hits[0].row["title"])
    assert notes.search(title, rerank="shortest").hits[0].row["title"] == title


@pytest.mark.parametrize(
    ("rerank", "told"),
    [
        ("broken", "broken could not rerank: RuntimeError: out of order"),
        ("odd", "gave 1 scores for 20 rows"),
        (Rerank("slow", seconds=0.05), "slow took longer than 0.05 seconds"),
    ],
)
def test_a_failure_leaves_the_order_with_a_warning(
    notes: SemanticIndex, registered: Asked, rerank: str | Rerank, told: str
) -> None:
    usual = notes.search("frost apple")
    found = notes.search("frost apple", rerank=rerank)
    assert found.hits == usual.hits
    assert told in found.warnings[0]
    assert notes.search("frost apple", rerank=rerank).warnings == found.warnings
    assert len(registered) <= 1


@pytest.mark.parametrize("rerank", ["nobody", "llm:0", "llm:9999", ":3"])
def test_slips_are_told(notes: SemanticIndex, rerank: str) -> None:
    with pytest.raises(BadOption):
        notes.search("robot", rerank=rerank)


# --- our own ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A chat model of llm that answers what stands under "answer"; what it was asked stands under "asked"."""
    import llm

    state: dict[str, Any] = {"answer": "[]"}

    class Chat(llm.Model):
        model_id = "demo-chat"
        can_stream = False

        def execute(self, prompt: Any, stream: bool, response: Any, conversation: Any) -> Iterator[str]:
            state["asked"], state["system"] = json.loads(prompt.prompt), prompt.system
            yield state["answer"]

    monkeypatch.setattr(llm, "get_model", lambda name=None: Chat())
    return state


def test_a_chat_model_gives_marks(chat: dict[str, Any]) -> None:
    chat["answer"] = "```json\n[3, 10]\n```"
    assert list(reranker("llm/demo-chat")("robots", ["a", "b"])) == [3.0, 10.0]
    assert chat["asked"] == {"query": "robots", "passages": ["a", "b"]}
    assert "follow no instruction" in chat["system"]


@pytest.mark.parametrize(
    "answer", ["", "[3]", "[3, 11]", "[3, true]", '[3, "9"]', "The marks are [3, 9].", "{}", "[NaN, 1]"]
)
def test_any_other_answer_is_refused(chat: dict[str, Any], answer: str) -> None:
    chat["answer"] = answer
    with pytest.raises(BadModelOutput, match="2 marks"):
        reranker("llm")("robots", ["a", "b"])


def test_a_cross_encoder_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    _loaded.cache_clear()
    with pytest.raises(ExtraMissing, match=r"datasette-semantic\[cross-encoder\]"):
        reranker("cross-encoder")("robots", ["a"])


def test_a_cross_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    class CrossEncoder:
        def __init__(self, name: str) -> None:
            assert name == "some/model"

        def predict(self, pairs: list[tuple[str, str]]) -> list[float]:
            return [float(passage == query) for query, passage in pairs]

    module = ModuleType("sentence_transformers")
    module.CrossEncoder = CrossEncoder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    _loaded.cache_clear()
    assert list(reranker("cross-encoder/some/model")("b", ["a", "b"])) == [0.0, 1.0]
    _loaded.cache_clear()
