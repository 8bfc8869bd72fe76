"""Every face gives the same rows, in the same order, with the same scores."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import peewee
import pytest
from click.testing import CliRunner
from datasette.app import Datasette
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlite_utils.cli import cli

from datasette_semantic import prepare_connection
from datasette_semantic.adapters import sqlalchemy
from datasette_semantic.adapters.peewee import SemanticDatabase, SemanticModel
from datasette_semantic.adapters.sqlalchemy import create_engine
from datasette_semantic.api import SemanticIndex
from datasette_semantic.plugin.query_string import Place
from datasette_semantic.records import MODES, ListWeights, Mode
from datasette_semantic.search.request import check_weights, weights_of
from datasette_semantic.store import partitions
from datasette_semantic.store.connection import connect

from .conftest import WORDS

FIELDS = ("slug", "score", "rank", "keyword_rank", "semantic_rank", "distance", "passage")


@dataclass(frozen=True)
class Filter:
    """One condition as each face has it said."""

    grammar: dict[str, Any]
    sql: str
    params: dict[str, Any]
    of: Callable[[Any], Any]
    """The condition on an ORM's class; None where only the grammar can say it."""


@dataclass(frozen=True)
class Request:
    """A search, or with `like` a search for rows like a row."""

    typed: str = ""
    like: str | None = None
    mode: Mode = "hybrid"
    filter: Filter | None = None
    limit: int = 15
    offset: int = 0
    weights: tuple[float, float] | None = None
    fusion: str | None = None
    boost: str | None = None
    diversity: float = 0.0
    exact: bool = False
    weak: bool = False

    @property
    def others(self) -> dict[str, Any]:
        """What the functions of every face call alike."""
        both = {"boost": self.boost, "diversity": self.diversity}
        return both if self.like is not None else both | {"exact": self.exact, "weak": self.weak}


FILTERS = (
    None,
    Filter({"year__gte": 2005}, "year >= :least", {"least": 2005}, lambda note: note.year >= 2005),
    Filter({"tags__arraycontains": "red"}, "tags like '%\"red\"%'", {}, lambda note: note.tags.contains('"red"')),
    Filter(
        {"year__in": "1991,1995,2003"}, "year in (1991, 1995, 2003)", {}, lambda note: note.year.in_([1991, 1995, 2003])
    ),
    Filter({"slug__lt": "n100"}, "slug < 'n100'", {}, lambda note: note.slug < "n100"),
    Filter({"year__exact": 1800}, "year = 1800", {}, lambda note: note.year == 1800),
)

SHAPES = (
    "{} {}", '"{} {}"', "{} -{}", "where is the {} of a {}?", "{}* {}", "title:{} {}", "{} OR {}", "{}", "{} {} zzzz",
    "{}{}", "({} {}", '{} "{}', "-{} -{}", "{} AND NOT {}", "{}: {}", "{} {}%", "what's {} & {};--", "{}'s {}\\",
)  # fmt: skip

ODD = (
    "любовь робота", "ロボットの庭", "愛 garden", "ÉTOILE robot", "cafe\u0301 storm", "🤖 🌷", "robot\u200blove",
    "ﬁlm ｒｏｂｏｔ", "*", "-", '"', '""', "((()))", "NEAR(robot love)", "a", "the of and", "0", "1e999",
    "robot\tlove\n", "null", "::", "$where", "?1 :semantic_vector", "garden " * 150, "{}[]", "%00",
    "<b>robot</b>", "robbot gardn",
)  # fmt: skip


def requests() -> list[Request]:
    """200 requests: every mode and shape of query, filters, weights, boosts, variety, pages, odd and foreign queries,
    rows like a row."""
    draw = random.Random(11)
    made = [Request(odd, mode=MODES[number % 3]) for number, odd in enumerate(ODD)]
    made += [
        Request(
            like=f"n{draw.randrange(600):03}",
            filter=draw.choice(FILTERS),
            limit=draw.choice((1, 7, 20)),
            boost=draw.choice((None, "year:0.2")),
            diversity=draw.choice((0.0, 0.5)),
        )
        for _ in range(22)
    ]
    while len(made) < 200:
        shape = SHAPES[len(made) % len(SHAPES)]
        weights, fusion = draw.choice((((0.2, 0.8), None), ((3, 1), "rrf"), (None, "rrf"), *((None, None),) * 5))
        made.append(
            Request(
                shape.format(*draw.sample(WORDS, 2)),
                mode=draw.choice(MODES),
                filter=draw.choice((None, *FILTERS)),
                limit=draw.choice((1, 5, 15, 40)),
                offset=draw.choice((0, 0, 0, 3, 20)),
                weights=weights,
                fusion=fusion,
                boost=draw.choice((None, None, "year:0.3", "year:-0.2:5")),
                diversity=draw.choice((0.0, 0.0, 0.4)),
                exact=draw.random() < 0.2,
                weak=draw.random() < 0.3,
            )
        )
    return made


