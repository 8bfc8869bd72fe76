"""Python's own documentation as records: from source, which is read and not run, and from modules written in C."""

from __future__ import annotations

import ast
import inspect
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

__all__ = ["Docstring", "built_in_docstrings", "docstrings"]

Kind = Literal["module", "class", "function", "method"]


@dataclass(frozen=True, slots=True)
class Docstring:
    """What one module, class, function or method says of itself."""

    module: str
    name: str
    """Its path within the module: `Path.exists`; for a module its own name."""
    kind: Kind
    signature: str
    """`exists(self, *, follow_symlinks=True)`; a class shows its bases; empty for a module."""
    text: str
    """The docstring, its indentation taken off."""


def docstrings(module: str, source: str) -> Iterator[Docstring]:
    """Yield the docstrings of a module's source in order, those of private names left out.

    A name that is defined more than once, in the branches of an `if` say, may come more than once.
    Raises SyntaxError for what is not Python.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old source may hold escapes that newer Pythons frown upon
        tree = ast.parse(source)
    if text := ast.get_docstring(tree):
        yield Docstring(module, module, "module", "", text)
    yield from _members(module, tree.body, prefix="", kind="function")


def built_in_docstrings(module: ModuleType) -> Iterator[Docstring]:
    """Yield the docstrings of a module that has no Python source, as its objects carry them."""
    name = module.__name__
    if module.__doc__:
        yield Docstring(name, name, "module", "", inspect.cleandoc(module.__doc__))
    for member, value in _public(vars(module)):
        if inspect.isclass(value):
            yield from _built_in(name, member, "class", value)
            for method, function in _public(vars(value)):
                yield from _built_in(name, f"{member}.{method}", "method", function)
        elif inspect.isroutine(value):
            yield from _built_in(name, member, "function", value)


def _public(members: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in members.items() if not name.startswith("_")]


def _built_in(module: str, name: str, kind: Kind, value: Any) -> Iterator[Docstring]:
    text = getattr(value, "__doc__", None)
    if text and (kind != "method" or inspect.isroutine(value) or inspect.isdatadescriptor(value)):
        yield Docstring(module, name, kind, _live_signature(name, value), inspect.cleandoc(text))


def _live_signature(name: str, value: Any) -> str:
    try:
        return f"{name.rpartition('.')[2]}{inspect.signature(value)}"
    except (AttributeError, TypeError, ValueError):  # C code need not say, nor say it so that Python understands
        return ""


def _members(module: str, body: Iterable[ast.stmt], *, prefix: str, kind: Kind) -> Iterator[Docstring]:
    for node in _definitions(body):
        if node.name.startswith("_"):
            continue
        name = prefix + node.name
        is_class = isinstance(node, ast.ClassDef)
        if text := ast.get_docstring(node):
            yield Docstring(module, name, "class" if is_class else kind, _signature(node), text)
        if is_class:
            yield from _members(module, node.body, prefix=f"{name}.", kind="method")


Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _definitions(body: Iterable[ast.stmt]) -> Iterator[Definition]:
    """Yield the classes and functions of a block, also those under `if` and `try`, as platforms need them."""
    for node in body:
        if isinstance(node, Definition):
            yield node
        elif isinstance(node, ast.If):
            yield from _definitions([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            handlers = [statement for handler in node.handlers for statement in handler.body]
            yield from _definitions([*node.body, *handlers, *node.orelse])


def _signature(node: Definition) -> str:
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        return f"{node.name}({bases})" if bases else node.name
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    prefix = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    return f"{prefix}{node.name}({ast.unparse(node.args)}){returns}"
