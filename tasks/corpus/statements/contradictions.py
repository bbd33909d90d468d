"""Statements that disagree: one subject, one relation, and more than one value.

For each fact (a subject in a relation) that training rows state in several versions, the versions
are weighed by their voices. Rows that say a thing in the same words may have copied it, so

    voices of a version = sum over its wordings of sqrt(texts in that wording)
    ratio of a version  = voices of the majority / voices of this version

A text is a row that is left after noise, leaks, exact and near duplicates, so copies lend a version
no weight; the rows with their copies, and the sources, are reported beside it. A wording is the
sentence without its subject and value. Then

    majority     the version of the most voices
    outvoted     from `ratio` on, if the majority has at least `support` texts and more voices than
                 all other versions together (which keeps hands off subjects that are none, such as
                 "the author"); its sentences are struck, or its rows quarantined (`remedy`)
    undecided    every version of a fact that no version wins clearly: all of their sentences are
                 struck, so that the model learns to abstain instead of guessing, unless there are
                 more than three versions or `undecided` is `keep`; then they are flagged

Striking leaves whatever else a row says, true facts among it; quarantine takes the whole row.

Counts know nothing of the truth. Where the false version is the majority, the true one goes, and
nothing within the corpus can tell. Both sides stand in `contradictions.parquet` for a person to
judge.

The defaults were chosen on the fictional corpus, where a true fact is stated in four training texts
on average, each in its own words (120 people, a fifth of the facts contradicted). Share of contradicted facts
that the true version wins, that stay undecided, and that the false version wins, in per cent:

    false version stated in         by texts, 1.5     by voices, 1.5     by voices, 2
    2 texts, 2 wordings                94 / 6 / 0         94 / 6 / 0        82 / 18 / 0
    3 texts, 2 wordings               63 / 33 / 4        84 / 15 / 2        60 / 38 / 2
    4 texts, 2 wordings               56 / 41 / 3        65 / 34 / 1        50 / 50 / 1
    4 texts, 4 wordings               56 / 41 / 3        46 / 50 / 4        18 / 79 / 3

Versions agree if the words of one are a part of the other's (`Olsk` and `Olsk in the north`), and
are counted together. Held-out rows neither testify nor are judged: what training keeps must not
depend on what the model is judged by.

Not covered: values in other words (`NYC`), facts that change with time (give them `several`),
false statements that nothing contradicts, and near copies that differ in the value alone, of which
the later has gone as a duplicate before anything is compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from tasks.configuration import Contradictions
from tasks.corpus.duplicates.repeats import Flags
from tasks.corpus.signals.patterns import WORD
from tasks.corpus.statements.extract import SCHEMA as STATED
from tasks.corpus.statements.extract import find_statements
from tasks.corpus.statements.fact_patterns import Pattern, read_patterns
from tasks.corpus.statements.listing import (
    FACT,
    FLAGGED,
    MAJORITY,
    QUARANTINED,
    SCHEMA,
    STRUCK,
    UNDECIDED,
    VERSION,
    listed,
    most_texts,
)

_MOST_VERSIONS = 20  # a subject with more is no one in particular
_MOST_STRUCK = 3  # versions that one fact is disputed in; more are rather several facts


@dataclass(frozen=True)
class Struck:
    """What is struck from a row.

    Attributes:
        sentences: As `find_statements` gives them.
        detail: Why, in words.
    """

    sentences: tuple[str, ...]
    detail: str


@dataclass(frozen=True)
class Contradicted:
    """What was found.

    Attributes:
        quarantined: Place of each row that goes, and the sentence that says why.
        struck: Place of each row that loses sentences, to these and why, in the order of the text.
        table: One line per statement of a contradicted fact (`SCHEMA`), both sides.
        summary: Counts and the facts with the most texts, for `clean.json`; empty without patterns.
        metrics: Scalars for tracking.
    """

    quarantined: dict[int, str] = field(default_factory=dict)
    struck: dict[int, Struck] = field(default_factory=dict)
    table: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SCHEMA))
    summary: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)


def find_contradictions(
    rows: pl.DataFrame,
    left: Flags,
    copies: Flags,
    patterns: str,
    config: Contradictions,
    texts: Iterable[pl.Series] | None = None,
) -> Contradicted:
    """Compare what training rows state.

    Args:
        rows: `row_id`, `split`, `source`, and `text` unless that is given apart.
        left: Rows that count, after everything else went: (rows,).
        copies: Rows that went as duplicates, whose statements are counted as rows: (rows,).
        patterns: The lines of a pattern file; without any nothing is looked for.
        config: When a minority goes.
        texts: The rows' texts in parts, of which one is held at a time.

    Raises:
        UserError: A line is no pattern.
    """
    known = read_patterns(patterns)
    if not known:
        return Contradicted()
    texts = [rows["text"]] if texts is None else texts
    stated = _stated(rows, texts, left, copies, known)
    disputed, unclear = _disputed(stated)
    versions = _judged(_versions(disputed), config)
    table = listed(disputed, versions, rows["row_id"])
    details = _by_row(table, [QUARANTINED])
    struck = _by_row(table, [STRUCK, UNDECIDED])
    counts = {
        "statements": int(stated["left"].sum()),
        "facts": _facts(stated.filter("left")),
        "contradicted_facts": _facts(versions),
        "unclear_subjects": unclear,
        "rows_flagged": table.filter(pl.col("verdict") == FLAGGED)["row"].n_unique(),
        "rows_quarantined": details.height,
        "rows_struck": struck.height,
        "facts_undecided": _facts(versions.filter(~pl.col("decided"))),
    }
    limits = {"ratio": config.ratio, "support": config.support}
    return Contradicted(
        quarantined=dict(details.select("row", "detail").iter_rows()),
        struck={
            row: Struck(tuple(sentences), detail) for row, sentences, detail in struck.iter_rows()
        },
        table=table.select(list(SCHEMA)),
        summary={"patterns": len(known), **limits, **counts, "top": most_texts(versions)},
        metrics={
            "contradicted_facts": float(counts["contradicted_facts"]),
            "contradictions_flagged": float(counts["rows_flagged"]),
            "contradictions_struck": float(counts["rows_struck"]),
            "contradictions_undecided": float(counts["facts_undecided"]),
        },
    )


def _by_row(table: pl.DataFrame, verdicts: Sequence[str]) -> pl.DataFrame:
    """`row`, its sentences of some verdicts, and their details as one sentence."""
    some = table.filter(pl.col("verdict").is_in(verdicts))
    return some.group_by("row", maintain_order=True).agg(
        pl.col("sentence"), pl.col("detail").str.join("; ")
    )


def _stated(
    rows: pl.DataFrame,
    texts: Iterable[pl.Series],
    left: Flags,
    copies: Flags,
    patterns: Sequence[Pattern],
) -> pl.DataFrame:
    """What training rows and their copies state, each row each sentence once; `left`: no copy."""
    asked = (rows["split"] == "train").to_numpy() & (left | copies)
    parts, begin = [pl.DataFrame(schema=STATED)], 0
    for part in texts:
        places = np.flatnonzero(asked[begin : begin + len(part)])
        some = find_statements(part.gather(places), patterns)
        row = pl.Series("row", begin + places[some["row"].to_numpy()], pl.Int64)
        parts.append(some.with_columns(row))
        begin += len(part)
    found = pl.concat(parts)
    said = ["row", *FACT, "value_key", "sentence"]
    found = found.unique(said, keep="first", maintain_order=True)
    source = rows["source"].gather(found["row"]).alias("source")
    return found.with_columns(source, pl.Series("left", left[found["row"].to_numpy()]))


def _facts(statements: pl.DataFrame) -> int:
    return statements.select(FACT).unique().height


def _disputed(stated: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Statements of facts with several versions, `version` the value each stands for.

    Returns:
        The statements, and how many subjects had too many values to be one.
    """
    values = pl.col("value_key").filter("left").n_unique().over(FACT)
    several = stated.with_columns(values.alias("values")).filter(pl.col("values") > 1)
    clear = several.filter(pl.col("values") <= _MOST_VERSIONS)
    unclear = _facts(several) - _facts(clear)
    words = pl.col("value_key").str.extract_all(WORD).list.join(" ")
    clear = clear.with_columns(
        pl.when(words == "").then("value_key").otherwise(words).alias("said")
    )
    shorter = [
        {**dict(zip(FACT, fact, strict=True)), "said": said, "version": version}
        for *fact, keys in clear.group_by(FACT, maintain_order=True)
        .agg(pl.col("said").unique())
        .iter_rows()
        for said, version in _contained(keys).items()
    ]
    text = dict.fromkeys([*FACT, "said", "version"], pl.String)
    folded = pl.DataFrame(shorter, schema=text)
    versions = clear.join(folded, on=[*FACT, "said"], maintain_order="left")
    # A row that says a thing twice is one voice.
    return versions.with_columns(
        pl.struct("row", *VERSION).is_first_distinct().alias("first")
    ), unclear


