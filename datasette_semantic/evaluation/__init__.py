"""Judging rankings with TREC's words and measures."""

from __future__ import annotations

from .doc_ids import count_missing, doc_id, with_row_keys
from .judgments import Qrels, Queries, read_qrels, read_queries
from .measures import MEASURES, Comparison, Evaluation, Run, compare, evaluate
from .runs import make_run, read_run, write_run
from .tables import qrels_in_table, queries_in_table
from .tuning import SHARES, Tuning, choose_share

__all__ = [
    "MEASURES",
    "SHARES",
    "Comparison",
    "Evaluation",
    "Qrels",
    "Queries",
    "Run",
    "Tuning",
    "choose_share",
    "compare",
    "count_missing",
    "doc_id",
    "evaluate",
    "make_run",
    "qrels_in_table",
    "queries_in_table",
    "read_qrels",
    "read_queries",
    "read_run",
    "with_row_keys",
    "write_run",
]
