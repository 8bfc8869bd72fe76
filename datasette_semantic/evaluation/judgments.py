"""Queries and judgments, read from the files in which people keep them.

queries     JSONL  {"id": "q1", "text": "..."}            also query_id, _id, qid; query, title
            TSV    q1<TAB>text
            TREC   topics: <num> Number: 301 ... <title> text
judgments   JSONL  {"query_id": "q1", "doc_id": "d7", "relevance": 1}   also qid; docid, corpus-id; grade, score
            TSV    q1<TAB>d7<TAB>1                         with or without a line of headings, as in BEIR
            TREC   q1 0 d7 1

A file may be compressed with gzip. Which of the three it is shows in its text, not in its name.
"""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = [
    "DOC_ID",
    "JUDGED_QUERY",
    "QUERY_ID",
    "QUERY_TEXT",
    "RELEVANCE",
    "Qrels",
    "Queries",
    "each_once",
    "grade_of",
    "read_qrels",
    "read_queries",
]

Queries = dict[str, str]
"""query_id to text, in the order of the file."""

Qrels = dict[str, dict[str, int]]
"""query_id to doc_id to relevance; 0 is "not relevant", no entry is "not judged"."""

_GZIP: Final = b"\x1f\x8b"
QUERY_ID: Final = ("query_id", "id", "_id", "qid", "query-id")
QUERY_TEXT: Final = ("text", "query", "title")
JUDGED_QUERY: Final = ("query_id", "qid", "query-id")
DOC_ID: Final = ("doc_id", "docid", "docno", "corpus-id", "key", "id")
RELEVANCE: Final = ("relevance", "grade", "score", "rel", "label")
_TOPIC: Final = re.compile(
    r"<num>\s*(?:Number:)?\s*(\S+?)\s*(?:</num>)?\s*<title>\s*(?:Topic:)?\s*([^<]+)", re.IGNORECASE
)


def read_queries(path: str | Path) -> Queries:
    """Return the queries of a file. Raises InputError where it cannot be read, holds none, or one twice."""
    text = _read(path)
    if text.lstrip().startswith("<"):
        pairs = [(number, " ".join(title.split())) for number, title in _TOPIC.findall(text)]
    elif text.lstrip().startswith("{"):
        pairs = [
            (str(_field(record, QUERY_ID, path, line)), str(_field(record, QUERY_TEXT, path, line)))
            for line, record in _records(text, path)
        ]
    else:
        pairs = [_two_fields(line, words, path) for line, words in _lines(text, "\t")]
    queries = each_once(pairs, path)
    if not queries:
        raise InputError(f"{path}: no queries in it; give JSONL, TSV or TREC topics")
    return queries


def each_once(pairs: Iterable[tuple[str, str]], place: str | Path) -> Queries:
    """Return (query_id, text) pairs as queries. Raises InputError that names the place where one is there twice."""
    queries: Queries = {}
    for query_id, query in pairs:
        if query_id in queries:
            raise InputError(f"{place}: the query {query_id!r} is there twice")
        queries[query_id] = query
    return queries


def read_qrels(path: str | Path) -> Qrels:
    """Return the judgments of a file. Raises InputError where it cannot be read, or holds none."""
    text = _read(path)
    qrels: Qrels = {}
    for query_id, doc_id, relevance in _judgments(text, path):
        qrels.setdefault(query_id, {})[doc_id] = relevance
    if not qrels:
        raise InputError(f"{path}: no judgments in it; give JSONL, TSV or TREC qrels")
    return qrels


def _judgments(text: str, path: str | Path) -> Iterator[tuple[str, str, int]]:
    if text.lstrip().startswith("{"):
        for line, record in _records(text, path):
            query_id, doc_id = _field(record, JUDGED_QUERY, path, line), _field(record, DOC_ID, path, line)
            yield str(query_id), _name(doc_id), grade_of(_field(record, RELEVANCE, path, line), path, line)
        return
    for line, words in _lines(text, "\t" if "\t" in text.partition("\n")[0] else None):
        if len(words) == 4:  # TREC: the second field is not used
            query_id, _, doc_id, grade = words
        elif len(words) == 3:
            query_id, doc_id, grade = words
            if line == 1 and not _is_number(grade):
                continue  # headings
        else:
            raise InputError(f"{path}, line {line}: {len(words)} fields where a judgment has 3 (TSV) or 4 (TREC)")
        yield query_id, doc_id, grade_of(grade, path, line)


def _name(doc_id: Any) -> str:
    """A compound key may be written as the array that it is."""
    return json.dumps(doc_id) if isinstance(doc_id, list) else str(doc_id)


def _read(path: str | Path) -> str:
    try:
        raw = Path(path).read_bytes()
        return (gzip.decompress(raw) if raw.startswith(_GZIP) else raw).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def _records(text: str, path: str | Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for line, source in enumerate(text.split("\n"), 1):
        if not source.strip():
            continue
        try:
            record = json.loads(source)
        except ValueError as error:
            raise InputError(f"{path}, line {line}: not JSON: {error}") from error
        if not isinstance(record, dict):
            raise InputError(f"{path}, line {line}: not a JSON object")
        yield line, record


def _lines(text: str, separator: str | None) -> Iterator[tuple[int, list[str]]]:
    for line, source in enumerate(text.split("\n"), 1):
        if source.strip():
            yield line, [field.strip() for field in source.split(separator)]


def _field(record: Mapping[str, Any], names: Sequence[str], path: str | Path, line: int) -> Any:
    for name in names:
        if name in record:
            return record[name]
    raise InputError(f"{path}, line {line}: none of {', '.join(names)} in it")


def _two_fields(line: int, fields: list[str], path: str | Path) -> tuple[str, str]:
    if len(fields) < 2:
        raise InputError(f"{path}, line {line}: no tab between a query's id and its text")
    return fields[0], fields[1]


def grade_of(value: Any, path: str | Path, line: int) -> int:
    """Return a relevance as a whole number. Raises InputError that names the place."""
    if not _is_number(value):
        raise InputError(f"{path}, line {line}: {value!r} is no grade of relevance: give a whole number")
    return int(float(value))


def _is_number(value: Any) -> bool:
    try:
        return float(value).is_integer()
    except (TypeError, ValueError):
        return False
