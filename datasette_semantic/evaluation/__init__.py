"""Judging rankings with TREC's words and measures."""

from __future__ import annotations

from .judgments import Qrels, Queries, read_qrels, read_queries
from .measures import MEASURES, Comparison, Evaluation, Run, compare, evaluate
from .runs import make_run, read_run, write_run

__all__ = [
    "MEASURES",
    "Comparison",
    "Evaluation",
    "Qrels",
    "Queries",
    "Run",
    "compare",
    "evaluate",
    "make_run",
    "read_qrels",
    "read_queries",
    "read_run",
    "write_run",
]
