"""Triggers that keep an index in step with its table, whoever writes.

They are built-in SQL over ordinary tables and FTS5, so that a program that knows nothing of sqlite-vec goes on writing:

* an inserted or updated row goes to the queue, and at once into an external-content FTS5 table;
* a deleted row leaves the row and chunk tables, and so all results, at once; its vectors wait in the orphan table;
* `INSERT OR REPLACE` deletes without firing delete triggers (unless `recursive_triggers` is on), and FTS5 must be told
  the text that goes: a BEFORE INSERT trigger puts it aside, and the AFTER INSERT trigger, which an ignored insert
  never reaches, uses it.
"""

from __future__ import annotations

from ..config import ORPHAN_TABLE, QUEUE_TABLE
from ..laws.quoting import quote
from ..records import IndexRecord, Source
from . import names
from .keyword_index import content_columns

__all__ = ["trigger_sql"]


def trigger_sql(source: Source, index: IndexRecord) -> list[str]:
    """Return the DDL of all triggers of an index, in order."""
    writer = _Triggers(source, index)
    return [
        *writer.before_insert(),
        writer.after_insert(),
        writer.after_update(),
        writer.after_rekey(),
        writer.after_delete(),
    ]


class _Triggers:
    def __init__(self, source: Source, index: IndexRecord) -> None:
        self.source = source
        self.index = index
        self.table = quote(source.table)
        self.rows = quote(index.row_table)
        self.direct = names.direct_key(source)
        keyword = index.keyword
        self.external = keyword if keyword is not None and keyword.owned and keyword.analyzer is None else None
        self.analysed = keyword if keyword is not None and keyword.owned and keyword.analyzer is not None else None

    # --- the triggers ---

    def before_insert(self) -> list[str]:
        if self.external is None:
            return []
        replaced = quote(names.replaced_table(self.source.table))
        columns = ", ".join(f"s.{quote(column)}" for column in self.external.columns)
        same = self._same_key("s", "new")
        body = [
            f"delete from {replaced};",
            f"insert into {replaced} select {self._row_id('s')}, {columns} from {self.table} s where {same};",
        ]
        return [
            self._create(
                "before_insert",
                "before insert",
                body,
                when=f"exists (select 1 from {self.table} s where {self._same_key('s', 'new')})",
            )
        ]

    def after_insert(self) -> str:
        return self._create("insert", "after insert", [*self._forget_replaced(), *self._arrive()])

    def after_update(self) -> str:
        # With a `where`, a change of any column may bring a row in or take it out.
        watched = dict.fromkeys((*self.index.text.columns, *(self.external.columns if self.external else ())))
        event = "after update" if self.index.text.where else f"after update of {', '.join(map(quote, watched))}"
        body = [*self._leave_keyword("old"), *self._enter_keyword(), self._enqueue()]
        return self._create("update", event, body, when=self._key_unchanged())

    def after_rekey(self) -> str:
        # The old row goes and another comes. No column list: SQLite has none for a bare rowid.
        return self._create(
            "rekey", "after update", [*self._depart(), *self._arrive()], when=f"not ({self._key_unchanged()})"
        )

    def after_delete(self) -> str:
        return self._create("delete", "after delete", self._depart())

    # --- their sentences ---

    def _create(self, name: str, event: str, body: list[str], *, when: str | None = None) -> str:
        trigger = quote(f"_semantic_{name}_{self.source.table}")
        condition = f" when {when}" if when else ""
        return f"create trigger {trigger} {event} on {self.table}{condition} begin\n  " + "\n  ".join(body) + "\nend"

    def _key(self) -> tuple[str, ...]:
        return (self.direct,) if self.direct is not None else self.source.key_columns

    def _row_id(self, alias: str) -> str:
        return names.row_id_of(self.source, self.index, alias)

    def _same_key(self, left: str, right: str) -> str:
        return " and ".join(f"{left}.{quote(column)} = {right}.{quote(column)}" for column in self._key())

    def _key_unchanged(self) -> str:
        return " and ".join(f"old.{quote(column)} is new.{quote(column)}" for column in self._key())

    def _arrive(self) -> list[str]:
        """A row is there that was not: it gets its line, its words and its place in the queue."""
        return [self._line(), *self._enter_keyword(), self._enqueue()]

    def _line(self) -> str:
        where = (
            f"not exists (select 1 from {self.rows} r where r.row_id = new.{quote(self.direct)})"
            if self.direct
            else (
                f"not exists (select 1 from {self.rows} r where {self._line_match()})"
                + "".join(f" and new.{quote(column)} is not null" for column in self.source.key_columns)
            )
        )
        columns = "row_id" if self.direct else ", ".join(f"k{n}" for n in range(len(self.source.key_columns)))
        values = (
            f"new.{quote(self.direct)}"
            if self.direct
            else ", ".join(f"new.{quote(c)}" for c in self.source.key_columns)
        )
        return f"insert into {self.rows} ({columns}) select {values} where {where};"

    def _line_match(self) -> str:
        return names.key_match(self.source, source_alias="new", row_alias="r", source_first=False)

    def _enter_keyword(self) -> list[str]:
        """Put the row as it now is into the external-content FTS5 table, if the index's `where` picks it."""
        if self.external is None:
            return []
        fts = quote(self.external.fts_table)
        targets = ", ".join(map(quote, content_columns(self.external)))
        columns = ", ".join(quote(column) for column in self.external.columns)
        row_id = self._row_id("new")
        picked = f"{self.table} where {self._picked()}"
        return [
            f"insert into {fts} (rowid, {targets}) select {row_id}, {columns} from {picked};",
            f"update {self.rows} set keyword = exists (select 1 from {picked}) where row_id = {row_id};",
        ]

    def _picked(self) -> str:
        key = " and ".join(f"{self.table}.{quote(column)} = new.{quote(column)}" for column in self._key())
        return f"{key} and ({self.index.text.where}\n)" if self.index.text.where else key

    def _leave_keyword(self, alias: str) -> list[str]:
        """Take the row's old words out of FTS5, which wants to be told them."""
        row_id = self._row_id(alias)
        if self.analysed is not None:
            return []  # the drain replaces them; they are no longer than the queue out of date
        if self.external is None:
            return []
        fts = quote(self.external.fts_table)
        targets = ", ".join(map(quote, content_columns(self.external)))
        columns = ", ".join(f"{alias}.{quote(column)}" for column in self.external.columns)
        known = f"exists (select 1 from {self.rows} r where r.row_id = {row_id} and r.keyword)"
        return [
            f"insert into {fts} ({fts}, rowid, {targets}) select 'delete', {row_id}, {columns} where {known};",
            f"update {self.rows} set keyword = 0 where row_id = {row_id};",
        ]

    def _forget_replaced(self) -> list[str]:
        if self.external is None:
            return []
        fts = quote(self.external.fts_table)
        replaced = quote(names.replaced_table(self.source.table))
        targets = ", ".join(map(quote, content_columns(self.external)))
        columns = ", ".join(f"c{n}" for n in range(len(self.external.columns)))
        row_id = self._row_id("new")
        known = f"row_id = {row_id} and exists (select 1 from {self.rows} r where r.row_id = {row_id} and r.keyword)"
        gone = f"{fts} ({fts}, rowid, {targets}) select 'delete', row_id, {columns} from {replaced}"
        return [
            f"insert into {gone} where {known};",
            f"delete from {replaced};",
        ]

    def _enqueue(self) -> str:
        row_id = self._row_id("new")
        return (
            f"insert into {QUEUE_TABLE} (index_id, row_id) select {self.index.id}, {row_id} where {row_id} is not null "
            "on conflict (index_id, row_id) do update set stamp = stamp + 1, claimed_by = null, attempts = 0, "
            "error = null;"
        )

    def _depart(self) -> list[str]:
        row_id = self._row_id("old")
        chunks = quote(self.index.chunk_table)
        words = self._leave_keyword("old")
        if self.analysed is not None:
            words = [f"delete from {quote(self.analysed.fts_table)} where rowid = {row_id};"]
        orphans = f"{ORPHAN_TABLE} (index_id, id, hash) select {self.index.id}, id, hash"
        return [
            *words,
            f"insert into {orphans} from {chunks} where row_id = {row_id};",
            f"delete from {chunks} where row_id = {row_id};",
            f"delete from {QUEUE_TABLE} where index_id = {self.index.id} and row_id = {row_id};",
            f"delete from {self.rows} where row_id = {row_id};",
        ]
