"""A thin client of Gemini's `batchEmbedContents`, which llm-gemini does not fully use: it sends no `taskType`.

Reference: https://ai.google.dev/api/embeddings#method:-models.batchembedcontents
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

import httpx

from ..errors import BadModelOutput, ModelBusy
from .faults import explained, from_response

__all__ = ["URL_VARIABLE", "embed"]

URL_VARIABLE: Final = "DATASETTE_SEMANTIC_GEMINI_URL"
"""An environment variable: the address of another server that speaks Gemini's API, such as a proxy or a test's."""

_URL: Final = "https://generativelanguage.googleapis.com"
_TIMEOUT: Final = httpx.Timeout(60.0, connect=10.0)


def embed(
    texts: Sequence[str], *, model: str, key: str, task_type: str | None, dimensions: int | None
) -> list[list[float]]:
    """Return one vector per text, at most 100 a call, not of unit length where they were shortened.

    Raises ModelBusy, ModelRefused, ModelError, BadModelOutput; the key is in none of their messages.
    """
    name = f"models/{model}"
    requests = [_request(name, text, task_type, dimensions) for text in texts]
    address = f"{os.environ.get(URL_VARIABLE, _URL)}/v1beta/{name}:batchEmbedContents"
    try:
        # The key travels as a header, never in the address, which ends up in logs.
        response = httpx.post(address, json={"requests": requests}, headers={"x-goog-api-key": key}, timeout=_TIMEOUT)
    except httpx.HTTPError as error:
        raise explained(error, model=model, key=key) from None
    if response.status_code != 200:
        raise from_response(response.status_code, response, model=model, key=key)
    return _vectors(response, model, len(texts))


def _request(name: str, text: str, task_type: str | None, dimensions: int | None) -> dict[str, Any]:
    request: dict[str, Any] = {"model": name, "content": {"parts": [{"text": text}]}}
    if task_type is not None:
        request["taskType"] = task_type
    if dimensions is not None:
        request["outputDimensionality"] = dimensions
    return request


def _vectors(response: httpx.Response, model: str, count: int) -> list[list[float]]:
    try:
        vectors = [each["values"] for each in response.json()["embeddings"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelBusy(f"model {model!r} sent an answer that cannot be read ({type(error).__name__})") from None
    if len(vectors) != count:
        raise BadModelOutput(f"model {model!r} returned {len(vectors)} vectors for {count} texts")
    return vectors
