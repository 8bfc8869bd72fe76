"""Changing an index from the command line, and going back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def listed(run: Any, path: Path) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(run("embeddings", path).output)
    return records


def test_change_and_rollback(run: Any, embedded: Path) -> None:
    changed = run("embed", embedded, "articles", "title", "--dimensions", 64)
    assert changed.exit_code == 0, changed.output
    assert "wordllama with 64 dimensions over title answers now" in changed.output
    assert [(each["state"], each["dimensions"]) for each in listed(run, embedded)] == [("ready", 64), ("previous", 256)]
    assert "--rollback" in listed(run, embedded)[1]["note"]
    back = run("embed", embedded, "articles", "--rollback")
    assert "wordllama with 256 dimensions over title, body answers" in back.output
    assert [(each["state"], each["dimensions"]) for each in listed(run, embedded)] == [("ready", 256), ("previous", 64)]
    assert "gone" in run("embed", embedded, "articles", "--forget-previous").output
    assert "no previous index" in run("embed", embedded, "articles", "--forget-previous").output
    refused = run("embed", embedded, "articles", "--rollback")
    assert refused.exit_code == 1
    assert "nothing to go back to" in refused.output
    assert len(listed(run, embedded)) == 1


def test_dry_run_of_a_change_writes_nothing(run: Any, embedded: Path, fingerprint: Any) -> None:
    before = fingerprint(embedded)
    told = run("embed", embedded, "articles", "title", "--dimensions", 64, "--dry-run")
    assert told.exit_code == 0, told.output
    assert "$0.0000" in told.output
    assert fingerprint(embedded) == before


def test_options_that_make_no_sense(run: Any, embedded: Path) -> None:
    for arguments in (["--rollback"], ["articles", "title", "--rollback"], ["--forget-previous"], ["--renew"]):
        result = run("embed", embedded, *arguments)
        assert result.exit_code == 2, result.output
        assert "name TABLE" in result.output
    result = run("embed", embedded, "articles", "--rollback", "--model", "wordllama")
    assert result.exit_code == 2
    result = run("embed", embedded, "articles", "--renew")
    assert result.exit_code == 1
    assert "nothing to renew" in result.output


def test_drop_removes_the_one_before_too(run: Any, embedded: Path) -> None:
    run("embed", embedded, "articles", "title", "--dimensions", 64)
    assert run("drop-embeddings", embedded, "articles").exit_code == 0
    assert run("embeddings", embedded).output.strip() == "[]"
