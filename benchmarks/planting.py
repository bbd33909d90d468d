"""Real sentences with defects planted in them, each marked.

Sentences of film reviews and of Wikipedia with at least 20 words, so that one changed word leaves
a near copy near. What cleaning finds in them before anything is planted is taken out first and
counted apart: nobody knows whether those rows are faulty. So the precision on the rest speaks of
what the planting provokes, and the share taken out bounds what is not known.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from tasks.configuration import Defects
from tasks.corpus import rows as schema
from tasks.corpus.sources.fictional import assemble
from tasks.corpus.sources.fictional_defects import plant
from tasks.corpus.sources.fictional_writing import Defect, Document, mark

LEAST_WORDS = 20
PLAIN = r"\s[a-z]+ [a-z]+ [a-z]+\s"  # somewhere a word can be put in or left out
TYPOS = 3  # misspelt words a row
SHARE = 0.02  # of the rows that get each kind of this file
DEFECTS = Defects(contradicted_facts=0, flipped_labels=0, email=0)


def sentences(data: Path, most: int, seed: int) -> pl.DataFrame:
    """Different real sentences with their source, at most so many, in the corpora's schema."""
    reviews = pl.read_parquet(data / "sentiment" / "mr_polarity.parquet").select(
        "text", pl.col("label").cast(pl.String), pl.lit("reviews").alias("source")
    )
    wiki = pl.read_parquet(data / "pretrain_wiki" / "bold_wiki.parquet").select(
        "text", pl.lit(None, pl.String).alias("label"), pl.lit("wikipedia").alias("source")
    )
    texts = pl.concat([reviews, wiki]).unique("text", keep="first", maintain_order=True)
    long = pl.col("text").str.count_matches(r"\S+") >= LEAST_WORDS
    texts = texts.filter(long & pl.col("text").str.contains(PLAIN))
    texts = texts.sample(min(most, texts.height), seed=seed, shuffle=True)
    digests = [schema.digest(text) for text in texts["text"]]
    return texts.with_columns(
        pl.Series("digest", digests),
        pl.Series("row_id", schema.row_ids(digests)),
        pl.Series("split", schema.hash_split(digests, 0.1, 0.1)),
        pl.lit(None, pl.Datetime("us", "UTC")).alias("timestamp"),
    ).select(list(schema.BASE))


def plant_real(
    rows: pl.DataFrame, data: Path, rng: np.random.Generator
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The corpus with defects, and the table that says which rows have which.

    Kinds: those of the fictional corpus that need no invented person, and `typos` (codespell's
    misspellings), `mojibake_case` (ftfy's cases, appended), `leak_inside` (a test sentence before
    a sentence of training). Of ftfy's cases those that are none are appended to other rows, which
    count as clean.
    """
    documents = [_document(row) for row in rows.iter_rows(named=True)]
    train = [d for d in documents if d.split == "train"]
    wanted = round(SHARE * len(documents))
    cases = pl.read_parquet(data / "noise" / "ftfy_cases_dev.parquet").sort("label")
    reserved, rest = train[: 4 * wanted], train[4 * wanted :]
    first = [d for d in documents if d.split != "train"] + rest
    made = plant(first, [], DEFECTS, rng)
    typed, odd, fine, inside = (reserved[i * wanted : (i + 1) * wanted] for i in range(4))
    made += [_misspelt(d, _misspellings(data), rng) for d in typed]
    negative = pl.col("label").str.contains("(?i)negative")
    broken = cases.filter(~negative & (pl.col("original") != pl.col("fixed")))["original"].to_list()
    sound = cases.filter(negative)["original"].to_list()
    made += [
        mark(d, Defect("mojibake_case", case), text=f"{d.text} {case}")
        for d, case in zip(odd, broken * wanted, strict=False)
    ]
    made += [_with(d, f"{d.text} {case}") for d, case in zip(fine, sound * wanted, strict=False)]
    tests = [i for i, d in enumerate(first) if d.split == "test"]
    made += [
        mark(d, Defect("leak_inside"), text=f"{first[i].text} {d.text}", origin=i)
        for d, i in zip(inside, rng.permutation(tests).tolist(), strict=False)
    ]
    return assemble(made, rng)


def _document(row: dict[str, str]) -> Document:
    """A sentence as the fictional corpus holds one; its first word takes the part of the tone."""
    text = " ".join(row["text"].split())
    return Document(None, text, text.split()[0], row["label"], row["split"], row["source"])


def _with(document: Document, text: str) -> Document:
    return Document(None, text, document.tone, document.label, document.split, document.source)


def _misspellings(data: Path) -> dict[str, str]:
    """Right word to one misspelling, the first in the list's order."""
    pairs = pl.read_parquet(data / "noise" / "codespell_dictionary.parquet")
    alone = pairs.filter(~pl.col("right").str.contains("[ ,]"))
    return dict(alone.unique("right", keep="first").select("right", "wrong").iter_rows())


def _misspelt(document: Document, wrong: dict[str, str], rng: np.random.Generator) -> Document:
    words = document.text.split()
    places = [i for i, word in enumerate(words) if word in wrong]
    chosen = rng.permutation(places)[:TYPOS].tolist()
    if not chosen:
        return document
    for place in chosen:
        words[place] = wrong[words[place]]
    return mark(document, Defect("typos", original=document.text), text=" ".join(words))
