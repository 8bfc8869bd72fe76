"""sqlite-vec as `pip install` brings it: a vec0 table, scanned whole by every query."""

from __future__ import annotations

from typing import Any

from ..given import Given
from .files import numbered, with_vec
from .peer import Peer


class Flat(Peer):
    """A vec0 table made as its documentation makes it."""

    name = "sqlite-vec"
    title = "sqlite-vec, flat"
    package = "sqlite-vec"
    declared = ""
    file, table = "vec.db", "vec_items"

    def build(self, given: Given) -> None:
        connection = with_vec(given.place_folder / self.file)
        with connection:
            connection.execute(
                f"create virtual table {self.table} using vec0"
                f"(id integer primary key, embedding float[{given.dimensions}] {self.declared})"
            )
            connection.executemany(f"insert into {self.table} (id, embedding) values (?, ?)", numbered(given))
        connection.close()

    def open(self, given: Given) -> None:
        self._connection = with_vec(given.place_folder / self.file)

    def encode(self, vector: Any) -> bytes:
        return bytes(vector.tobytes())

    def ask(self, query: Any) -> list[int]:
        sql = f"select id from {self.table} where embedding match ? and k = 10"
        return [row[0] - 1 for row in self._connection.execute(sql, (query,)).fetchall()]

    def close(self) -> None:
        self._connection.close()


class FlatInOurFile(Flat):
    """The exact scan of our own file by hand: plain SQL, a plain connection."""

    name = "flat-in-our-file"
    title = "exact scan of the same file in plain SQL"
    files_of = "ours"
    file, table = "items.db", "items_vec"
