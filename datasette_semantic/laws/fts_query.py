"""What a person types becomes an FTS5 query, always: nothing is refused, and nothing returned can fail to parse.

What may be typed

    robot love          words: any of them may match; the more and the rarer, the better the row
    "blade runner"      a phrase: must be there
    -vampire  -"on ice" must not be there
    "a b" OR "c d"      alternatives: one of them must be there (between plain words OR is what happens anyway)
    robo*               a word that begins so
    title:robot         in that column, where the table has it; otherwise plain words
    title:"in love"  -title:robot  -robo*  "blade run"*         the parts combine

A word with hyphens or slashes asks for the whole of it and for its parts: covid-19 is covid-19 OR covid OR 19.

In running text, more than `PROSE_WORDS` plain words, quotes and dashes are the writer's and not ours: what is quoted
only ranks, and nothing is excluded. So a pasted sentence finds what it is about.

Everything else is plain words. `AND`, `NOT`, `NEAR`, brackets, `+`, `^` and backslashes have no meaning here; a quote
without a partner, an inch mark (12"), an `OR` with nothing on one side, `--flag`, `- ` and a lone `*` are read as the
plain text they were most likely meant to be. Curly quotes count as quotes, for phones type them. NULs and lone
surrogates, which neither FTS5 nor a bound parameter can hold, are removed; what exceeds `MAX_QUERY_CHARS` is cut.

What it becomes

    robot love                  "robot" OR "love"
    "blade runner"              "blade runner"
    "blade runner" love         "blade runner" AND ("love" OR "blade runner")
    "a b" OR "c d"              ("a b" OR "c d")
    robot -vampire              ("robot") NOT ("vampire")
    robo*                       "robo"*
    title:robot                 "title" : "robot"
    -vampire, or ???            None: nothing is asked for

Beside required phrases the words only rank: repeating the first phrase among them makes that side true of every row,
and FTS5's bm25 still counts the words that are there.

Terms are always quoted, so that none of FTS5's own operators can be typed.
Source: https://sqlite.org/fts5.html#full_text_query_syntax
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from datasette_semantic.config import MAX_QUERY_CHARS

__all__ = [
    "MAX_OPERANDS",
    "MAX_TERMS",
    "PROSE_WORDS",
    "ParsedQuery",
    "Term",
    "excluded_match",
    "parse",
    "phrases",
    "relaxed",
    "telling",
    "to_match",
    "words",
]

MAX_TERMS: Final = 64
"""Terms kept of one query. Required phrases are kept first, then exclusions, then words in the order typed."""

PROSE_WORDS: Final = 10
"""More plain words than that are a text rather than a query."""

MAX_OPERANDS: Final = 128
"""Strings in one side of a MATCH expression: a term may be analysed into many. FTS5 walks one list of rows for each."""


@dataclass(frozen=True, slots=True)
class Term:
    """One word or phrase of a query, without its operators."""

    text: str
    prefix: bool = False
    phrase: bool = False
    column: str | None = None
    """One of the columns given to `parse`, as spelt there."""


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """What was typed, taken apart."""

    optional: tuple[Term, ...] = ()
    """Any of these may match."""
    required: tuple[tuple[Term, ...], ...] = ()
    """Of each inner tuple, a set of alternatives, one must match."""
    excluded: tuple[Term, ...] = ()
    """None of these may match."""
    text: str = ""
    """What is left to embed: the query without its operators and without the excluded words."""


Tokens = Callable[[str], Sequence[str]]
"""Turns the text of a term into the tokens under which an analysed index holds it."""


# --- reading ---------------------------------------------------------------------------------------------------------

_UNBINDABLE = re.compile("[\x00\ud800-\udfff]")
_CURLY_QUOTES = str.maketrans(dict.fromkeys("“”„‟＂", '"'))

# A quote opens a phrase at the start of a word only: in 12" it is an inch mark, and belongs to the word.
_PIECE = re.compile(
    r"""
      (?P<minus>-)? (?: (?P<scope>[^\s":]+) : )? "(?P<phrase>[^"]*)" (?P<star>\*)?
    | (?P<raw> (?: [^\s"] | (?<=\w)" )+ )
    """,
    re.VERBOSE,
)

# Between words even without a space. A comma between digits is part of the number.
_BETWEEN_WORDS = re.compile(r"""[\s"()\[\]{}<>;!?|…、。，；！？：（）「」『』【】《》〈〉«»]+|(?<!\d),|,(?!\d)""")
_JOINTS = re.compile("[-‐‑–—/=&]+")
_EDGES = ".,:'’‘`^~=&/\\·•_-–—"


@dataclass(frozen=True, slots=True)
class _Piece:
    """What stood between two spaces, or one phrase."""

    typed: str
    terms: tuple[Term, ...] = ()
    excluded: bool = False
    either: bool = False
    """True of the operator OR."""


def parse(text: str, *, columns: Sequence[str] = ()) -> ParsedQuery:
    """Take `text` apart; `columns` are the FTS5 table's columns that may be named in front of a colon.

    Never raises, whatever is typed; the time is linear in the length.
    """
    # Without a colon no column is named: then whoever asks with other columns, or none, shares what is found.
    return _parse(text[:MAX_QUERY_CHARS], tuple(columns) if ":" in text else ())


@lru_cache(maxsize=256)
def _parse(text: str, columns: tuple[str, ...]) -> ParsedQuery:
    """What each of a search's steps asks anew."""
    names = {column.casefold(): column for column in columns}
    pieces = list(_pieces(_bindable(text).translate(_CURLY_QUOTES), names))
    plain = sum(not (piece.excluded or piece.either or piece.terms[0].phrase) for piece in pieces if piece.terms)
    if plain <= PROSE_WORDS:
        return _understood(pieces)
    return relaxed(_understood([replace(piece, excluded=False) for piece in pieces]))


def relaxed(query: ParsedQuery) -> ParsedQuery:
    """Return `query` with nothing required: its phrases, and the words in them, only rank. For when nothing matched."""
    phrases = [term for group in query.required for term in group]
    loose = [Term(word, column=term.column) for term in phrases for word in term.text.split() if _has_word(word)]
    optional = _distinct([*query.optional, *phrases, *loose])
    return replace(query, optional=tuple(optional.values())[: MAX_TERMS - len(query.excluded)], required=())


def _understood(pieces: Iterable[_Piece]) -> ParsedQuery:
    """Put the pieces together: what OR joins, what must match, what may."""
    chains: list[list[Term]] = []  # the terms of each inner list were joined by OR
    excluded: list[Term] = []
    rest: list[str] = []
    joining = False
    for piece in pieces:
        if piece.either and chains:
            joining = True
        elif piece.excluded:
            excluded += piece.terms
        else:
            rest.append(piece.typed)
            if joining and piece.terms:
                chains[-1] += piece.terms
                joining = False
            else:
                chains += [[term] for term in piece.terms]
    if joining:  # nothing stands to the right: the OR of "Portland OR"
        chains.append([Term("OR")])
        rest.append("OR")
    return _within_limit(chains, excluded, " ".join(filter(_says_something, rest)))


def _within_limit(chains: Iterable[Sequence[Term]], excluded: Iterable[Term], text: str) -> ParsedQuery:
    """Part what must match from what may, drop repetitions, and keep `MAX_TERMS` terms."""
    optional: dict[object, Term] = {}
    required: dict[object, tuple[Term, ...]] = {}
    for chain in chains:
        distinct = _distinct(chain)
        if any(term.phrase for term in chain):
            required.setdefault(frozenset(distinct), tuple(distinct.values()))
        else:
            for key, term in distinct.items():
                optional.setdefault(key, term)

    room = MAX_TERMS
    kept: list[tuple[Term, ...]] = []
    for alternatives in required.values():
        if room:
            kept.append(alternatives[:room])
            room -= len(kept[-1])
    unwanted = tuple(_distinct(excluded).values())[:room]
    wanted = tuple(optional.values())[: room - len(unwanted)]
    return ParsedQuery(optional=wanted, required=tuple(kept), excluded=unwanted, text=text)


def _distinct(terms: Iterable[Term]) -> dict[object, Term]:
    found: dict[object, Term] = {}
    for term in terms:
        found.setdefault((term.text.casefold(), term.prefix, term.phrase, term.column), term)
    return found


def _pieces(text: str, names: Mapping[str, str]) -> Iterator[_Piece]:
    for match in _PIECE.finditer(text):
        if match["raw"] is None:
            yield from _phrase_pieces(match, names)
        elif match["raw"] == "OR":
            yield _Piece("OR", (Term("OR"),), either=True)
        else:
            yield _word_piece(match["raw"], names)


def _phrase_pieces(match: re.Match[str], names: Mapping[str, str]) -> Iterator[_Piece]:
    """Read `"phrase"` with all that may stand around it."""
    scope, phrase = match["scope"], " ".join(match["phrase"].split())
    column = names.get(scope.casefold()) if scope else None
    if scope and column is None:
        yield _word_piece(scope, names)
    if _has_word(phrase):
        term = Term(phrase, prefix=bool(match["star"]), phrase=True, column=column)
        yield _Piece(phrase, (term,), excluded=bool(match["minus"]))


def _word_piece(raw: str, names: Mapping[str, str]) -> _Piece:
    """Read what stands between two spaces: mostly one word, several where brackets or commas join them."""
    excluded = raw.startswith("-") and not raw.startswith("--") and _has_word(raw)
    body = raw[1:] if excluded else raw
    scope, colon, scoped = body.partition(":")
    column = names.get(scope.casefold()) if colon and _has_word(scoped) else None
    if column is not None:
        body = scoped
    found = [term for word in _BETWEEN_WORDS.split(body) if (term := _word_term(word, column)) is not None]
    terms = found if excluded else [part for term in found for part in _whole_and_parts(term)]
    return _Piece(body, tuple(terms), excluded=excluded)


def _whole_and_parts(term: Term) -> list[Term]:
    parts = [] if term.prefix else [bare for part in _JOINTS.split(term.text) if _has_word(bare := part.strip(_EDGES))]
    return [term, *(replace(term, text=part) for part in parts)] if len(parts) > 1 else [term]


def _word_term(word: str, column: str | None) -> Term | None:
    word = word.strip(_EDGES)
    prefix = word.endswith("*") and not word.startswith("*")
    word = word.strip("*")
    return Term(word, prefix=prefix, column=column) if _has_word(word) else None


def _has_word(text: str) -> bool:
    """Whether FTS5's tokenizers would find anything in `text`: a letter or a digit of any script."""
    return any(map(str.isalnum, text))


def _says_something(text: str) -> bool:
    """Whether `text` is worth embedding: not punctuation alone. (Emoji are.)"""
    return any(c.isalnum() or not (c.isascii() or unicodedata.category(c)[0] in "PZC") for c in text)


def _bindable(text: str) -> str:
    return _UNBINDABLE.sub("", text)


# --- writing ---------------------------------------------------------------------------------------------------------


def to_match(query: ParsedQuery, *, tokens: Tokens | None = None) -> str | None:
    """Return `query` as an FTS5 MATCH expression, or None where nothing is asked for.

    Without `tokens` each term is one FTS5 string, which the table's own tokenizer takes apart. With `tokens` (an
    analysed index: stems, character pairs) the tokens of a phrase stay a phrase, those of a word become alternatives.
    """
    required = [side for group in query.required if (side := _any_of(group, tokens))]
    optional = _any_of(query.optional, tokens)
    if required:
        sides = [*required, _ranking_side(optional, required[0])]
        wanted = " AND ".join(_bracketed(side) for side in sides if side)
    elif optional:
        wanted = " OR ".join(optional)
    else:
        return None
    unwanted = excluded_match(query, tokens=tokens)
    return f"({wanted}) NOT ({unwanted})" if unwanted else wanted


def phrases(query: ParsedQuery, *, tokens: Tokens | None = None) -> tuple[str, ...]:
    """Return the FTS5 phrases of the words of which any may match; where nothing else is asked for, `to_match` is their
    OR."""
    return tuple(_any_of(query.optional, tokens))


def excluded_match(query: ParsedQuery, *, tokens: Tokens | None = None) -> str | None:
    """Return an FTS5 expression of all that the excluded terms match, or None where nothing is excluded.

    For the lists that FTS5 does not make: rows that match this are to be dropped from them too. The tokens of one
    excluded word are a phrase here, since a row that merely shares one of them is not what was meant.
    """
    return " OR ".join(_any_of(query.excluded, tokens, whole=True)) or None


def telling(query: ParsedQuery) -> ParsedQuery:
    """Return the query without plain words that only hold a sentence together, where other words remain.

    They stand in nearly every row, so they tell no row from another, and FTS5 would have to score all of those.
    """
    kept = tuple(term for term in query.optional if not _is_function_word(term))
    return replace(query, optional=kept) if kept else query


def _is_function_word(term: Term) -> bool:
    return not (term.phrase or term.prefix or term.column) and term.text.casefold() in _FUNCTION_WORDS


def words(query: ParsedQuery) -> tuple[str, ...]:
    """Return the words to mark in passages, each once, those of phrases first; `robo*` keeps its star.

    Words that only hold a sentence together ("of", "the") are left out, unless they were quoted or nothing else was
    asked for.
    """
    quoted = [word for group in query.required for term in group for word in _marked(term)]
    # The parts of a joined word stand beside it.
    loose = [word for term in query.optional if term.prefix or not _JOINTS.search(term.text) for word in _marked(term)]
    telling = [word for word in loose if word.casefold() not in _FUNCTION_WORDS]
    first: dict[str, str] = {}
    for word in quoted + telling or loose:
        first.setdefault(word.casefold(), word)
    return tuple(first.values())


def _marked(term: Term) -> list[str]:
    found = [word for part in _BETWEEN_WORDS.split(term.text) if _has_word(word := part.strip(_EDGES + "*"))]
    if term.prefix and found:
        found[-1] += "*"
    return found


def _any_of(terms: Iterable[Term], tokens: Tokens | None, *, whole: bool = False) -> list[str]:
    """Return the operands of an OR, without repetitions."""
    operands = (operand for term in terms for operand in _operands(term, tokens, whole=whole or term.phrase))
    return list(dict.fromkeys(operands))[:MAX_OPERANDS]


def _operands(term: Term, tokens: Tokens | None, *, whole: bool) -> list[str]:
    found = [term.text] if tokens is None else [token for token in tokens(term.text) if _bindable(token).strip()]
    strings = [_string(token) for token in found]
    if not strings:
        return []
    if term.prefix:
        strings[-1] += "*"
    if whole:
        strings = [" + ".join(strings[:MAX_OPERANDS])]
    return [f"{_string(term.column)} : {string}" for string in strings] if term.column is not None else strings


def _ranking_side(optional: Iterable[str], required: Iterable[str]) -> list[str]:
    """Return an OR that every row of `required` satisfies, in which the words count; nothing where it adds no word."""
    added = [operand for operand in optional if operand not in set(required)]
    return [*added, *required] if added else []


def _bracketed(operands: Sequence[str]) -> str:
    return operands[0] if len(operands) == 1 else f"({' OR '.join(operands)})"


def _string(text: str) -> str:
    """Return `text` as an FTS5 string."""
    return '"' + _bindable(text).replace('"', '""') + '"'


# They stand in nearly every passage: to mark them would hide the words that tell something.
_FUNCTION_WORDS: Final = frozenset(
    """
    a about an and are as at be been but by can could did do does for from had has have he her his how i if in
    into is it its me my no not of on or our she should so than that the their them then there these they this
    those to was we were what when where which who whom whose why will with would you your
    """.split()
)
