"""Triggers that keep an index in step with its table, whoever writes.

They are built-in SQL over ordinary tables and FTS5, so that a program that knows nothing of sqlite-vec goes on writing:

* an inserted or updated row goes to the queue, and at once into an external-content FTS5 table;
* a deleted row leaves the row and chunk tables, and so all results, at once; its vectors wait in the orphan table.

`INSERT OR REPLACE` and `UPDATE OR REPLACE` delete rows that stand in the way without firing delete triggers (unless
`recursive_triggers` is on), and an external-content FTS5 table has to be told the text that goes. So the BEFORE
triggers put aside, with its text, every row that shares a unique key with what comes, and the next trigger *settles*
what is aside: each row is compared with the user's table as it is now, and its words and vectors follow. A statement
that was ignored leaves rows aside that are as they were: settling them changes nothing.

    FTS5 holds for a row   the text put aside, where the row is put aside
                           the text in the user's table, else (and `keyword` = 1 in its line)

Every trigger keeps to that, in whatever order SQLite fires them and whatever the user's own triggers do in between.
Only triggers on the user's table name it: any other would stand in the way of `drop table` and `alter table`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..config import ORPHAN_TABLE, QUEUE_TABLE
from ..laws.quoting import quote
from ..records import IndexRecord, Source
from . import names
from .keyword_index import content_columns
from .partitions import partition_of
from .source import UniqueKey

__all__ = ["trigger_sql"]


def trigger_sql(source: Source, index: IndexRecord, unique: Sequence[UniqueKey]) -> dict[str, str]:
    """Return the DDL of all triggers of an index, by name. `unique` are the table's unique keys besides its row key."""
    writer = _Triggers(source, index, unique)
    made = {
        "before_insert": writer.before_insert(),
        "before_update": writer.before_update(),
        "insert": writer.after_insert(),
        "update": writer.after_update(),
        "rekey": writer.after_rekey(),
        "delete": writer.after_delete(),
        "settled": writer.after_settled(),
    }
    return {
        name: f"create trigger {quote(name)} {made[event]}"
        for event, name in zip(names.TRIGGERS, names.trigger_names(index), strict=True)
    }


