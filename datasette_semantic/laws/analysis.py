"""Text becomes words that FTS5 can match in any language.

FTS5's own tokenizers serve English well (`porter`) and languages of other scripts badly: unicode61 takes a whole
Chinese sentence for one word and knows no Russian endings. `choose_tokenize` looks at the text of a table. Where FTS5
alone serves, the table's FTS5 index reads the columns as they are; elsewhere it is fed with the outcome of `analyze`,
and queries with `tokens`, which share one analysis:

* scripts without spaces (Chinese, Japanese, Thai ...; also Korean, whose particles cling to the words) become
  overlapping pairs of characters. The single characters follow at the end of the text, where they disturb no phrase,
  so that a word of one character is found as well;
* words of languages that Snowball covers are stemmed, one language for each script of a table;
* letters are folded: case, width, ligatures, the accents of Latin and Greek. й stays, since it is no accented и; ё is
  е, as Russians type it.

An analyzer is named by what it does, for instance "pairs russian english": any parts out of `ANALYZERS`, in any order.
Words of a script without a stemmer are folded only.

Sources: Snowball (https://snowballstem.org); pairs of characters as in Lucene's CJKAnalyzer, and Nie, Gao, Zhang,
Zhou: *On the Use of Words and N-grams for Chinese Information Retrieval*, IRAL 2000.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import snowballstemmer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

__all__ = [
    "ANALYZED",
    "ANALYZERS",
    "ENGLISH",
    "FOLDED",
    "PAIRS",
    "PLAIN",
    "TITLE_WEIGHT",
    "analyze",
    "choose_tokenize",
    "column_weights",
    "tokens",
]

ENGLISH: Final = "porter unicode61 remove_diacritics 2"
"""FTS5's tokenizer for English text."""

PLAIN: Final = "unicode61 remove_diacritics 2"
"""FTS5's tokenizer for text in Latin letters that no stemmer covers."""

ANALYZED: Final = "unicode61 remove_diacritics 0 categories 'L* N* Co M*'"
"""FTS5's tokenizer for text that `analyze` has prepared: it splits at spaces only. Marks (M*) are parts of words."""

PAIRS: Final = "pairs"
"""The part of an analyzer's name that stands for pairs of characters."""

FOLDED: Final = "folded"
"""The analyzer that folds letters and does nothing else."""

_LANGUAGES: Final = frozenset(snowballstemmer.algorithms()) - {"porter"}

ANALYZERS: Final = (PAIRS, FOLDED, *sorted(_LANGUAGES))
"""The parts of which the name of an analyzer is made. ("porter" is FTS5's own tokenizer.)"""

MIN_SHARE: Final = 0.01
"""A script counts from this share of the sampled letters on. Fewer are names and quotations."""

TITLE_WEIGHT: Final = 1.5
"""A word in a title counts so much more than one in the text. At 2 short rows of a title alone come too far up."""

_TITLES: Final = frozenset("title name heading headline subject label caption summary topic question".split())


def column_weights(
    columns: Sequence[str], asked: Mapping[str, float] | None = None, *, titles: bool = True
) -> tuple[float, ...]:
    """Return bm25's weight for each column of a keyword index, empty where all weigh 1.

    `asked` are the columns whose weight was chosen. Of the others a title weighs more (unless `titles` is false): it is
    known by its column's name, the last word of it, as in `page_title`.
    """
    usual = {column: TITLE_WEIGHT if titles and _last_word(column) in _TITLES else 1.0 for column in columns}
    weights = tuple((asked or {}).get(column, weight) for column, weight in usual.items())
    # Titles alone weigh nothing against each other.
    return weights if len(set(weights)) > 1 or asked else ()


def _last_word(column: str) -> str:
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", column)
    return words[-1].lower() if words else ""


# --- scripts ---------------------------------------------------------------------------------------------------------

_UNSPACED: Final = (
    "\u0e00-\u0e7f\u0e80-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3005\u3007\u3040-\u30ff\u31f0-\u31ff"  # iteration mark, zero, kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # Han
    "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"  # Hangul
)
_SCRIPTS: Final[Mapping[str, str]] = {
    "latin": "a-z\u00df-\u024f\u1e00-\u1eff",
    "cyrillic": "\u0400-\u052f",
    "greek": "\u0370-\u03ff\u1f00-\u1fff",
    "arabic": "\u0600-\u06ff\u0750-\u077f",
    "armenian": "\u0530-\u058f",
    "devanagari": "\u0900-\u097f",
    "tamil": "\u0b80-\u0bff",
    "unspaced": _UNSPACED,
}
_SCRIPT_RUNS: Final = {name: re.compile(f"[{letters}]+") for name, letters in _SCRIPTS.items()}
_IS_UNSPACED: Final = re.compile(f"[{_UNSPACED}]")

