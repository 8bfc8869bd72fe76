"""The peers, a module each. A peer that is not installed is missed only when it is asked."""

from __future__ import annotations

from .duckdb_vss import DuckDB
from .lance import LanceHnsw, LancePq
from .llm_similar import LlmSimilar
from .ours import Ours, OursExact, OursOnAlpha
from .peer import Peer
from .pgvector import PgVector
from .sqlite_vec_alpha import DiskAnn, FlatOnAlpha, RescoreBit, RescoreInt8
from .sqlite_vec_flat import Flat, FlatInOurFile
from .sqlite_vector import SqliteVector
from .usearch_hnsw import Usearch

__all__ = ["PEERS", "Peer", "peer"]

PEERS: dict[str, type[Peer]] = {
    each.name: each
    for each in (
        Ours,
        OursExact,
        FlatInOurFile,
        OursOnAlpha,
        Flat,
        FlatOnAlpha,
        RescoreBit,
        RescoreInt8,
        DiskAnn,
        SqliteVector,
        Usearch,
        LancePq,
        LanceHnsw,
        PgVector,
        DuckDB,
        LlmSimilar,
    )
}
"""By name, in the order in which they are run: ours first, whose recall the others are tuned to."""


def peer(name: str) -> Peer:
    return PEERS[name]()
