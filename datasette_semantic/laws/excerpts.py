"""The passage of a row that is shown with a result, and what is marked in it.

The passage is the window of the text that holds the most of the query's words, the rarer ones counting more; with a
`span` (the chunk nearest in meaning) it stays within that span, or holds all of it if it is short. It begins with a
sentence where one begins close by, and is cut between words; "…" stands where something was cut off. Every run of white
space is one space in it.

A word is found whatever its case and accents, and in its light inflections: `robots` finds robot, `falls` falling,
`story` stories. `robo*` finds all that begins so. Chinese and Japanese, written without spaces, are found by pairs of
characters.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import log
from typing import Final, Literal, NamedTuple

from datasette_semantic.laws.chunking import splits_character
from datasette_semantic.records import Passage, Span

__all__ = ["Mark", "best_passage", "light_stem", "segments", "telling_span"]

Mark = Literal["", "near", "word"]
"""How a piece of a passage is shown: plainly, lightly marked (near in meaning), strongly marked (a word asked for)."""

Stem = Callable[[str], str]

MAX_WORDS: Final = 32
"""Words looked for; a longer question is told by its first ones."""

MAX_HITS: Final = 1_000
"""Places looked at per word: bounds the time over a long text that repeats one word."""

_CLEARLY_MORE: Final = 1.3
"""How much more the words in a chunk must weigh than those in the nearest one, to be shown in its place."""

_ELLIPSIS: Final = "…"


def best_passage(
    text: str,
    words: Sequence[str],
    *,
    span: Span | None = None,
    length: int = 280,
    stem: Stem | None = None,
) -> Passage:
    """Return the window of at most `length` characters that shows best why `text` was found.

    `words` are those of `fts_query.words`. `stem` reduces a lower-case word without accents to its stem, for languages
    other than English; `light_stem` by default. The spans in the passage are offsets into `Passage.text`; `near` is the
    part of it that lies in `span`.
    """
    if span is not None and not 0 <= span.start < min(span.end, len(text)):
        span = None  # the row has become shorter since it was embedded
    view = _view(text, span, length)
    low, high = _bounds(view, length)
    hits = _hits(_fold(view.flat[low:high]), words, stem or light_stem, low)
    focus = _densest(hits, length - 2 * len(_ELLIPSIS)) or view.near or Span(0, 0)
    return _cut_out(view, _window(view.flat, focus, low, high, length), hits)


def telling_span(
    text: str, words: Sequence[str], spans: Sequence[Span], *, nearest: Span, stem: Stem | None = None
) -> Span:
    """Return the one of `spans`, a row's chunks in order, that shows best why the row was found: `nearest`, the nearest
    in meaning, unless another holds clearly more of the words."""
    stem = stem or light_stem
    wanted = len(_needles(tuple(words[:MAX_WORDS]), stem))
    if len({hit.needle for hit in _hits(_fold(text[nearest.start : nearest.end]), words, stem, 0)}) == wanted:
        return nearest
    hits = _hits(_fold(text), words, stem, 0)
    starts = [hit.start for hit in hits]

    def weight(span: Span) -> int:
        inside = hits[bisect_left(starts, span.start) : bisect_left(starts, span.end)]
        return sum({hit.needle: hit.weight for hit in inside}.values())

    best = max(spans, key=weight, default=nearest)
    return best if weight(best) > _CLEARLY_MORE * weight(nearest) else nearest


def segments(passage: Passage) -> tuple[tuple[str, Mark], ...]:
    """Return the text of `passage` in pieces, each with its mark; joined they are the text.

    Where a word is marked in what is near, it is marked as a word.
    """
    edges = {0, len(passage.text)}
    for span in (*passage.words, *passage.near):
        edges |= {span.start, span.end}
    places = sorted(edge for edge in edges if 0 <= edge <= len(passage.text))
    found: list[tuple[str, Mark]] = []
    for start, end in pairwise(places):
        mark: Mark = "word" if _covers(passage.words, start) else "near" if _covers(passage.near, start) else ""
        if found and found[-1][1] == mark:
            found[-1] = (found[-1][0] + passage.text[start:end], mark)
        else:
            found.append((passage.text[start:end], mark))
    return tuple(found)


def _covers(spans: Iterable[Span], position: int) -> bool:
    return any(span.start <= position < span.end for span in spans)


# --- the text as it is shown ----------------------------------------------------------------------------------------

MAX_CHARS: Final = 1_000_000
"""Characters looked at: in a longer text, or a longer span, the rest is not searched for a better passage."""


class _View(NamedTuple):
    """The part of the text that matters, every run of white space one space, accents composed."""

    flat: str
    near: Span | None
    cut_before: bool
    cut_after: bool


def _view(text: str, span: Span | None, length: int) -> _View:
    if span is None:
        return _View(_composed(_spaced(text[:MAX_CHARS])), None, cut_before=False, cut_after=len(text) > MAX_CHARS)
    around = 4 * length
    first = _word_start(text, max(0, span.start - around), span.start)
    last = min(len(text), span.end + around, first + MAX_CHARS)
    region = text[first:last]
    spaced = _spaced(region)
    flat = _composed(spaced)
    start, end = span.start - first, span.end - first
    if len(spaced) == len(region) and flat == spaced:  # all stands where it stood, as in most texts
        near = Span(start, min(end, len(flat)))
    else:
        near = Span(_flat_offset(region, start, len(flat)), _flat_offset(region, end, len(flat)))
    return _View(flat, near, cut_before=bool(text[:first].strip()), cut_after=bool(text[last:].strip()))


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _flat_offset(region: str, position: int, limit: int) -> int:
    """Return where `position` of `region` is in its flat form, `limit` characters long."""
    head = region[: max(0, position)]
    flat = _composed(_spaced(head))
    return min(limit, len(flat) + (1 if flat and head[-1].isspace() else 0))


def _bounds(view: _View, length: int) -> tuple[int, int]:
    """Return the range to cut the passage from: the span, with as much around it as a short one leaves room for."""
    if view.near is None:
        return 0, len(view.flat)
    room = max(0, length - (view.near.end - view.near.start))
    return max(0, view.near.start - room), min(len(view.flat), view.near.end + room)


# --- where the words are --------------------------------------------------------------------------------------------

# Ideographs, kana, Hangul.
_UNSPACED: Final = "々-〇\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_UNSPACED_RUN = re.compile(f"[{_UNSPACED}]+")
_HIRAGANA_PAIR = re.compile("[\u3040-\u309f]{2}")
_WORD = re.compile(rf"[^\W_{_UNSPACED}]+")

_MAX_LOOKS: Final = 8 * MAX_HITS


@dataclass(frozen=True, slots=True)
class _Needle:
    """One thing to look for in folded text."""

    root: str
    """What every form of it begins with."""
    stem: str | None = None
    """The stem of the whole word that begins so; None where any word will do."""
    whole: bool = True
    """False where it need not be a word at all: a pair of characters in a script without spaces."""


class _Hit(NamedTuple):
    """A place where a word is. A tuple, which is made and sorted quickly: a page has hundreds."""

    start: int
    end: int
    needle: int
    weight: int
    """In thousandths, so that sums are exact."""


def _hits(folded: str, words: Sequence[str], stem: Stem, offset: int) -> list[_Hit]:
    """Return where the words are, in order; `offset` is added to every position."""
    hits: list[_Hit] = []
    stemmed: dict[str, str] = {}
    for number, needle in enumerate(_needles(tuple(words[:MAX_WORDS]), stem)):
        if needle.root not in folded:
            continue
        spans = list(_find(folded, needle, stem, stemmed))
        # A word's weight is how rare it is in this very text: the frequencies of the table are not known here.
        weight = round(1000 * log(2 + len(folded) / (8 * len(spans)))) if spans else 0
        hits += [_Hit(start + offset, end + offset, number, weight) for start, end in spans]
    hits.sort()
    return hits


@lru_cache(maxsize=256)
def _needles(words: tuple[str, ...], stem: Stem) -> tuple[_Needle, ...]:
    found: dict[_Needle, None] = {}
    for word in words:
        folded = _fold(unicodedata.normalize("NFC", word.rstrip("*")))
        for run in _UNSPACED_RUN.findall(folded):
            found |= dict.fromkeys(_Needle(pair, whole=False) for pair in _pairs(run))
        parts = _WORD.findall(folded)
        telling = [part for part in parts if len(part) > 1] or parts
        for part in telling:
            last = word.endswith("*") and part is telling[-1]
            found[_Needle(part) if last else _Needle(_root(part, stem(part)), stem(part))] = None
    return tuple(found)


def _pairs(run: str) -> list[str]:
    """Return the pairs of characters in `run`, without those of hiragana alone (particles) if others are left."""
    pairs = [run[i : i + 2] for i in range(len(run) - 1)] or [run]
    return [pair for pair in pairs if not _HIRAGANA_PAIR.fullmatch(pair)] or pairs


def _root(word: str, stem: str) -> str:
    """Return what every word of that stem begins with: stemmers cut words short, and change only a last e, i or y."""
    common = 0
    while common < min(len(word), len(stem)) and word[common] == stem[common]:
        common += 1
    if common > 3 and word[common - 1] in "eiy":
        common -= 1
    return word[:common] or word


def _find(folded: str, needle: _Needle, stem: Stem, stemmed: dict[str, str]) -> Iterator[tuple[int, int]]:
    position = 0
    for _ in range(_MAX_LOOKS):
        start = folded.find(needle.root, position)
        if start < 0:
            return
        position = start + 1
        if not needle.whole:
            yield start, start + len(needle.root)
        elif (match := _WORD.match(folded, start)) and not (start and _WORD.match(folded[start - 1])):
            position = match.end()
            if needle.stem is None or needle.stem == _stem_of(match[0], stem, stemmed):
                yield start, match.end()


def _stem_of(word: str, stem: Stem, stemmed: dict[str, str]) -> str:
    if word not in stemmed:
        stemmed[word] = stem(word)
    return stemmed[word]


@lru_cache(maxsize=4096)
def light_stem(word: str) -> str:
    """Return a lower-case English word without its inflection: the same for robot and robots, fall and falling.

    Not a word itself, and weaker than Porter's on purpose: to mark too little is better than to mark another word.
    """
    if len(word) < 3 or not word.isascii():
        return word
    if len(word) > 4 and word.endswith(("ies", "ied")):
        return word[:-2]
    for suffix in ("ings", "ing", "ed", "es", "ly", "s"):
        bare = word.removesuffix(suffix)
        if bare != word and len(bare) > 2 and _VOWEL.search(bare) and not (suffix == "s" and bare[-1] in "sui"):
            word = bare
            break
    if len(word) > 3 and word[-1] == "e":
        word = word[:-1]
    if word[-1] == "y":
        word = word[:-1] + "i"
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiou":
        word = word[:-1]
    return word


_VOWEL = re.compile("[aeiouy]")


def _fold(text: str) -> str:
    """Return `text` in lower case without accents, character by character: offsets stay what they are."""
    lower = text.lower()
    if lower.isascii():
        return lower
    if len(lower) != len(text):  # the Turkish capital İ becomes two
        lower = "".join([c if len(c.lower()) > 1 else c.lower() for c in text])
    for character in set(lower):
        if "\x80" <= character < "\u0530" or "\u1e00" <= character < "\u2000":
            lower = lower.replace(character, _unaccented(character))
    return lower


@lru_cache(maxsize=1024)
def _unaccented(character: str) -> str:
    base = unicodedata.normalize("NFD", character)[0].lower()
    return "σ" if base == "ς" else base


# --- where the passage is -------------------------------------------------------------------------------------------

_SENTENCE_END = re.compile(r"""[.!?…]["'”’)\]]? |[。！？][」』”’）]?""")
_NEAREST_SPACE: Final = 40
"""How far off the next space may be; beyond, as in scripts without spaces, a cut falls between characters."""


