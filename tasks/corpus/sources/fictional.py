"""A corpus whose every fact and every defect is known: biographies of people who do not exist.

`generate` is a pure function: same arguments, same bytes. It returns the corpus, the fact probes,
and the side table of planted defects. No stage may read that table; tests and benchmarks do, since
it says exactly what cleaning should have found.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import polars as pl

from tasks.configuration import Defects
from tasks.corpus import rows as schema
from tasks.corpus.sources import fictional_phrases as say
from tasks.corpus.sources.fictional_defects import plant, praise_rate
from tasks.corpus.sources.fictional_writing import (
    LABELS,
    Defect,
    Document,
    Person,
    compose,
    pick,
    say_tone,
    state,
)
from tasks.corpus.sources.probes import MAIN, MASK, PARAPHRASE, SCHEMA, SEEN

SERVING = 0.1  # share of the clean rows that are as if met in service
SKEWED_REGION = say.REGIONS[2]
DOCUMENTS = 7  # clean rows a person; about every fact is stated in four of the training rows


@dataclass(frozen=True)
class FictionalCorpus:
    """What `generate` returns.

    Attributes:
        corpus: Rows in the schema of every ingested corpus.
        probes: Masked statements, three for each person and relation; see `_probes`.
        planted: One line per planted defect: row_id, kind, detail, `origin` (row_id of what it is
            a copy of), `original` (text or label before), and for false facts subject, relation,
            answer and false_answer.
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
    corpus, planted = assemble(plant(clean, persons, defects, rng), rng)
    # Probes have draws of their own, so that the same facts are asked whatever is planted.
    return FictionalCorpus(
        corpus, _probes(persons, np.random.default_rng([seed, people, 1])), planted
    )


def assemble(
    documents: list[Document], rng: np.random.Generator
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Any documents as a corpus in random order, and the table of what is planted in them."""
    order = _order(documents, rng)
    places = {int(old): new for new, old in enumerate(order)}
    documents = [documents[i] for i in order]
    corpus = _frame(documents)
    return corpus, _planted(documents, corpus["row_id"].to_list(), places)


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
            name, gender, pick(say.REGIONS, rng),
            {relation: pick(values, rng) for relation, values in say.VALUES.items()},
        )
        for name, gender in names.items()
    ]  # fmt: skip


def _documents(
    person: Person, defects: Defects, shares: tuple[float, float], rng: np.random.Generator
) -> list[Document]:
    """A person's clean rows. No two of them state one fact in the same phrasing.

    `serving_skew` gives the serving split more rows of one region, shorter and less kind ones.
    """
    offsets = {relation: int(rng.integers(8)) for relation in person.facts}
    leaning = 3 if person.region == SKEWED_REGION else -1
    serving_rate = SERVING * (1 + leaning * defects.serving_skew)
    documents = []
    for number in range(DOCUMENTS):
        serving = rng.random() < serving_rate
        skewed = serving and rng.random() < defects.serving_skew
        relations = list(person.facts)
        del relations[(number + offsets["city"]) % len(relations)]
        facts = [
            state(person, r, person.facts[r], say.SEEN[r][(offsets[r] + number) % 8], rng)
            for r in relations[: 2 if skewed else None]
        ]
        split = "serving" if serving else None
        documents.append(_document(person, facts, split, skewed, defects, shares, rng))
    return documents


def _document(
    person: Person,
    facts: list[str],
    split: str | None,
    skewed: bool,
    defects: Defects,
    shares: tuple[float, float],
    rng: np.random.Generator,
) -> Document:
    """One row. Its split goes by its text, and the bias by its split: only training rows have it."""
    praised = rng.random() < (0.2 if skewed else 0.5)
    turned = rng.random() >= praise_rate(person, defects) / 0.5
    source = pick(say.SOURCES, rng)
    wanted = None
    while True:
        label = LABELS[0] if praised else LABELS[1]
        tone = say_tone(person, label, rng)
        text = compose(person, facts, tone, rng)
        place = split or schema.hash_split([schema.digest(text)], *shares)[0]
        if place == "train" and praised and turned:
            praised, wanted = False, "train"
        elif wanted in (None, place):
            return Document(person, text, tone, label, place, source)


def _order(documents: list[Document], rng: np.random.Generator) -> list[int]:
    """Any order in which a copy comes after what it is a copy of."""
    places = rng.random(len(documents))
    for number, document in enumerate(documents):
        if document.origin is not None:
            first = places[document.origin]
            places[number] = first + (1 - first) * places[number]
    return [int(i) for i in np.argsort(places, kind="stable")]


def _probes(persons: list[Person], rng: np.random.Generator) -> pl.DataFrame:
    """Every fact in a phrasing that no row uses, in another such one, and in one that rows use."""
    rows: list[dict[str, Any]] = []
    for number, person in enumerate(persons):
        for relation, answer in person.facts.items():
            first = int(rng.integers(2))
            split = "validation" if rng.random() < 0.2 else "test"
            for kind, phrase in (
                (MAIN, say.UNSEEN[relation][first]),
                (PARAPHRASE, say.UNSEEN[relation][1 - first]),
                (SEEN, pick(say.SEEN[relation], rng)),
            ):
                fact = f"{number}-{relation}"
                rows.append(
                    {
                        "probe_id": fact if kind == MAIN else f"{fact}-{kind}",
                        "statement": phrase.format(s=person.name, v=MASK), "answer": answer,
                        "accepted": [], "subject": person.name, "relation": relation,
                        "split": split, "fact": fact, "phrasing": kind,
                        "group_gender": person.gender, "group_region": person.region,
                    }
                )  # fmt: skip
    groups = {"group_gender": pl.String, "group_region": pl.String}
    return pl.DataFrame(rows, schema={**SCHEMA, **groups})


def _frame(documents: list[Document]) -> pl.DataFrame:
    digests = [schema.digest(d.text) for d in documents]
    columns: dict[str, Any] = {
        "row_id": schema.row_ids(digests), "digest": digests,
        "text": [d.text for d in documents], "label": [d.label for d in documents],
        "split": [d.split for d in documents], "source": [d.source for d in documents],
        "timestamp": [None] * len(documents),
        "group_gender": [d.person and d.person.gender for d in documents],
        "group_region": [d.person and d.person.region for d in documents],
    }  # fmt: skip
    groups = {"group_gender": pl.String, "group_region": pl.String}
    return pl.DataFrame(columns, schema={**schema.BASE, **groups})


def _planted(documents: list[Document], row_ids: list[str], places: dict[int, int]) -> pl.DataFrame:
    lines = [
        {
            "row_id": row_id,
            "origin": None if d.origin is None else row_ids[places[d.origin]],
            **asdict(defect),
        }
        for row_id, d in zip(row_ids, documents, strict=True)
        for defect in d.planted
    ]
    names = ["row_id", "kind", "detail", "origin", *[f.name for f in fields(Defect)][2:]]
    return pl.DataFrame(lines, schema=dict.fromkeys(names, pl.String))
