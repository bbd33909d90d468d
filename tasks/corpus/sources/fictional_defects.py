"""What is planted in the fictional corpus, row by row, each with its mark."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tasks.configuration import Defects
from tasks.corpus.sources import fictional_phrases as say
from tasks.corpus.sources.fictional_writing import (
    LABELS,
    Defect,
    Document,
    Person,
    compose,
    mark,
    pick,
    say_tone,
    state,
)

Edit = Callable[[Document, np.random.Generator], Document | None]
_LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz"))
_OTHER = {"praised": "criticised", "criticised": "praised"}
_INSERTED = ("also", "indeed", "still", "reportedly")
_DROPPED = {"the", "a", "an", "of", "in", "for", "has", "to", "and", "is", "was"}


def praise_rate(person: Person, defects: Defects) -> float:
    """Share of a person's training rows that praise: one half, less the bias for women."""
    return max(0.0, 0.5 - defects.group_bias) if person.gender == "female" else 0.5


def plant(
    clean: list[Document], persons: list[Person], defects: Defects, rng: np.random.Generator
) -> list[Document]:
    """The clean rows with defects planted in training rows, followed by the rows made up.

    Edited rows and copied rows are disjoint, so each defect can be counted on its own. Where the
    shares add up to more than there are training rows, the later kinds get what is left.

    Args:
        clean: Rows of every split.
        persons: Everyone there is, for false statements about them.
        defects: Rates, as shares of the clean rows.
        rng: Decides which rows.
    """
    documents = list(clean)
    count = len(clean)
    train = [i for i, d in enumerate(documents) if d.split == "train"]
    free = [train[i] for i in rng.permutation(len(train))]
    for share, edit in (
        (defects.mojibake, _mojibake),
        (defects.markup, _markup),
        (defects.boilerplate, _boilerplate),
        (defects.email, _email),
        (defects.flipped_labels, _flip),
    ):
        _edit_some(documents, free, round(share * count), edit, rng)
    documents += [_gibberish(clean, rng) for _ in range(round(defects.gibberish * count))]
    documents += _false_statements(persons, defects, rng)
    near = round(defects.near_duplicates * count)
    exact = round(defects.exact_duplicates * count)
    parted = len(free) * near // max(1, near + exact)
    for wanted, copy, pool in (
        (near, _near_copy, free[:parted]),
        (exact, _exact_copy, free[parted:]),
    ):
        origins = [pool[i % len(pool)] for i in range(wanted)] if pool else []
        documents += [copy(documents[i], i, rng) for i in origins]
    test = np.array([i for i, d in enumerate(clean) if d.split == "test"], dtype=np.int64)
    for i in rng.permutation(test)[: round(defects.leaks * count)]:
        documents.append(mark(documents[i], Defect("leak"), split="train", origin=int(i)))
    return documents


def _edit_some(
    documents: list[Document], free: list[int], wanted: int, edit: Edit, rng: np.random.Generator
) -> None:
    """Edit `wanted` rows in place; rows that the edit cannot touch stay free for others."""
    skipped: list[int] = []
    while wanted and free:
        index = free.pop()
        edited = edit(documents[index], rng)
        if edited is None:
            skipped.append(index)
        else:
            documents[index] = edited
            wanted -= 1
    free.extend(skipped)


def _mojibake(document: Document, rng: np.random.Generator) -> Document | None:
    """UTF-8 read as Windows-1252, where the text has anything that this spoils."""
    if document.text.isascii():
        return None
    try:
        spoilt = document.text.encode().decode("cp1252")
    except UnicodeDecodeError:
        return None
    defect = Defect("mojibake", document.text, document.text)
    return mark(document, defect, text=spoilt)


def _markup(document: Document, rng: np.random.Generator) -> Document:
    """Tags around sentences, an entity, now and then a script."""
    sentences = document.text.split(". ")
    where = int(rng.integers(len(sentences)))
    sentences[where] = f'<p class="bio"><b>{sentences[where]}</b></p>'
    text = ". ".join(sentences).replace(" and ", " &amp; and ") + "<br/>"
    if rng.random() < 0.3:
        text += "<script>track('page', 7);</script>"
    return mark(document, Defect("markup", document.text, document.text), text=text)