class Base(DeclarativeBase):
    pass


class MappedNote(Base):
    __tablename__ = "notes"

    slug: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    body: Mapped[str]
    year: Mapped[int]
    tags: Mapped[str]


class Faces:
    """The six faces over one file: each returns the records of a request."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.index = SemanticIndex(path, "notes")
        self.connection = connect(path, read_only=True)
        prepare_connection(self.connection)
        self.datasette = Datasette([str(path)])
        self.engine = create_engine(f"sqlite:///{path}")
        self.peewee = SemanticDatabase(str(path))

        class Note(SemanticModel):
            slug = peewee.TextField(primary_key=True)
            title = peewee.TextField()
            body = peewee.TextField()
            year = peewee.IntegerField()
            tags = peewee.TextField()

            class Meta:
                database = self.peewee
                table_name = "notes"

        self.note = Note

    def close(self) -> None:
        self.index.close()
        self.connection.close()
        self.engine.dispose()
        self.peewee.close()

    def weights(self, request: Request) -> ListWeights | None:
        if request.weights is None and request.fusion is None:
            return None
        return check_weights(request.weights, fusion=request.fusion, default=weights_of(self.index.record))

    def by_python(self, request: Request) -> list[dict[str, Any]]:
        where = request.filter and request.filter.grammar
        if request.like is not None:
            results = self.index.similar(request.like, limit=request.limit, where=where, **request.others)
        else:
            results = self.index.search(
                request.typed,
                mode=request.mode,
                limit=request.limit,
                offset=request.offset,
                where=where,
                weights=self.weights(request),
                **request.others,
            )
        return plain([hit.as_dict(results.key_columns) for hit in results])

    def by_sql(self, request: Request) -> list[dict[str, Any]]:
        options = {**request.others, "where": request.filter.grammar if request.filter else {}}
        if request.like is not None:
            sql, asked = "select similar_rows('notes', ?, ?, ?)", request.like
        else:
            sql, asked = "select hybrid_search('notes', ?, ?, ?)", request.typed
            options |= {"mode": request.mode, "offset": request.offset}
            options |= {"weights": request.weights, "fusion": request.fusion}
        (answer,) = self.connection.execute(sql, (asked, request.limit, json.dumps(options))).fetchone()
        return plain(json.loads(answer))

    def by_command(self, request: Request) -> list[dict[str, Any]]:
        options = ["-n", str(request.limit), "--diversity", str(request.diversity)]
        if request.filter:
            options += ["--where", request.filter.sql]
            for name, value in request.filter.params.items():
                options += ["-p", name, str(value)]
        options += ["--boost", request.boost] if request.boost else []
        if request.like is not None:
            arguments = ["similar", str(self.path), "notes", *options, "--", request.like]
        else:
            options += ["--mode", request.mode, "--offset", str(request.offset)]
            options += ["--weights", *map(str, request.weights)] if request.weights else []
            options += ["--fusion", request.fusion] if request.fusion else []
            options += ["--exact"] if request.exact else []
            options += ["--weak"] if request.weak else []
            arguments = ["hybrid-search", str(self.path), "notes", *options, "--", request.typed]
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 0, result.output
        return plain(json.loads(result.stdout))

    async def by_json(self, request: Request) -> list[dict[str, Any]]:
        """The page always reads as much of the index as it needs to: it has no `exact`, and this index no cells."""
        pairs: dict[str, Any] = {"_size": request.limit, "_diversity": request.diversity}
        pairs |= request.filter.grammar if request.filter else {}
        pairs |= {"_boost": request.boost} if request.boost else {}
        if request.like is not None:
            pairs["like"] = request.like
        else:
            pairs |= {"q": request.typed, "mode": request.mode}
            pairs |= {"_next": Place(request.offset).token()} if request.offset else {}
            pairs |= {"_weights": "{},{}".format(*request.weights)} if request.weights else {}
            pairs |= {"_fusion": request.fusion} if request.fusion else {}
            pairs |= {"weak": 1} if request.weak else {}
        response = await self.datasette.client.get(f"/corpus/notes/-/hybrid-search.json?{urlencode(pairs)}")
        assert response.status_code == 200, response.text
        return plain(response.json()["rows"])

    def by_sqlalchemy(self, request: Request) -> list[dict[str, Any]]:
        note = MappedNote
        where = [request.filter.of(note)] if request.filter else None
        if request.like is not None:
            found = sqlalchemy.similar(note, request.like, k=request.limit, where=where, **request.others)
        else:
            found = sqlalchemy.hybrid_search(
                note,
                request.typed,
                mode=request.mode,
                k=request.limit,
                offset=request.offset,
                where=where,
                weights=self.weights(request),
                **request.others,
            )
        with Session(self.engine) as session:
            return [
                {"slug": row[0].slug} | {name: getattr(row, name) for name in FIELDS[1:]}
                for row in session.execute(found)
            ]

    def by_peewee(self, request: Request) -> list[dict[str, Any]]:
        where = [request.filter.of(self.note)] if request.filter else None
        if request.like is not None:
            found = self.note.similar(request.like, k=request.limit, where=where, **request.others)
        else:
            found = self.note.hybrid_search(
                request.typed,
                mode=request.mode,
                k=request.limit,
                offset=request.offset,
                where=where,
                weights=self.weights(request),
                **request.others,
            )
        return [{name: getattr(row, name) for name in FIELDS} for row in found]


def plain(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: record[name] for name in FIELDS} for record in records]


@pytest.mark.asyncio
async def test_the_six_faces_agree_on_200_requests(corpus_path: Path) -> None:
    faces = Faces(corpus_path)
    await faces.datasette.invoke_startup()
    asked = requests()
    assert len(asked) == 200
    found = 0
    for request in asked:
        expected = faces.by_python(request)
        found += bool(expected)
        assert faces.by_sql(request) == expected, request
        assert faces.by_command(request) == expected, request
        assert await faces.by_json(request) == expected, request
        assert faces.by_sqlalchemy(request) == expected, request
        assert faces.by_peewee(request) == expected, request
    assert found > 120  # the others ask for what is not there
    faces.close()


@pytest.mark.asyncio
async def test_every_face_reads_only_the_part_that_it_asks_for(
    corpus_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "corpus.db"
    shutil.copy(corpus_path, path)
    with SemanticIndex.create(path, "notes", ["title", "body"], partition_by="year") as index:
        index.update()
    planned: list[partitions.Within | None] = []
    within = partitions.within

    def noted(*arguments: Any) -> partitions.Within | None:
        planned.append(within(*arguments))
        return planned[-1]

    monkeypatch.setattr(partitions, "within", noted)
    faces, usual = Faces(path), Faces(corpus_path)
    await faces.datasette.invoke_startup()
    for filter_ in FILTERS:
        if filter_ is None or not filter_.sql.startswith(("year =", "year in")):
            continue
        for request in (
            Request("robot garden", filter=filter_),
            Request("robot garden", mode="semantic", filter=filter_, exact=True),
            Request(like="n100", filter=filter_),
        ):
            expected = usual.by_python(request)
            for face in (faces.by_python, faces.by_sql, faces.by_command, faces.by_sqlalchemy, faces.by_peewee):
                planned.clear()
                assert face(request) == expected, (face, request)
                assert planned[0] is not None, (face, request)
                assert planned[0].alone
            planned.clear()
            assert await faces.by_json(request) == expected
            assert planned[0] is not None
    faces.close()
    usual.close()


WISHES: list[dict[str, Any]] = [
    {"boost": ["year:0.3"]},
    {"boost": ["year:-0.2:5"], "diversity": 0.4},
    {"weights": [0.2, 0.8]},
    {"fusion": "rrf"},
    {"rrf_k": 5, "weights": [1, 0.5], "diversity": 0.2},
]


@pytest.mark.parametrize("wishes", WISHES, ids=str)
@pytest.mark.asyncio
async def test_all_faces_agree_on_wishes(corpus_path: Path, wishes: dict[str, Any]) -> None:
    typed = "robot garden"
    connection = connect(corpus_path, read_only=True)
    prepare_connection(connection)
    (answer,) = connection.execute("select hybrid_search('notes', ?, 15, ?)", (typed, json.dumps(wishes))).fetchone()
    expected = plain(json.loads(answer))
    (usual,) = connection.execute("select hybrid_search('notes', ?, 15)", (typed,)).fetchone()
    assert expected != plain(json.loads(usual))
    connection.close()

    pairs: list[tuple[str, Any]] = [("q", typed), ("_size", 15)]
    arguments = ["hybrid-search", str(corpus_path), "notes", typed, "-n", "15"]
    for name, value in wishes.items():
        parts = value if isinstance(value, list) else [value]
        pairs += [(f"_{name}", ",".join(map(str, parts)))]
        arguments += [f"--{name.replace('_', '-')}", *map(str, parts)]
    datasette = Datasette([str(corpus_path)])
    await datasette.invoke_startup()
    response = await datasette.client.get(f"/corpus/notes/-/hybrid-search.json?{urlencode(pairs)}")
    assert plain(response.json()["rows"]) == expected
    assert plain(json.loads(CliRunner().invoke(cli, arguments).stdout)) == expected

    with SemanticIndex(corpus_path, "notes") as index:
        joined = {name: wishes.get(name) for name in ("weights", "fusion", "rrf_k")}
        weights = check_weights(**joined, default=weights_of(index.record)) if any(joined.values()) else None
        others = {name: value for name, value in wishes.items() if name in ("boost", "diversity")}
        results = index.search(typed, weights=weights, limit=15, **others)
        assert plain([hit.as_dict(results.key_columns) for hit in results]) == expected
        for hit in results:
            assert hit.score == pytest.approx(sum(each.weight * each.value for each in hit.why))
