"""The documentation says what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cogapp import Cog

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def test_the_commands_help_in_the_readme_is_the_programs_own(capsys: pytest.CaptureFixture[str]) -> None:
    """`cog -r README.md` brings it up to date."""
    status = Cog().main(["cog", "--check", "--diff", str(README)])
    assert status == 0, capsys.readouterr().out


def test_every_command_and_option_is_in_the_readme() -> None:
    from sqlite_utils.cli import cli

    text = README.read_text()
    for command in ours(cli.commands):
        for parameter in command.params:
            for name in parameter.opts if parameter.param_type_name == "option" else ():
                assert name in text, f"{command.name} {name}"


@pytest.mark.parametrize("page", [*sorted(ROOT.glob("docs/*.md")), README], ids=lambda page: page.name)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


def ours(commands: dict) -> list:
    return [each for each in commands.values() if each.callback.__module__.startswith("datasette_semantic.")]
