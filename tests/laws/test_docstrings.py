"""Docstrings read from source."""

from __future__ import annotations

import math
import textwrap

import pytest

from datasette_semantic.laws.docstrings import Docstring, built_in_docstrings, docstrings

SOURCE = textwrap.dedent('''
    """About shapes.

    All of them.
    """
    raise SystemExit("reading runs nothing")

    class Shape(Base, metaclass=Meta):
        """A shape."""

        def area(self, *, exact: bool = True) -> float:
            """The area,
            in square metres."""

        def _secret(self):
            """Nobody's business."""

        class Corner:
            """Where edges meet."""

    class Undocumented:
        async def draw(self, pen): "Draw it."

    if windows:
        def dots(): "Dots per inch."
    else:
        def dots(): "Dots per inch, elsewhere."

    try:
        import fast
    except ImportError:
        def fallback(a, /, *b, c=1, **d): "Slow."

    def silent(): pass
''')


def test_everything_public_that_speaks() -> None:
    assert list(docstrings("shapes", SOURCE)) == [
        Docstring("shapes", "shapes", "module", "", "About shapes.\n\nAll of them."),
        Docstring("shapes", "Shape", "class", "Shape(Base)", "A shape."),
        Docstring(
            "shapes",
            "Shape.area",
            "method",
            "area(self, *, exact: bool=True) -> float",
            "The area,\nin square metres.",
        ),
        Docstring("shapes", "Shape.Corner", "class", "Corner", "Where edges meet."),
        Docstring("shapes", "Undocumented.draw", "method", "async draw(self, pen)", "Draw it."),
        Docstring("shapes", "dots", "function", "dots()", "Dots per inch."),
        Docstring("shapes", "dots", "function", "dots()", "Dots per inch, elsewhere."),
        Docstring("shapes", "fallback", "function", "fallback(a, /, *b, c=1, **d)", "Slow."),
    ]


def test_what_is_not_python() -> None:
    with pytest.raises(SyntaxError):
        list(docstrings("broken", "def"))


def test_old_escapes_do_not_warn() -> None:
    assert [found.text for found in docstrings("old", '"""\\d"""')] == ["\\d"]


def test_a_module_written_in_c() -> None:
    found = {docstring.name: docstring for docstring in built_in_docstrings(math)}
    assert found["math"].kind == "module"
    assert found["sqrt"] == Docstring("math", "sqrt", "function", "sqrt(x, /)", "Return the square root of x.")
    assert "pi" not in found
