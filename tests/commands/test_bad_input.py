"""Whatever is wrong: one clear message with what to do next, exit status 1, and the file as it was."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlite_utils.utils import sqlite3


@pytest.fixture
def refused(run, fingerprint) -> Callable[..., str]:
    """`refused(command, path, ...)` runs what must be refused, and returns the message."""

    def refuse(command: str, path: Path, *arguments: object) -> str:
        before, beside = fingerprint(path), companions(path)
        result = run(command, path, *arguments)
        assert result.exit_code == 1, result.output
        assert result.stdout == ""
        assert result.stderr.startswith("Error: ")
        assert len(result.stderr.strip().splitlines()) == 1, result.stderr
        assert (fingerprint(path), companions(path)) == (before, beside)
        return result.stderr

    return refuse


def companions(path: Path) -> set[str]:
    """What stands beside a file: no journal may be left behind, nor a file come to be."""
    return {file.name for file in path.parent.iterdir()} if path.parent.is_dir() else set()


EVERY_COMMAND = [
    ("embed", ["articles", "title"]),
    ("embed", ["articles"]),
    ("embed", []),
    ("hybrid-search", ["articles", "ships"]),
    ("similar", ["articles", "1"]),
    ("embeddings", []),
    ("drop-embeddings", ["articles"]),
]
every_command = pytest.mark.parametrize(("command", "arguments"), EVERY_COMMAND)


# Two SQLite libraries in one process do not see each other's locks: the tests use the one that the commands use.


# --- the file --------------------------------------------------------------------------------------------------------


@every_command
def test_no_file(refused, tmp_path: Path, command: str, arguments: list[str]) -> None:
    assert "no file" in refused(command, tmp_path / "typo.db", *arguments)


@every_command
def test_a_file_that_is_no_database(refused, tmp_path: Path, command: str, arguments: list[str]) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("These are words, and no database at all. " * 100)
    assert "not an SQLite database" in refused(command, path, *arguments)


def test_a_file_that_is_no_database_gets_no_demo(refused, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("These are words, and no database at all. " * 100)
    assert "not an SQLite database" in refused("semantic-demo", path)


@every_command
def test_a_folder(refused, tmp_path: Path, command: str, arguments: list[str]) -> None:
    assert "Error: " in refused(command, tmp_path, *arguments)


@pytest.fixture
def locked(articles: Path) -> Iterator[Path]:
    """Another program is writing, and does not finish."""
    other = sqlite3.connect(articles, isolation_level=None)
    other.execute("begin exclusive")
    yield articles
    other.execute("rollback")
    other.close()


@pytest.mark.slow
@pytest.mark.parametrize(("command", "arguments"), [EVERY_COMMAND[0], EVERY_COMMAND[3], EVERY_COMMAND[6]])
def test_a_locked_file(run, fingerprint, locked: Path, command: str, arguments: list[str]) -> None:
    before = fingerprint(locked)
    result = run(command, locked, *arguments)
    assert result.exit_code == 1
    assert "locked by another program" in result.stderr
    assert fingerprint(locked) == before


def test_a_read_only_file_cannot_be_embedded(refused, articles: Path) -> None:
    with read_only(articles):
        assert "cannot be written to" in refused("embed", articles, "articles", "title")


def test_a_read_only_file_can_be_searched(run, embedded: Path) -> None:
    with read_only(embedded):
        assert run("hybrid-search", embedded, "articles", "ships").exit_code == 0
        assert run("similar", embedded, "articles", "1").exit_code == 0
        assert run("embeddings", embedded).exit_code == 0


class read_only:  # noqa: N801
    """The file cannot be written to while this lasts; root is bound by that only with chattr's help."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        if os.getuid() != 0:
            self.path.chmod(0o444)
        elif os.system(f"chattr +i '{self.path}' 2>/dev/null") != 0:
            pytest.skip("READ-ONLY FILES CANNOT BE TESTED: we are root, and this file system knows no `chattr +i`")

    def __exit__(self, *_: object) -> None:
        if os.getuid() != 0:
            self.path.chmod(0o644)
        else:
            os.system(f"chattr -i '{self.path}'")


# --- the names -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("embed", ["artcles", "title"]),
        ("embed", ["artcles"]),
        ("hybrid-search", ["artcles", "ships"]),
        ("similar", ["artcles", "1"]),
        ("drop-embeddings", ["artcles"]),
    ],
)
def test_a_table_that_is_not_there(refused, embedded: Path, command: str, arguments: list[str]) -> None:
    message = refused(command, embedded, *arguments)
    assert "artcles" in message
    assert "articles" in message  # what there is


@pytest.mark.parametrize(
    ("command", "arguments"),
    [("hybrid-search", ["ships"]), ("similar", ["1"]), ("drop-embeddings", []), ("embed", [])],
)
def test_a_table_that_has_no_index(refused, articles: Path, command: str, arguments: list[str]) -> None:
    message = refused(command, articles, "articles", *arguments)
    assert "articles" in message
    assert "embed" in message


def test_a_database_that_has_no_index(refused, articles: Path) -> None:
    assert "TABLE COLUMN" in refused("embed", articles)


def test_a_column_that_is_not_there(refused, articles: Path) -> None:
    message = refused("embed", articles, "articles", "titel")
    assert "titel" in message
    assert "title" in message


def test_a_column_to_return_that_is_not_there(refused, embedded: Path) -> None:
    assert "titel" in refused("hybrid-search", embedded, "articles", "ships", "-c", "titel")


