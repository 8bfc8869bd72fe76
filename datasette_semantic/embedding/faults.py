"""What a model's exception means: wait and try again, give up at once, or these texts will not do."""

from __future__ import annotations

import re
import time
from email.utils import parsedate_to_datetime
from typing import Any, Final

from ..errors import ModelBusy, ModelError, ModelRefused

__all__ = ["explained", "from_response", "redacted"]

_BUSY: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_REFUSED: Final = frozenset({401, 402, 403, 404, 405})
_SPENT: Final = ("insufficient_quota", "billing_hard_limit")
_BAD_KEY: Final = ("api_key_invalid", "api key not valid", "api key expired", "invalid api key", "incorrect api key")
_PASSING: Final = ("timeout", "connecterror", "connectionerror", "networkerror", "remoteprotocolerror", "readerror")
_KEY = re.compile(r"((?:[?&]key=|x-goog-api-key['\"]?[:=]\s*['\"]?|bearer\s+))[^\s&'\"]+", re.IGNORECASE)


def explained(error: Exception, *, model: str, key: str | None = None) -> ModelError:
    """Return what a model raised as ModelBusy, ModelRefused, or ModelError for all else, in words without its key.

    Plugins of llm use many clients: what tells them apart is a response with a status code, or the exception's name.
    """
    if isinstance(error, ModelError):
        return error
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None) or getattr(error, "status_code", None)
    if isinstance(status, int):
        return from_response(status, response, model=model, key=key, words=str(error))
    words = redacted(f"{type(error).__name__}: {error}", key)
    names = " ".join(each.__name__.lower() for each in type(error).__mro__)
    if any(name in names for name in _PASSING):
        return ModelBusy(f"model {model!r} cannot be reached: {words}")
    return ModelError(f"model {model!r} failed: {words}")


def from_response(status: int, response: Any, *, model: str, key: str | None, words: str = "") -> ModelError:
    """Return the error that an HTTP response stands for; `words` serve where its body has none."""
    body = _body(response)
    said = redacted(_message(body) or words or "no explanation", key)
    text = f"{said} {body}".lower()
    if any(sign in text for sign in (*_BAD_KEY, *_SPENT)) or status in _REFUSED:
        return ModelRefused(f"model {model!r} refused with status {status}: {said}")
    if status in _BUSY:
        return ModelBusy(f"model {model!r} is busy (status {status}): {said}", retry_after=_retry_after(response, body))
    return ModelError(f"model {model!r} failed with status {status}: {said}")


def redacted(text: str, key: str | None = None) -> str:
    """Return `text` without API keys."""
    if key:
        text = text.replace(key, "[key]")
    return _KEY.sub(r"\1[key]", text)


def _body(response: Any) -> Any:
    try:
        return response.json()
    except (AttributeError, ValueError, RuntimeError):  # no JSON, or a stream that was closed before it was read
        return None


def _message(body: Any) -> str | None:
    error = body.get("error", body) if isinstance(body, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return message if isinstance(message, str) else None


def _retry_after(response: Any, body: Any) -> float | None:
    """Return the seconds that the server asks for: Retry-After (RFC 9110), or google.rpc.RetryInfo in the body."""
    headers = getattr(response, "headers", None) or {}
    if (milliseconds := headers.get("retry-after-ms")) and re.fullmatch(r"\d+(\.\d+)?", milliseconds):
        return float(milliseconds) / 1000
    if value := headers.get("retry-after"):
        if re.fullmatch(r"\d+(\.\d+)?", value.strip()):
            return float(value)
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        except ValueError:
            pass  # a header that says nothing: the body may
    details = body.get("error", {}).get("details", []) if isinstance(body, dict) else []
    for detail in details if isinstance(details, list) else []:
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and re.fullmatch(r"\d+(\.\d+)?s", delay):
            return float(delay[:-1])
    return None
