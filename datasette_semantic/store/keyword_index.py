"""The FTS5 table of an index: found, made, fed and searched."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from ..laws.quoting import quote, quote_string
from ..records import IndexRecord, KeywordSpec, Source
from . import names
from .connection import Connection
from .memory import REMEMBERED_MATCHES, memory_of, remembered

__all__ = [
    "add_rows",
    "clear",
    "content_columns",
    "count_matching",
    "create_sql",
    "existing_fts",
    "free_name",
    "matching",
    "needs_view",
    "remove_rows",
    "search",
    "view_sql",
]

_RESERVED = frozenset({"rank", "rowid", "_rowid_", "oid"})
"""Column names that FTS5 keeps for itself."""


def existing_fts(connection: Connection, source: Source, *, but: Collection[str] = ()) -> KeywordSpec | None:
    """Return the FTS5 table that the user already has over this table, by parsing its DDL; None if there is none.

    `but` names those that are ours, to be passed over.
    A table counts when its `content` option names the source, its `content_rowid` is the source's rowid, and it can
    find phrases.
    """
    rows = connection.execute(
        "select name, sql from sqlite_master where type = 'table' and sql like '%fts5%' order by name"
    ).fetchall()
    for name, sql in map(tuple, rows):
        if name in but:
            continue
        match = re.search(r"using\s+fts5\s*\((.*)\)\s*$", sql, re.IGNORECASE | re.DOTALL)
        if match is None:
            continue
        options: dict[str, str] = {}
        columns: list[str] = []
        for argument in _split_arguments(match.group(1)):
            key, equals, value = argument.partition("=")
            if equals and re.fullmatch(r"\s*\w+\s*", key):
                options[key.strip().lower()] = _unquote(value.strip())
            else:
                columns.append(_column_name(argument))
        rowid = options.get("content_rowid", "rowid").lower()
        allowed = {"rowid", "_rowid_", "oid"} | ({source.rowid_key.lower()} if source.rowid_key else set())
        if (
            options.get("content", "").lower() == source.table.lower()
            and rowid in allowed
            and options.get("detail", "full").lower() == "full"  # without it FTS5 refuses phrases
            and columns
            and source.has_rowid
        ):
            return KeywordSpec(
                fts_table=name, columns=tuple(columns), tokenize=options.get("tokenize", "unicode61"), owned=False
            )
    return None


def _split_arguments(text: str) -> list[str]:
    """Split at commas outside quotes and brackets."""
    parts = re.findall(r"""(?:'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|[^,'"`\[])+""", text)
    return [part.strip() for part in parts if part.strip()]


def _unquote(text: str) -> str:
    if len(text) >= 2 and text[0] in "'\"`" and text[-1] == text[0]:
        return text[1:-1].replace(text[0] * 2, text[0])
    if text.startswith("[") and text.endswith("]"):
        return text[1:-1]
    return text


def _column_name(argument: str) -> str:
    stripped = re.sub(r"\s+unindexed\s*$", "", argument.strip(), flags=re.IGNORECASE)
    return _unquote(stripped)


def free_name(connection: Connection, table: str) -> str:
    """Return `TABLE_fts`, or the first name like it that nothing in the file bears."""
    taken = {row[0].lower() for row in connection.execute("select name from sqlite_master").fetchall()}
    candidates = [f"{table}_fts", f"{table}_semantic_fts", *(f"{table}_semantic_fts{n}" for n in range(2, 100))]
    return next(name for name in candidates if name.lower() not in taken)


def content_columns(spec: KeywordSpec) -> tuple[str, ...]:
    """Return the FTS5 column names: the source's own, but for those that FTS5 keeps for itself."""
    forbidden = _RESERVED | {spec.fts_table.lower()}
    return tuple(f"{column}_" if column.lower() in forbidden else column for column in spec.columns)


def _content_rowid(spec: KeywordSpec) -> str:
    """The name of the view's row_id: `row_id`, unless a column bears it."""
    taken = {column.lower() for column in content_columns(spec)}
    return next(name for name in (f"row_id{'_' * n}" for n in range(len(taken) + 1)) if name not in taken)


def needs_view(source: Source, spec: KeywordSpec) -> bool:
    """True where FTS5 must read its content through a view: no lasting rowid, or a column name of FTS5's own."""
    return names.direct_key(source) is None or content_columns(spec) != spec.columns