class _Triggers:
    def __init__(self, source: Source, index: IndexRecord, unique: Sequence[UniqueKey]) -> None:
        self.source = source
        self.index = index
        self.unique = unique
        self.table = quote(source.table)
        self.rows = quote(index.row_table)
        self.aside = quote(names.replaced_table(index))
        self.direct = names.direct_key(source)
        keyword = index.keyword
        self.external = keyword if keyword is not None and keyword.owned and keyword.analyzer is None else None
        self.analysed = keyword if keyword is not None and keyword.owned and keyword.analyzer is not None else None

    # --- on the user's table ---

    def before_insert(self) -> str:
        return self._trigger("before insert", self._put_aside(self._rivals()), when=self._exists(self._rivals()))

    def before_update(self) -> str:
        columns = dict.fromkeys(column for key in self.unique for column, _collation in key)
        changed = [f"old.{quote(column)} is not new.{quote(column)}" for column in (*self._key(), *columns)]
        rivals = f"({self._rivals()}) and not ({self._same_key('s', 'old')})"
        return self._trigger(
            "before update", self._put_aside(rivals), when=f"({' or '.join(changed)}) and {self._exists(rivals)}"
        )

    def after_insert(self) -> str:
        return self._trigger("after insert", [*self._settle(), *self._arrive()])

    def after_update(self) -> str:
        partition = partition_of(self.index)
        watched = dict.fromkeys(
            (
                *self.index.text.columns,
                *((partition.column,) if partition is not None else ()),
                *(self.external.columns if self.external else ()),
                *(column for key in self.unique for column, _collation in key),
                *(self.source.key_columns if self.source.declared_key else ()),
            )
        )
        # With a `where`, a change of any column may bring a row in or take it out; so it may change a generated column.
        generated = {column.name for column in self.source.columns if column.generated}
        unnamed = self.index.text.where or not generated.isdisjoint(watched)
        event = "after update" if unnamed else f"after update of {', '.join(map(quote, watched))}"
        body = [
            *self._leave_keyword("old"),
            *self._settle(),
            # A row that the `where` has never picked has no line yet.
            *([self._line()] if self.index.text.where else []),
            *self._enter_keyword(f"select {self._row_id('new')}"),
            self._enqueue(),
        ]
        return self._trigger(event, body, when=self._key_unchanged())

    def after_rekey(self) -> str:
        # The old row goes and another comes. No column list: SQLite has none for a bare rowid.
        body = [*self._leave_keyword("old"), *self._settle(), *self._depart(self._row_id("old")), *self._arrive()]
        return self._trigger("after update", body, when=f"not ({self._key_unchanged()})")

    def after_delete(self) -> str:
        body = [*self._leave_keyword("old"), *self._settle(), *self._depart(self._row_id("old"))]
        return self._trigger("after delete", body)

    # --- on the table of rows put aside ---

    def after_settled(self) -> str:
        """A row has been compared with the user's table: its old words leave, and where it is lost, all else too."""
        words = ", ".join(f"old.c{n}" for n in range(len(self._words())))
        body = [
            *(self._take_words("old.row_id", words) if self.external else ()),
            *self._depart("case when new.lost then old.row_id end"),
        ]
        return self._trigger("after update of lost", body, on=self.aside)

    # --- their sentences ---

    def _trigger(self, event: str, body: Sequence[str], *, when: str | None = None, on: str | None = None) -> str:
        condition = f" when {when}" if when else ""
        return f"{event} on {on or self.table}{condition} begin\n  " + "\n  ".join(body) + "\nend"

    def _key(self) -> tuple[str, ...]:
        return (self.direct,) if self.direct is not None else self.source.key_columns

    def _row_id(self, alias: str) -> str:
        return names.row_id_of(self.source, self.index, alias)

    def _same_key(self, left: str, right: str) -> str:
        return " and ".join(f"{left}.{quote(column)} = {right}.{quote(column)}" for column in self._key())

    def _key_unchanged(self) -> str:
        return " and ".join(f"old.{quote(column)} is new.{quote(column)}" for column in self._key())

    def _rivals(self) -> str:
        """The rows `s` that share the row key or another unique key with the row that comes."""
        own = (self._same_key("s", "new"),) if self.direct is not None else ()
        others = (
            " and ".join(
                f"s.{quote(column)} = new.{quote(column)} collate {quote(collation)}" for column, collation in key
            )
            for key in self.unique
        )
        return " or ".join((*own, *others))

    def _exists(self, condition: str) -> str:
        return f"exists (select 1 from {self.table} s where {condition})"

    def _put_aside(self, rivals: str) -> list[str]:
        row_id = self._row_id("s")
        targets = ", ".join(("row_id", *(f"c{n}" for n in range(len(self._words())))))
        fields = ", ".join((row_id, *(f"s.{quote(column)}" for column in self._words())))
        return [
            *self._settle(),
            (
                f"insert into {self.aside} ({targets}) select {fields} from {self.table} s "
                f"where ({rivals}) and {row_id} is not null;"
            ),
        ]

    def _words(self) -> tuple[str, ...]:
        return self.external.columns if self.external is not None else ()

    def _settle(self) -> list[str]:
        if self.external is None:
            return [f"update {self.aside} set lost = 1 where not {self._present()};", f"delete from {self.aside};"]
        # With a `where`, a row whose words are the same may have come under it or left it.
        changed = "" if self.index.text.where else f" where not {self._present(unchanged=True)}"
        return [
            f"update {self.aside} set lost = not {self._present()}{changed};",
            *self._enter_keyword(f"select row_id from {self.aside}"),
            f"delete from {self.aside};",
        ]

    def _present(self, *, unchanged: bool = False) -> str:
        """True where the user's table holds the row aside; `unchanged`: with the same words."""
        same = ""
        if unchanged:
            same = "".join(
                f" and {self.aside}.c{n} is s.{quote(column)} and typeof({self.aside}.c{n}) = typeof(s.{quote(column)})"
                for n, column in enumerate(self._words())
            )
        if self.direct is not None:
            return f"exists (select 1 from {self.table} s where s.{quote(self.direct)} = {self.aside}.row_id{same})"
        match = names.key_match(self.source, source_alias="s", row_alias="r", source_first=True)
        return (
            f"exists (select 1 from {self.rows} r join {self.table} s on {match} "
            f"where r.row_id = {self.aside}.row_id{same})"
        )

    def _arrive(self) -> list[str]:
        """A row is there that was not: it gets its line, its words and its place in the queue."""
        return [self._line(), *self._enter_keyword(f"select {self._row_id('new')}"), self._enqueue()]

    def _line(self) -> str:
        if self.direct is not None:
            key = f"new.{quote(self.direct)}"
            known = f"exists (select 1 from {self.rows} r where r.row_id = {key})"
            return f"insert into {self.rows} (row_id) select {key} where not {known};"
        columns = ", ".join(f"k{n}" for n in range(len(self.source.key_columns)))
        values = [f"new.{quote(column)}" for column in self.source.key_columns]
        known = names.key_match(self.source, source_alias="new", row_alias="r", source_first=False)
        whole = " and ".join(f"{value} is not null" for value in values)
        return (
            f"insert into {self.rows} ({columns}) select {', '.join(values)} "
            f"where {whole} and not exists (select 1 from {self.rows} r where {known});"
        )

    def _enter_keyword(self, row_ids: str) -> list[str]:
        """Put rows as they now are into the external-content FTS5 table, those that are not in it and that the
        index's `where` picks."""
        if self.external is None:
            return []
        fts = quote(self.external.fts_table)
        targets = ", ".join(map(quote, content_columns(self.external)))
        columns = ", ".join(f"{self.table}.{quote(column)}" for column in self.external.columns)
        fresh = f"select row_id from {self.rows} where row_id in ({row_ids}) and not keyword"
        return [
            (
                f"insert into {fts} (rowid, {targets}) select {self._row_id(self.table)}, {columns} "
                f"from {self._picked(fresh)};"
            ),
            (
                f"update {self.rows} set keyword = 1 where row_id in ({fresh}) "
                f"and row_id in (select {self._row_id(self.table)} from {self._picked(fresh)});"
            ),
        ]

    def _picked(self, row_ids: str) -> str:
        """The rows in the user's table, under its own name and alone, so that a user's `where` can be added."""
        where = f" and ({self.index.text.where}\n)" if self.index.text.where else ""
        if self.direct is not None:
            return f"{self.table} where {self.table}.{quote(self.direct)} in ({row_ids}){where}"
        ours = ", ".join(f"k{n}" for n in range(len(self.source.key_columns)))
        keys = ", ".join(f"{self.table}.{quote(column)}" for column in self.source.key_columns)
        keys = f"({keys})" if len(self.source.key_columns) > 1 else keys
        return f"{self.table} where {keys} in (select {ours} from {self.rows} where row_id in ({row_ids})){where}"

    def _leave_keyword(self, alias: str) -> list[str]:
        """Take the row's old words out of FTS5, which wants to be told them."""
        if self.external is None:
            return []  # the drain replaces analysed words; they are no longer than the queue out of date
        row_id = self._row_id(alias)
        words = ", ".join(f"{alias}.{quote(column)}" for column in self.external.columns)
        return self._take_words(row_id, words, f" and row_id not in (select row_id from {self.aside})")

    def _take_words(self, row_id: str, words: str, condition: str = "") -> list[str]:
        assert self.external is not None
        fts = quote(self.external.fts_table)
        targets = ", ".join(map(quote, content_columns(self.external)))
        held = f"from {self.rows} where row_id = {row_id} and keyword{condition}"
        return [
            f"insert into {fts} ({fts}, rowid, {targets}) select 'delete', row_id, {words} {held};",
            f"update {self.rows} set keyword = 0 where row_id in (select row_id {held});",
        ]

    def _enqueue(self) -> str:
        row_id = self._row_id("new")
        return (
            f"insert into {QUEUE_TABLE} (index_id, row_id) select {self.index.id}, {row_id} where {row_id} is not null "
            "on conflict (index_id, row_id) do update set stamp = stamp + 1, claimed_by = null, attempts = 0, "
            "error = null;"
        )

    def _depart(self, row_id: str) -> list[str]:
        chunks = quote(self.index.chunk_table)
        words = []
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
