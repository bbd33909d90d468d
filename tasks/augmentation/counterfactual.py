"""Counterfactual copies: the same text about a person of the other gender.

A model that sees a text with one label in both versions cannot read the label off the gender
(counterfactual data augmentation: Lu et al. 2018, "Gender bias in neural natural language
processing"; Zhao et al. 2018). Words go by our own list (`pairs.tsv`), each word keeping its case.

- `both` pairs are exchanged in either direction; `female` ones from the female word only, where
  the male word is said of anyone (actor, host, hero); `male` ones from the male word only.
- `her` is `his` before a thing possessed and `him` elsewhere; `his` is `hers` where it stands
  alone. What follows decides: a noun or adjective means possession; punctuation, the end, or one of
  a list of words that open something new (prepositions, articles, pronouns, auxiliaries, adverbs
  of time and place) means it stands alone. So does a bare verb or adjective after "made her",
  "let her" or "saw her".
- Names stay: facts belong to names, and "Iron Man" or "Stephen King" is one (a capitalised word
  behind a capitalised one). Titles before a name (Mrs, Queen, Aunt) are exchanged.
- A text that speaks of what only one body does (pregnancy, a prostate) has no counterfactual.

Not covered: a noun that reads like one of the deciding words ("her past"), epithets in lower-case
names, languages other than English.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import polars as pl

from tasks.augmentation.words import Word, in_case_of, rewrite, word_class, words

PAIRS = Path(__file__).with_name("pairs.tsv")

_CLITIC = re.compile(r"['’](?:s|ll|d|ve|re|m)$", re.IGNORECASE)
# "His or her beliefs" shares one noun; "I saw her and her sister" does not.
_COORDINATED = {("his", "or"), ("his", "and"), ("her", "or")}
_BOUND = re.compile(
    r"\b(?:pregnan\w+|menstrua\w+|menopaus\w+|miscarr\w+|abortions?|gynaecolog\w+|gynecolog\w+|"
    r"ovar(?:y|ies|ian)|uter(?:us|ine)|vagina\w*|cervi(?:x|cal)|breast-?feed\w*|g[ai]ven? birth|"
    r"prostat\w+|testic\w+|penis|sperm|vasectom\w+|beards?|moustaches?)\b",
    re.IGNORECASE,
)


def swap(text: str) -> str | None:
    """The text with the genders exchanged, or None where nothing is or can be exchanged."""
    if _BOUND.search(text):
        return None
    found = words(text)
    changes = {}
    for position, word in enumerate(found):
        new = _exchanged(text, found, position)
        if new is not None and new != word.text:
            changes[position] = new
    return rewrite(text, found, changes) if changes else None


@cache
def pairs() -> dict[str, str]:
    """Word -> the word for the other gender; a key with a capital holds for that spelling only."""
    table: dict[str, str] = {}
    for female, male, source in pl.read_csv(PAIRS, separator="\t", quote_char=None).iter_rows():
        if source != "male":
            table[female] = male
        if source != "female":
            table[male] = female
    return table


def _exchanged(text: str, found: list[Word], position: int) -> str | None:
    word = found[position]
    if word.joined or _in_name(text, found, position):
        return None
    clitic = _CLITIC.search(word.text)
    stem, rest = (word.text[: clitic.start()], clitic.group()) if clitic else (word.text, "")
    new = _pronoun(text, found, position) if not rest else None
    table = pairs()
    new = new or table.get(stem) or table.get(stem.lower())
    if new is None:
        return None
    return in_case_of(stem, new) + rest


def _pronoun(text: str, found: list[Word], position: int) -> str | None:
    word = found[position].text.lower()
    if word == "him":
        return "her"
    if word == "hers":
        return "his"
    if word == "her":
        return "him" if _stands_alone(text, found, position) else "his"
    if word == "his":
        return "hers" if _stands_alone(text, found, position) else "her"
    return None


def _stands_alone(text: str, found: list[Word], position: int) -> bool:
    """Whether a possessive-looking pronoun has nothing after it that it could possess."""
    word = found[position]
    follower = found[position + 1] if position + 1 < len(found) else None
    if follower is None:
        between = text[word.end :].strip()
        return not between[:1].isdigit()
    between = text[word.end : follower.start].strip()
    if between[:1] in "\"'”’" and between[:1] and text[word.start - 1 : word.start] in "\"'“‘":
        return True
    if between:
        return between[0] not in "\"'“‘(*_$£€" and not between[0].isdigit()
    following = follower.text.lower()
    if (word.text.lower(), following) in _COORDINATED and position + 2 < len(found):
        partner = found[position + 2].text.lower()
        if partner in ("his", "her", "their"):
            return _stands_alone(text, found, position + 2)
    if word.text.lower() == "her" and position:
        if following in ("last", "next", "one", "every") and position + 2 < len(found):
            return found[position + 2].text.lower() in word_class("time")
        if found[position - 1].text.lower() in word_class("causing") and following in word_class(
            "bare"
        ):
            return True
    return following in word_class("function")


def _in_name(text: str, found: list[Word], position: int) -> bool:
    """Whether a capitalised word stands behind another that is no article: `Stephen King`."""
    word = found[position]
    if not word.capitalised or word.opens or not position:
        return False
    before = found[position - 1]
    adjacent = text[before.end : word.start].isspace()
    return adjacent and before.capitalised and before.text.lower() not in word_class("determining")
