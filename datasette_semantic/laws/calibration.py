"""How far each list of an index may be trusted, measured on the index itself, without judgments.

**Weights.** A sentence is cut out of each of some rows (`trials`). Both lists then look for the rest of its row among
the rests of all: a list that knows the language and the subject finds it near the top. With `k` and `s` the mean
reciprocal ranks of the keyword and the semantic list,

    semantic weight / keyword weight = ODDS * (s / k) ** POWER

drawn towards 1 where the trials are few. To ask for a passage with a sentence that was cut from it is the *inverse
cloze task* (Lee, Chang, Toutanova: *Latent Retrieval for Weakly Supervised Open Domain Question Answering*, ACL 2019).
That one convex combination per collection is enough is what Bruch, Gai and Ingber found (*An Analysis of Fusion
Functions for Hybrid Retrieval*, ACM TOIS 2023). ODDS and POWER are the same for all tables and models. Weights for each
query were tried as well, from the agreement of the lists, their gaps, the coverage and rarity of the words: none did
better on collections that it was not fitted to (docs/relevance.md).

**Floor.** Everyday questions about nothing in particular (`PROBES`) are put to the vectors. Whatever the table is
about, most have no answer in it: the cosine of the best row that they find is what chance gives here, with this model.
A row that only nearness found must be nearer than

    floor = median + FLOOR_DEVIATIONS * 1.4826 * median absolute deviation

The median leaves room for the probes that do hit the table's subject.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from datasette_semantic.records import ListWeights

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from datasette_semantic.laws.candidates import Candidates

    Matrix = NDArray[np.floating]
    """Shape (trials, trials): how well, by one list, each trial's question fits each trial's rest. High is good."""

__all__ = [
    "MAX_TRIALS",
    "PROBES",
    "Trial",
    "keyword_scores",
    "list_weights",
    "semantic_floor",
    "set_weak_apart",
    "success",
    "trials",
]

MAX_TRIALS: Final = 300
"""Rows that are tried. The mean reciprocal rank is then known to about 0.02."""

ODDS: Final = 1.5
POWER: Final = 3.5
"""Chosen on fourteen collections and two models; leaving out any collection changes them little (docs/relevance.md)."""

PRIOR_TRIALS: Final = 10
"""The trials that the belief "both lists are as good" is worth."""

FLOOR_DEVIATIONS: Final = 2.0

TEXT_CHARS: Final = 2_000
"""A row's text is read so far: about what a model reads at once."""

QUESTION_CHARS: Final = 300

PROBES: Final = (
    "how do I get a new driving licence",
    "best soil for growing carrots",
    "why does my car make a grinding noise when braking",
    "symptoms of a vitamin b12 deficiency",
    "how to boil an egg",
    "exchange rate between euro and dollar",
    "integrate by parts step by step",
    "python list comprehension with two conditions",
    "cheap flights in the school holidays",
    "average rainfall in the amazon basin",
    "remove a red wine stain from a carpet",
    "interest on late payment of an invoice",
    "how do vaccines work",
    "difference between a fugue and a canon",
    "offside rule explained",
    "replace the battery of a wristwatch",
    "tensile strength of stainless steel",
    "train a puppy not to bite",
    "causes of the first world war",
    "javascript array sort by property",
    "how to apply for a student loan",
    "ingredients of a caesar salad",
    "yoga exercises for lower back pain",
    "what is a black hole made of",
    "crochet a simple scarf",
    "configure nginx as a reverse proxy",
    "notice period for ending a tenancy",
    "how long does concrete take to cure",
    "treatment of a migraine",
    "irregular verbs in spanish",
    "who invented the printing press",
    "solar panel output in winter",
    "unblock a kitchen sink",
    "opening a bank account for a child",
    "how to tune a guitar",
    "life cycle of a butterfly",
    "minimum wage by country",
    "chess openings for beginners",
    "clean a cast iron pan",
    "side effects of antibiotics",
)
"""Everyday questions of many kinds."""


# --- trials ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trial:
    """A row's text, cut in two."""

    question: str
    """One sentence, to be embedded as a query."""
    rest: str
    """The text without it, to be embedded as a row's text."""


