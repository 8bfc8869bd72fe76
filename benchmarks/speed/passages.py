"""Real text: the collections' documents cut into passages, and questions that people asked of them."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"
ASKED_OF = ("cisi", "cranfield", "xquad-en")
"""Collections with whole sentences for queries: questions with many common words."""
WORDS, CHARACTERS, LEAST = 40, 60, 30
_LONGEST = 30
"""Words of a question: some of the collections' queries are whole abstracts."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How a text is cut: into words, or into characters where there are no spaces between words."""

    joint: str
    size: int
    """Pieces of a passage."""

    def pieces(self, text: str) -> list[str]:
        return text.split(self.joint) if self.joint else list(text)


_SPACED, _UNSPACED = Cut(" ", WORDS), Cut("", CHARACTERS)


def passages(corpora: Path = CORPORA) -> list[str]:
    """Return every distinct passage in a random order that is always the same; none where there are no collections.

    40 words, or 60 characters where there are no spaces between words; each on one line.
    """
    found = dict.fromkeys(passage for text in documents(corpora) for passage in _cut(text))
    listed = list(found)
    random.Random(0).shuffle(listed)
    return listed


def documents(corpora: Path = CORPORA) -> Iterator[str]:
    """Yield the text of every document on one line, its words with one space between them."""
    for file in sorted(corpora.glob("*/docs.jsonl.gz")):
        for document in _lines(file):
            yield " ".join(f"{document.get('title') or ''} {document.get('text') or ''}".split())


def cut_of(text: str) -> Cut:
    return _SPACED if text.count(" ") >= 7 else _UNSPACED


def starts(pieces: int, size: int, step: int) -> range:
    """Return where windows begin: the last has at least half its size."""
    return range(0, max(1, pieces - size // 2), step)


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


def invented(rows: int) -> Iterator[str]:
    """Yield passages of made-up words with Zipf's frequencies, for where there are no collections."""
    draw = random.Random(2)
    words = [_word(n) for n in range(20_000)]
    weights = [1 / (n + 2) for n in range(len(words))]
    for _ in range(rows):
        yield " ".join(draw.choices(words, weights, k=WORDS))


def _word(number: int) -> str:
    syllables = "ka lo mi re tu sa ne vo di pu gra ste bel fon har jun quin wex zor tal".split()
    word = ""
    number += 1
    while number:
        number, digit = divmod(number, len(syllables))
        word += syllables[digit]
    return word


def _cut(text: str) -> Iterator[str]:
    cut = cut_of(text)
    pieces = cut.pieces(text)
    for start in starts(len(pieces), cut.size, cut.size):
        passage = cut.joint.join(pieces[start : start + cut.size])
        if len(passage) > LEAST:
            yield passage


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)
