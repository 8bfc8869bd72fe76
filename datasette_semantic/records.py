"""The records that pass between floors. All are immutable; none knows SQLite, a model or a face."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = [
    "MODES",
    "Adoption",
    "Boost",
    "Cell",
    "Chunk",
    "ChunkSpec",
    "ClearedVectors",
    "Column",
    "Compaction",
    "Contribution",
    "Failure",
    "FusionMethod",
    "Hit",
    "IndexRecord",
    "IndexStatus",
    "KeywordSpec",
    "ListWeights",
    "Mode",
    "Neighbour",
    "OnMismatch",
    "Passage",
    "Plan",
    "Progress",
    "Rerank",
    "RowFilter",
    "RowKey",
    "SearchRequest",
    "SearchResults",
    "Source",
    "Span",
    "TextSpec",
    "UpdateReport",
]

Cell = str | int | float | bytes | None
"""A value as SQLite stores it."""

RowKey = tuple[Cell, ...]
"""The primary key of one row, in the order of the key's columns; `(rowid,)` where a table has none."""

Mode = Literal["hybrid", "semantic", "keyword"]
MODES: tuple[Mode, ...] = ("hybrid", "semantic", "keyword")

FusionMethod = Literal["score", "rrf"]

OnMismatch = Literal["rebuild", "error", "keep"]
"""What becomes of an index that was made otherwise than the code now declares it."""


# --- the table of the user -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the user's table."""

    name: str
    type: str
    generated: bool = False
    """Computed from other columns: no statement names it when it changes."""


@dataclass(frozen=True, slots=True)
class Source:
    """The user's table, as its schema describes it."""

    table: str
    columns: tuple[Column, ...]
    key_columns: tuple[str, ...]
    """Primary key columns in key order; `("rowid",)` where the table declares none."""
    rowid_key: str | None
    """The name under which the row key *is* SQLite's rowid for good (an INTEGER PRIMARY KEY), else None."""
    has_rowid: bool
    """False for a WITHOUT ROWID table."""

    @property
    def declared_key(self) -> bool:
        """True where the table declares a primary key of any kind."""
        return all(column in self.column_names for column in self.key_columns)

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


# --- what an index is made of ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TextSpec:
    """How a row becomes text."""

    columns: tuple[str, ...]
    """The columns, in the order in which they are joined."""
    template: str | None = None
    """A template over the columns that replaces plain joining; see `laws/text.py` for its language."""
    where: str | None = None
    """SQL that picks the rows to index; None for all."""


@dataclass(frozen=True, slots=True)
class ChunkSpec:
    """How text is cut."""

    chunker: str = "structure"
    """The name of a registered chunker; "none" keeps each text whole."""
    max_tokens: int = 400
    overlap: int = 0
    """Tokens that a chunk repeats of the one before it."""


@dataclass(frozen=True, slots=True)
class KeywordSpec:
    """The keyword index beside the vectors."""

    fts_table: str
    columns: tuple[str, ...]
    tokenize: str
    """FTS5's own tokenize string."""
    analyzer: str | None = None
    """The analysis in `laws/analysis.py` applied to text before FTS5 sees it; None where FTS5 reads the columns as
    they are."""
    owned: bool = True
    """False for an FTS5 table that the user had before us: it is only read."""
    column_weights: tuple[float, ...] = ()
    """bm25 weight per column; empty for 1.0 each."""


@dataclass(frozen=True, slots=True)
class ListWeights:
    """How much each list says in the fused score, and how."""

    keyword: float = 0.5
    semantic: float = 0.5
    fusion: FusionMethod = "score"
    rrf_k: float = 60.0
    """The constant of reciprocal rank fusion: the smaller, the more the first ranks count (Cormack, Clarke, Buettcher:
    *Reciprocal Rank Fusion*, SIGIR 2009)."""


