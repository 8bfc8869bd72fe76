"""The wheel, the sdist and an editable install are each built, installed and asked for what Datasette needs of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.packaging, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
TEMPLATES = {str(file.relative_to(ROOT / "templates")) for file in (ROOT / "templates").rglob("*.html")}

# Runs inside the installed environment, far from the source tree.
QUESTIONS = """
import asyncio, json, pathlib
from importlib.metadata import entry_points
import datasette_semantic
from datasette.app import Datasette, get_plugins, pm

package = pathlib.Path(datasette_semantic.__file__).parent
datasette = Datasette(memory=True)
asyncio.run(datasette.invoke_startup())
environment = getattr(datasette, "_jinja_env", None) or datasette.jinja_env
templates = [str(file.relative_to(package / "templates")) for file in (package / "templates").rglob("*.html")]
print(json.dumps({
    "package": str(package),
    "typed": (package / "py.typed").exists(),
    "templates": templates,
    "found_by_datasette": [name for name in templates if environment.get_template(name)],
    "static": [file.name for file in (package / "static").rglob("*") if file.is_file()],
    "groups": [
        point.group for group in ("datasette", "sqlite_utils", "llm")
        for point in entry_points(group=group) if point.value.startswith("datasette_semantic") and point.load()
    ],
}))
"""


def run(*command: object, cwd: Path) -> str:
    # A PYTHONPATH would show the source tree where the install is to be seen.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    finished = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree, because building writes into it."""
    copy = tmp_path_factory.mktemp("source") / "tree"
    left_out = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build", "dist", "*.db*")
    shutil.copytree(ROOT, copy, symlinks=True, ignore=left_out)
    return copy


@pytest.fixture(scope="module")
def distributions(source: Path) -> dict[str, Path]:
    """The wheel and the sdist; `build` makes the wheel from the sdist, which proves that one too."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", source.parent / "dist", ".", cwd=source)
    built = {file.name.split(".")[-1]: file for file in (source.parent / "dist").iterdir()}
    return {"wheel": built["whl"], "sdist": built["gz"]}


@pytest.mark.parametrize("kind", ["wheel", "sdist", "editable"])
def test_an_install_finds_its_templates(
    kind: str, source: Path, distributions: dict[str, Path], tmp_path: Path
) -> None:
    what = ["--editable", source] if kind == "editable" else [distributions[kind]]
    answers = ask_installed(tmp_path, *what)

    expected_home = source if kind == "editable" else tmp_path
    assert Path(answers["package"]).is_relative_to(expected_home)
    assert answers["typed"]
    assert TEMPLATES
    assert set(answers["templates"]) == TEMPLATES
    assert set(answers["found_by_datasette"]) == TEMPLATES
    assert set(answers["static"]) == {
        file.name for file in (ROOT / "datasette_semantic" / "static").rglob("*") if file.is_file()
    }
    assert set(answers["groups"]) == {"datasette", "sqlite_utils", "llm"}


def ask_installed(folder: Path, *what: object) -> dict[str, Any]:
    """Install into a fresh environment that borrows our dependencies, but not our own install, and ask it."""
    home = folder / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    # Folders named in a .pth come after the environment's own, and no .pth in them (an editable install's) is read.
    borrowed = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (packages / "borrowed.pth").write_text("\n".join(borrowed) + "\n")
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "install"]
    run(*pip, "--no-deps", "--no-build-isolation", "--ignore-installed", *what, cwd=folder)
    answers: dict[str, Any] = json.loads(run(python, "-c", QUESTIONS, cwd=folder).splitlines()[-1])
    return answers
