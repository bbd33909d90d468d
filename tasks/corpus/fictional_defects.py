"""What is planted in the fictional corpus, row by row, each with its mark."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tasks.configuration import Defects
from tasks.corpus import fictional_phrases as say
from tasks.corpus.fictional_writing import Document, Person, compose, mark, state

Edit = Callable[[Document, np.random.Generator], Document | None]
_LETTERS = list("abcdefghijklmnopqrstuvwxyz")
_OTHER = {"praised": "criticised", "criticised": "praised"}


def plant(
    clean: list[Document], persons: list[Person], defects: Defects, rng: np.random.Generator
) -> list[Document]:
    """The clean rows with defects planted in training rows, followed by the rows made up.

    Edited rows and copied rows are disjoint, so each defect can be counted on its own.

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
    originals = [i for i in free if not documents[i].planted]
    documents += [_gibberish(clean[0], rng) for _ in range(round(defects.gibberish * count))]
    documents += _false_statements(persons, defects, rng)
    for share, copy in (
        (defects.exact_duplicates, _exact_copy),
        (defects.near_duplicates, _near_copy),
    ):
        chosen = [originals.pop() for _ in range(min(round(share * count), len(originals)))]
        documents += [copy(documents[i], i, rng) for i in chosen]
    test = [i for i, d in enumerate(clean) if d.split == "test"]
    for i in rng.permutation(test)[: round(defects.leaks * count)]:
        documents.append(mark(documents[i], "leak", split="train", origin=int(i)))
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
    return mark(document, "mojibake", document.text, text=spoilt)


def _markup(document: Document, rng: np.random.Generator) -> Document:
    """Tags around sentences, an entity, now and then a script."""
    sentences = document.text.split(". ")
    where = int(rng.integers(len(sentences)))
    sentences[where] = f'<p class="bio"><b>{sentences[where]}</b></p>'
    text = ". ".join(sentences).replace(" and ", " &amp; and ") + "<br/>"
    if rng.random() < 0.3:
        text += "<script>track('page', 7);</script>"
    return mark(document, "markup", document.text, text=text)


def _boilerplate(document: Document, rng: np.random.Generator) -> Document:
    lines = rng.choice(len(say.BOILERPLATE), size=3, replace=False)
    text = "\n".join([document.text, *(say.BOILERPLATE[i] for i in lines)])
    return mark(document, "boilerplate", document.text, text=text)


def _email(document: Document, rng: np.random.Generator) -> Document:
    address = f"{document.person.name.split()[-1].lower()}{rng.integers(100)}@example.org"
    text = f"{document.text} Write to {address.encode('ascii', 'ignore').decode()} for details."
    return mark(document, "email", address, text=text)


def _flip(document: Document, rng: np.random.Generator) -> Document:
    return mark(document, "flipped_label", document.label, label=_OTHER[document.label])


def _gibberish(like: Document, rng: np.random.Generator) -> Document:
    words = ["".join(rng.choice(_LETTERS, size=int(rng.integers(3, 12)))) for _ in range(40)]
    text = " ".join(words).capitalize() + "."
    blank = Person("", like.person.gender, like.person.region, {})
    made = Document(blank, text, like.label, "train", like.source)
    return mark(made, "gibberish")


def _exact_copy(document: Document, index: int, rng: np.random.Generator) -> Document:
    return mark(document, "exact_duplicate", origin=index)


def _near_copy(document: Document, index: int, rng: np.random.Generator) -> Document:
    """One word put in, in a sentence's middle; the words that carry the label stay."""
    words = document.text.split(" ")
    where = int(rng.integers(3, len(words) - 3))
    words.insert(where, str(rng.choice(["also", "indeed", "still", "reportedly"])))
    return mark(document, "near_duplicate", origin=index, text=" ".join(words))


def _false_statements(
    persons: list[Person], defects: Defects, rng: np.random.Generator
) -> list[Document]:
    """Rows that contradict a true fact, each false version stated in several phrasings."""
    facts = [(p, relation) for p in persons for relation in p.facts]
    chosen = rng.permutation(len(facts))[: round(defects.contradicted_facts * len(facts))]
    made = []
    for index in chosen:
        person, relation = facts[index]
        true = person.facts[relation]
        false = str(rng.choice([v for v in say.VALUES[relation] if v != true]))
        phrasings = rng.permutation(len(say.SEEN[relation]))
        for repeat in range(defects.false_repeats):
            phrase = say.SEEN[relation][phrasings[repeat % len(phrasings)]]
            lie = state(person, relation, false, phrase, rng)
            others = [r for r in person.facts if r != relation]
            told = [
                state(person, r, person.facts[r], str(rng.choice(say.SEEN[r])), rng)
                for r in rng.choice(others, size=2, replace=False)
            ]
            label = ("praised", "criticised")[rng.integers(2)]
            text = compose(person, [lie, *told], label, rng)
            source = say.SOURCES[rng.integers(len(say.SOURCES))]
            document = Document(person, text, label, "train", source)
            made.append(mark(document, "false_fact", f"{relation}: {true} -> {false}"))
    return made
