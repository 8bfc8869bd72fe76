"""A row becomes text.

Without a template the columns are joined by line breaks, in their order. Values are made readable on the way:

    NULL, '', '  ', BLOB            nothing: binary data is not text
    12, 0.5                         12, 0.5
    ["Drama", "Western"]            Drama, Western
    {"name": "Ada", "born": 1815}   name: Ada, and on the next line born: 1815
    {"cast": [{"name": "Ada"}]}     cast.name: Ada
    <p>Fish &amp; <b>chips</b></p>  Fish & chips
    x < y, List<int>, AT&amp;T      as they stand: only what clearly is JSON or HTML is read as such,
    Use `<b>`, or ``` blocks        and Markdown or other text with code in it is not

The language of `--template`

    {column}        inserts the column's value, made readable as above
    {{ and }}       stand for the braces themselves
    a line          whose columns all come out empty vanishes, with the words around them; so a label needs no condition

So `Title: {title}` over a line `Director: {director}` is one line for a film whose director is NULL. A line without
columns stays, unless every column of the template is empty: then the row says nothing, and its text is empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from html import unescape
from typing import Any, Final

from datasette_semantic.errors import BadOption
from datasette_semantic.records import Cell, TextSpec

__all__ = ["readable", "row_text", "template_columns"]


def row_text(values: Mapping[str, Cell], spec: TextSpec) -> str:
    """Return what the row says; empty where it says nothing.

    `values` holds every column that `spec` names (a missing one is a KeyError: the caller's mistake).
    The same values always give the same text: its hash tells whether a row has changed.
    """
    if spec.template is not None:
        return _filled(_compiled(spec.template), values)
    return "\n".join([text for name in spec.columns if (text := readable(values[name]))])


def readable(value: Cell) -> str:
    """Return one cell as text; empty for what holds none."""
    if isinstance(value, str):
        if not value or value.isspace():
            return ""
        # The two looks at the text that make plain text cost nothing more.
        if value[0] in "[{ \t\r\n":
            return _readable_json(value)
        return _readable_html(value) if "<" in value else value
    if value is None or isinstance(value, bytes):
        return ""
    return str(value)


# --- JSON -----------------------------------------------------------------------------------------------------------


def _readable_json(value: str) -> str:
    bare = value.strip()
    if (bare[0], bare[-1]) in {("[", "]"), ("{", "}")}:
        try:
            return "\n".join(_lines("", json.loads(bare)))
        except (ValueError, RecursionError):
            pass  # "[Chorus]", or nested beyond all sense: text after all
    return _readable_html(value)


def _lines(path: str, node: Any) -> Iterator[str]:
    """Yield `path: value` per scalar or list of scalars, depth first; what stands at the top has no path."""
    if isinstance(node, dict):
        for key, child in node.items():
            yield from _lines(f"{path}.{key}" if path else key, child)
    elif isinstance(node, list) and any(isinstance(child, dict | list) for child in node):
        for child in node:
            yield from _lines(path, child)
    else:
        text = ", ".join(filter(None, map(_scalar, node))) if isinstance(node, list) else _scalar(node)
        if text:
            yield f"{path}: {text}" if path else text


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _readable_html(value.strip())
    return "" if value is None else str(value)


# --- HTML -----------------------------------------------------------------------------------------------------------

_KNOWN: Final = (
    "a|abbr|article|aside|b|blockquote|body|code|dd|del|details|div|dl|dt|em|figcaption|figure|footer|h[1-6]|head|header"
    "|html|i|ins|label|li|main|mark|nav|ol|p|pre|q|s|section|small|span|strong|sub|summary|sup|table|tbody|td|th|thead"
    "|time|title|tr|u|ul"
)

# An end tag that HTML knows, or one of the few elements that come without: List<int> and "x < y" have neither.
_CLEARLY_HTML = re.compile(
    rf"</(?:{_KNOWN})\s*>|<(?:br|hr|p|li)\s*/?>|<(?:p|li|img)\s[^<>]*>|<!doctype\s", re.IGNORECASE
)

# Not html.parser: it takes quadratic time over damaged markup (20 seconds for 60 kB of "<a ", in Python 3.11.7), and
# one such row would hold up all others. Here no attempt to match looks beyond the next "<".
_TAG = re.compile(
    r"""
      <!--
    | <[!?] [^<>]* >
    | </? (?P<name>[a-z][a-z0-9:-]*) (?: [\s/] (?: (?: [^<>"'] | "[^"<]*" | '[^'<]*' )* | [^<>]* ) )? >
    """,
    re.IGNORECASE | re.VERBOSE,
)
_SILENT_END = {name: re.compile(rf"</{name}\b[^<>]*>?", re.IGNORECASE) for name in ("script", "style")}
_CELLS: Final = frozenset({"td", "th"})
_BLOCKS: Final = frozenset(
    """
    address article aside blockquote body br caption center dd details div dl dt fieldset figcaption figure
    footer form h1 h2 h3 h4 h5 h6 head header hr html legend li main nav ol option p pre section summary table
    tbody tfoot thead title tr ul
    """.split()
)
_SPACES = re.compile(r"\s+")
_SPACES_IN_LINE = re.compile(r"[^\S\n]+")
_LINE_BREAK = re.compile(r" ?\n ?")
_LINE_BREAKS = re.compile(r"\n{2,}")
_CODE = re.compile(r"`|^(?: {4}|\t)", re.MULTILINE)


def _readable_html(value: str) -> str:
    """Return the text of `value` if it clearly is HTML, a line per block, without script and style; else `value`.

    Where it begins with a tag, line breaks mean as little as in any HTML; elsewhere (a post with a few tags) they are
    the writer's own and stay.
    """
    if "<" not in value or not _is_html(value):
        return value
    markup = value.lstrip().startswith("<")
    parts: list[str] = []
    preformatted = False
    for text, tag in _text_and_tags(value):
        parts.append((_SPACES if markup and not preformatted else _SPACES_IN_LINE).sub(" ", unescape(text)))
        name = tag.strip("/")
        if name == "pre":
            preformatted = tag == "pre"
        parts.append("\n" if name in _BLOCKS else " " if name in _CELLS else "")
    lines = _LINE_BREAK.sub("\n", _SPACES_IN_LINE.sub(" ", "".join(parts)))
    return _LINE_BREAKS.sub("\n" if markup else "\n\n", lines).strip()


def _is_html(value: str) -> bool:
    """Whether tags in `value` are markup: in Markdown, and other text with code, they may be what it is about."""
    if "```" in value or not _CLEARLY_HTML.search(value):
        return False
    return value.lstrip().startswith("<") or not _CODE.search(value)


def _text_and_tags(value: str) -> Iterator[tuple[str, str]]:
    """Yield each stretch of text with the tag after it: "p", "/p", or "" for comments, declarations and the end."""
    start = 0
    while match := _TAG.search(value, start):
        name = (match["name"] or "").lower()
        opening = value[match.start() + 1] != "/"
        yield value[start : match.start()], name if opening else f"/{name}"
        start = match.end()
        if match[0] == "<!--":
            end = value.find("-->", start)
            start = end + 3 if end >= 0 else len(value)
        elif opening and name in _SILENT_END:
            closing = _SILENT_END[name].search(value, start)
            start = closing.end() if closing else len(value)
    yield value[start:], ""


# --- templates ------------------------------------------------------------------------------------------------------

_BRACES = re.compile(r"\{\{|\}\}|\{(?P<column>[^{}]*)\}|[{}]")


@dataclass(frozen=True, slots=True)
class _Insert:
    column: str


_Line = tuple[str | _Insert, ...]


def template_columns(template: str) -> tuple[str, ...]:
    """Return the columns that `template` names, each once, in order of appearance.

    Raises `BadOption` for a brace without its partner, for `{}`, and for a template that names no column.
    """
    inserts = [part.column for line in _compiled(template) for part in line if isinstance(part, _Insert)]
    if not inserts:
        raise BadOption(f"The template {template!r} names no column: write {{column}} where a value belongs.")
    return tuple(dict.fromkeys(inserts))


@lru_cache(maxsize=64)
def _compiled(template: str) -> tuple[_Line, ...]:
    """Take a template apart into lines of literal text and columns to insert."""
    lines: list[list[str | _Insert]] = [[]]
    start = 0
    for match in _BRACES.finditer(template):
        _add_text(lines, template[start : match.start()])
        if match["column"]:
            lines[-1].append(_Insert(match["column"]))
        elif match[0] in ("{{", "}}"):
            lines[-1].append(match[0][0])
        else:
            raise BadOption(
                f"The template has {_BRACE_FAULTS[match[0]]} at character {match.start() + 1}: {template!r}."
                " Write {column} for a column's value, {{ and }} for braces."
            )
        start = match.end()
    _add_text(lines, template[start:])
    return tuple(map(tuple, lines))


_BRACE_FAULTS: Final = {
    "{": "a '{' without its '}'",
    "}": "a '}' without its '{'",
    "{}": "braces with no column in them",
}


def _add_text(lines: list[list[str | _Insert]], text: str) -> None:
    first, *others = text.split("\n")
    lines[-1].append(first)
    lines += [[other] for other in others]


def _filled(lines: tuple[_Line, ...], values: Mapping[str, Cell]) -> str:
    kept: list[str] = []
    spoke = False
    for line in lines:
        inserted = {part: readable(values[part.column]) for part in line if isinstance(part, _Insert)}
        if inserted and not any(inserted.values()):
            continue
        spoke = spoke or bool(inserted)
        kept.append("".join([part if isinstance(part, str) else inserted[part] for part in line]))
    return "\n".join(kept) if spoke else ""
