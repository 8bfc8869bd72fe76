"""A row's primary key as text: the id under which other programs keep its vector."""

from __future__ import annotations

import re

from ..records import Cell, RowKey

__all__ = ["key_text"]

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")


def key_text(key: RowKey) -> str:
    """Return a key as text.

    One value stands as it is, a BLOB that is no text as hexadecimal digits. Several are joined by commas as in the
    address of a row in Datasette, each in its tilde encoding, so that no two keys have the same text:
    `(2024, "a,b")` is `2024,a~2Cb`.
    Source: https://docs.datasette.io/en/stable/internals.html#tilde-encoding
    """
    if len(key) == 1:
        return _value_text(key[0])
    return ",".join(_UNSAFE.sub(_tilde, _value_text(value)) for value in key)


def _value_text(value: Cell) -> str:
    if not isinstance(value, bytes):
        return str(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()


def _tilde(found: re.Match[str]) -> str:
    character = found[0]
    return "+" if character == " " else "".join(f"~{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
