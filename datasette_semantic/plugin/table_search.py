"""The search of one table: the page, the JSON and the CSV are three ways to show one answer."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from datasette import Forbidden, NotFound, Response
from datasette.utils.asgi import AsgiStream
from datasette.version import __version__ as datasette_version

from ..config import DEFAULT_MODEL, MAX_LIMIT
from ..errors import BadOption, NoSuchIndex, NoSuchTable
from ..laws.quoting import quote
from ..records import Hit, RowFilter, RowKey
from ..store.source import check_columns, parse_key, read_rows
from . import compat, json_api, page
from .companions import look_at
from .facets import (
    Facets,
    choose,
    count_facets,
    links_to_more,
    suggest_facets,
    wanted_facets,
)
from .filters import Conditions, operators, read_filters
from .judging import judge_path, may_judge
from .permissions import may_view_table
from .query_string import Place, QueryString, key_parts, key_path, read
from .responses import add_common_headers, json_response
from .row_sets import rows_that_pass, rows_with_keys
from .searching import Answer, Target, answer, count_rows, find_target, in_database
from .settings import Settings, settings_for
from .state import state_of

__all__ = ["asset", "card_of", "label_column", "modes_of", "pages_of", "respond", "search_path"]

_JOINED = ("_weights", "_fusion", "_rrf_k", "_boost", "_diversity", "_rerank")
_CARRIED = ("_facet", "_size", "_sort", "_sort_desc", "_col", "_nocol", "_where", "weak", *_JOINED)
"""What the form takes along besides filters."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for the search of one table, read and checked."""

    target: Target
    settings: Settings
    query: QueryString
    conditions: Conditions
    label: str | None
    sortable: tuple[str, ...]
    private: bool

    @property
    def all_filters(self) -> tuple[RowFilter, ...]:
        return self.conditions.filters + self.conditions.within


async def respond(datasette: Any, request: Any, database: str, table: str, format_: str) -> Any:
    """Answer a request; nothing is searched before the permission is clear.

    Raises Forbidden, NotFound or SemanticError.
    """
    asked = await _ask(datasette, request, database, table, format_)
    if format_ == "csv":
        return await _csv(datasette, asked)
    found = None
    if asked.query.searching:
        found = await answer(
            datasette,
            asked.target,
            asked.query,
            filters=asked.conditions.filters,
            within=asked.conditions.within,
            columns=_columns_to_read(asked, format_),
            weights=asked.settings.weights,
            rerankers=asked.settings.rerankers,
            paged=True,
        )
    matching = 0 if found is not None else await count_rows(datasette, asked.target, asked.all_filters)
    facets = await _facets(datasette, request, asked, found, matching, format_)
    next_url = _next_url(datasette, request, asked.query, found)
    if format_ == "json":
        body = json_api.envelope(
            asked.target,
            asked.query,
            found,
            filters=asked.all_filters,
            facets=facets,
            matching=matching,
            next_url=next_url,
        )
        return json_response(datasette, body, next_url=next_url, lines=asked.query.lines)
    return await _html(datasette, request, asked, found, facets, matching)


def search_path(datasette: Any, database: str, table: str, format_: str = "html") -> str:
    """Return the address of a table's search, as the browser sees it."""
    suffix = "" if format_ == "html" else f".{format_}"
    return f"{datasette.urls.table(database, table)}/-/hybrid-search{suffix}"


def asset(datasette: Any, name: str) -> str:
    """Return the address of one of our files, which changes when we do."""
    from .. import __version__

    return f"{datasette.urls.static_plugins('datasette-semantic', name)}?v={__version__}-{datasette_version}"


# --- reading the request ---------------------------------------------------------------------------------------------