def test_a_model_that_is_not_there(refused, articles: Path) -> None:
    message = refused("embed", articles, "articles", "title", "-m", "no-such-model")
    assert "no-such-model" in message
    assert "llm" in message


@pytest.mark.parametrize("key", ["99", "not a number"])
def test_a_row_that_is_not_there(refused, embedded: Path, key: str) -> None:
    assert key in refused("similar", embedded, "articles", key)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing argument 'PK...'"),
        (["1", "--replace"], "--replace belongs to --save"),
        (["1", "--save", "related"], "leave out PK"),
        (["--save", "related", "--boost", "year:0.2"], "leave out PK, --boost"),
        (["--save", "related", "-c", "title"], "leave out PK"),
    ],
)
def test_a_key_or_all_rows(run, embedded: Path, arguments: list[str], words: str) -> None:
    result = run("similar", embedded, "articles", *arguments)
    assert result.exit_code == 2
    assert words in result.output


@pytest.mark.parametrize("name", ["articles", "articles_vec", "_semantic_indexes", "sqlite_x", ""])
def test_related_rows_go_to_a_table_of_their_own(refused, embedded: Path, name: str) -> None:
    assert "another name" in refused("similar", embedded, "articles", "--save", name)
    assert "another name" in refused("similar", embedded, "articles", "--save", name, "--replace")


def test_too_many_values_for_a_key(refused, embedded: Path) -> None:
    assert "id" in refused("similar", embedded, "articles", "1", "2")


@pytest.mark.parametrize("name", ['"; drop table articles; --', "[articles]", "it's", "", "sqlite_master"])
def test_names_that_are_no_table(refused, embedded: Path, name: str) -> None:
    refused("hybrid-search", embedded, name, "ships")
    refused("embed", embedded, name, "title")


def test_our_own_tables_are_not_embedded(refused, embedded: Path) -> None:
    refused("embed", embedded, "articles_vec", "embedding")
    refused("embed", embedded, "_semantic_indexes", "model")


@pytest.mark.parametrize("where", ["no_such_column = 1", "year >", "year > :missing", "1; drop table articles"])
def test_a_filter_that_does_not_run(refused, embedded: Path, where: str) -> None:
    refused("hybrid-search", embedded, "articles", "ships", "--where", where)


def test_a_template_with_a_column_that_is_not_there(refused, articles: Path) -> None:
    assert "titel" in refused("embed", articles, "articles", "--template", "{titel}")


@pytest.mark.parametrize("template", ["{title", "no columns at all", ""])
def test_a_template_that_makes_no_sense(refused, articles: Path, template: str) -> None:
    refused("embed", articles, "articles", "--template", template)


def test_how_an_index_is_made_needs_columns(run, embedded: Path, fingerprint) -> None:
    before = fingerprint(embedded)
    result = run("embed", embedded, "-m", "wordllama")
    assert result.exit_code == 2  # click's own, for a command line that cannot be meant
    assert "--model" in result.stderr
    assert fingerprint(embedded) == before


# --- what the table holds --------------------------------------------------------------------------------------------


@pytest.fixture
def holding(tmp_path: Path) -> Callable[..., Path]:
    """`holding(values)` is a database with a table `t (id, text)` of these values."""

    def make(values: list[object]) -> Path:
        path = tmp_path / "t.db"
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("create table t (id integer primary key, text)")
            connection.executemany("insert into t (text) values (?)", [(value,) for value in values])
        connection.close()
        return path

    return make


def test_an_empty_table(refused, holding) -> None:
    assert "no rows" in refused("embed", holding([]), "t", "text")


@pytest.mark.parametrize(
    "values", [[None, None], ["", "   "], [b"\x00\xff", b"\x89PNG"]], ids=["NULL", "empty", "binary"]
)
def test_a_table_without_text(refused, holding, values: list[object]) -> None:
    assert "t" in refused("embed", holding(values), "t", "text")


def test_rows_without_text_stand_in_nobodys_way(run, holding) -> None:
    path = holding([None, "", b"\x00\xff\x01", "ships at sea", 42, 1.5, "\x00nul", "😀", "roses"])
    assert run("embed", path, "t", "text").exit_code == 0
    assert '"id": 4' in run("hybrid-search", path, "t", "ships", "-n", "1").stdout


def test_a_vector_of_zeros_is_refused(refused, run, holding, zero_model) -> None:
    assert "zero" in refused("embed", holding(["ships"]), "t", "text", "-m", zero_model).lower()


@pytest.fixture
def zero_model(register_model) -> str:
    """A model that sees no meaning in anything."""
    import llm

    class Zero(llm.EmbeddingModel):
        model_id = "zero"

        def embed_batch(self, items, *, key=None):
            return [[0.0] * 8 for _ in items]

    register_model(Zero())
    return "zero"


def test_a_view(refused, articles: Path) -> None:
    connection = sqlite3.connect(articles)
    with connection:
        connection.execute("create view recent as select * from articles where year > 2010")
    connection.close()
    message = refused("embed", articles, "recent", "title")
    assert "view" in message


# --- the query -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    ["", "   ", '"', '"unclosed', "(", "a AND", "NEAR(", "*", "^", "col:", "' or 1=1", "\x00", "😀", "a" * 20_000],
)
def test_no_query_is_wrong(run, embedded: Path, query: str) -> None:
    assert run("hybrid-search", embedded, "articles", "--", query).exit_code == 0