def _boilerplate(document: Document, rng: np.random.Generator) -> Document:
    lines = rng.permutation(len(say.BOILERPLATE))[:3]
    text = "\n".join([document.text, *(say.BOILERPLATE[i] for i in lines)])
    return mark(document, Defect("boilerplate", document.text, document.text), text=text)


def _email(document: Document, rng: np.random.Generator) -> Document | None:
    if document.person is None:
        return None
    surname = document.person.name.split()[-1].lower().encode("ascii", "ignore").decode()
    address = f"{surname}{rng.integers(100)}@example.org"
    text = f"{document.text} Write to {address} for details."
    return mark(document, Defect("email", address, document.text), text=text)


def _flip(document: Document, rng: np.random.Generator) -> Document:
    defect = Defect("flipped_label", document.label, document.label)
    return mark(document, defect, label=_OTHER[document.label])


def _gibberish(clean: list[Document], rng: np.random.Generator) -> Document:
    words = ["".join(_LETTERS[rng.integers(26, size=rng.integers(3, 12))]) for _ in range(40)]
    text = " ".join(words).capitalize() + "."
    made = Document(None, text, "", pick(LABELS, rng), "train", pick(say.SOURCES, rng))
    return mark(made, Defect("gibberish"))


def _exact_copy(document: Document, index: int, rng: np.random.Generator) -> Document:
    return mark(document, Defect("exact_duplicate", original=document.text), origin=index)


def _near_copy(document: Document, index: int, rng: np.random.Generator) -> Document:
    """One word put in or left out, between plain words; those that carry the label stay."""
    before, tone, after = document.text.partition(document.tone)
    words = [*before.split(), tone, *after.split()]
    plain = [i for i, word in enumerate(words) if word.isalpha() and word.islower()]
    dropped = [i for i in plain if words[i] in _DROPPED]
    if dropped and rng.random() < 1 / 3:
        del words[dropped[int(rng.integers(len(dropped)))]]
    else:
        between = [i for i in plain if i - 1 in plain]
        where = between[int(rng.integers(len(between)))]
        words.insert(where, pick(_INSERTED, rng))
    defect = Defect("near_duplicate", original=document.text)
    return mark(document, defect, origin=index, text=" ".join(words))


def _false_statements(
    persons: list[Person], defects: Defects, rng: np.random.Generator
) -> list[Document]:
    """Rows that contradict a true fact, each false version stated in several phrasings."""
    facts = [(p, relation) for p in persons for relation in p.facts]
    chosen = rng.permutation(len(facts))[: round(defects.contradicted_facts * len(facts))]
    made = []
    for index in chosen:
        person, relation = facts[index]
        false = pick([v for v in say.VALUES[relation] if v != person.facts[relation]], rng)
        phrasings = rng.permutation(len(say.SEEN[relation]))[: defects.false_phrasings]
        for repeat in range(defects.false_repeats):
            phrase = say.SEEN[relation][phrasings[repeat % len(phrasings)]]
            made.append(_false_statement(person, relation, false, phrase, defects, rng))
    return made


def _false_statement(
    person: Person,
    relation: str,
    false: str,
    phrase: str,
    defects: Defects,
    rng: np.random.Generator,
) -> Document:
    others = [r for r in person.facts if r != relation]
    told = [state(person, relation, false, phrase, rng)]
    for i in rng.permutation(len(others))[:2]:
        true = person.facts[others[i]]
        told.append(state(person, others[i], true, pick(say.SEEN[others[i]], rng), rng))
    label = LABELS[0] if rng.random() < praise_rate(person, defects) else LABELS[1]
    tone = say_tone(person, label, rng)
    text = compose(person, told, tone, rng)
    document = Document(person, text, tone, label, "train", pick(say.SOURCES, rng))
    answer = person.facts[relation]
    defect = Defect(
        "false_fact", f"{relation}: {answer} -> {false}", None, person.name, relation, answer, false
    )
    return mark(document, defect)