async def _ask(datasette: Any, request: Any, database: str, table: str, format_: str) -> Asked:
    if not await may_view_table(datasette, request.actor, database, table):
        raise Forbidden(f"You are not allowed to view {table}")
    try:
        target = await find_target(datasette, database, table)
    except (NoSuchIndex, NoSuchTable):
        if not await datasette.get_database(database).table_exists(table):
            raise NotFound(f"Table not found: {table}") from None
        raise
    settings = settings_for(datasette, database, table)
    query = read(
        request.query_string,
        path=search_path(datasette, database, table, format_),
        mode=settings.mode,
        size=settings.size,
        columns=target.source.column_names,
        extras=json_api.EXTRAS,
    )
    conditions = read_filters(
        query,
        table=table,
        columns=target.source.column_names,
        wheres_allowed=bool(query.wheres) and await compat.allowed_to_run_sql(datasette, request.actor, database),
    )
    sortable = await _sortable(datasette, target)
    if query.sort is not None and query.sort not in sortable:
        raise BadOption(f"cannot sort by {query.sort!r}: this site allows {', '.join(sortable) or 'no column'}")
    private = request.actor is not None and not await may_view_table(datasette, None, database, table)
    return Asked(
        target, settings, query, conditions, await label_column(datasette, target, settings), sortable, private
    )


async def label_column(datasette: Any, target: Target, settings: Settings) -> str | None:
    """Return the column that names a row: the site's choice, Datasette's, or the first of several that are searched."""
    if settings.label is not None:
        return check_columns(target.source, [settings.label])[0]
    labels, table = (await look_at(datasette, target.database)).labels, target.source.table
    if table not in labels:
        labels[table] = await datasette.get_database(target.database).label_column_for_table(table)
    found = labels[table]
    if found is not None and found not in target.source.key_columns:
        return found
    searched = target.index.text.columns
    return searched[0] if len(searched) > 1 else None


def _shown_columns(asked: Asked) -> tuple[str, ...]:
    """Return the columns on a result beside its label and passage: those of the address, the site's, or what is new."""
    source, query = asked.target.source, asked.query
    if query.columns is not None:
        shown = tuple(name for name in query.columns if name != asked.label)  # that one is the heading
    elif asked.settings.columns is not None:
        shown = check_columns(source, asked.settings.columns)
    else:
        said = {*source.key_columns, *asked.target.index.text.columns, asked.label}
        shown = tuple(name for name in source.column_names if name not in said)
    return tuple(name for name in shown if name not in query.hidden)


def _columns_for_programs(asked: Asked) -> tuple[str, ...] | None:
    """Return the columns of a JSON or CSV record beside its key; None for all."""
    query = asked.query
    if query.columns is None and not query.hidden:
        return None
    names = asked.target.source.column_names if query.columns is None else query.columns
    return tuple(name for name in names if name not in query.hidden)


def _columns_to_read(asked: Asked, format_: str) -> tuple[str, ...] | None:
    if format_ != "html":
        return _columns_for_programs(asked)
    label = () if asked.label is None else (asked.label,)
    return tuple(dict.fromkeys((*label, *_shown_columns(asked))))


# --- facets ----------------------------------------------------------------------------------------------------------


async def _facets(
    datasette: Any, request: Any, asked: Asked, found: Answer | None, matching: int, format_: str
) -> Facets:
    """Count the facets that are wanted. The page always has some; a program gets what it asks for."""
    asks = any(key == "_facet" or key.startswith("_facet_") for key, _value in asked.query.pairs)
    extras = asked.query.extras & {"facet_results", "suggested_facets"}
    if (format_ != "html" and not asks and not extras) or not datasette.setting("allow_facet"):
        return Facets()
    source = asked.target.source
    suggested: tuple[Any, ...] = ()
    if datasette.setting("suggest_facets") and (format_ == "html" or extras):
        suggested = await suggest_facets(
            datasette,
            request,
            database=asked.target.database,
            source=source,
            index=asked.target.index,
            memory=state_of(datasette).suggested_facets,
        )
    site = asked.settings.facets
    if site is None:
        site = (await compat.table_settings(datasette, asked.target.database, source.table)).get("facets") or ()
    chosen = choose(suggested) if format_ == "html" and not site and asked.settings.facets is None else ()
    wanted = wanted_facets(asked.query, source, site=site, data=chosen)
    if found is None:
        rows = rows_that_pass(source, asked.all_filters, matching)
    else:
        rows = rows_with_keys(source, found.results.match_keys)
    facets = await count_facets(
        datasette, request, asked.query, database=asked.target.database, rows=rows, wanted=wanted
    )
    return replace(facets, more=links_to_more(asked.query, suggested, wanted))


