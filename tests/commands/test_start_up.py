"""`sqlite-utils` starts whatever it is asked to do: our commands must not slow it down."""

from __future__ import annotations

import subprocess
import sys

# sqlite-utils itself imports numpy where it is installed.
HEAVY = ("datasette.app", "llm", "wordllama", "jinja2", "sqlite_vec", "datasette_semantic.api")


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from sqlite_utils.cli import cli\n"
        "assert 'hybrid-search' in cli.commands\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert python(script).strip() == "[]"


def test_our_commands_cost_less_than_150_ms() -> None:
    with_ours = "import sqlite_utils.cli"
    without = "import sys; sys._called_from_test = True; import sqlite_utils.cli"  # sqlite-utils' switch: no plugins
    assert least(with_ours) - least(without) < 0.150


def least(script: str, runs: int = 7) -> float:
    """The processor's seconds, not the clock's: other programs may be busy meanwhile."""
    return min(float(python(f"{script}\nimport time; print(time.process_time())")) for _ in range(runs))


def python(script: str) -> str:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
