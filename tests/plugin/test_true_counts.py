"""On real films: totals and facet counts are what plain SQL counts over the match set, however much filters leave; what
has nothing to do with films does not fill the page."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from sqlite_utils.utils import sqlite3

from .conftest import Make, embed, get, get_json

SHARES = (0.5, 0.05, 0.001, 0.0001)
SEARCH = "/films/movies_facets/-/hybrid-search.json"
FACETS = [("_facet", "decade"), ("_facet_array", "genres"), ("_facet_size", "max")]
WHOLE = [("_size", "max"), ("_shape", "objects")]


@pytest.fixture(scope="module")
def films(corpora: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = corpora("movies-facets").write(tmp_path_factory.mktemp("films") / "films.db")
    with closing(sqlite3.connect(path)) as database, database:
        # A number per film in an order that has nothing to do with the films: what is below it is a share of any kind.
        database.execute("alter table movies_facets add column lot integer")
        numbers = list(range(database.execute("select count(*) from movies_facets").fetchone()[0]))
        random.Random(3).shuffle(numbers)
        rowids = [row[0] for row in database.execute("select rowid from movies_facets").fetchall()]
        database.executemany(
            "update movies_facets set lot = ? where rowid = ?", list(zip(numbers, rowids, strict=True))
        )
        database.execute("create index films_by_lot on movies_facets (lot)")
    embed(path, "movies_facets", ["title", "text"])
    return path


def queries(path: Path, count: int) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        texts = [row[0] for row in database.execute("select text from movies_facets where length(text) > 80")]
    chance = random.Random(11)
    words = [[word for word in chance.choice(texts).split() if word.isalpha()] for _ in range(count)]
    return [" ".join(chance.sample(each, min(3, len(each)))) for each in words]


async def whole_set(datasette: Any, pairs: list[tuple[str, str]]) -> tuple[list[str], dict[str, Any]]:
    """Return the ids of all pages joined, and the first page."""
    ids: list[str] = []
    path: str | None = f"{SEARCH}?{urlencode([*pairs, *WHOLE])}"
    first: dict[str, Any] | None = None
    while path is not None:
        body = await get_json(datasette, path)
        first = body if first is None else first
        ids += [row["id"] for row in body["rows"]]
        path = body["next_url"] and f"{urlsplit(body['next_url']).path}?{urlsplit(body['next_url']).query}"
    assert first is not None
    return ids, first


def counted(database: Any, ids: list[str]) -> dict[str, dict[Any, int]]:
    """Count by plain SQL over the rows with these ids."""
    database.execute("create temp table if not exists chosen (id text primary key)")
    database.execute("delete from chosen")
    database.executemany("insert into chosen values (?)", [(each,) for each in ids])
    decades = database.execute(
        "select decade, count(*) from movies_facets where id in (select id from chosen) and decade is not null "
        "group by decade"
    )
    genres = database.execute(
        "select g.value, count(distinct m.id) from movies_facets m, json_each(m.genres) g "
        "where m.id in (select id from chosen) group by g.value"
    )
    return {"decade": dict(decades.fetchall()), "genres": dict(genres.fetchall())}


@pytest.mark.slow
@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["hybrid", "semantic", "keyword"])
@pytest.mark.parametrize("share", SHARES)
async def test_counts_are_true(make: Make, films: Path, mode: str, share: float) -> None:
    datasette = make([films], settings={"facet_time_limit_ms": 5_000, "sql_time_limit_ms": 10_000})
    with closing(sqlite3.connect(films)) as database:
        (rows,) = database.execute("select count(*) from movies_facets").fetchone()
        passing = max(1, round(share * rows))
        for query in queries(films, 3):
            pairs = [("q", query), ("mode", mode), ("lot__lt", str(passing)), *FACETS]
            ids, body = await whole_set(datasette, pairs)
            assert len(ids) == len(set(ids)) == body["total"]
            lots = [row[0] for row in database.execute("select id from movies_facets where lot < ?", (passing,))]
            assert set(ids) <= set(lots)
            if mode != "keyword":
                assert len(ids) >= min(1_000, passing), "a filter loses no rows"
            truth = counted(database, ids)
            facets = body["facet_results"]["results"]
            assert body["facet_results"]["timed_out"] == []
            for name, values in truth.items():
                assert {each["value"]: each["count"] for each in facets[name]["results"]} == values
            for name in truth:
                for value in random.Random(query).sample(facets[name]["results"], min(2, len(truth[name]))):
                    picked = parse_qsl(urlsplit(value["toggle_url"]).query)
                    left, after = await whole_set(datasette, picked)
                    assert after["total"] == len(left) == value["count"], (query, name, value["value"])
                    assert set(left) <= set(ids)


OFF_TOPIC = """
postgres vacuum full lock | mitochondrial dna replication | gradient descent learning rate | tax deduction home office
sourdough starter hydration | carburetor float adjustment | photosynthesis light reactions | mortgage refinancing rates
git rebase interactive | css flexbox center div | oauth token refresh | docker compose volumes | vitamin d dosage
regular expression lookahead | knee replacement recovery | tomato blight treatment | compost ratio carbon nitrogen
bicycle derailleur adjustment | lawn mower won't start | how to file a tax return | convert celsius to fahrenheit
best running shoes flat feet | excel pivot table | pandas groupby aggregate | asyncio event loop closed
cholesterol lowering diet | insulin resistance symptoms | dishwasher not draining | wifi router channel interference
python virtualenv activate | quantum entanglement bell inequality | plate tectonics subduction | french subjunctive
enzyme kinetics michaelis menten | passport renewal processing time | student loan forgiveness | 4k monitor refresh rate
usb c power delivery | crochet blanket pattern | gluten free bread recipe | espresso grind size | marathon training plan
chess sicilian defense | stock options vesting | roth ira contribution limit | roof shingle replacement cost
water heater anode rod | kubernetes ingress timeout | nginx reverse proxy config | terraform state lock
"""


@pytest.mark.slow
@pytest.mark.asyncio
async def test_what_is_off_topic_does_not_fill_the_page(make: Make, films: Path) -> None:
    datasette = make([films], settings={"sql_time_limit_ms": 10_000})
    asked = [each.strip() for line in OFF_TOPIC.strip().splitlines() for each in line.split("|")]
    assert len(asked) == 50
    noisy = []
    for query in asked:
        body = await get_json(datasette, f"{SEARCH}?{urlencode({'q': query})}")
        if any(row["keyword_rank"] is None for row in body["rows"]):
            noisy.append(query)
            assert body["warnings"] or len(body["rows"]) > sum(row["keyword_rank"] is None for row in body["rows"])
    assert len(noisy) <= 5, noisy


@pytest.mark.slow
@pytest.mark.asyncio
@pytest.mark.parametrize("page", ["/films/movies_facets/-/hybrid-search", "/-/hybrid-search"])
async def test_weaker_matches_are_one_click_away(make: Make, films: Path, page: str) -> None:
    datasette = make([films], settings={"sql_time_limit_ms": 10_000})
    query = "q=tomato+blight+treatment"
    body = await get_json(datasette, f"{page}.json?{query}")
    assert body["weak"] > 0
    assert (
        f'href="{page}?{query}&amp;weak=1">{body["weak"]:,} weaker match'
        in (await get(datasette, f"{page}?{query}")).text
    )
    all_of_them = await get_json(datasette, f"{page}.json?{query}&weak=1")
    assert (all_of_them["weak"], all_of_them["total"]) == (0, body["total"] + body["weak"])
    text = (await get(datasette, f"{page}?{query}&weak=1")).text
    assert f'href="{page}?{query}">Leave weaker matches out' in text
    assert '<input type="hidden" name="weak" value="1">' in text
