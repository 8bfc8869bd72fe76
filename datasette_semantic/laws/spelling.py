"""Words that a mistyped word may have been meant to be.

Two words are near when few slips lead from one to the other: a letter left out, put in, put for another, or two that
changed places (optimal string alignment; Damerau: *A Technique for Computer Detection and Correction of Spelling
Errors*, CACM 7, 1964). Four in five mistyped words are one slip away, so short words get one, long ones two.

A vocabulary is read in order, as an index keeps it, and only where a near word can stand: most slips leave the first
two letters as they are, and each slip among these leads to a few known prefixes (`neighbourhood`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import snowballstemmer
from rapidfuzz.distance import OSA
from rapidfuzz.process import extract

from .analysis import FOLDED, tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "MIN_LENGTH",
    "distance",
    "is_stemmed",
    "nearest",
    "neighbourhood",
    "slips_allowed",
    "stemmer_of",
    "worth_correcting",
]

MIN_LENGTH: Final = 4
"""Shorter words have too many neighbours."""

_LONG: Final = 8
_LATIN: Final = "abcdefghijklmnopqrstuvwxyz"
_CYRILLIC: Final = "абвгдежзийклмнопрстуфхцчшщъыьэюяѓєіїјљњћџґ"
_GREEK: Final = "αβγδεζηθικλμνξοπρστυφχψω"
_UNSPACED_FROM: Final = "\u0e00"
"""Scripts from here on have no spaces, no letters, or words of their own kind: nothing is corrected there."""


def worth_correcting(word: str) -> bool:
    """True of words of letters, long enough: not of numbers, codes, or scripts that are indexed by characters."""
    return len(word) >= MIN_LENGTH and word.isalpha() and max(word) < _UNSPACED_FROM


def slips_allowed(word: str) -> int:
    """Return how many slips may lead from a word to the one that was meant."""
    return 2 if len(word) >= _LONG else 1


def distance(one: str, other: str, *, most: int) -> int:
    """Return the slips between two words, `most + 1` where there are more than `most`."""
    return int(OSA.distance(one, other, score_cutoff=most))


def neighbourhood(word: str) -> list[str]:
    """Return the prefixes of all words one slip among its first two letters away, or none: further slips come later.

    A letter that may be any is one of the word's own alphabet.
    """
    first, second, third = word[0], word[1], word[2]
    prefixes = [
        first + second,  # no slip here
        second + first,  # these two changed places
        first + third,  # the second is too much, or changed places with the third
        second + third,  # the first is too much
    ]
    for letter in _alphabet(word):
        prefixes += [
            letter + second + third,  # the first is wrong
            first + letter + third,  # the second is wrong
            letter + first + second,  # one is missing before
            first + letter + second,  # one is missing between
        ]
    return _without_covered(prefixes)


def nearest(word: str, vocabulary: Iterable[tuple[str, int]], *, most: int, limit: int = 12) -> list[str]:
    """Return the words at most so many slips away, nearest first, of equals the one that more rows hold.

    `vocabulary` holds words with the number of rows in which they stand.
    """
    known = dict(vocabulary)
    near = extract(word, list(known), scorer=OSA.distance, score_cutoff=most, limit=None)
    ranked = sorted((slips, -known[other], other) for other, slips, _place in near)
    return [other for _slips, _rows, other in ranked[:limit]]


def stemmer_of(tokenize: str, analyzer: str | None) -> Callable[[str], str] | None:
    """Return what turns a word into the form in which a keyword index holds it; None where words cannot be corrected.

    `tokenize` is FTS5's own string, `analyzer` the analysis of `laws/analysis.py` before it, if there is one.
    """
    if "trigram" in tokenize:
        return None
    return _stemmer(analyzer or FOLDED, analyzer is None and is_stemmed(tokenize, analyzer))


def is_stemmed(tokenize: str, analyzer: str | None) -> bool:
    """True where a keyword index holds stems rather than the words themselves."""
    return "porter" in tokenize.split() if analyzer is None else analyzer != FOLDED


@lru_cache(maxsize=16)
def _stemmer(analyzer: str, porter: bool) -> Callable[[str], str]:
    stem = snowballstemmer.stemmer("porter").stemWord if porter else str

    def form(word: str) -> str:
        found = tokens(word, analyzer)
        return str(stem(found[0])) if len(found) == 1 else word

    return form


def _alphabet(word: str) -> str:
    return next((letters for letters in (_LATIN, _CYRILLIC, _GREEK) if word[0] in letters), "")


def _without_covered(prefixes: Iterable[str]) -> list[str]:
    """Leave out what begins with another one of the prefixes."""
    found = sorted(set(prefixes))
    kept: list[str] = []
    for prefix in found:
        if not kept or not prefix.startswith(kept[-1]):
            kept.append(prefix)
    return kept