def view_sql(source: Source, index: IndexRecord, spec: KeywordSpec) -> str:
    """Return the DDL of the view through which FTS5 reads its content."""
    direct = names.direct_key(source)
    columns = ", ".join(
        f"s.{quote(column)} as {quote(alias)}"
        for column, alias in zip(spec.columns, content_columns(spec), strict=True)
    )
    view = f"create view {quote(names.content_view(index))} as"
    rowid = quote(_content_rowid(spec))
    if direct is not None:
        return f"{view} select s.{quote(direct)} as {rowid}, {columns} from {quote(source.table)} s"
    match = names.key_match(source, source_alias="s", row_alias="r", source_first=True)
    joined = f"{quote(index.row_table)} r join {quote(source.table)} s on {match}"
    return f"{view} select r.row_id as {rowid}, {columns} from {joined}"


def create_sql(source: Source, index: IndexRecord, spec: KeywordSpec) -> str:
    """Return the DDL of the FTS5 table."""
    columns = ", ".join(map(quote, content_columns(spec)))
    options = [f"tokenize={quote_string(spec.tokenize)}"]
    if spec.analyzer is None:
        if needs_view(source, spec):
            options += [
                f"content={quote_string(names.content_view(index))}",
                f"content_rowid={quote_string(_content_rowid(spec))}",
            ]
        else:
            options += [
                f"content={quote_string(source.table)}",
                f"content_rowid={quote_string(names.direct_key(source) or '')}",
            ]
    return f"create virtual table {quote(spec.fts_table)} using fts5({columns}, {', '.join(options)})"


def add_rows(
    connection: Connection,
    source: Source,
    index: IndexRecord,
    rows: Iterable[tuple[int, Mapping[str, Any]]],
    *,
    analyze: Callable[[str, str], str],
) -> None:
    """Put rows, as (row_id, column to value), into an FTS5 table of ours.

    An external-content table takes only rows that are not in it yet; an analysed one is replaced row by row.
    """
    spec = index.keyword
    if spec is None or not spec.owned:
        return
    columns = ", ".join(map(quote, content_columns(spec)))
    marks = ", ".join("?" * (1 + len(spec.columns)))
    insert = f"insert into {quote(spec.fts_table)} (rowid, {columns}) values ({marks})"
    listed = list(rows)
    if spec.analyzer is None:
        fresh = _not_in_keyword_index(connection, index, [row_id for row_id, _ in listed])
        listed = [(row_id, values) for row_id, values in listed if row_id in fresh]
        lines = [(row_id, *(values.get(column) for column in spec.columns)) for row_id, values in listed]
    else:
        connection.executemany(
            f"delete from {quote(spec.fts_table)} where rowid = ?", [(row_id,) for row_id, _ in listed]
        )
        lines = [
            (row_id, *(_analysed(values.get(column), spec.analyzer, analyze) for column in spec.columns))
            for row_id, values in listed
        ]
    connection.executemany(insert, lines)
    connection.executemany(
        f"update {quote(index.row_table)} set keyword = 1 where row_id = ?", [(row_id,) for row_id, _ in listed]
    )


def remove_rows(connection: Connection, index: IndexRecord, rows: Iterable[tuple[int, Mapping[str, Any]]]) -> None:
    """Take rows, as (row_id, column to value as it is in the index), out of an FTS5 table of ours."""
    spec = index.keyword
    if spec is None or not spec.owned:
        return
    held = dict(rows)
    held = {row_id: held[row_id] for row_id in held.keys() - _not_in_keyword_index(connection, index, list(held))}
    fts = quote(spec.fts_table)
    if spec.analyzer is None:
        columns = ", ".join(map(quote, content_columns(spec)))
        connection.executemany(
            f"insert into {fts} ({fts}, rowid, {columns}) values ('delete', ?{', ?' * len(spec.columns)})",
            [(row_id, *(values.get(column) for column in spec.columns)) for row_id, values in held.items()],
        )
    else:
        connection.executemany(f"delete from {fts} where rowid = ?", [(row_id,) for row_id in held])
    connection.executemany(
        f"update {quote(index.row_table)} set keyword = 0 where row_id = ?", [(row_id,) for row_id in held]
    )


def _analysed(value: Any, analyzer: str, analyze: Callable[[str, str], str]) -> str | None:
    return None if value is None or isinstance(value, bytes) else analyze(str(value), analyzer)


def _not_in_keyword_index(connection: Connection, index: IndexRecord, row_ids: Sequence[int]) -> set[int]:
    flags = connection.execute(
        f"select row_id from {quote(index.row_table)} where keyword = 0 and row_id in (select value from json_each(?))",
        ("[" + ",".join(map(str, row_ids)) + "]",),
    )
    return {row[0] for row in flags.fetchall()}


def clear(connection: Connection, index: IndexRecord) -> None:
    """Empty an FTS5 table of ours; the drain puts the rows in again."""
    spec = index.keyword
    if spec is None or not spec.owned:
        return
    fts = quote(spec.fts_table)
    connection.execute(
        f"insert into {fts} ({fts}) values ('delete-all')" if spec.analyzer is None else f"delete from {fts}"
    )
    connection.execute(f"update {quote(index.row_table)} set keyword = 0")


