"""Real text: the collections' documents cut into passages, and questions that people asked of them."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"
ASKED_OF = ("cisi", "cranfield", "xquad-en")
"""Collections with whole sentences for queries: questions with many common words."""
_WORDS, _CHARACTERS, _LEAST = 40, 60, 30
_LONGEST = 30
"""Words of a question: some of the collections' queries are whole abstracts."""


def passages(corpora: Path = CORPORA) -> list[str]:
    """Return every distinct passage in a random order that is always the same; none where there are no collections.

    40 words, or 60 characters where there are no spaces between words; each on one line.
    """
    found = dict.fromkeys(
        passage
        for file in sorted(corpora.glob("*/docs.jsonl.gz"))
        for document in _lines(file)
        for passage in _cut(f"{document.get('title') or ''} {document.get('text') or ''}")
    )
    listed = list(found)
    random.Random(0).shuffle(listed)
    return listed


def questions(count: int, corpora: Path = CORPORA) -> list[str]:
    """Return questions of at most 30 words, about as many of each collection; none where they are not there."""
    files = [file for name in ASKED_OF if (file := corpora / name / "queries.jsonl.gz").exists()]
    found: list[str] = []
    for left, file in zip(range(len(files), 0, -1), files, strict=True):
        asked = [text for line in _lines(file) if len((text := line["text"]).split()) <= _LONGEST]
        share = min(len(asked), -(-(count - len(found)) // left))
        found += [asked[n * len(asked) // share] for n in range(share)]
    random.Random(0).shuffle(found)
    return found[:count]


def recombined(listed: Sequence[str], rows: int) -> Iterator[str]:
    """Yield `rows` passages: the real ones, and then the first half of one with the second of another."""
    yield from listed[:rows]
    draw = random.Random(1)
    for _ in range(rows - len(listed)):
        first, second = draw.choice(listed), draw.choice(listed)
        yield f"{first[: len(first) // 2]} {second[len(second) // 2 :]}"


def invented(rows: int) -> Iterator[str]:
    """Yield passages of made-up words with Zipf's frequencies, for where there are no collections."""
    draw = random.Random(2)
    words = [_word(n) for n in range(20_000)]
    weights = [1 / (n + 2) for n in range(len(words))]
    for _ in range(rows):
        yield " ".join(draw.choices(words, weights, k=_WORDS))


def _word(number: int) -> str:
    syllables = "ka lo mi re tu sa ne vo di pu gra ste bel fon har jun quin wex zor tal".split()
    word = ""
    number += 1
    while number:
        number, digit = divmod(number, len(syllables))
        word += syllables[digit]
    return word


def _cut(text: str) -> Iterator[str]:
    words = text.split()
    pieces = words if len(words) >= 8 else [*" ".join(words)]
    size, joint = (_WORDS, " ") if pieces is words else (_CHARACTERS, "")
    for start in range(0, max(1, len(pieces) - size // 2), size):
        passage = joint.join(pieces[start : start + size])
        if len(passage) > _LEAST:
            yield passage


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)
