"""Nothing is paid for twice: a model that counts shows the exact number of texts sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datasette_semantic import SemanticIndex
from datasette_semantic.records import ChunkSpec


@pytest.fixture
def people(plain: Callable[..., Any], tmp_path: Path) -> Any:
    """A table of 25 rows with 23 texts, and a connection to write to it."""
    run = plain(tmp_path / "people.db")
    run("create table people (id integer primary key, name text, born int)")
    for n in range(25):
        run("insert into people values (?, ?, ?)", n + 1, f"person number{min(n, 22)}", 1900 + n)
    run.path = tmp_path / "people.db"
    return run


@pytest.fixture
def index(people: Any, demo_embed: Any) -> Any:
    with SemanticIndex.create(people.path, "people", ["name"], model="demo-embed") as made:
        report = made.update()
        assert (report.rows, report.embedded, report.requests) == (25, 22, 3)
        assert len(demo_embed.texts) == len(set(demo_embed.texts)) == 23  # the first one taught us the dimensions
        demo_embed.clear()
        yield made


def test_equal_texts_cost_one_call(index: Any, in_step: Any) -> None:
    in_step(index)


def test_nothing_new_costs_nothing(index: Any, demo_embed: Any) -> None:
    assert index.update().rows == 0
    assert demo_embed.texts == []


def test_a_column_that_is_not_embedded_costs_nothing(index: Any, people: Any, demo_embed: Any) -> None:
    people("update people set born = born + 1")
    assert index.status().pending == 0
    people("update people set name = name")
    assert index.update().rows == 25
    assert demo_embed.texts == []


def test_texts_that_change_places_cost_nothing(index: Any, people: Any, demo_embed: Any, in_step: Any) -> None:
    people("begin")
    people("update people set name = 'person number1' where id = 1")
    people("update people set name = 'person number0' where id = 2")
    people("commit")
    report = index.update()
    assert (report.embedded, report.reused) == (0, 2)
    assert demo_embed.texts == []
    in_step(index)
    assert index.search("number0", mode="semantic").hits[0].key == (2,)


def test_a_row_that_goes_and_comes_back_costs_nothing(index: Any, people: Any, demo_embed: Any, in_step: Any) -> None:
    people("delete from people where id <= 5")
    index.update()
    people("insert into people values (101, 'person number3', 0)")
    people("insert into people values (102, 'person number4', 0)")
    index.update()
    assert demo_embed.texts == []
    in_step(index)


def test_only_the_changed_text_is_sent(index: Any, people: Any, demo_embed: Any) -> None:
    people("update people set name = 'someone else' where id = 7")
    people("insert into people values (99, 'a newcomer', 1)")
    people("insert into people values (98, 'a newcomer', 2)")
    index.update()
    assert sorted(demo_embed.texts) == ["a newcomer", "someone else"]


def test_only_the_changed_chunk_is_sent(plain: Any, tmp_path: Path, demo_embed: Any, in_step: Any) -> None:
    run = plain(tmp_path / "long.db")
    run("create table t (id integer primary key, text text)")
    parts = [f"Sentence number {n} speaks of things." for n in range(30)]
    run("insert into t values (1, ?)", "\n\n".join(parts))
    with SemanticIndex.create(
        tmp_path / "long.db", "t", ["text"], model="demo-embed", chunks=ChunkSpec(max_tokens=20)
    ) as index:
        index.update()
        demo_embed.clear()
        parts[20] = "Sentence number 20 speaks of robots."
        run("update t set text = ? where id = 1", "\n\n".join(parts))
        report = index.update()
        assert len(demo_embed.texts) == report.embedded == 1
        assert report.reused == 29
        in_step(index)


def test_a_new_declaration_reuses_what_was_paid_for(index: Any, people: Any, demo_embed: Any, in_step: Any) -> None:
    with SemanticIndex.create(people.path, "people", ["name"], model="demo-embed", where="born < 1910") as fewer:
        fewer.update()
        in_step(fewer)
    with SemanticIndex.create(people.path, "people", ["name"], model="demo-embed") as again:
        again.update()
        in_step(again)
    with SemanticIndex.create(people.path, "people", ["name"], model="wordllama") as other:
        other.update()
    with SemanticIndex.create(people.path, "people", ["name"], model="demo-embed") as back:
        back.update()
        in_step(back)
    assert demo_embed.texts == []


def test_other_prefixes_are_other_vectors(index: Any, people: Any, demo_embed: Any) -> None:
    with SemanticIndex.create(
        people.path, "people", ["name"], model="demo-embed", document_prefix="passage: ", query_prefix="query: "
    ) as other:
        other.update()
        assert len(demo_embed.texts) == 23
        assert all(text.startswith("passage: ") for text in demo_embed.texts)
        demo_embed.clear()
        other.search("number3", mode="semantic")
        assert demo_embed.texts == ["query: number3"]
    demo_embed.clear()
    with SemanticIndex(people.path, "people") as opened:
        opened.search("number4", mode="semantic")
    assert demo_embed.texts == ["query: number4"]


def test_a_plan_tells_what_a_run_then_does(people: Any, demo_embed: Any) -> None:
    plan = SemanticIndex.plan(people.path, "people", ["name"], model="demo-embed", price=2.0, max_rpm=1)
    assert (plan.rows, plan.chunks, plan.texts, plan.requests) == (25, 25, 23, 3)
    assert plan.cost == pytest.approx(plan.tokens * 2 / 1_000_000)
    assert plan.seconds == 180
    assert demo_embed.texts == []
    assert people("select count(*) from sqlite_master") == [(1,)]
    with SemanticIndex.create(people.path, "people", ["name"], model="demo-embed") as index:
        index.update()
        assert len(demo_embed.texts) == plan.texts
        people("update people set name = 'person number1' where id = 1")
        people("insert into people values (50, 'never seen', 1)")
        again = SemanticIndex.plan(people.path, "people")
        assert (again.rows, again.texts, again.cost) == (2, 1, None)
        before = index.status()
        assert index.status() == before
        demo_embed.clear()
        index.update()
        assert demo_embed.texts == ["never seen"]


def test_the_plan_of_the_built_in_model_is_free(people: Any) -> None:
    assert SemanticIndex.plan(people.path, "people", ["name"]).cost == 0.0


def test_what_was_paid_for_survives_a_stop(
    plain: Any, tmp_path: Path, demo_embed: Any, in_step: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle of a long text: what came back already is not bought again."""
    path = tmp_path / "stop.db"
    run = plain(path)
    run("create table t (id integer primary key, text text)")
    run("insert into t values (1, ?)", "\n\n".join(f"Paragraph {n} of a long report." for n in range(60)))

    class UntilFifth(list[list[str]]):
        def append(self, batch: list[str]) -> None:
            if len(self) == 5:
                raise KeyboardInterrupt
            super().append(batch)

    with SemanticIndex.create(path, "t", ["text"], model="demo-embed", chunks=ChunkSpec(max_tokens=12)) as index:
        demo_embed.batches = UntilFifth(demo_embed.batches)
        with pytest.raises(KeyboardInterrupt):
            index.update()
        paid = list(demo_embed.texts)
        assert len(paid) == 41
        demo_embed.batches = []
        report = index.update()
        assert (report.failed, report.reused) == (0, 41)
        assert len(demo_embed.texts) == 19
        assert not set(paid) & set(demo_embed.texts)
        in_step(index)
