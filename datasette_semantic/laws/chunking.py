"""Text is cut into chunks that a model can take, at the places where the text itself is cut.

A cut falls behind a paragraph (blank line) if one ends in the second half of what a chunk may hold, else behind a line,
else a sentence, else a word, and only in a run without any of these inside a word; never inside a character that is
written with several code points (combining marks, joined emoji). A line break in the middle of a sentence, as in
hard-wrapped prose, counts as the space that it stands for.

    overlap 0     chunks tile the text: each starts where the one before it ends, the first at 0, the last at the end;
                  white space belongs to the chunk before it, and white space before the first word to the first chunk
    overlap n     each chunk but the first reaches back over at most n tokens of the one before, to the start of a
                  sentence where there is one, else of a word; without what they repeat, the chunks still tile the text

No chunk has more than `max_tokens` tokens, white space around it not counted. The one exception is a single character
that alone has more.

Time is linear: the text is first cut at every end of a sentence and into stretches of bounded length, each of which is
counted once; chunks are then put together from these. A chunk's own count is checked when it is done, since tokenizers
do not promise that counts add up.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, NamedTuple

from datasette_semantic.errors import BadOption
from datasette_semantic.records import Chunk, ChunkSpec

__all__ = ["CHUNKERS", "CountTokens", "chunk_text", "estimate_tokens", "splits_character"]

CHUNKERS: Final = ("structure", "none")
"""The chunkers that need no plugin."""

CountTokens = Callable[[str], int]
"""How many tokens a model sees in a text."""


def chunk_text(text: str, spec: ChunkSpec, count_tokens: CountTokens | None = None) -> tuple[Chunk, ...]:
    """Cut `text` as `spec` says; blank text gives no chunk at all.

    `count_tokens` is the model's own tokenizer; without it `estimate_tokens` stands in.
    Raises `BadOption` for an unknown chunker, for `max_tokens` below 1, and for an overlap not below `max_tokens`.
    """
    _check(spec)
    if not text or text.isspace():
        return ()
    count = count_tokens or estimate_tokens
    if spec.chunker == "none" or _fits(text, spec.max_tokens, count):
        return (Chunk(0, len(text), text),)
    return tuple(_Cutter(text, spec, count).chunks())


def _check(spec: ChunkSpec) -> None:
    if spec.chunker not in CHUNKERS:
        raise BadOption(f"No chunker is called {spec.chunker!r}; there are: {', '.join(CHUNKERS)}.")
    if spec.max_tokens < 1:
        raise BadOption(f"A chunk must hold at least 1 token, not {spec.max_tokens}.")
    if not 0 <= spec.overlap < spec.max_tokens:
        raise BadOption(
            f"The overlap must be between 0 and {spec.max_tokens - 1}, below the {spec.max_tokens} tokens of a chunk;"
            f" it is {spec.overlap}."
        )


_MARKERS: Final = 8
"""Tokens that a tokenizer may add around a text on its own."""


def _fits(text: str, limit: int, count: CountTokens) -> bool:
    # No tokenizer makes more than one token of an ASCII character, so most short texts need no counting; and none puts
    # so many characters into one that a text of this length could fit.
    if text.isascii() and len(text) + _MARKERS <= limit:
        return True
    return len(text) <= 32 * limit and count(text.strip()) <= limit


# --- counting -------------------------------------------------------------------------------------------------------

_SMALL = bytes(range(ord("a"), ord("z") + 1)) + b" "
_CAPITALS = bytes(range(ord("A"), ord("Z") + 1))
_OTHER_ASCII = bytes(set(range(0x80)) - set(_SMALL) - set(_CAPITALS))
_FOLLOWING = bytes(range(0x80, 0xC0))
_LEADS_OF_TWO = bytes(range(0xC0, 0xE0))
_LEADS_OF_THREE = bytes(range(0xE0, 0xF0))


def estimate_tokens(text: str) -> int:
    """Return about how many tokens a model sees in `text`, rather too many than too few.

    2/7 for a small Latin letter or a space, 1/2 for a capital, 1 for a digit, a punctuation mark, a line break or a
    letter of another alphabet, 2 for a Chinese, Japanese or Korean character (and all else beyond U+0800), 4 for one
    beyond U+FFFF. Measured on chunks of 18 collections against Llama 2's 32,000 tokens, which are hard on scripts other
    than Latin: 1.2 to 1.6 times the true number, in Russian 2.6 times; too low for 1 chunk of Chinese in 100, by 12%
    at most, and for 1 of Markdown with code in 75, by 22% at most.
    """
    data = text.encode("utf-8", "surrogatepass")
    total = len(data)
    rest = data.translate(None, _SMALL)
    small = total - len(rest)
    if not rest:
        return -(-2 * small // 7)
    total = len(rest)
    rest = rest.translate(None, _CAPITALS)
    capitals = total - len(rest)
    if text.isascii():
        return len(rest) + -(-(4 * small + 7 * capitals) // 14)
    total = len(rest)
    rest = rest.translate(None, _OTHER_ASCII)
    others = total - len(rest)
    leads = rest.translate(None, _FOLLOWING)
    beyond_two = leads.translate(None, _LEADS_OF_TWO)
    four = len(beyond_two.translate(None, _LEADS_OF_THREE))
    three = len(beyond_two) - four
    two = len(leads) - len(beyond_two)
    return others + two + 2 * three + 4 * four + -(-(4 * small + 7 * capitals) // 14)


# --- where the text may be cut --------------------------------------------------------------------------------------

# How good a place it is to cut; low is good.
_PARAGRAPH, _LINE, _SENTENCE, _WORD, _LETTER = range(5)

# No repetition here can be tried twice over the same characters: a run of a million dots or spaces takes linear time.
_ENDS = re.compile(
    r"""
      \n\s*
    | [.!?…] ["'”’»)\]]{0,3} \s+ (?= [^\sa-z] | \Z )
    | [。！？｡‼⁉] [」』”’）〉》】"']{0,3} \s*
    """,
    re.VERBOSE,
)
_SENTENCE_MARKS: Final = frozenset(".!?…:;。！？｡\"'”’)]」』")
_SPACE = re.compile(r"\s*")
_WORD_BREAK = re.compile(r"\s+")
_CLAUSE_MARKS: Final = "，、；：,;"
_FIRST_IDEOGRAPH: Final = "\u2e80"


class _Piece(NamedTuple):
    """A stretch of text that is not cut further."""

    end: int
    level: int
    """How good a cut behind it is."""
    tokens: int


def _structural_ends(text: str, start: int) -> Iterator[tuple[int, int]]:
    """Yield `(position, level)` behind every paragraph, line and sentence from `start`, and behind the last word."""
    for match in _ENDS.finditer(text, start):
        if match.end() < len(text) and not splits_character(text, match.end()):
            yield match.end(), _level(text, match)
    yield len(text), _PARAGRAPH


def _level(text: str, match: re.Match[str]) -> int:
    breaks = match[0].count("\n")
    if breaks > 1:
        return _PARAGRAPH
    if not breaks:
        return _SENTENCE
    before = text[max(0, match.start() - 3) : match.start() + 1].rstrip()[-1:]
    wrapped = text[match.end()].islower() and before not in _SENTENCE_MARKS
    return _WORD if wrapped else _LINE


def _word_cut(text: str, start: int, high: int) -> tuple[int, int]:
    """Return the last good `(position, level)` in `(start, high]` to cut inside a sentence; it may lie beyond `high`
    where only that keeps white space with the word before it, or a character in one piece.
    """
    window = text[start:high]
    if text[high].isspace() or window[-1].isspace():
        return _after_space(text, high), _WORD
    words = window.rsplit(None, 1)
    if len(words) == 2:
        return high - len(words[1]), _WORD
    mark = max(map(window.rfind, _CLAUSE_MARKS)) + 1
    if 2 * mark > len(window) and not splits_character(text, start + mark):
        return start + mark, _WORD
    cut = _after_space(text, _between_characters(text, start, high))
    inside = cut < len(text) and text[cut - 1].isalnum() and text[cut].isalnum() and text[cut] < _FIRST_IDEOGRAPH
    return cut, _LETTER if inside else _WORD


def _after_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    assert match is not None  # it matches anywhere
    return match.end()


def _between_characters(text: str, start: int, position: int) -> int:
    """Return the nearest place at or before `position`, else behind it, where no written character is cut in two."""
    cut = position
    while cut > start and splits_character(text, cut):
        cut -= 1
    if cut > start:
        return cut
    cut = position
    while cut < len(text) and splits_character(text, cut):
        cut += 1
    return cut


def splits_character(text: str, position: int) -> bool:
    """Whether a cut at `position` would part code points that make one written character: accents, joined emoji, flags.

    The common cases of https://www.unicode.org/reports/tr29/.
    """
    here, before = text[position], text[position - 1]
    if here < "\u0300":
        return here == "\n" and before == "\r"
    return (
        unicodedata.category(here)[0] == "M"
        or "\u200d" in (here, before)
        or "\U0001f3fb" <= here <= "\U0001f3ff"  # skin tones
        or ("\U0001f1e6" <= here <= "\U0001f1ff" and "\U0001f1e6" <= before <= "\U0001f1ff")  # flags
    )


# --- cutting --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Cutter:
    """One text that is too long for one chunk."""

    text: str
    spec: ChunkSpec
    count: CountTokens

    @property
    def budget(self) -> int:
        """Tokens of a chunk without what it repeats."""
        return self.spec.max_tokens - self.spec.overlap

    def chunks(self) -> Iterator[Chunk]:
        pieces = list(self.pieces())
        previous, start = 0, 0
        for first, last in self.runs(pieces):
            end = pieces[last - 1].end
            reached = start
            if self.spec.overlap and first:
                reached = self.reach_back(pieces, first, previous, end)
            yield Chunk(reached, end, self.text[reached:end])
            previous, start = start, end

    # pieces

    def pieces(self) -> Iterator[_Piece]:
        """Cut the text at every structural end, and what is long in between at words."""
        size = max(64, self.budget)
        start = len(self.text) - len(self.text.lstrip())
        for end, level in _structural_ends(self.text, start):
            while end - start > size:
                cut, cut_level = _word_cut(self.text, start, start + size)
                if cut >= end:
                    break
                yield from self.counted(start, cut, cut_level)
                start = cut
            yield from self.counted(start, end, level)
            start = end

    def counted(self, start: int, end: int, level: int) -> Iterator[_Piece]:
        """Yield a stretch as one piece, or as several where it has too many tokens."""
        tokens = self.tokens(start, end)
        if tokens <= self.budget:
            yield _Piece(end, level, tokens)
            return
        cut, cut_level = self.middle(start, end)
        if start < cut < end:
            yield from self.counted(start, cut, cut_level)
            yield from self.counted(cut, end, level)
        else:
            yield _Piece(end, level, tokens)

    def middle(self, start: int, end: int) -> tuple[int, int]:
        """Return where to halve a stretch: between words if there are two, else between characters."""
        half = start + max(1, len(self.text[start:end].rstrip()) // 2)
        if half >= end:
            return end, _LETTER
        cut, level = _word_cut(self.text, start, half)
        if level == _LETTER and (space := _WORD_BREAK.search(self.text, half, end)) and space.end() < end:
            return space.end(), _WORD
        return cut, level

    def tokens(self, start: int, end: int) -> int:
        """Count a stretch with its white space, unless only that makes it too long."""
        stretch = self.text[start:end]
        tokens = self.count(stretch)
        return tokens if tokens <= self.budget else self.count(stretch.strip())

    # runs of pieces

    def runs(self, pieces: Sequence[_Piece]) -> Iterator[tuple[int, int]]:
        """Yield the half-open ranges of pieces that make the chunks."""
        sums = [0, *accumulate(piece.tokens for piece in pieces)]
        first = 0
        while first < len(pieces):
            last = self.fitting(pieces, first, _best_end(pieces, sums, first, self.budget))
            yield first, last
            first = last

    def fitting(self, pieces: Sequence[_Piece], first: int, last: int) -> int:
        """Return `last`, or less where the counts of the pieces do not add up to that of the chunk."""
        start = pieces[first - 1].end if first else 0
        while last - first > 1:
            tokens = self.count(self.text[start : pieces[last - 1].end].strip())
            if tokens <= self.budget:
                break
            last = max(first + 1, min(last - 1, first + (last - first) * self.budget // tokens))
        return last

    # overlap

    def reach_back(self, pieces: Sequence[_Piece], first: int, bound: int, end: int) -> int:
        """Return where the chunk of `pieces[first]` to `end` starts with what it may repeat; always behind `bound`."""
        start = pieces[first - 1].end
        room = self.spec.overlap
        while room:
            reached = self.repeated_from(pieces, first, bound, room)
            if self.count(self.text[reached:end].strip()) <= self.spec.max_tokens:
                return reached
            room //= 2
        return start

    def repeated_from(self, pieces: Sequence[_Piece], first: int, bound: int, room: int) -> int:
        """Return the best start within `room` tokens before `pieces[first]`: of a sentence, else of a word."""
        word = sentence = first
        left = room
        while word > 1 and pieces[word - 2].end > bound and pieces[word - 1].tokens <= left:
            word -= 1
            left -= pieces[word].tokens
            if pieces[word - 1].level <= _SENTENCE:
                sentence = word
        if word < first:
            return pieces[(sentence if sentence < first else word) - 1].end
        behind = pieces[first - 2].end if first > 1 else 0
        return self.tail(max(bound + 1, behind), pieces[first - 1].end, room)

    def tail(self, start: int, end: int, room: int) -> int:
        """Return the start of the longest run of words (or characters, where there are none) before `end` that fits."""
        starts: Sequence[int] = [m.end() for m in _WORD_BREAK.finditer(self.text, start, end) if m.end() < end]
        if not starts:
            starts = range(start, end)
        found = bisect_left(starts, -room, key=lambda position: -self.count(self.text[position:end].strip()))
        position = starts[found] if found < len(starts) else end
        while position < end and splits_character(self.text, position):
            position += 1
        return _after_space(self.text, position) if position < end else end


def _best_end(pieces: Sequence[_Piece], sums: Sequence[int], first: int, budget: int) -> int:
    """Return behind which piece to cut: the best place in the second half of the budget, of equals the last.

    Where two chunks will do for the rest, the cut falls in its middle half, so that none of them is a crumb.
    """
    rest = sums[-1] - sums[first]
    if rest <= budget:
        return len(pieces)
    low, high = budget / 2, float(budget)
    if rest < 2 * budget:
        low, high = max(rest - budget, rest / 4), min(budget, rest * 3 / 4)
    best, level = first + 1, _LETTER + 1
    for last in range(first + 1, len(pieces) + 1):
        held = sums[last] - sums[first]
        if held > high:
            break
        if held < low:
            best = last
        elif pieces[last - 1].level <= level:
            best, level = last, pieces[last - 1].level
    return best
