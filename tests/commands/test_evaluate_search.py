"""`evaluate-search` measures what people judged, in every form in which judgments come."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

pytest.importorskip("ir_measures", reason="the extra `evaluate` is not installed")

QUERIES = {"q1": "robot maker", "q2": "ships lamps quay", "q3": "apple trees frost"}
QRELS = {"q1": {"1": 2}, "q2": {"3": 2, "6": 1}, "q3": {"5": 1, "2": 0}}


@pytest.fixture
def judged(embedded: Path) -> tuple[Path, Path, Path]:
    """An index, queries as JSONL, judgments as TREC has them."""
    queries, qrels = embedded.with_name("queries.jsonl"), embedded.with_name("qrels.txt")
    queries.write_text("".join(json.dumps({"id": name, "text": text}) + "\n" for name, text in QUERIES.items()))
    qrels.write_text("".join(f"{q} 0 {doc} {grade}\n" for q, each in QRELS.items() for doc, grade in each.items()))
    return embedded, queries, qrels


def test_a_record_for_each_setting(run, judged: tuple[Path, Path, Path]) -> None:
    db, queries, qrels = judged
    records = json.loads(run("evaluate-search", db, "articles", queries, qrels, "--weights", 1, 0).stdout)
    assert [record["setting"] for record in records] == ["hybrid", "semantic", "keyword", "weights 1 0"]
    hybrid = records[0]
    assert (hybrid["queries"], hybrid["ndcg@10"], hybrid["mrr@10"], hybrid["difference"]) == (3, 1.0, 1.0, None)
    assert all(0 < record["p"] <= 1 for record in records[1:])


def test_it_agrees_with_ir_measures(run, judged: tuple[Path, Path, Path]) -> None:
    import ir_measures

    db, queries, qrels = judged
    ranked = {
        name: [record["id"] for record in json.loads(run("hybrid-search", db, "articles", text).stdout)]
        for name, text in QUERIES.items()
    }
    theirs = ir_measures.calc_aggregate(
        [ir_measures.nDCG @ 10, ir_measures.R @ 100, ir_measures.RR @ 10],
        ir_measures.read_trec_qrels(str(qrels)),
        {name: {str(doc): float(-place) for place, doc in enumerate(docs)} for name, docs in ranked.items()},
    )
    ours = json.loads(run("evaluate-search", db, "articles", queries, qrels).stdout)[0]
    assert [ours["ndcg@10"], ours["recall@100"], ours["mrr@10"]] == pytest.approx(
        [theirs[ir_measures.nDCG @ 10], theirs[ir_measures.R @ 100], theirs[ir_measures.RR @ 10]], abs=1e-6
    )


def test_judgments_in_tables(run, judged: tuple[Path, Path, Path]) -> None:
    db, queries, qrels = judged
    connection = sqlite3.connect(db)
    with connection:
        connection.execute("create table asked (id text, text text)")
        connection.executemany("insert into asked values (?, ?)", QUERIES.items())
        connection.execute("create table judged (query_id text, doc_id integer, relevance integer)")
        lines = [(q, int(doc), grade) for q, each in QRELS.items() for doc, grade in each.items()]
        connection.executemany("insert into judged values (?, ?, ?)", lines)
        connection.execute("create table by_hand (table_name text, query text, key text, relevance integer, actor)")
        both = [("articles", QUERIES[q], str(doc), grade, actor) for q, doc, grade in lines for actor in "ab"]
        connection.executemany("insert into by_hand values (?, ?, ?, ?, ?)", [*both, ("other", "x", "9", 1, "a")])
    connection.close()
    of_files = json.loads(run("evaluate-search", db, "articles", queries, qrels).stdout)
    assert json.loads(run("evaluate-search", db, "articles", "table:asked", "table:judged").stdout) == of_files
    assert json.loads(run("evaluate-search", db, "articles", queries, "table:judged").stdout) == of_files
    assert json.loads(run("evaluate-search", db, "articles", "table:by_hand").stdout) == of_files


def test_query_by_query_the_worst_first(run, judged: tuple[Path, Path, Path]) -> None:
    db, queries, qrels = judged
    qrels.write_text(qrels.read_text() + "q2 0 2 9\n")
    records = json.loads(run("evaluate-search", db, "articles", queries, qrels, "--per-query").stdout)
    assert records[0]["query"] == QUERIES["q2"]
    assert records[0]["relevant"] == 3
    assert records[0]["hybrid"] < records[-1]["hybrid"] == 1.0


def test_the_exit_status_tells_a_build(run, judged: tuple[Path, Path, Path]) -> None:
    db, queries, qrels = judged
    good = run("evaluate-search", db, "articles", queries, qrels, "--fail-under", "ndcg@10=0.9")
    assert (good.exit_code, len(json.loads(good.stdout))) == (0, 3)
    least = ("--fail-under", "MRR@10=1.1", "--fail-under", "R@100=0")
    bad = run("evaluate-search", db, "articles", queries, qrels, *least)
    assert (bad.exit_code, len(json.loads(bad.stdout))) == (1, 3)
    assert "mrr@10 is 1.0000, below 1.1" in bad.stderr
    assert run("evaluate-search", db, "articles", queries, qrels, "--fail-under", "beauty=1").exit_code == 2


def test_compound_keys(run, tmp_path: Path) -> None:
    db = tmp_path / "compound.db"
    connection = sqlite3.connect(db)
    with connection:
        connection.execute("create table pages (year integer, lang text, text text, primary key (year, lang))")
        connection.executemany(
            "insert into pages values (?, ?, ?)", [(2001, "de", "ein Schiff"), (2001, "en", "a ship at sea")]
        )
    connection.close()
    assert run("embed", db, "pages", "text").exit_code == 0
    (tmp_path / "q").write_text("q1\tship at sea\n")
    for qrels in ('{"query_id": "q1", "doc_id": [2001, "en"], "relevance": 1}', 'q1\t["2001","en"]\t1'):
        (tmp_path / "qrels").write_text(qrels)
        records = json.loads(run("evaluate-search", db, "pages", tmp_path / "q", tmp_path / "qrels").stdout)
        assert records[0]["mrr@10"] == 1.0


@pytest.mark.parametrize(
    ("queries", "qrels", "told"),
    [
        ("q1\trobots\n", "q9\t1\t1\nq2\t1\t1\n", "do their ids agree"),
        ("q1\trobots\n", "q1\t99\t1\n", "none of the 1 judged rows is in articles"),
        ("q1\trobots\n", "q1\t1\t1\nq1\t2\tyes\n", "'yes'"),
    ],
)
def test_what_is_wrong_is_told(run, embedded: Path, queries: str, qrels: str, told: str) -> None:
    asked, judged = embedded.with_name("q.tsv"), embedded.with_name("r.tsv")
    asked.write_text(queries)
    judged.write_text(qrels)
    result = run("evaluate-search", embedded, "articles", asked, judged)
    assert result.exit_code == 1
    assert told in result.stderr
    assert "there is no table 'nowhere'" in run("evaluate-search", embedded, "articles", "table:nowhere").stderr


def test_weights_are_kept_only_for_a_gain_beyond_chance(run, tmp_path: Path) -> None:
    db = tmp_path / "codes.db"
    connection = sqlite3.connect(db)
    with connection:
        connection.execute("create table codes (id integer primary key, text text)")
        subjects = "robot garden ship engine apple letter harbour steam rose lamp river bridge".split()
        connection.executemany(
            "insert into codes (text) values (?)",
            [(f"{subject}s, part {n % 7} {'' if n % 5 else 'old'}",) for n, subject in enumerate(subjects * 4)],
        )
    connection.close()
    assert run("embed", db, "codes", "text").exit_code == 0
    asked = tmp_path / "q.tsv"
    asked.write_text("".join(f"q{n}\t{subject} old\n" for n, subject in enumerate(subjects)))
    judged = tmp_path / "r.tsv"
    judged.write_text("".join(f"q{n}\t{1 + n + 12 * k}\t1\n" for n in range(12) for k in range(4)))
    from datasette_semantic import SemanticIndex
    from datasette_semantic.records import ListWeights
    from datasette_semantic.search.request import weights_of

    result = run("evaluate-search", db, "codes", asked, judged, "--tune")
    (record,) = json.loads(result.stdout)
    assert record["kept"] is (record["p"] < 0.05 and record["gain"] > 0)
    with SemanticIndex(db, "codes") as index:
        assert ("judged_weights" in index.record.settings) is record["kept"]
        index.keep_weights(ListWeights(0.25, 0.75))
        assert weights_of(index.record) == ListWeights(0.25, 0.75)
        index.keep_weights(None)
        assert weights_of(index.record) != ListWeights(0.25, 0.75)