# --- the page --------------------------------------------------------------------------------------------------------


async def _html(
    datasette: Any, request: Any, asked: Asked, found: Answer | None, facets: Facets, matching: int
) -> Response:
    context = (await _page(datasette, request, asked, found, facets, matching)).context()
    names = page.template_names(asked.target.database, asked.target.source.table)
    html = await datasette.render_template(names, context, request=request, view_name="table-hybrid-search")
    response = Response.html(html)
    add_common_headers(datasette, response)
    return response


async def _page(
    datasette: Any, request: Any, asked: Asked, found: Answer | None, facets: Facets, matching: int
) -> page.SearchPage:
    query, target = asked.query, asked.target
    database, table = target.database, target.source.table
    table_url = datasette.urls.table(database, table)
    cards = () if found is None else await _cards(datasette, request, asked, found)
    return page.SearchPage(
        database=database,
        table=table,
        title=table,
        color=compat.database_color(datasette, database),
        private=asked.private,
        stylesheet=asset(datasette, "semantic.css"),
        script=asset(datasette, "semantic.js"),
        action=query.path,
        q=query.q,
        modes=modes_of(query),
        hidden_fields=_hidden_fields(query),
        live=target.index.model == DEFAULT_MODEL,
        searching=found is not None,
        like=await _like(datasette, asked, table_url),
        did_you_mean=_did_you_mean(query, found),
        cards=cards,
        total=matching if found is None else found.results.total,
        truncated=found is not None and found.results.truncated,
        first=0 if found is None else found.offset + 1,
        weak=0 if found is None else found.results.weak,
        weak_url=query.link(replace={"weak": "1"}),
        strong_url=query.link(replace={"weak": None}) if query.weak else None,
        milliseconds=0 if found is None else max(1, round(found.seconds * 1_000)),
        notices=() if found is None else found.notices,
        facets=facets,
        all_values_url=query.link(replace={"_facet_size": "max"}),
        active_filters=asked.conditions.active,
        clear_url=query.link(remove=_filter_pairs(query)),
        filter_columns=target.source.column_names,
        operators=operators(),
        sorts=_sorts(query, asked.sortable) if found is not None else (),
        previous_url=pages_of(query, found)[0],
        next_url=pages_of(query, found)[1],
        table_url=_table_page_url(query, table_url),
        json_url=query.link(path=search_path(datasette, database, table, "json"), keep_place=True),
        csv_url=query.link(path=search_path(datasette, database, table, "csv")),
        judge_url=await _judge_url(datasette, request, query, database, table),
        rows=matching,
        model=target.index.model,
        text_columns=target.index.text.columns,
        examples=() if query.searching else await _examples(datasette, asked),
    )


async def _cards(datasette: Any, request: Any, asked: Asked, found: Answer) -> tuple[page.Card, ...]:
    database, table = asked.target.database, asked.target.source.table
    shown = _shown_columns(asked)
    foreign = await _foreign_links(datasette, request, asked, found, shown)
    return tuple(
        page.make_card(
            hit,
            asked.query,
            label=asked.label,
            columns=shown,
            table_url=datasette.urls.table(database, table),
            search_path=asked.query.path,
            foreign=foreign,
        )
        for hit in found.results.hits
    )


def card_of(
    datasette: Any, target: Target, hit: Hit, query: QueryString, *, label: str | None, rank: int, place: page.Link
) -> page.Card:
    """Return a result as it is shown among those of other tables: under its rank there, with where it lives."""
    card = page.make_card(
        hit,
        query,
        label=label,
        columns=(),
        table_url=datasette.urls.table(target.database, target.source.table),
        search_path=query.path,
        foreign={},
        place=place,
    )
    return replace(card, rank=rank)


