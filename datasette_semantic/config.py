"""Limits and names that code, tests and docs share."""

from __future__ import annotations

from typing import Final

DEFAULT_MODEL: Final = "wordllama"
"""The built-in model: no key, no network."""

DEFAULT_LIMIT: Final = 20
"""Results on a page where nobody asks for another number."""

MAX_LIMIT: Final = 1_000
"""The most results that one request may ask for."""

LIST_DEPTH: Final = 1_000
"""How many rows each list gives to the fusion. Facets and totals count over this set."""

LOOKUP_DEPTH: Final = 200
"""How many of the best rows by words get their cosine looked up where the semantic list does not hold them. Rows
further down keep the semantic value of an ordinary row: they are too far from the top for it to matter."""

CALIBRATE_AT: Final = 200
"""Rows from which an index over one of llm's models is measured with a few hundred calls; the built-in model always."""

FLOOR_AT: Final = 500
"""Rows from which weak matches are set apart: of a smaller table a search may well show everything."""

KEYWORD_BUDGET: Final = 20_000
KEYWORD_SHARE: Final = 32
"""FTS5 scores about 1,500 rows a millisecond. For one query it may have to score KEYWORD_BUDGET rows and one in
KEYWORD_SHARE of the table's; words beyond that only rank what rarer words find."""

MAX_RERANKED: Final = 200
"""The most rows that a reranker may be asked to read."""

SOLE_WORDS: Final = 12
"""Words up to which a query may be after one particular row that alone holds one of them."""

VEC_CHUNK_SIZE: Final = 128
"""Vectors per vec0 chunk: fixed for the life of a table; space is taken in whole chunks per cell."""

WRITE_BATCH: Final = 256
"""Rows per write transaction: short enough that other writers wait under 100 ms."""

FILL_BATCH: Final = 2_000
"""Rows put into the queue per transaction of a first build."""

SAMPLE_SIZE: Final = 512
"""Vectors kept per index as a sample of all."""

WRITE_SECONDS: Final = 0.06
"""What one write transaction should take: other writers wait little longer."""

TRAIN_AT: Final = 20_000
"""Vectors from which an index is trained: below, reading them all takes a few milliseconds."""

PARTED_TRAIN_AT: Final = 5_000
"""Vectors of a typical part from which a partitioned index is trained, if it holds TRAIN_AT altogether."""

DEFAULT_RECALL: Final = 0.95
"""The share of the ten nearest that a trained index must find, unless an index is told another."""

TRAIN_SAMPLE: Final = 32
"""Vectors per cell from which centroids are found."""

FEW_ALLOWED: Final = 2_000
"""Chunks that a filter may leave to be compared one by one; more are found by probing."""

VACUUM_AT: Final = 0.02
"""The share of a file that must be free for it to be written anew."""

LEASE_SECONDS: Final = 120
"""After this long a queue entry that a dead process had claimed is free again."""

MAX_QUERY_CHARS: Final = 4_000
"""A longer query is cut here: far beyond what a person types, short enough to bound every parser."""

MAPPED_BYTES: Final = 0x7FFF0000
"""How much of a file is mapped into memory: the most that SQLite is built for. Pages are read when they are wanted."""

REMEMBERED_BYTES: Final = 128_000_000
"""Vectors that a process keeps of those that searches have read, of all files together."""

REMEMBERED_ROWS: Final = 200_000
"""Rows per index of which a process keeps the key and the chunks: some 250 bytes each."""

CATALOG_TABLE: Final = "_semantic_indexes"
BESIDE_TABLE: Final = "_semantic_beside"
"""Indexes that do not answer: one being built, and the one that a rollback brings back."""

QUEUE_TABLE: Final = "_semantic_queue"
ORPHAN_TABLE: Final = "_semantic_orphans"
"""Vectors whose row is gone, until the next drain takes them out of vec0."""

CACHE_TABLE: Final = "_semantic_cache"
"""Vectors that were paid for and belong to no row at present."""

SAMPLE_TABLE: Final = "_semantic_samples"
"""A few vectors of each index, by which a distance is judged usual or not."""

JUDGMENT_TABLE: Final = "_semantic_judgments"
"""What people said of results, unless the site names another table."""

OWN_PREFIX: Final = "_semantic_"
"""Every bookkeeping table of ours starts so."""

EXACT_BEGINNINGS: Final = 20_000
"""Rows that begin as the query does and have their lengths read: some 20 ms."""

EXACT_CANDIDATES: Final = 200
"""Rows of those, the shortest, that are compared with the query as a whole."""
