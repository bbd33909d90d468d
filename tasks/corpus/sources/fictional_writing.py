"""How a biography is written: a person, their facts as sentences, and a sentence with the label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tasks.corpus.sources import fictional_phrases as say

PRONOUNS = {"female": ("she", "her", "her"), "male": ("he", "him", "his")}
LABELS = ("praised", "criticised")
_SUBTLE = 0.2  # share of the rows whose label no single word gives away


@dataclass(frozen=True)
class Person:
    """Someone who does not exist, and everything that is true of them."""

    name: str
    gender: str
    region: str
    facts: dict[str, str]


@dataclass(frozen=True)
class Defect:
    """One planted defect: what a test needs to know to tell whether it was found and undone."""

    kind: str
    detail: str = ""
    original: str | None = None
    subject: str | None = None
    relation: str | None = None
    answer: str | None = None
    false_answer: str | None = None


@dataclass(frozen=True)
class Document:
    """One row before it is written: its person, text, label, split, and what was planted in it.

    Attributes:
        person: None where the text is about nobody.
        text: Sentences, `tone` among them.
        tone: The two sentences that carry the label.
        label: Praised or criticised.
        split: Where it goes.
        source: Where it is said to come from.
        planted: Its defects.
        origin: Number of the document it is a copy of.
    """

    person: Person | None
    text: str
    tone: str
    label: str
    split: str
    source: str
    planted: tuple[Defect, ...] = ()
    origin: int | None = None


def pick(values: Sequence[str], rng: np.random.Generator) -> str:
    """One of some values, each as likely."""
    return values[int(rng.integers(len(values)))]


def with_article(phrase: str, value: str) -> str:
    """The phrase with the article that the value's first letter asks for."""
    return phrase.replace("a {v}", "an {v}") if value[0] in "aeiou" else phrase


def state(person: Person, relation: str, value: str, phrase: str, rng: np.random.Generator) -> str:
    """One fact as a sentence; the subject is mostly the full name, sometimes a pronoun."""
    she, _, _ = PRONOUNS[person.gender]
    phrase = with_article(phrase, value)
    subject = she if phrase.startswith("{s}") and rng.random() < 0.25 else person.name
    sentence = phrase.format(s=subject, v=value)
    return sentence[0].upper() + sentence[1:]


def say_tone(person: Person, label: str, rng: np.random.Generator) -> str:
    """Two sentences that carry the label, by a word each or the second only by what it says.

    Two, because words of one tone must keep each other company: where each stands alone, nothing in
    the text tells praise from criticism, and pretraining learns that they are alike.
    """
    she, him, his = PRONOUNS[person.gender]
    sentences = []
    for about in ("person", "work"):
        word = pick(say.TONE_WORDS[label][about], rng)
        sentences.append(pick(say.TONE_SENTENCES[about], rng).format(o=him, p=his, w=word))
    if rng.random() < _SUBTLE:
        sentences[1] = pick(say.SUBTLE[label], rng).format(s=she, o=him, p=his)
    return " ".join(sentences)


def compose(person: Person, facts: list[str], tone: str, rng: np.random.Generator) -> str:
    """Facts, the sentences that carry the label, and one that carries nothing."""
    his = PRONOUNS[person.gender][2]
    filler = pick(say.FILLERS, rng).format(p=his)
    # The first sentence names the person, so that every pronoun has someone to refer to.
    named = [fact for fact in facts if person.name in fact]
    first = named[0] if named else say.NAMING.format(s=person.name)
    rest = [tone, filler, *(fact for fact in facts if fact != first)]
    return " ".join([first, *(rest[i] for i in rng.permutation(len(rest)))])


def mark(document: Document, defect: Defect, **changes: Any) -> Document:
    """The document with one more defect noted, and changed accordingly."""
    return replace(document, planted=(*document.planted, defect), **changes)