async def _foreign_links(
    datasette: Any, request: Any, asked: Asked, found: Answer, shown: Sequence[str]
) -> Mapping[str, Mapping[Any, page.Link]]:
    """Return links for the foreign keys on this page: column to value to the row that it names."""
    database, table = asked.target.database, asked.target.source.table
    links: dict[str, dict[Any, page.Link]] = {}
    for key in await datasette.get_database(database).foreign_keys_for_table(table):
        column, other = key["column"], key["other_table"]
        if column not in shown:
            continue
        values = list({hit.row[column] for hit in found.results.hits if hit.row.get(column) is not None})
        labels = await compat.foreign_key_labels(datasette, request.actor, database, table, column, values)
        base = datasette.urls.table(database, other)
        links[column] = {value: page.Link(label, f"{base}/{key_path((value,))}") for value, label in labels.items()}
    return links


async def _like(datasette: Any, asked: Asked, table_url: str) -> page.Link | None:
    if asked.query.like is None:
        return None
    path, source, label = asked.query.like, asked.target.source, asked.label

    def run(conn: Any) -> tuple[RowKey, str]:
        key = parse_key(conn, source, key_parts(path))
        row = read_rows(conn, source, [key], [label] if label else []).get(key, {})
        return key, str(row.get(label) or "") if label else ""

    key, name = await in_database(datasette, asked.target.database, run)
    return page.Link(name or key_path(key), f"{table_url}/{key_path(key)}")


async def _judge_url(datasette: Any, request: Any, query: QueryString, database: str, table: str) -> str | None:
    if not query.q.strip() or not await may_judge(datasette, request.actor, database, table):
        return None
    return f"{judge_path(datasette, database, table)}?{urlencode({'q': query.q, 'mode': query.mode})}"


def _did_you_mean(query: QueryString, found: Answer | None) -> page.Link | None:
    meant = None if found is None else found.results.did_you_mean
    return None if meant is None else page.Link(meant, query.link(replace={"q": meant}))


async def _examples(datasette: Any, asked: Asked) -> tuple[page.Link, ...]:
    """Return searches to begin with: what is like a few of the table's own rows."""
    source, label = asked.target.source, asked.label
    if label is None or not source.has_rowid:
        return ()
    names = ", ".join(quote(name) for name in (*source.key_columns, label))
    table = quote(source.table)

    def run(conn: Any) -> list[tuple[Any, ...]]:
        found = []
        for part in (0.25, 0.5, 0.75):
            row = conn.execute(
                f"select {names} from {table} where rowid >= (select max(rowid) from {table}) * ? "
                f"and {quote(label)} != '' limit 1",
                (part,),
            ).fetchone()
            if row is not None:
                found.append(tuple(row))
        return list(dict.fromkeys(found))

    rows = await in_database(datasette, asked.target.database, run)
    return tuple(page.Link(str(row[-1])[:80], asked.query.link(replace={"like": key_path(row[:-1])})) for row in rows)


def modes_of(query: QueryString) -> tuple[page.Choice, ...]:
    texts = {
        "hybrid": ("Both", "by meaning and by words"),
        "semantic": ("Meaning", "finds what is near in meaning, whatever the words"),
        "keyword": ("Words", "finds rows that hold the words"),
    }
    return tuple(page.Choice(mode, label, hint, mode == query.mode) for mode, (label, hint) in texts.items())


async def _sortable(datasette: Any, target: Target) -> tuple[str, ...]:
    """Return the columns that may be sorted by: those the site names, else all."""
    named = (await compat.table_settings(datasette, target.database, target.source.table)).get("sortable_columns")
    columns = target.source.column_names
    return columns if named is None else tuple(name for name in columns if name in named)


def _sorts(query: QueryString, columns: Sequence[str]) -> tuple[page.Choice, ...]:
    """Return the orders to choose from; the value of each is an address."""
    none: dict[str, str | None] = dict.fromkeys(("_sort", "_sort_desc", "_sort_by_desc"))
    choices = [page.Choice(query.link(replace=none), "relevance", "best first", query.sort is None)]
    for column in columns:
        for key, arrow, hint in (("_sort", "↑", "lowest first"), ("_sort_desc", "↓", "highest first")):
            chosen = query.sort == column and query.descending == (key == "_sort_desc")
            choices.append(page.Choice(query.link(replace=none | {key: column}), f"{column} {arrow}", hint, chosen))
    return tuple(choices)