_MARKS: Final = "".join(chr(code) for code in range(0x300, 0x1B00) if unicodedata.category(chr(code)) in ("Mn", "Mc"))
_LETTER: Final = rf"[^\W_{_UNSPACED}]"
_WORD: Final = re.compile(rf"[{_UNSPACED}]+|{_LETTER}(?:{_LETTER}|[{_MARKS}])*")

# --- languages -------------------------------------------------------------------------------------------------------

_LANGUAGE_OF_SCRIPT: Final[Mapping[str, str]] = {
    "cyrillic": "russian",
    "greek": "greek",
    "arabic": "arabic",
    "armenian": "armenian",
    "devanagari": "hindi",
    "tamil": "tamil",
}
"""The stemmer for a script, where Snowball has one language in it that is by far the most written."""

# Languages of other Cyrillic alphabets would be stemmed wrongly: these letters give them away.
_NOT_RUSSIAN: Final = re.compile("[іїєґўјљњћђџѓќѕәғқңөұүһ]")

_FUNCTION_WORDS: Final[Mapping[str, frozenset[str]]] = {
    language: frozenset(words.split())
    for language, words in {
        "english": "the of and to in is that for it with as was on are this by from be or an which not have",
        "german": "der die das und ist nicht ein eine einen mit von zu den dem auf für im sich auch des wird",
        "french": "le la les des et est une dans que pour qui sur pas du au avec par ce il sont aux plus",
        "spanish": "el la los las y es una en que por para con del se no lo como su al más son",
        "italian": "il lo gli di che è un una per con non del della sono alla nel dei anche si le",
        "portuguese": "o os as e é um uma em que não para com do da dos das no na por mais ao se",
        "dutch": "de het een en van is dat op te in voor met zijn niet aan ook bij wordt naar uit",
        "swedish": "och att det som en är på av för med den till inte om ett har från var jag kan",
        "danish": "og at det som en er på af for med den til ikke et har fra var der kan blev",
        "finnish": "ja on ei se että oli hän mutta kun joka ovat myös sen niin kuin ole jos tai",
        "hungarian": "a az és hogy nem egy is volt meg de ez csak már mint ki vagy van azt",
        "romanian": "și în de la cu este pe nu care din un o să mai au fost pentru sau",
        "turkish": "ve bir bu da de için ile olarak çok daha en olan gibi ne kadar sonra değil",
    }.items()
}
"""Frequent words by which a Latin-script language is known; each set names a Snowball stemmer."""

_MIN_FUNCTION_WORDS: Final = 0.08
"""In running text of a language its function words above are at least this share of all words."""


def choose_tokenize(sample_texts: Sequence[str]) -> tuple[str, str | None]:
    """Return FTS5's tokenize string and the analyzer that suit the texts; None where FTS5 reads the columns themselves.

    `sample_texts` are texts of rows from all over the table (its languages may stand one after the other); some
    hundreds tell enough. Latin text too short to tell is taken for English.
    """
    texts = [_fold(text) for text in sample_texts]
    letters = Counter({name: _count(run, texts) for name, run in _SCRIPT_RUNS.items()})
    present = {name for name, count in letters.items() if count and count >= MIN_SHARE * letters.total()}
    latin = _latin_language(texts) if letters["latin"] else None
    if present <= {"latin"}:
        if latin == "english" or not present:
            return ENGLISH, None
        return (ANALYZED, latin) if latin else (PLAIN, None)
    stemmers = [_LANGUAGE_OF_SCRIPT[name] for name in sorted(present & _LANGUAGE_OF_SCRIPT.keys())]
    if "russian" in stemmers and _count(_NOT_RUSSIAN, texts) > MIN_SHARE * letters["cyrillic"]:
        stemmers.remove("russian")
    parts = [PAIRS] * ("unspaced" in present) + stemmers + [latin] * (latin is not None)
    return ANALYZED, " ".join(filter(None, parts)) or FOLDED


def _count(pattern: re.Pattern[str], texts: Iterable[str]) -> int:
    return sum(len(run) for text in texts for run in pattern.findall(text))


