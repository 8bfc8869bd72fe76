"""`register_chunkers`, by a package that is installed as its users install it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = '''
"""Cuts a text at its blank lines, however long the parts are."""

import re

from datasette_semantic.hookspecs import hookimpl
from datasette_semantic.records import Chunk


def stanzas(text, spec, count_tokens):
    for found in re.finditer(r"\\S.*?(?=\\n\\s*\\n|\\Z)", text, re.DOTALL):
        assert count_tokens(found[0]) > 0
        yield Chunk(found.start(), found.end(), found[0])


def untrue(text, spec, count_tokens):
    yield Chunk(0, 3, "something else")


@hookimpl
def register_chunkers(register):
    register("stanzas", stanzas)
    register("untrue", untrue)
'''

POEM = "A robot in the morning\nwakes alone.\n\nShips come home\nto the harbour.\n\n\nLate frost\non the apple trees."


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the plugin in it, its entry point told as pip tells it."""
    folder = tmp_path / "site"
    (folder / "poems-1.0.dist-info").mkdir(parents=True)
    (folder / "poems.py").write_text(PLUGIN)
    (folder / "poems-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: poems\nVersion: 1.0\n")
    (folder / "poems-1.0.dist-info" / "entry_points.txt").write_text("[datasette_semantic]\npoems = poems\n")
    return folder


def command(site: Path | None, *arguments: object) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parents[2])
    paths = [root, *([str(site)] if site else [])]
    return subprocess.run(
        [sys.executable, "-m", "sqlite_utils", *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )


def test_a_chunker_of_a_plugin(installed: Path, tmp_path: Path) -> None:
    path = tmp_path / "poems.db"
    assert command(None, "insert", path, "poems", "-", "--pk", "id").returncode  # nothing on standard input
    (tmp_path / "poems.json").write_text(json.dumps([{"id": 1, "text": POEM}, {"id": 2, "text": "One line"}]))
    assert command(None, "insert", path, "poems", tmp_path / "poems.json", "--pk", "id").returncode == 0
    done = command(installed, "embed", path, "poems", "text", "--chunker", "stanzas")
    assert done.returncode == 0, done.stderr
    (status,) = json.loads(command(installed, "embeddings", path).stdout)
    assert (status["rows"], status["chunks"]) == (2, 4)
    found = json.loads(command(installed, "hybrid-search", path, "poems", "fruit in the cold", "-n", "1").stdout)
    assert found[0]["id"] == 1
    assert "Late frost on the apple trees." in found[0]["passage"]
    spans = sqlite3.connect(path).execute("select start, end from _semantic_chunks_poems where row_id = 1").fetchall()
    assert [POEM[start:end] for start, end in spans] == [part.strip() for part in POEM.split("\n\n")]


def test_chunkers_that_are_not_there_or_lie(installed: Path, tmp_path: Path) -> None:
    path = tmp_path / "poems.db"
    (tmp_path / "poems.json").write_text(json.dumps([{"id": 1, "text": POEM}]))
    command(None, "insert", path, "poems", tmp_path / "poems.json", "--pk", "id")
    before = path.read_bytes()
    unknown = command(installed, "embed", path, "poems", "text", "--chunker", "verses")
    assert unknown.returncode == 1
    assert "there is no chunker 'verses'; there are: structure, none, stanzas, untrue" in unknown.stderr
    assert "stanzas" not in command(None, "embed", path, "poems", "text", "--chunker", "verses").stderr
    assert path.read_bytes() == before
    untrue = command(installed, "embed", path, "poems", "text", "--chunker", "untrue")
    assert untrue.returncode == 1
    assert "the chunker 'untrue' returned a chunk whose text is not what stands at characters 0 to 3" in untrue.stderr
    assert "Traceback" not in untrue.stderr
    # The index was made with a plugin that is gone since.
    assert command(installed, "embed", path, "poems", "text", "--chunker", "stanzas").returncode == 0
    assert "robot" in command(None, "hybrid-search", path, "poems", "robot").stdout
    command(None, "query", path, "update poems set text = text || 'changed'")
    gone = command(None, "embed", path)
    assert gone.returncode == 1
    assert "there is no chunker 'stanzas'" in gone.stderr