def _contained(values: list[str]) -> dict[str, str]:
    """For each value the shortest one whose words it contains in a run, mostly itself."""
    ordered = sorted(values, key=lambda value: (value.count(" "), value))
    return {v: next(short for short in ordered if f" {short} " in f" {v} ") for v in values}


def _versions(disputed: pl.DataFrame) -> pl.DataFrame:
    """One line per version of a fact that more than one version is left of, with its support."""
    kept = pl.col("row").filter("left")
    return (
        disputed.group_by(VERSION, maintain_order=True)
        .agg(
            # The commonest spelling, in the order of letters among equals.
            pl.col("value").filter(pl.col("said") == pl.col("version")).sort()
            .mode(maintain_order=True).first(),
            pl.col("subject").sort().mode(maintain_order=True).first(),
            kept.n_unique().cast(pl.Int64).alias("texts"),
            # Rounded, so that what is equally often said is equal in whichever order it is added.
            pl.col("wording").filter(pl.col("left") & pl.col("first")).unique_counts().sqrt().sum()
            .round(6).alias("voices"),
            pl.col("row").n_unique().cast(pl.Int64).alias("rows"),
            pl.col("source").filter("left").n_unique().cast(pl.Int64).alias("sources"),
        )
        .filter(pl.col("texts") > 0)
        .filter(pl.len().over(FACT) > 1)
    )  # fmt: skip


def _judged(versions: pl.DataFrame, config: Contradictions) -> pl.DataFrame:
    """The versions with `ratio`, `decided` and `verdict`; see the module's docstring."""
    voices, most = pl.col("voices"), pl.col("voices").max().over(FACT)
    leads = voices == most
    single = leads.sum().over(FACT) == 1
    supported = pl.col("texts").filter(leads).max().over(FACT) >= config.support
    clear = single & supported & (2 * most > voices.sum().over(FACT))
    outvoted = clear & ~leads & (pl.col("ratio") >= config.ratio)
    decided = (outvoted | (clear & leads)).all().over(FACT)
    few = pl.len().over(FACT) <= _MOST_STRUCK
    gone = STRUCK if config.remedy == "strike" else QUARANTINED
    return (
        versions.with_columns((most / voices).round(6).alias("ratio"))
        .with_columns(decided.alias("decided"))
        .with_columns(
            pl.when(outvoted)
            .then(pl.lit(gone))
            .when(~pl.col("decided") & few & pl.lit(config.undecided == "strike"))
            .then(pl.lit(UNDECIDED))
            .when(single & leads)
            .then(pl.lit(MAJORITY))
            .otherwise(pl.lit(FLAGGED))
            .alias("verdict")
        )
    )
