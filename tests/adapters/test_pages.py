"""The pages of the documentation are programs: each is run from top to bottom, and what it prints is compared."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"

BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["python", "sqlalchemy", "peewee", "llm"])
def test_the_page_runs_and_prints_what_it_says(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall((DOCS / f"{page}.md").read_text())
    assert blocks
    module = ModuleType(f"page_{page}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    printed = ""
    for kind, text in blocks:
        if kind == "text":
            assert printed == text
            printed = ""
        else:
            assert not printed, f"the page does not say that this is printed: {printed}"
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(text, f"docs/{page}.md", "exec", dont_inherit=True), vars(module))
            printed = out.getvalue()


def test_the_pages_have_no_other_fences() -> None:
    """A fence in a spelling that the test above passes over would never be run."""
    for page in ("python", "sqlalchemy", "peewee", "llm"):
        fences = re.findall(r"^```(\w*)$", (DOCS / f"{page}.md").read_text(), re.MULTILINE)
        assert set(fences) <= {"python", "text", ""}
        assert fences.count("") == len(fences) - fences.count("")
