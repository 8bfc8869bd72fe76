"""Where llm keeps what we may be asked to take over."""

from __future__ import annotations

from pathlib import Path

__all__ = ["collections_file"]


def collections_file() -> Path:
    """Return the database of llm's collections where no other is named; it need not exist."""
    import llm

    return Path(llm.user_dir()) / "embeddings.db"
