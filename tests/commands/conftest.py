"""The commands are run as people run them: through `sqlite-utils`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """`run("embed", path, ...)` runs `sqlite-utils embed path ...`; whatever is no clean exit raises."""
    from sqlite_utils.cli import cli

    def invoke(*arguments: object) -> Result:
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def embedded(run: Run, articles: Path) -> Path:
    """`articles`, embedded over title and body by the built-in model."""
    result = run("embed", articles, "articles", "title", "body")
    assert result.exit_code == 0, result.output
    return articles


@pytest.fixture
def fingerprint() -> Callable[[Path], str]:
    """The hash of a file's bytes: equal before and after a refusal."""
    return lambda path: hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
