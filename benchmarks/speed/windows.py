"""As many real texts as a million: windows cut at every fourth word of the collections' documents.

The collections hold 143,000 passages that lie side by side. Where more texts are wanted, or texts of one kind from a
thousand to a million, windows of the same length (40 words, or 60 characters where there are no spaces between words)
begin at every tenth of it: 1,200,000 distinct ones, in a random order that is always the same. So fewer are a fair
sample of more: a thousand hardly ever overlap, of a million each shares most of its words with its neighbours.

Queries are windows side by side of one document in fifty, none of which is cut into rows; of these windows those are
left out of which eight words (twelve characters) on end stand in any other document. So no query overlaps a row.

What that is worth: the cells that hold 0.95 of the ten nearest of such queries have in them 6,700 of 100,000 windows
(27 of 512 cells), 13,000 of 300,000 and 31,000 of 1,000,000 (48 of 2,048). Of passages side by side, whole documents
held out too: 3,000 of 30,000 and 7,000 of 100,000 (27 of 512), from which 34,000 of 1,000,000 would follow. To find is
thus about as hard as in a million separate passages. But the nearest of a row are its overlapping neighbours, of which
37 of 2,048 cells hold 0.95: an index that measures itself on its rows promises itself a little too much.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from .passages import CORPORA, LEAST, Cut, cut_of, documents, starts

_STEPS = 10
"""Windows that begin within the length of one."""
_HELD_OUT = 50
"""One document in so many is for queries."""
_RUN = 5
"""A query shares less than one part in so many of its length, on end, with any document of the rows."""


@dataclass(frozen=True, slots=True)
class _Document:
    text: str
    cut: Cut
    offsets: array[int]
    """Where each piece begins, and where one after the last would."""

    @classmethod
    def of(cls, text: str) -> _Document:
        cut = cut_of(text)
        lengths = (len(piece) + len(cut.joint) for piece in cut.pieces(text))
        return cls(text, cut, array("I", accumulate(lengths, initial=0)))

    def starts(self, steps: int) -> range:
        """Return where windows begin, `steps` within the length of one."""
        return starts(len(self.offsets) - 1, self.cut.size, self.cut.size // steps)

    def window(self, start: int) -> str:
        end = min(start + self.cut.size, len(self.offsets) - 1)
        return self.text[self.offsets[start] : self.offsets[end] - len(self.cut.joint)]


class Windows:
    """The texts of the collections, held once in about 100 MB; drawing windows takes 100 MB more."""

    def __init__(self, corpora: Path = CORPORA) -> None:
        found = [_Document.of(text) for text in documents(corpora)]
        random.Random(0).shuffle(found)
        held = -(-len(found) // _HELD_OUT)
        self._held_out, self._documents = found[:held], found[held:]

    def __bool__(self) -> bool:
        return bool(self._documents)

    def rows(self, count: int) -> Iterator[str]:
        """Yield `count` distinct windows, or as many as there are; the first of more are those of fewer."""
        places = array("Q")
        for number, document in enumerate(self._documents):
            places.extend(number << 32 | start for start in document.starts(_STEPS))
        random.Random(1).shuffle(places)
        told: set[int] = set()
        for place in places:
            if len(told) == count:
                return
            window = self._documents[place >> 32].window(place & 0xFFFFFFFF)
            if len(window) > LEAST and (name := hash(window)) not in told:
                told.add(name)
                yield window

    def queries(self, count: int) -> list[str]:
        """Return windows of the documents held out, of which nothing longer than a few words stands in the others."""
        found = [each.window(start) for each in self._held_out for start in each.starts(1)]
        random.Random(2).shuffle(found)
        drawn = [window for window in dict.fromkeys(found) if len(window) > LEAST][: 3 * count]
        runs = {window: _runs(window) for window in drawn}
        wanted = set().union(*runs.values())
        seen = set().union(*(wanted & _runs(each.text) for each in self._documents))
        return [window for window in drawn if not runs[window] & seen][:count]


def _runs(text: str) -> set[tuple[str, ...]]:
    """Return every fifth of a window's length that stands in a text."""
    cut = cut_of(text)
    pieces = cut.pieces(text)
    return set(zip(*(pieces[start:] for start in range(cut.size // _RUN)), strict=False))
