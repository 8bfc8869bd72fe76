"""The one place where an identifier becomes SQL."""

from __future__ import annotations

__all__ = ["quote", "quote_string"]


def quote(identifier: str) -> str:
    """Return `identifier` as an SQL identifier, whatever it holds: quotes, brackets, spaces, keywords.

    Source: https://sqlite.org/lang_keywords.html
    """
    return '"' + identifier.replace('"', '""') + '"'


def quote_string(text: str) -> str:
    """Return `text` as an SQL string literal, for the few places of DDL where SQLite takes no parameter."""
    return "'" + text.replace("'", "''") + "'"
