"""Records are printed as sqlite-utils prints rows."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

CONTRACT = ["id", "score", "rank", "keyword_rank", "semantic_rank", "distance", "passage"]


def test_json_array_by_default(run, embedded: Path) -> None:
    records = json.loads(run("hybrid-search", embedded, "articles", "a machine that loves").stdout)
    assert list(records[0]) == [*CONTRACT, "title", "body", "year", "topic"]
    assert [record["rank"] for record in records] == list(range(1, len(records) + 1))


def test_newline_delimited_json(run, embedded: Path) -> None:
    lines = run("hybrid-search", embedded, "articles", "ships", "--nl", "-n", 2).stdout.splitlines()
    assert [json.loads(line)["rank"] for line in lines] == [1, 2]


def test_arrays(run, embedded: Path) -> None:
    rows = json.loads(run("hybrid-search", embedded, "articles", "ships", "--arrays", "-n", 2).stdout)
    assert [row[2] for row in rows] == [1, 2]


@pytest.mark.parametrize(("option", "dialect"), [("--csv", "excel"), ("--tsv", "excel-tab")])
def test_csv_and_tsv(run, embedded: Path, option: str, dialect: str) -> None:
    result = run("hybrid-search", embedded, "articles", "ships", option, "-n", 2, "-c", "title")
    header, *rows = csv.reader(io.StringIO(result.stdout), dialect=dialect)
    assert header == [*CONTRACT, "title"]
    assert [row[2] for row in rows] == ["1", "2"]


def test_no_headers(run, embedded: Path) -> None:
    rows = list(csv.reader(io.StringIO(run("embeddings", embedded, "--csv", "--no-headers").stdout)))
    assert [row[0] for row in rows] == ["articles"]


@pytest.mark.parametrize("options", [["-t"], ["--fmt", "github"]])
def test_tables(run, embedded: Path, options: list[str]) -> None:
    output = run("hybrid-search", embedded, "articles", "ships", "-c", "title", *options).stdout
    assert "semantic_rank" in output.splitlines()[0]
    assert "Harbours" in output


def test_no_result_is_an_empty_array(run, embedded: Path) -> None:
    result = run("hybrid-search", embedded, "articles", "ships", "--where", "year > 3000")
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])


def test_a_list_is_one_cell_in_a_table(run, embedded: Path) -> None:
    assert "title, body" in run("embeddings", embedded, "-t").stdout
    assert json.loads(run("embeddings", embedded).stdout)[0]["columns"] == ["title", "body"]