def _hidden_fields(query: QueryString) -> tuple[tuple[str, str], ...]:
    filters = set(_filter_pairs(query))
    carried = [pair for pair in query.pairs if pair in filters or pair[0] in _CARRIED or pair[0].startswith("_facet_")]
    return tuple(dict.fromkeys(carried))


def _filter_pairs(query: QueryString) -> list[tuple[str, str]]:
    """Return the arguments that are filters, as they were written."""
    keys = {key for key, _value in query.filters}
    return [(key, value) for key, value in query.pairs if key == "_where" or key in keys or f"{key}__exact" in keys]


# --- other places ----------------------------------------------------------------------------------------------------


def pages_of(query: QueryString, found: Answer | None) -> tuple[str | None, str | None]:
    """Return the addresses of the page before and the next one."""
    return _previous_url(query, found), _page_url(query, found)


def _page_url(query: QueryString, found: Answer | None) -> str | None:
    place = None if found is None else found.next_place
    return None if place is None else query.link(replace={"_next": place.token()})


def _previous_url(query: QueryString, found: Answer | None) -> str | None:
    if found is None or found.offset == 0:
        return None
    before = max(0, min(found.offset, found.results.total) - max(1, query.size))
    if before == 0:
        return query.link()
    return query.link(replace={"_next": found.place_at(before).token()})


def _next_url(datasette: Any, request: Any, query: QueryString, found: Answer | None) -> str | None:
    url = _page_url(query, found)
    return None if url is None else str(datasette.absolute_url(request, url))


def _table_page_url(query: QueryString, table_url: str) -> str:
    """Return Datasette's own table page, narrowed to the matches, with the same filters and facets."""
    ours = ("q", "mode", "like", "weak", "_size", "_sort", "_sort_desc", *_JOINED)
    changed: dict[str, str | None] = dict.fromkeys(ours)
    if query.q.strip() and query.like is None:
        changed["_semantic"] = query.q
        if query.mode != "hybrid":
            changed["_semantic_mode"] = query.mode
    return query.link(path=table_url, replace=changed)


async def _csv(datasette: Any, asked: Asked) -> Any:
    """Send the whole match set in the order of its ranking, a page at a time."""
    if not asked.query.searching:
        raise BadOption("a CSV of nothing: say what to search for with q= or like=")
    if not datasette.setting("allow_csv_stream"):
        raise Forbidden("CSV streaming is switched off on this site")

    async def page_at(place: Place) -> Answer:
        query = replace(asked.query, size=MAX_LIMIT, place=place)
        return await answer(
            datasette,
            asked.target,
            query,
            filters=asked.conditions.filters,
            within=asked.conditions.within,
            columns=_columns_for_programs(asked),
            weights=asked.settings.weights,
            rerankers=asked.settings.rerankers,
            paged=True,
        )

    first = await page_at(Place(0))  # before the headers are sent, so that an error still has a status

    async def stream(writer: Any) -> None:
        found: Answer | None = first
        header = True
        while found is not None:
            records = json_api.row_records(found, asked.target.source)
            await writer.write(_csv_text(records, header=header))
            header = False
            place = found.next_place
            found = None if place is None else await page_at(place)

    name = "".join(letter if letter.isalnum() else "-" for letter in asked.target.source.table)
    headers = {"Content-Disposition": f'attachment; filename="{name.encode("ascii", "replace").decode()}-search.csv"'}
    response = AsgiStream(stream, headers=headers, content_type="text/csv; charset=utf-8")
    add_common_headers(datasette, response)
    return response


def _csv_text(records: Sequence[Mapping[str, Any]], *, header: bool) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    if header and records:
        writer.writerow(records[0].keys())
    for record in records:
        writer.writerow([_cell(value) for value in record.values()])
    return text.getvalue()


def _cell(value: Any) -> Any:
    return f"<Binary: {len(value)} bytes>" if isinstance(value, bytes) else value
