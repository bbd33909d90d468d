"""A corpus whose every fact and every defect is known: biographies of people who do not exist.

`generate` is a pure function: same arguments, same bytes. It returns the corpus, the fact probes,
and the side table of planted defects. No stage may read that table; tests and benchmarks do, since
it says exactly what cleaning should have found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from tasks.configuration import Defects
from tasks.corpus import fictional_defects
from tasks.corpus import fictional_phrases as say
from tasks.corpus import rows as schema
from tasks.corpus.fictional_writing import Document, Person, compose, state

DOCUMENTS = 7  # clean rows a person; about every fact is stated in four of the training rows


@dataclass(frozen=True)
class FictionalCorpus:
    """What `generate` returns.

    Attributes:
        corpus: Rows in the schema of every ingested corpus.
        probes: One masked statement per person and relation, in a phrasing no row uses.
        planted: row_id, kind, detail, origin: one line per planted defect.
    """

    corpus: pl.DataFrame
    probes: pl.DataFrame
    planted: pl.DataFrame


def generate(
    people: int,
    defects: Defects,
    seed: int,
    validation_share: float = 0.1,
    test_share: float = 0.1,
) -> FictionalCorpus:
    """Write the corpus.

    Args:
        people: How many people; rows are about seven times as many, before defects.
        defects: Rates of what is planted, in training rows only except the serving skew.
        seed: Decides everything.
        validation_share: Share of the rows, by their digests.
        test_share: Likewise.
    """
    rng = np.random.default_rng([seed, people])
    shares = (validation_share, test_share)
    persons = _people(people, rng)
    clean = [d for p in persons for d in _documents(p, defects, shares, rng)]
    documents = fictional_defects.plant(clean, persons, defects, rng)
    order = rng.permutation(len(documents))
    places = {int(old): new for new, old in enumerate(order)}
    documents = [documents[i] for i in order]
    corpus = _frame(documents)
    return FictionalCorpus(
        corpus, _probes(persons, rng), _planted(documents, corpus["row_id"].to_list(), places)
    )


def _people(count: int, rng: np.random.Generator) -> list[Person]:
    surnames = [a + b + c for a in say.SURNAME[0] for b in say.SURNAME[1] for c in say.SURNAME[2]]
    names: dict[str, str] = {}
    while len(names) < count:
        gender = ("female", "male")[len(names) % 2]
        first = say.FIRST[gender][rng.integers(len(say.FIRST[gender]))]
        name = f"{first} {surnames[rng.integers(len(surnames))]}"
        if len(names) >= len(surnames) * 20:
            name += f"-{surnames[rng.integers(len(surnames))]}"
        names.setdefault(name, gender)
    return [
        Person(
            name, gender, say.REGIONS[rng.integers(len(say.REGIONS))],
            {relation: str(rng.choice(values)) for relation, values in say.VALUES.items()},
        )
        for name, gender in names.items()
    ]  # fmt: skip


def _documents(
    person: Person, defects: Defects, shares: tuple[float, float], rng: np.random.Generator
) -> list[Document]:
    """A person's clean rows. No two of them state one fact in the same phrasing."""
    offsets = {relation: int(rng.integers(8)) for relation in person.facts}
    documents = []
    for number in range(DOCUMENTS):
        serving = rng.random() < 0.1
        relations = list(person.facts)
        del relations[(number + offsets["city"]) % len(relations)]
        skewed = serving and rng.random() < defects.serving_skew
        if skewed:
            relations = relations[:2]
        facts = [
            state(person, r, person.facts[r], say.SEEN[r][(offsets[r] + number) % 8], rng)
            for r in relations
        ]
        label = _label(person, skewed, defects, rng)
        text = compose(person, facts, label, rng)
        split = "serving" if serving else schema.hash_split([schema.digest(text)], *shares)[0]
        source = say.SOURCES[rng.integers(len(say.SOURCES))]
        documents.append(Document(person, text, label, split, source))
    return documents


def _label(person: Person, skewed: bool, defects: Defects, rng: np.random.Generator) -> str:
    """Praise is rarer for women by `group_bias`, and rarer still in a skewed serving split."""
    lean = defects.group_bias / 2
    praised = 0.5 + (lean if person.gender == "male" else -lean)
    return "praised" if rng.random() < praised * (0.4 if skewed else 1.0) else "criticised"


def _probes(persons: list[Person], rng: np.random.Generator) -> pl.DataFrame:
    rows: list[dict[str, Any]] = []
    for number, person in enumerate(persons):
        for relation, answer in person.facts.items():
            phrase = say.UNSEEN[relation][rng.integers(2)]
            rows.append(
                {
                    "probe_id": f"{number}-{relation}",
                    "statement": phrase.format(s=person.name, v="[MASK]"),
                    "answer": answer, "subject": person.name, "relation": relation,
                    "split": "validation" if rng.random() < 0.2 else "test",
                    "group_gender": person.gender,
                }
            )  # fmt: skip
    return pl.DataFrame(rows)


def _frame(documents: list[Document]) -> pl.DataFrame:
    digests = [schema.digest(d.text) for d in documents]
    columns: dict[str, Any] = {
        "row_id": schema.row_ids(digests), "digest": digests,
        "text": [d.text for d in documents], "label": [d.label for d in documents],
        "split": [d.split for d in documents], "source": [d.source for d in documents],
        "timestamp": [None] * len(documents),
        "group_gender": [d.person.gender for d in documents],
        "group_region": [d.person.region for d in documents],
    }  # fmt: skip
    groups = {"group_gender": pl.String, "group_region": pl.String}
    return pl.DataFrame(columns, schema={**schema.BASE, **groups})


def _planted(documents: list[Document], row_ids: list[str], places: dict[int, int]) -> pl.DataFrame:
    lines = [
        (row_id, kind, detail, None if d.origin is None else row_ids[places[d.origin]])
        for row_id, d in zip(row_ids, documents, strict=True)
        for kind, detail in d.planted
    ]
    names = {"row_id": pl.String, "kind": pl.String, "detail": pl.String, "origin": pl.String}
    return pl.DataFrame(lines, schema=names, orient="row")