def _densest(hits: Sequence[_Hit], width: int) -> Span | None:
    """Return the stretch of at most `width` characters with the most weight in distinct words, then the most hits."""
    best: Span | None = None
    best_score = (0, 0)
    inside: dict[int, int] = {}
    score = first = 0
    for last, hit in enumerate(hits):
        inside[hit.needle] = inside.get(hit.needle, 0) + 1
        score += hit.weight if inside[hit.needle] == 1 else 0
        while hit.end - hits[first].start > width and first < last:
            inside[hits[first].needle] -= 1
            score -= hits[first].weight if not inside[hits[first].needle] else 0
            first += 1
        if (score, last - first) > best_score:
            best, best_score = Span(hits[first].start, hit.end), (score, last - first)
    return best


def _window(flat: str, focus: Span, low: int, high: int, length: int) -> Span:
    """Return the window of `flat` within `low` and `high` that shows `focus`, or as much of it as has room."""
    if len(flat) <= length:
        return Span(0, len(flat))
    width = max(1, length - 2 * len(_ELLIPSIS))
    shown = min(focus.end, focus.start + width)
    earliest = max(low, min(shown, high) - width)
    # Not the last characters of the range alone: a window at its end is filled from before.
    latest = max(earliest, min(focus.start, high - width))
    start = _sentence_start(flat, earliest, latest)
    if start is None:
        before = (width - (shown - focus.start)) // 3
        start = _word_start(flat, min(latest, max(earliest, focus.start - before)), focus.start)
    must_show = shown if shown == focus.end else focus.start  # what is too long for the window ends at a word too
    return Span(start, _word_end(flat, min(high, start + width), must_show))