@dataclass(frozen=True, slots=True)
class Boost:
    """A date or number column that raises scores: see `laws/boosting.py`."""

    column: str
    weight: float
    """What the greatest value adds, as a share of the best score; below 0 the least value is preferred."""
    half_life: float | None = None
    """How far below the greatest value half of it is left, in days for dates; None for an even fall to the least."""


@dataclass(frozen=True, slots=True)
class Rerank:
    """A second opinion on the first rows of a ranking."""

    name: str
    """A registered reranker, or one of our own: `llm`, `llm/MODEL`, `cross-encoder`, `cross-encoder/MODEL`."""
    depth: int = 20
    """Rows that it reads."""
    seconds: float = 15.0
    """How long it may take; after that the ranking stays as it is."""


@dataclass(frozen=True, slots=True)
class IndexRecord:
    """One entry of the catalog: everything known about the index of one table."""

    id: int
    table: str
    text: TextSpec
    chunks: ChunkSpec
    keyword: KeywordSpec | None
    model: str
    dimensions: int
    vec_table: str
    chunk_table: str
    """`(id, row_id, ordinal, start, end, hash)`: one line per vector; `id` is `vec_table.id`."""
    row_table: str
    """`(row_id, k0, k1 ..., hash)`: one line per indexed row; no `k` columns where row_id is the row's own key."""
    state: Literal["building", "ready"]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What was chosen or measured for this index: weights, floor, profile, cell counts ..."""


# --- text ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of characters."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of a row's text, with the text it covers: `text[start:end] == self.text`."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Passage:
    """The piece of text shown with a result."""

    text: str
    words: tuple[Span, ...] = ()
    """Where the query's words stand in `text`: marked strongly."""
    near: tuple[Span, ...] = ()
    """What is near in meaning: marked lightly."""
    column: str | None = None

    def __str__(self) -> str:
        return self.text


# --- searching -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RowFilter:
    """A condition on rows: SQL over the user's table (its columns unqualified) and its named parameters."""

    sql: str
    params: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What is searched for. `query` is what the user typed; nothing in it can raise."""

    query: str = ""
    mode: Mode = "hybrid"
    limit: int = 20
    offset: int = 0
    filters: tuple[RowFilter, ...] = ()
    """Conditions that hold before ranking: both lists choose from the rows that pass."""
    within: tuple[RowFilter, ...] = ()
    """Conditions that narrow the match set once it is made, as picking a facet value does: what a facet counts is then
    exactly what is left when it is picked."""
    like: RowKey | None = None
    """Search for rows like this row instead of words."""
    weights: ListWeights | None = None
    """None for the index's own."""
    boosts: tuple[Boost, ...] = ()
    diversity: float = 0.0
    """How much being like a row before it costs a row, 0 to 1."""
    opinion: Mapping[RowKey, float] | None = None
    """What a reranker said of the first rows: row key to score, high is good. They come first, in its order."""
    exact: bool = False
    """Scan all vectors even where a trained index could skip most."""
    weak: bool = False
    """Keep semantic matches beyond the index's floor."""
    columns: Sequence[str] | None = None
    """Other columns of the row to return; None for all, empty for none."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """One term of a score, for the reader who asks why."""

    name: str
    weight: float
    value: float
    """The list's normalised value; `weight * value` is what it adds to the score."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One result. Its keys, in this order, are the contract of every face."""

    key: RowKey
    score: float
    rank: int
    keyword_rank: int | None
    semantic_rank: int | None
    distance: float | None
    """Cosine distance, 0 to 2; low is good."""
    passage: Passage
    row: Mapping[str, Cell]
    why: tuple[Contribution, ...] = ()

    def as_dict(self, key_columns: Sequence[str]) -> dict[str, Any]:
        """Return the result as a flat record in the contract's order of keys."""
        record: dict[str, Any] = dict(zip(key_columns, self.key, strict=True))
        record |= {
            "score": self.score,
            "rank": self.rank,
            "keyword_rank": self.keyword_rank,
            "semantic_rank": self.semantic_rank,
            "distance": self.distance,
            "passage": self.passage.text,
        }
        return record | {name: value for name, value in self.row.items() if name not in record}