def matching(connection: Connection, source: Source, index: IndexRecord, match: str, *, limit: int) -> list[int]:
    """Return the row_ids of up to `limit` rows that match, in no order of merit: FTS5 stops as soon as it has them."""
    if limit > REMEMBERED_MATCHES:
        return _matching(connection, source, index, match, limit=limit)

    def read(_missing: Sequence[str]) -> dict[str, tuple[int, ...]]:
        return {match: tuple(_matching(connection, source, index, match, limit=REMEMBERED_MATCHES))}

    first = remembered(memory_of(connection, index).first, [match], read)[0] or ()
    return list(first[:limit])


def _matching(connection: Connection, source: Source, index: IndexRecord, match: str, *, limit: int) -> list[int]:
    spec = index.keyword
    if spec is None:
        return []
    fts = quote(spec.fts_table)
    found = f"select rowid as fts_rowid from {fts} where {fts} match :match limit :limit"
    if spec.owned or names.direct_key(source) is not None:
        sql = found
    else:
        link = names.key_match(source, source_alias="s", row_alias="r", source_first=False)
        sql = (
            f"select r.row_id from ({found}) f join {quote(source.table)} s on s._rowid_ = f.fts_rowid "
            f"join {quote(index.row_table)} r on {link}"
        )
    return [row[0] for row in connection.execute(sql, {"match": match, "limit": limit}).fetchall()]


def count_matching(connection: Connection, index: IndexRecord, match: str, *, limit: int) -> int:
    """Return how many rows match, counting no further than `limit`."""
    spec = index.keyword
    if spec is None:
        return 0
    fts = quote(spec.fts_table)
    sql = f"select count(*) from (select 1 from {fts} where {fts} match :match limit :limit)"

    def read(_missing: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
        return {(match, limit): int(connection.execute(sql, {"match": match, "limit": limit}).fetchone()[0])}

    return remembered(memory_of(connection, index).counts, [(match, limit)], read)[0] or 0


def search(
    connection: Connection,
    source: Source,
    index: IndexRecord,
    match: str,
    *,
    k: int,
    allowed: str | None = None,
    params: Mapping[str, Any] | None = None,
    among: str | None = None,
    scored: int | None = None,
) -> list[tuple[int, float]]:
    """Return up to `k` rows that match, best first, as (row_id, bm25); bm25 is positive, high is good.

    `allowed` is a subquery that yields the row_ids to choose from, `params` its parameters. With `among`, another FTS5
    expression, only rows that match it too are scored, which is what takes the time; with `scored` only the first so
    many of these, by row_id. Ties go to the lower row_id.
    """
    spec = index.keyword
    if spec is None:
        return []
    fts = quote(spec.fts_table)
    weights = "".join(f", {weight:g}" for weight in spec.column_weights)
    values = dict(params or {}) | {"semantic_match": match, "semantic_k": k}
    # The plus keeps the rowids out of FTS5's own plan, where each would be a query by itself: 30 times slower.
    few = ""
    if among is not None:
        values["semantic_among"] = among
        few = f" and +rowid in (select rowid from {fts} where {fts} match :semantic_among)"
    if scored is not None:
        first = f"select rowid from {fts} where {fts} match :semantic_first limit {scored}"
        few += f" and rowid <= (select max(rowid) from ({first}))"
        values["semantic_first"] = match if among is None else among
    if spec.owned or names.direct_key(source) is not None:
        sql = (
            f"select rowid as row_id, -bm25({fts}{weights}) as bm25 from {fts} where {fts} match :semantic_match{few}"
            f"{f' and +rowid in ({allowed})' if allowed else ''} order by bm25 desc, row_id limit :semantic_k"
        )
    else:  # the user's own FTS5 table knows rowids, which VACUUM may have moved: take the way over the key, now
        link = names.key_match(source, source_alias="s", row_alias="r", source_first=False)
        sql = (
            f"with f as materialized (select rowid as fts_rowid, -bm25({fts}{weights}) as bm25 from {fts} "
            f"where {fts} match :semantic_match{few}) select r.row_id, f.bm25 from f "
            f"join {quote(source.table)} s on s._rowid_ = f.fts_rowid join {quote(index.row_table)} r on {link}"
            f"{f' where r.row_id in ({allowed})' if allowed else ''} order by f.bm25 desc, r.row_id limit :semantic_k"
        )
    return [(row_id, bm25) for row_id, bm25 in map(tuple, connection.execute(sql, values).fetchall())]