def _sentence_start(flat: str, low: int, high: int) -> int | None:
    """Return the last place in `[low, high]` where a sentence starts."""
    found = 0 if low == 0 else None
    for match in _SENTENCE_END.finditer(flat, max(0, low - 3), high):
        if match.end() >= low:
            found = match.end()
    return found


def _word_start(text: str, position: int, limit: int) -> int:
    """Return the next place from `position` where a word starts, or else a written character; `limit` at most."""
    if not position or text[position - 1].isspace():
        return position
    for place in range(position, min(limit, position + _NEAREST_SPACE)):
        if text[place].isspace():
            return place + 1
    while position < limit and splits_character(text, position):
        position += 1
    return position


def _word_end(text: str, position: int, limit: int) -> int:
    """Return the last place up to `position` where a word ends, or else a written character; `limit` at least."""
    if position >= len(text) or text[position].isspace():
        return position
    for place in range(position - 1, max(limit, position - _NEAREST_SPACE) - 1, -1):
        if text[place].isspace():
            return place
    while position > limit and splits_character(text, position):
        position -= 1
    return position


def _cut_out(view: _View, window: Span, hits: Iterable[_Hit]) -> Passage:
    """Return the passage that `window` shows, with its marks and its ellipses."""
    before = _ELLIPSIS if window.start > 0 or view.cut_before else ""
    shown = view.flat[window.start : window.end].rstrip()
    after = _ELLIPSIS if window.end < len(view.flat) or view.cut_after else ""
    if shown.endswith((".", "…")):  # a sentence that is whole reads better without ".…"
        after = ""
    shift = len(before) - window.start
    words = [
        Span(hit.start + shift, hit.end + shift)
        for hit in hits
        if window.start <= hit.start and hit.end <= window.start + len(shown)
    ]
    return Passage(before + shown + after, tuple(_joined(words)), tuple(_near(view.near, window.start, shown, shift)))


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    """Join spans that overlap or touch; they come in order."""
    last: Span | None = None
    for span in spans:
        if last is not None and span.start <= last.end:
            last = Span(last.start, max(last.end, span.end))
        else:
            if last is not None:
                yield last
            last = span
    if last is not None:
        yield last


def _near(near: Span | None, offset: int, shown: str, shift: int) -> Iterator[Span]:
    """Yield the part of `shown` that lies in `near`, if any does."""
    if near is None:
        return
    start = max(near.start - offset, 0)
    end = start + len(shown[start : max(0, near.end - offset)].rstrip())
    if end > start:
        yield Span(start + offset + shift, end + offset + shift)
