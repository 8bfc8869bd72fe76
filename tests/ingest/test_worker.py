"""The worker, and the command's options that say how to run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from click.testing import CliRunner

from datasette_semantic import SemanticIndex
from datasette_semantic.ingest.worker import drain_all


def test_the_worker_drains_what_waits_and_nothing_else(plain: Any, tmp_path: Path, in_step: Any) -> None:
    path = tmp_path / "w.db"
    run = plain(path)
    for table in ("t", "u", "v"):
        run(f"create table {table} (id integer primary key, text text)")
        run(f"insert into {table} values (1, 'robot'), (2, 'garden')")
    indexes = {table: SemanticIndex.create(path, table, ["text"]) for table in ("t", "u", "v")}
    for index in indexes.values():
        index.update()
    run("insert into t values (3, 'a harbour')")
    run("update u set text = 'lamps' where id = 1")
    with SemanticIndex(path, "t") as worker:
        assert [
            report.table for report in drain_all(worker._connection, wanted=lambda record: record.table != "u")
        ] == ["t"]
        assert [report.table for report in drain_all(worker._connection)] == ["u"]
        assert drain_all(worker._connection) == []
        run("insert into v values (3, 'gone')")
        run("drop table v")
        assert drain_all(worker._connection) == []
    in_step(indexes["t"])
    in_step(indexes["u"])
    for index in indexes.values():
        index.close()


def command(*arguments: str) -> Any:
    from sqlite_utils.cli import cli

    return CliRunner().invoke(cli, ["embed", *arguments])


def test_dry_run_tells_and_does_nothing(plain: Any, tmp_path: Path, demo_embed: Any) -> None:
    path = tmp_path / "d.db"
    run = plain(path)
    run("create table t (id integer primary key, text text)")
    run("insert into t values (1, 'robot'), (2, 'garden'), (3, 'robot')")
    result = command(str(path), "t", "text", "-m", "demo-embed", "--dry-run", "--price", "1000000")
    assert result.exit_code == 0
    assert "3 rows to look at, 3 chunks, 2 texts to send to demo-embed in 1 requests" in result.output
    assert "price not known" in command(str(path), "t", "text", "-m", "demo-embed", "--dry-run").output
    assert demo_embed.texts == []
    assert run("select count(*) from sqlite_master") == [(1,)]


def test_how_to_run_may_be_said_without_columns(plain: Any, tmp_path: Path, demo_embed: Any) -> None:
    path = tmp_path / "d.db"
    run = plain(path)
    run("create table t (id integer primary key, text text)")
    run("insert into t values (1, 'robot'), (2, 'garden')")
    assert command(str(path), "t", "text", "-m", "demo-embed", "--query-prefix", "q: ").exit_code == 0
    result = command(str(path), "--concurrency", "2", "--max-rpm", "1000", "--retry-failed")
    assert (result.exit_code, result.output) == (0, result.output)
    assert "nothing changed" in result.output
    assert command(str(path), "--query-prefix", "q: ").exit_code == 2
