"""This package, through its own door: vectors taken over from an `.npy` file, then the vector list by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..given import Given
from ..stand_in import model_for
from .files import connect
from .peer import Peer

TABLE = "items"


class Ours(Peer):
    """A trained index with its default settings."""

    name = "ours"
    title = "**datasette-semantic**"
    package = "sqlite-vec"
    exact = False

    def prepare(self, given: Given) -> None:
        """Write the user's table: rows of a few characters, so that next to none of the time goes into words."""
        connection = connect(_file(given))
        with connection:
            connection.execute(f"create table {TABLE} (id integer primary key, text text)")
            connection.executemany(
                f"insert into {TABLE} values (?, ?)", ((n, f"row {n}") for n in range(1, given.rows + 1))
            )
        connection.close()

    def build(self, given: Given) -> None:
        from datasette_semantic import SemanticIndex

        model = model_for(given)
        vectors = given.data_folder / "base.npy"
        with SemanticIndex.create(_file(given), TABLE, ["text"], model=model, vectors_from=vectors) as index:
            index.update()

    def open(self, given: Given) -> None:
        from datasette_semantic import SemanticIndex

        self._index = SemanticIndex(_file(given), TABLE)

    def ask(self, query: Any) -> list[int]:
        return [each.key[0] - 1 for each in self._index.nearest(query, k=10, exact=self.exact)]

    def close(self) -> None:
        self._index.close()


class OursExact(Ours):
    """The same index, compared with every vector."""

    name = "ours-exact"
    title = "datasette-semantic, `exact=True`"
    files_of = "ours"
    exact = True


class OursOnAlpha(Ours):
    """The same with sqlite-vec's newest alpha."""

    name = "ours-on-alpha"
    title = "datasette-semantic on sqlite-vec's alpha"
    alpha = True


def _file(given: Given) -> Path:
    return given.place_folder / "items.db"
