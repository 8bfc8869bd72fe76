"""Queries and judgments as people keep them."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from datasette_semantic.errors import InputError
from datasette_semantic.evaluation import read_qrels, read_queries

if TYPE_CHECKING:
    from pathlib import Path

QUERIES = {"q1": "robots in love", "q2": "a heist"}
QRELS = {"q1": {"d1": 2, "d 7": 0}, "q2": {"d3": 1}}


@pytest.mark.parametrize(
    "text",
    [
        '{"id": "q1", "text": "robots in love"}\n{"_id": "q2", "query": "a heist"}\n',
        "q1\trobots in love\nq2\ta heist\n",
        "<top>\n<num> Number: q1\n<title> robots in love\n<desc> x\n</top>\n<top><num>q2</num><title>a heist</title>",
    ],
)
def test_queries_in_three_formats(tmp_path: Path, text: str) -> None:
    path = tmp_path / "queries"
    path.write_text(text)
    assert read_queries(path) == QUERIES


@pytest.mark.parametrize(
    "text",
    [
        (
            '{"query_id": "q1", "doc_id": "d1", "relevance": 2}\n{"qid": "q1", "docid": "d 7", "grade": 0}\n'
            '{"query-id": "q2", "corpus-id": "d3", "score": 1}\n'
        ),
        "q1\td1\t2\nq1\td 7\t0\nq2\td3\t1\n",
        "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td 7\t0\nq2\td3\t1.0\n",
        "\ufeffq1\t0\td1\t2\r\nq1\t0\td 7\t0\r\nq2\t0\td3\t1\r\n",
    ],
)
def test_judgments_in_three_formats(tmp_path: Path, text: str) -> None:
    plain, packed = tmp_path / "qrels", tmp_path / "qrels.gz"
    plain.write_text(text, encoding="utf-8", newline="")
    packed.write_bytes(gzip.compress(text.encode()))
    assert read_qrels(plain) == QRELS
    assert read_qrels(packed) == QRELS


def test_trec_qrels_with_spaces(tmp_path: Path) -> None:
    path = tmp_path / "qrels"
    path.write_text("301 0 FBIS3-10082 1\n301  Q0  FBIS3-10169  0\n")
    assert read_qrels(path) == {"301": {"FBIS3-10082": 1, "FBIS3-10169": 0}}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no judgments"),
        ("q1 d1\n", "line 1"),
        ("q1\td1\t1\nq1\td2\tgood\n", "line 2.*'good'"),
        ('{"query_id": "q1"}\n', "doc_id"),
        ("{not json\n", "not JSON"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "qrels"
    path.write_text(text)
    with pytest.raises(InputError, match=told):
        read_qrels(path)


def test_a_missing_file_and_a_repeated_query(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_queries(tmp_path / "missing")
    (tmp_path / "twice").write_text("q1\ta\nq1\tb\n")
    with pytest.raises(InputError, match="twice"):
        read_queries(tmp_path / "twice")