def _latin_language(texts: Sequence[str]) -> str | None:
    """Return the language of the Latin words: "english" where too few tell, None where it is none that we know."""
    words = Counter(word for text in texts for word in _LATIN_WORD.findall(text))
    found = {
        language: sum(words[fold] for fold in {_fold(word) for word in known})
        for language, known in _FUNCTION_WORDS.items()
    }
    best = max(found, key=lambda language: (found[language], language == "english"))
    distinct = sum(_fold(word) in words for word in _FUNCTION_WORDS[best])
    if distinct >= _MIN_DISTINCT and found[best] >= _MIN_FUNCTION_WORDS * words.total():
        return best
    return None if words.total() >= _ENOUGH_WORDS and found["english"] == 0 else "english"


_LATIN_WORD: Final = re.compile(r"[^\W\d_]+")
_ENOUGH_WORDS: Final = 200
_MIN_DISTINCT: Final = 4
"""So many different function words must be seen: one or two are words of other languages as well."""


# --- analysis --------------------------------------------------------------------------------------------------------


def analyze(text: str, analyzer: str) -> str:
    """Return `text` as words between spaces, to be stored in an FTS5 index made with `ANALYZED`.

    Pure and total; the positions of words are kept, so that phrases match. `ValueError` for an unknown analyzer.
    """
    analysis = _analysis(analyzer)
    words = list(_words(text, analysis))
    return " ".join([*words, *_single_characters(text)] if analysis.pairs else words)


def tokens(text: str, analyzer: str) -> list[str]:
    """Return the words under which `analyze` stores `text`, in the order of the text, repetitions kept."""
    return list(_words(text, _analysis(analyzer)))


@dataclass(frozen=True, slots=True)
class _Analysis:
    """What an analyzer's name stands for."""

    pairs: bool
    stem: Callable[[str], str]


@lru_cache(maxsize=64)
def _analysis(analyzer: str) -> _Analysis:
    stemmers = {
        _SCRIPT_OF_LANGUAGE.get(part, "latin"): snowballstemmer.stemmer(part)
        for part in analyzer.split()
        if part in _LANGUAGES
    }
    unknown = set(analyzer.split()) - set(ANALYZERS)
    if unknown:
        raise ValueError(f"unknown analyzer {analyzer!r}: no part is called {', '.join(sorted(unknown))}")

    @lru_cache(maxsize=200_000)
    def stem(word: str) -> str:
        stemmer = stemmers.get(_script_of(word))
        return word if stemmer is None else str(stemmer.stemWord(word)) or word

    return _Analysis(pairs=PAIRS in analyzer.split(), stem=stem)


_SCRIPT_OF_LANGUAGE: Final = {language: script for script, language in _LANGUAGE_OF_SCRIPT.items()}


def _script_of(word: str) -> str:
    return next((name for name, run in _SCRIPT_RUNS.items() if run.match(word)), "other")


def _words(text: str, analysis: _Analysis) -> Iterator[str]:
    for run in _WORD.findall(_fold(text)):
        if analysis.pairs and len(run) > 1 and _IS_UNSPACED.match(run):
            yield from map("".join, pairwise(run))
        else:
            yield analysis.stem(run)


def _single_characters(text: str) -> list[str]:
    """The characters of all runs of an unspaced script that became pairs, once each."""
    runs = _SCRIPT_RUNS["unspaced"].findall(_fold(text))
    return list(dict.fromkeys(character for run in runs if len(run) > 1 for character in run))


# --- folding ---------------------------------------------------------------------------------------------------------


def _fold(text: str) -> str:
    """Return `text` in small letters, in its compatibility form, without the accents of Latin and Greek letters."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", text.casefold()).translate(_ACCENTS)


def _accents() -> dict[int, str]:
    """Map each accented letter of Latin and Greek to the letter it stands on; `_ACCENTS` below."""
    bare = {}
    for block in (range(0xC0, 0x250), range(0x370, 0x400), range(0x1E00, 0x2000)):
        for code in block:
            base = unicodedata.normalize("NFD", chr(code))[0]
            if base != chr(code):
                bare[code] = base
    # Combining marks that no composed letter takes in, tatweel and the Arabic vowel signs; ё as typed; crossed letters.
    bare |= dict.fromkeys([*range(0x300, 0x370), 0x640, *range(0x64B, 0x653)], "")
    return bare | {ord("ё"): "е", ord("ł"): "l", ord("ø"): "o", ord("đ"): "d", ord("ı"): "i"}


_ACCENTS: Final = _accents()
