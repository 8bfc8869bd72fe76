"""Answers over HTTP: one shape for data, one for errors, in both versions of Datasette."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from datasette import Response
from datasette.utils import CustomJSONEncoder, add_cors_headers

__all__ = ["add_common_headers", "error_response", "json_response"]


def json_response(
    datasette: Any, body: Any, *, status: int = 200, next_url: str | None = None, lines: bool = False
) -> Response:
    """Return JSON, or a line of JSON per item where `body` is a list and `lines` asks for it."""
    headers = {"Link": f'<{next_url}>; rel="next"'} if next_url else {}
    if lines and isinstance(body, list):
        text = "".join(f"{_dump(item)}\n" for item in body)
        response = Response(text, status=status, headers=headers, content_type="text/plain; charset=utf-8")
    else:
        response = Response(_dump(body), status=status, headers=headers, content_type="application/json; charset=utf-8")
    add_common_headers(datasette, response)
    return response


def error_response(datasette: Any, messages: Sequence[str], status: int) -> Response:
    """Return an error in Datasette 1.0's shape."""
    body = {"ok": False, "error": "; ".join(messages), "errors": list(messages), "status": status}
    return json_response(datasette, body, status=status)


def add_common_headers(datasette: Any, response: Any) -> None:
    """Let other sites read the answer where Datasette lets them, and keep the query out of their logs."""
    response.headers["Referrer-Policy"] = "no-referrer"
    if datasette.cors:
        add_cors_headers(response.headers)


def _dump(value: Any) -> str:
    try:
        return _encode(value)
    except (TypeError, ValueError):  # rare enough not to look at every value first
        return _encode(_finite(value))


def _encode(value: Any) -> str:
    return json.dumps(value, cls=CustomJSONEncoder, allow_nan=False, ensure_ascii=False)


def _finite(value: Any) -> Any:
    """Replace what JSON cannot say: SQLite can store infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
