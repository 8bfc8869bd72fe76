"""Tables of every shape, and the judge that says whether an index is in step with its table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils.utils import sqlite3

from datasette_semantic import SemanticIndex
from datasette_semantic.embedding.profiles import manner_of
from datasette_semantic.ingest.hashing import text_hash
from datasette_semantic.laws.quoting import quote
from datasette_semantic.laws.text import row_text
from datasette_semantic.store import chunks as chunk_store
from datasette_semantic.store.source import read_leniently

QUERIES = ("robot", "garden", "harbour ship", "apple", '"late frost"', "love -robot", "steam* engine", "7", "ROBOT")


@dataclass(frozen=True)
class Shape:
    """A table: its DDL, its name, its key columns, the n-th key."""

    id: str
    ddl: str
    key: Callable[[int], tuple[Any, ...]]
    keys: tuple[str, ...]
    table: str = "t"
    columns: tuple[str, ...] = ("title", "body")

    def create(self, connection: Any) -> None:
        connection.executescript(self.ddl)


def _one(n: int) -> tuple[Any, ...]:
    return (n,)


SHAPES = (
    Shape("integer", "create table t (id integer primary key, title text, body text, other int)", _one, ("id",)),
    Shape(
        "autoincrement",
        "create table t (id integer primary key autoincrement, title text, body text, other int)",
        _one,
        ("id",),
    ),
    Shape(
        "text", "create table t (id text primary key, title text, body text, other int)", lambda n: (f"k'{n}",), ("id",)
    ),
    Shape("int-not-rowid", "create table t (id int primary key, title text, body text, other int)", _one, ("id",)),
    Shape("desc", "create table t (id integer primary key desc, title text, body text, other int)", _one, ("id",)),
    Shape(
        "nocase",
        "create table t (id text primary key collate nocase, title text, body text, other int)",
        lambda n: (f"Key{n}",),
        ("id",),
    ),
    Shape(
        "nocase-index",
        "create table t (id text, title text, body text, other int, primary key (id collate nocase))",
        lambda n: (f"Key{n}",),
        ("id",),
    ),
    Shape(
        "blob",
        "create table t (id blob primary key, title text, body text, other int)",
        lambda n: (b"\x00\xff" + bytes([n % 256]),),
        ("id",),
    ),
    Shape(
        "real", "create table t (id real primary key, title text, body text, other int)", lambda n: (n + 0.5,), ("id",)
    ),
    Shape(
        "any",
        "create table t (id primary key, title text, body text, other int)",
        lambda n: (n if n % 2 else str(n),),
        ("id",),
    ),
    Shape(
        "compound",
        "create table t (title text, y text, x int, body text, other int, primary key (x, y))",
        lambda n: (n % 3, f"y{n}"),
        ("x", "y"),
    ),
    Shape(
        "without-rowid",
        "create table t (id text primary key, title text, body text, other int) without rowid",
        lambda n: (f"k{n}",),
        ("id",),
    ),
    Shape(
        "without-rowid-integer",
        "create table t (id integer primary key, title text, body text, other int) without rowid",
        _one,
        ("id",),
    ),
    Shape(
        "without-rowid-compound",
        "create table t (a int, b text, title text, body text, other int, primary key (b, a)) without rowid",
        lambda n: (f"b{n % 4}", n),
        ("b", "a"),
    ),
    Shape(
        "strict",
        "create table t (id text primary key, title text, body text, other int) strict",
        lambda n: (f"k{n}",),
        ("id",),
    ),
    Shape("no-key", "create table t (title text, body text, other int)", _one, ("rowid",)),
    Shape("no-key-column-rowid", "create table t (rowid text, title text, body text, other int)", _one, ("_rowid_",)),
    Shape(
        "key-in-text",
        "create table t (title text primary key, body text, other int)",
        lambda n: (f"garden{n}",),
        ("title",),
    ),
    Shape(
        "odd-names",
        """create table [a "b" 'c' select.t] ([group by] text, "rank" text, [x "y] text, `id` text primary key,
        other int, rowid text)""",
        lambda n: (f"k{n}",),
        ("id",),
        table="a \"b\" 'c' select.t",
        columns=("rank", "group by", 'x "y', "rowid"),
    ),
    Shape(
        "odd-names-integer",
        'create table "tëst [1]" ("rank" text, "order" text, "from" integer primary key, other int)',
        _one,
        ("from",),
        table="tëst [1]",
        columns=("rank", "order"),
    ),
    Shape(
        "column-like-ours",
        "create table s (row_id text, k0 text, keyword text, c0 text primary key, other int)",
        lambda n: (f"k{n}",),
        ("c0",),
        table="s",
        columns=("row_id", "k0", "keyword"),
    ),
)


@pytest.fixture(params=SHAPES, ids=lambda shape: shape.id)
def shape(request: pytest.FixtureRequest) -> Shape:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def shapes() -> tuple[Shape, ...]:
    return SHAPES


class Plain:
    """A program that knows nothing of us: a connection without sqlite-vec, autocommit."""

    def __init__(self, path: Path, *, recursive: bool = False) -> None:
        self.connection = sqlite3.connect(str(path), isolation_level=None, timeout=10, check_same_thread=False)
        self.connection.execute("pragma synchronous = off")
        if recursive:
            self.connection.execute("pragma recursive_triggers = on")

    def __call__(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql, values).fetchall()

    def close(self) -> None:
        self.connection.close()


@pytest.fixture
def plain() -> Iterator[Callable[..., Plain]]:
    opened: list[Plain] = []

    def connect(path: Path, *, recursive: bool = False) -> Plain:
        opened.append(Plain(path, recursive=recursive))
        return opened[-1]

    yield connect
    for each in opened:
        each.close()


class Writer:
    """Writes rows of a shape through a plain connection."""

    def __init__(self, plain: Plain, shape: Shape) -> None:
        self.run = plain
        self.shape = shape
        self.table = quote(shape.table)
        self.named = [*shape.keys, *(column for column in shape.columns if column not in shape.keys)]

    def insert(self, n: int, *texts: str | None, verb: str = "insert") -> None:
        values = [*self.shape.key(n), *texts][: len(self.named)]
        names = ", ".join(map(quote, self.named[: len(values)]))
        self.run(f"{verb} into {self.table} ({names}) values ({', '.join('?' * len(values))})", *values)

    def upsert(self, n: int, *texts: str | None) -> None:
        values = [*self.shape.key(n), *texts][: len(self.named)]
        names = ", ".join(map(quote, self.named[: len(values)]))
        changed = ", ".join(f"{quote(c)} = excluded.{quote(c)}" for c in self.named[len(self.shape.keys) : len(values)])
        self.run(
            f"insert into {self.table} ({names}) values ({', '.join('?' * len(values))}) "
            f"on conflict do update set {changed}",
            *values,
        )

    def update(self, n: int, text: str | None, *, column: int = -1, verb: str = "update") -> None:
        name = [c for c in self.shape.columns if c not in self.shape.keys][column]
        self.run(f"{verb} {self.table} set {quote(name)} = ? where {self._where()}", text, *self.shape.key(n))

    def rekey(self, old: int, new: int, *, verb: str = "update") -> None:
        sets = ", ".join(f"{quote(key)} = ?" for key in self.shape.keys)
        self.run(f"{verb} {self.table} set {sets} where {self._where()}", *self.shape.key(new), *self.shape.key(old))

    def delete(self, n: int) -> None:
        self.run(f"delete from {self.table} where {self._where()}", *self.shape.key(n))

    def has(self, n: int) -> bool:
        return bool(self.run(f"select 1 from {self.table} where {self._where()}", *self.shape.key(n)))

    def _where(self) -> str:
        return " and ".join(f"{quote(key)} = ?" for key in self.shape.keys)


@pytest.fixture
def writer(plain: Callable[..., Plain]) -> Callable[..., Writer]:
    return lambda path, shape, **options: Writer(plain(path, **options), shape)


# --- the judge -------------------------------------------------------------------------------------------------------


def snapshot(index: SemanticIndex) -> dict[str, Any]:
    """What an index holds, by row key: two indexes made from the same rows are equal here."""
    connection, record, source = index._connection, index.record, index.source
    lines = connection.execute(f"select row_id, hash from {quote(record.row_table)} where hash is not null").fetchall()
    hashes = dict(map(tuple, lines))
    keys = chunk_store.keys_of(connection, source, record, list(hashes))
    held: dict[Any, Any] = {}
    for row_id, value in hashes.items():
        pieces = connection.execute(
            f'select ordinal, start, "end", hash, '
            f"(select embedding from {quote(record.vec_table)} v where v.id = c.id) "
            f"from {quote(record.chunk_table)} c where row_id = ? order by ordinal",
            (row_id,),
        ).fetchall()
        held[keys.get(row_id, ("GONE", row_id))] = (value, [tuple(piece) for piece in pieces])
    found = {
        query: sorted(repr(hit.key) for hit in index.search(query, mode="keyword", limit=1000)) for query in QUERIES
    }
    return {"rows": held, "keyword": found}


def check_in_step(index: SemanticIndex, *, failed: int = 0) -> None:
    """Raise AssertionError unless every table of a drained index agrees with every other and with the source."""
    connection, record, source = index._connection, index.record, index.source

    def ask(sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in read_leniently(connection, sql, values)]

    assert ask("pragma integrity_check") == [("ok",)]
    assert index.status().pending == 0
    assert index.status().failed == failed
    assert ask("select count(*) from _semantic_orphans where index_id = ?", record.id) == [(0,)]
    vec, chunk, rows = quote(record.vec_table), quote(record.chunk_table), quote(record.row_table)
    assert ask(f"select id from {vec} order by id") == ask(f"select id from {chunk} order by id")
    assert not ask(f"select row_id from {chunk} except select row_id from {rows} where hash is not null")
    spec = record.keyword
    if spec is not None and spec.owned and spec.analyzer is None and not record.text.where:
        fts = quote(spec.fts_table)
        connection.execute(f"insert into {fts} ({fts}, rank) values ('integrity-check', 1)")
        connection.commit()
    picked = record.text.where or "1"
    names = ", ".join(map(quote, (*source.key_columns, *record.text.columns)))
    width = len(source.key_columns)
    texts = {}
    for row in ask(f"select {names} from {quote(source.table)} where ({picked}\n)"):
        if None not in row[:width]:
            texts[row[:width]] = row_text(dict(zip(record.text.columns, row[width:], strict=True)), record.text)
    held = snapshot(index)["rows"]
    assert set(held) == set(texts)
    for key, (hash_, pieces) in held.items():
        assert hash_ == text_hash(texts[key])
        for _ordinal, start, end, piece_hash, vector in pieces:
            assert piece_hash == text_hash(texts[key][start:end])
            assert vector is not None
        assert bool(pieces) == bool(texts[key].strip()) or failed


@pytest.fixture
def in_step() -> Callable[..., None]:
    return check_in_step


@pytest.fixture
def fresh_build(tmp_path: Path) -> Callable[[SemanticIndex], dict[str, Any]]:
    """Index the same table in a copy of the file from nothing, and return its snapshot."""

    def build(index: SemanticIndex) -> dict[str, Any]:
        copy = tmp_path / "fresh.db"
        copy.unlink(missing_ok=True)
        index._connection.execute("vacuum into ?", (str(copy),))
        with SemanticIndex(copy, index.source.table) as old:
            record = old.record
            old.drop()
        spec = record.keyword
        tokenize = "auto" if spec is None or not spec.owned else (spec.analyzer or spec.tokenize)
        count = f"select count(*) from {quote(record.table)} where ({record.text.where or '1'}\n)"
        if not index._connection.execute(count).fetchone()[0]:
            return {"rows": {}, "keyword": {query: [] for query in QUERIES}}
        with SemanticIndex.create(
            copy,
            record.table,
            record.text.columns if record.text.template is None else (),
            model=record.model,
            template=record.text.template,
            where=record.text.where,
            chunks=record.chunks,
            tokenize=tokenize,
            dimensions=manner_of(record).dimensions,
        ) as new:
            new.update()
            return snapshot(new)

    return build


@pytest.fixture
def snapshot_of() -> Callable[[SemanticIndex], dict[str, Any]]:
    return snapshot
