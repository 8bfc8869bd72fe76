"""The table of docs/relevance.md: every collection, built and searched through the product's door, settings untouched.

    python benchmarks/relevance.py                              every collection, the built-in model
    python benchmarks/relevance.py -m MODEL --only med cisi     any model that llm knows, some collections
    python benchmarks/relevance.py --max-queries 300 --write docs/relevance.md

A collection is a folder with docs.jsonl.gz, queries.jsonl.gz and qrels.tsv.gz. They are looked for in
../shared/corpora beside the repository (`--corpora` for another place); what is not there is skipped with a message.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sqlite3
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasette_semantic import SemanticIndex
from datasette_semantic.evaluation import (
    Evaluation,
    Qrels,
    Queries,
    compare,
    evaluate,
    make_run,
    read_qrels,
    read_queries,
)
from datasette_semantic.laws.quoting import quote

REPOSITORY = Path(__file__).resolve().parent.parent
CORPORA = REPOSITORY.parent / "shared" / "corpora"
COLLECTIONS = (
    "cranfield cisi med cacm scifact datasette-changelog xquad-en xquad-ru xquad-zh jsquad-valid cmrc2018 drcd-dev "
    "fastapi-mix tldr-xling"
).split()
MODES = ("keyword", "semantic", "hybrid")
TEXT_COLUMNS = ("title", "text")
DEPTH = 100
ALLOWED_LOSS = 0.01
BEGIN, END = "<!-- relevance:begin -->", "<!-- relevance:end -->"


@dataclass(frozen=True)
class Judged:
    """What was measured on one collection with one model."""

    collection: str
    model: str
    rows: int
    queries: int
    modes: dict[str, Evaluation]
    weight: float
    """The semantic list's weight that the index found for itself."""
    build_seconds: float
    search_milliseconds: float

    def mean(self, mode: str, measure: str = "nDCG@10") -> float:
        return self.modes[mode].means[measure]

    @property
    def better(self) -> str:
        return max(("keyword", "semantic"), key=self.mean)

    @property
    def gain(self) -> float:
        return self.mean("hybrid") - self.mean(self.better)


def main() -> int:
    options = arguments()
    judged = []
    for model in options.model:
        for name in options.only or COLLECTIONS:
            folder = options.corpora / name
            if not (folder / "qrels.tsv.gz").exists():
                print(f"SKIPPED: {name} is not in {options.corpora}", file=sys.stderr)
                continue
            judged.append(judge(folder, model, options.max_queries))
            print(line(judged[-1]), file=sys.stderr, flush=True)
    if not judged:
        print("no collection was found: nothing measured", file=sys.stderr)
        return 1
    report = table(judged)
    print(report)
    if options.write:
        put_between_marks(options.write, report)
    return 0 if all(each.gain >= -ALLOWED_LOSS for each in judged) else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="nDCG@10 of the three modes on judged collections")
    parser.add_argument("-m", "--model", action="append", help="a model that llm knows; repeatable")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these collections only")
    parser.add_argument("--corpora", type=Path, default=CORPORA)
    parser.add_argument("--max-queries", type=int, help="ask so many of a collection's queries, evenly spread")
    parser.add_argument("--write", type=Path, help="put the table between the marks of this file")
    options = parser.parse_args()
    options.model = options.model or ["wordllama"]
    return options


def judge(folder: Path, model: str, max_queries: int | None) -> Judged:
    """Build an index of the collection in a file of its own and ask it every judged query in every mode."""
    queries, qrels = judged_queries(folder, max_queries)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "collection.db"
        rows = load(folder, path)
        started = time.perf_counter()
        with SemanticIndex.create(path, "collection", TEXT_COLUMNS, model=model) as index:
            index.update()
            built = time.perf_counter() - started
            started = time.perf_counter()
            modes = {
                mode: evaluate(make_run(lambda text, mode=mode: ask(index, text, mode), queries), qrels)
                for mode in MODES
            }
            spent = time.perf_counter() - started
            weight = index.record.settings.get("weights", {}).get("semantic", 0.5)
    return Judged(folder.name, model, rows, len(queries), modes, weight, built, 1e3 * spent / len(queries) / len(MODES))


def ask(index: SemanticIndex, text: str, mode: str) -> list[str]:
    """Return the keys of the best rows. Only the ranking is wanted: one row is presented, `match_keys` has the rest."""
    found = index.search(text, mode=mode, limit=1, columns=())
    return [str(key[0]) for key in found.match_keys[:DEPTH]]


def judged_queries(folder: Path, max_queries: int | None) -> tuple[Queries, Qrels]:
    qrels = read_qrels(folder / "qrels.tsv.gz")
    queries = {
        query_id: text for query_id, text in read_queries(folder / "queries.jsonl.gz").items() if query_id in qrels
    }
    if max_queries and len(queries) > max_queries:
        step = len(queries) / max_queries
        listed = list(queries)
        queries = {listed[int(n * step)]: queries[listed[int(n * step)]] for n in range(max_queries)}
    return queries, {query_id: qrels[query_id] for query_id in queries}


def load(folder: Path, path: Path) -> int:
    """Put the collection's texts into a table; its other fields give answers away, or are for facets."""
    with gzip.open(folder / "docs.jsonl.gz", "rt", encoding="utf-8") as lines:
        documents: list[dict[str, Any]] = [json.loads(line) for line in lines]
    columns = ("id", *TEXT_COLUMNS)
    database = sqlite3.connect(path)
    with database:
        named = ", ".join(map(quote, columns[1:]))
        database.execute(f"create table collection (id text primary key, {named})")
        database.executemany(
            "insert into collection values (?, ?, ?)",
            ([document.get(column) or "" for column in columns] for document in documents),
        )
    database.close()
    return len(documents)


# --- reporting -------------------------------------------------------------------------------------------------------


def table(judged: list[Judged]) -> str:
    lines = [
        "| collection | model | rows | queries | keyword | semantic | hybrid | hybrid − better | p | weight found |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *map(line, judged),
    ]
    better = sum(each.mean(each.better) for each in judged) / len(judged)
    hybrid = sum(each.mean("hybrid") for each in judged) / len(judged)
    worst = min(judged, key=lambda each: each.gain)
    verdict = (
        f"nDCG@10. Mean of the better list {better:.4f}, of hybrid {hybrid:.4f}: {hybrid - better:+.4f}. "
        f"Worst: {worst.collection} with {worst.model}, {worst.gain:+.4f}. p: paired randomisation test."
    )
    return "\n".join([*lines, "", verdict])


def line(each: Judged) -> str:
    chance = compare(each.modes[each.better], each.modes["hybrid"]).p_value
    figures = " | ".join(f"{each.mean(mode):.4f}" for mode in MODES)
    return (
        f"| {each.collection} | {each.model} | {each.rows} | {each.queries} | {figures} | {each.gain:+.4f} | "
        f"{chance:.3f} | {each.weight:.2f} |"
    )


def put_between_marks(path: Path, report: str) -> None:
    text = path.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n\n{report}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
