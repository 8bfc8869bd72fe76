"""Measures agree with ir_measures on TREC's own files; the paired test knows chance from a difference."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from datasette_semantic.errors import InputError, SemanticError
from datasette_semantic.evaluation import compare, evaluate, make_run, read_qrels, read_run, write_run

if TYPE_CHECKING:
    from pathlib import Path

ir_measures = pytest.importorskip("ir_measures", reason="the extra `evaluate` is not installed")


def random_judged(seed: int, *, quality: float) -> tuple[dict[str, dict[str, int]], dict[str, list[str]]]:
    """Return qrels of 40 queries and a run that finds relevant documents early the more often, the better it is."""
    generator = random.Random(seed)
    documents = [f"d{n}" for n in range(300)]
    qrels, run = {}, {}
    for number in range(40):
        relevant = generator.sample(documents, generator.randint(1, 12))
        qrels[f"q{number}"] = {doc_id: generator.randint(0, 3) for doc_id in relevant} | {relevant[0]: 1}
        place = {doc_id: generator.random() - quality * qrels[f"q{number}"].get(doc_id, 0) for doc_id in documents}
        run[f"q{number}"] = sorted(documents, key=lambda doc_id: place[doc_id])[:100]
    del run["q39"]  # a query without any result
    return qrels, run


def test_agrees_with_ir_measures_on_trec_files(tmp_path: Path) -> None:
    qrels, run = random_judged(1, quality=0.2)
    qrels_path, run_path = tmp_path / "qrels.txt", tmp_path / "run.txt"
    qrels_path.write_text("".join(f"{q} 0 {d} {g}\n" for q, judged in qrels.items() for d, g in judged.items()))
    write_run(run, run_path, tag="test")
    measures = [ir_measures.nDCG @ 10, ir_measures.R @ 100, ir_measures.RR @ 10]
    theirs = ir_measures.calc_aggregate(
        measures, ir_measures.read_trec_qrels(str(qrels_path)), ir_measures.read_trec_run(str(run_path))
    )
    ours = evaluate(read_run(run_path), read_qrels(qrels_path)).means
    assert ours == pytest.approx({str(measure): value for measure, value in theirs.items()}, abs=1e-6)


def test_a_query_without_results_counts_zero() -> None:
    evaluation = evaluate({"a": ["x"]}, {"a": {"x": 1}, "b": {"y": 1}})
    assert evaluation.means == {"nDCG@10": 0.5, "R@100": 0.5, "RR@10": 0.5}
    assert evaluation.per_query["RR@10"] == {"a": 1.0, "b": 0.0}
    assert evaluate({}, {"a": {"x": 1}}).means["nDCG@10"] == 0.0


def test_an_unknown_measure_is_told() -> None:
    with pytest.raises(SemanticError, match="measure"):
        evaluate({"a": ["x"]}, {"a": {"x": 1}}, measures=["Loveliness@10"])


def test_the_paired_test() -> None:
    qrels, good = random_judged(2, quality=0.4)
    _, same_luck = random_judged(2, quality=0.4)
    poor = random_judged(2, quality=0.0)[1]
    better = compare(evaluate(poor, qrels), evaluate(good, qrels))
    assert better.difference > 0.1
    assert better.p_value < 0.001
    assert better.better > better.worse
    same = compare(evaluate(good, qrels), evaluate(same_luck, qrels))
    assert (same.difference, same.p_value) == (0.0, 1.0)


def test_runs_are_made_of_judged_queries_and_kept_in_order(tmp_path: Path) -> None:
    run = make_run(lambda text: list(text), {"q1": "abc", "q2": "xyz"}, judged=["q1"])
    assert run == {"q1": ["a", "b", "c"]}
    write_run(run, tmp_path / "run", tag="t")
    assert read_run(tmp_path / "run") == run
    with pytest.raises(InputError, match="spaces"):
        write_run({"q 1": ["a"]}, tmp_path / "run", tag="t")
