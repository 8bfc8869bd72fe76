"""SQL conditions taken apart, as far as that is certain: what one of them says of one column."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["compares_only", "conjuncts"]

_TOKEN: Final = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--|/\*|[:@$?][\w$]*|\w[\w$]*|.""", re.DOTALL
)
_UNCERTAIN: Final = frozenset(("or", "between", "case", "select", "with", "values", "--", "/*"))
"""Words beside which AND may mean something else, or bind otherwise."""

_VALUE: Final = r"(?:[-+]?\d+(?:\.\d+)?|'(?:[^']|'')*'|:\w+|null)"
_LISTED: Final = r"\(\s*select\s+cast\s*\(\s*value\s+as\s+text\s*\)\s+from\s+json_each\s*\(\s*:\w+\s*\)\s*\)"


def conjuncts(condition: str) -> tuple[str, ...]:
    """Return conditions that all hold where this one does; the condition itself where it cannot be taken apart."""
    pieces = [""]
    depth = 0
    for token in _TOKEN.findall(condition):
        word = token.lower()
        depth += (token == "(") - (token == ")")
        if depth < 0 or (depth == 0 and word in _UNCERTAIN):
            return (condition.strip(),)
        if depth == 0 and word == "and":
            pieces.append("")
        else:
            pieces[-1] += token
    if depth:
        return (condition.strip(),)
    if len(pieces) > 1:
        return tuple(part for piece in pieces for part in conjuncts(piece))
    bare = condition.strip()
    inner = _within_parentheses(bare)
    return (bare,) if inner is None else conjuncts(inner)


def _within_parentheses(condition: str) -> str | None:
    """Return what one pair of parentheses holds, None where the condition is no such pair."""
    if not (condition.startswith("(") and condition.endswith(")")):
        return None
    depth = 0
    tokens = _TOKEN.findall(condition)
    for token in tokens[:-1]:
        depth += (token == "(") - (token == ")")
        if not depth:
            return None
    return condition[1:-1]


def compares_only(condition: str, *, table: str, column: str) -> bool:
    """True where a condition says which values a column has, and nothing else: `=`, `is`, `in`."""
    name = rf"(?:{_identifier(table)}\s*\.\s*)?{_identifier(column)}"
    forms = (
        rf"{name}\s*(?:==?|\bis\b)\s*{_VALUE}",
        rf"{name}\s*\bin\b\s*\(\s*{_VALUE}(?:\s*,\s*{_VALUE})*\s*\)",
        rf"cast\s*\(\s*{name}\s+as\s+text\s*\)\s*in\s*{_LISTED}",
    )
    return any(re.fullmatch(form, condition.strip(), re.IGNORECASE) for form in forms)


def _identifier(name: str) -> str:
    quoted = [f'"{re.escape(name.replace(chr(34), chr(34) * 2))}"', f"`{re.escape(name.replace('`', '``'))}`"]
    quoted += [rf"\[{re.escape(name)}\]"] if "]" not in name else []
    bare = [rf"\b{re.escape(name)}\b"] if re.fullmatch(r"[A-Za-z_]\w*", name) else []
    return f"(?:{'|'.join(quoted + bare)})"