def trials(texts: Iterable[str], *, limit: int = MAX_TRIALS, seed: int = 0) -> tuple[Trial, ...]:
    """Cut a sentence out of each text that has at least two, until there are `limit` trials.

    The texts are taken in random order, since a table's languages and subjects may stand one after the other; the same
    texts give the same trials. The first sentence, often a title, is only taken where there is one other.
    """
    generator = random.Random(seed)
    shuffled = list(texts)
    generator.shuffle(shuffled)
    found: list[Trial] = []
    for text in shuffled:
        if len(found) >= limit:
            break
        pieces = [piece for part in _SENTENCE.split(text[:TEXT_CHARS]) if (piece := part.strip())]
        telling = [place for place, piece in enumerate(pieces) if _tells(piece)]
        if not telling or len(pieces) < 2:
            continue
        place = generator.choice(telling[1:] or telling)
        rest = " ".join(pieces[:place] + pieces[place + 1 :])
        found.append(Trial(pieces[place][:QUESTION_CHARS], rest))
    return tuple(found)


_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")
_WIDE: Final = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def _tells(sentence: str) -> bool:
    """Whether a sentence is long enough to ask with: 25 letters, or 8 where a character is a syllable or a word."""
    return len(sentence) >= (8 if _WIDE.search(sentence) else 25)


def keyword_scores(questions: Sequence[Sequence[str]], rests: Sequence[Sequence[str]]) -> Matrix:
    """Return FTS5's bm25 (positive, high is good) of every question in every rest, shape (questions, rests).

    Both are lists of words. The formula is that of https://sqlite.org/fts5.html#the_bm25_function.
    """
    k1, b = 1.2, 0.75
    counts = [Counter(rest) for rest in rests]
    lengths = np.array([len(rest) for rest in rests], dtype=np.float64)
    norm = k1 * (1 - b + b * lengths / max(lengths.mean(), 1.0)) if len(rests) else lengths
    places: dict[str, list[int]] = {}
    for place, count in enumerate(counts):
        for word in count:
            places.setdefault(word, []).append(place)
    scores = np.zeros((len(questions), len(rests)))
    for row, question in enumerate(questions):
        for word in set(question) & places.keys():
            rows = places[word]
            often = np.array([counts[place][word] for place in rows], dtype=np.float64)
            rarity = max(math.log((len(rests) - len(rows) + 0.5) / (len(rows) + 0.5)), 1e-6)
            scores[row, rows] += rarity * often * (k1 + 1) / (often + norm[rows])
    return scores


# --- weights ---------------------------------------------------------------------------------------------------------


def list_weights(keyword: Matrix, semantic: Matrix) -> ListWeights:
    """Return the weights of the two lists, which add up to 1, from their success in the same trials."""
    if keyword.shape != semantic.shape:
        raise ValueError(f"both lists must hold the same trials, not {keyword.shape} and {semantic.shape}")
    if not len(keyword):
        return ListWeights()
    ratio = max(success(semantic), _LEAST_SUCCESS) / max(success(keyword), _LEAST_SUCCESS)
    belief = len(keyword) / (len(keyword) + PRIOR_TRIALS)
    odds = math.exp(belief * (math.log(ODDS) + POWER * math.log(ratio)))
    share = round(odds / (1 + odds), 3)
    return ListWeights(keyword=round(1 - share, 3), semantic=share)


def success(scores: Matrix) -> float:
    """Return the mean reciprocal rank at which trial i finds rest i, 0 to 1. Equal scores share their mean rank."""
    own = np.diagonal(scores)[:, None]
    ranks = 1 + (scores > own).sum(axis=1) + ((scores == own).sum(axis=1) - 1) / 2
    return float(np.mean(1 / ranks))


_LEAST_SUCCESS: Final = 0.01


# --- floor -----------------------------------------------------------------------------------------------------------


def semantic_floor(nearest: NDArray[np.floating]) -> float | None:
    """Return the cosine under which nearness alone says nothing, or None without measurements.

    `nearest`: shape (probes,), for each of `PROBES` the cosine of the row nearest to it in the whole index.
    """
    known = nearest[np.isfinite(nearest)]
    if not known.size:
        return None
    median = float(np.median(known))
    deviation = 1.4826 * float(np.median(np.abs(known - median)))
    return round(median + FLOOR_DEVIATIONS * deviation, 4)


def set_weak_apart(candidates: Candidates, floor: float | None) -> tuple[Candidates, int]:
    """Leave out the candidates that only nearness found, from too far away; return the others and how many went.

    Where no row holds any of the words nothing is left out: nearness is then all there is to go by, as for a question
    in another language than the table's.
    """
    by_words = candidates.keyword_rank > 0
    if floor is None or not by_words.any():
        return candidates, 0
    kept = by_words | ~(candidates.cosine < floor)
    return candidates.only(kept), int(len(kept) - kept.sum())
