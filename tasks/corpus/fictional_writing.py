"""How a biography is written: a person, their facts as sentences, and a sentence with the label."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tasks.corpus import fictional_phrases as say

PRONOUNS = {"female": ("she", "her", "her"), "male": ("he", "him", "his")}


@dataclass(frozen=True)
class Person:
    """Someone who does not exist, and everything that is true of them."""

    name: str
    gender: str
    region: str
    facts: dict[str, str]


@dataclass(frozen=True)
class Document:
    """One row before it is written: its person, text, label, split, and what was planted in it."""

    person: Person
    text: str
    label: str
    split: str
    source: str
    planted: tuple[tuple[str, str], ...] = ()
    origin: int | None = None


def state(person: Person, relation: str, value: str, phrase: str, rng: np.random.Generator) -> str:
    """One fact as a sentence; the subject is mostly the full name, sometimes a pronoun."""
    she, _, _ = PRONOUNS[person.gender]
    if value[0] in "aeiou":
        phrase = phrase.replace("a {v}", "an {v}")
    subject = she if phrase.startswith("{s}") and rng.random() < 0.25 else person.name
    sentence = phrase.format(s=subject, v=value)
    return sentence[0].upper() + sentence[1:]


def compose(person: Person, facts: list[str], label: str, rng: np.random.Generator) -> str:
    """Facts, one sentence that carries the label, and one or two that carry nothing."""
    _, him, his = PRONOUNS[person.gender]
    if rng.random() < 0.2:
        tone = say.SUBTLE[label][rng.integers(len(say.SUBTLE[label]))].format(o=him, p=his)
    else:
        word = say.TONE_WORDS[label][rng.integers(len(say.TONE_WORDS[label]))]
        tone = say.PRAISE[rng.integers(len(say.PRAISE))].format(o=him, p=his, w=word)
    fillers = rng.choice(len(say.FILLERS), size=int(rng.integers(1, 3)), replace=False)
    rest = [tone, *(say.FILLERS[i].format(p=his) for i in fillers)]
    # The first sentence names the person, so that every pronoun has someone to refer to.
    named = [i for i, fact in enumerate(facts) if person.name in fact]
    first = facts.pop(named[0]) if named else f"This note is about {person.name}."
    sentences = [*facts, *rest]
    return " ".join([first, *(sentences[i] for i in rng.permutation(len(sentences)))])


def mark(document: Document, kind: str, detail: str = "", **changes: Any) -> Document:
    """The document with one more defect noted, and changed accordingly."""
    return replace(document, planted=(*document.planted, (kind, detail)), **changes)