@dataclass(frozen=True, slots=True)
class SearchResults:
    """One page of a ranking, with what was learnt on the way."""

    hits: tuple[Hit, ...]
    total: int
    """Rows in the match set: what facets count and pages run through."""
    match_keys: tuple[RowKey, ...]
    """The whole match set, best first."""
    key_columns: tuple[str, ...]
    truncated: bool
    """True where a list was cut at its depth, so that `total` means "the best so many"."""
    weak: int = 0
    """How many weaker semantic matches were left out by the floor."""
    warnings: tuple[str, ...] = ()
    did_you_mean: str | None = None
    """The query with words that no row holds put right; None where all are known, or nothing is near."""
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds per stage."""

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A row near to a vector, with the span of its text that is nearest."""

    key: RowKey
    distance: float
    """Cosine distance, 0 to 2; low is good."""
    start: int
    end: int
    """Half-open range of characters in the row's text, as the index cut it."""


# --- reports ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come, in rows."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """What one run of `embed` did to one index."""

    table: str
    rows: int
    """Rows looked at."""
    embedded: int
    """Texts sent to the model."""
    reused: int
    """Chunks whose vector was known already."""
    deleted: int
    failed: int
    seconds: float
    requests: int = 0
    """Calls of the model that were answered."""
    tokens: int = 0
    """Tokens sent, as far as can be told without the model's own tokenizer; 0 for the built-in model."""
    adopted: int = 0
    """Rows whose vector existed already and was taken over."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """Vectors that exist already and are taken over: looked at, and how they fit the table."""

    source: str
    """Where they are: `collection:NAME`, `column:NAME` or an `.npy` file."""
    name: str
    """What they are called in messages."""
    dimensions: int
    given: int
    """Rows that have a vector."""
    missing: int
    """Rows that have none: the model embeds them."""
    missing_keys: tuple[str, ...]
    """The first of these."""
    unused: int
    """Vectors that belong to no row."""
    keys_digest: str | None = None
    """What stood for the table's keys in their order, where that alone says which vector is whose."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run of `embed` would do."""

    table: str
    model: str
    rows: int
    """Rows that would be looked at."""
    chunks: int
    """Chunks of the rows that are new or changed."""
    texts: int
    """Texts that would be sent to the model: each once, none whose vector is known."""
    tokens: int
    """Tokens of these texts: the model's own count, or an estimate that is rather too high."""
    requests: int
    cost: float | None
    """US dollars; None where the price is not known."""
    seconds: float | None
    """The shortest time that the limits given allow; None where none is given."""
    adopted: int = 0
    """Rows whose vector exists already and would be taken over."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A row that was set aside, and why."""

    key: RowKey
    error: str


@dataclass(frozen=True, slots=True)
class ClearedVectors:
    """Vectors of one model that were kept because they had been paid for, and that nothing could use again."""

    model: str
    dimensions: int
    vectors: int


@dataclass(frozen=True, slots=True)
class Compaction:
    """What giving space back did to a file."""

    tables: tuple[str, ...]
    """The tables whose indexes were gone through."""
    moved: int
    """Vectors that were moved to close holes."""
    bytes_before: int
    bytes_after: int
    """The size of the file."""
    seconds: float


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """One index as `embeddings` lists it."""

    table: str
    columns: tuple[str, ...]
    model: str
    dimensions: int
    state: str
    rows: int
    chunks: int
    pending: int
    failed: int
    keyword_table: str | None
    vec_table: str
    partition_by: str | None
    """The column by whose values the vectors are kept apart."""
    recall: float
    """The share of the ten nearest that a search by meaning is to find."""
    measured_recall: float
    """The share that it finds, as measured on the index's own vectors; 1 where it reads them all."""
    note: str | None = None
    """What there is to know or to do: why the index is stale, how a change is finished or undone."""
