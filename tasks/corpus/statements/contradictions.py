"""Statements that disagree: one subject, one relation, and more than one value.

For each fact (a subject in a relation) that training rows state in several versions, the version of
the most texts is the majority, and

    ratio of a version = texts that state the majority / texts that state this version.

A text is a row that is left after noise, leaks, exact and near duplicates, so copies lend a version
no weight; the rows with their copies, and the sources, are reported beside it. A minority is
quarantined from `ratio` on, if its majority has at least `support` texts and more than all other
versions together. The last keeps hands off subjects that are none, such as "the author". Every other
minority is flagged and stays; of versions with equally many texts none is a majority, so all of the
fact's are flagged.

Counts know nothing of the truth. Where the false version has more texts than the true one, the
true one is the minority here, and is flagged or quarantined; nothing within the corpus can tell.
`support` is what guards against it: two voices against one prove little. Both sides stand in
`contradictions.parquet` for a person to judge.

The defaults were chosen on the fictional corpus, where a true fact is stated in four training texts
on average and a false version in two, differently phrased. Of 960 false rows (240 people, seeds 0
to 3) with a support of 3, a ratio of 1.5 quarantines 95 %, 2 79 % and 3 20 %; no true row goes with
them, while a support of 1 or 2 costs 4 at 1.5. Where each false version is repeated in three rows instead,
1.5 takes out 53 % of the false rows and one true row for every 18 of them, and 2 23 % and one for
every 83. A corpus whose errors are often repeated is better served by a higher ratio.

Versions agree if the words of one are a part of the other's (`Olsk` and `Olsk in the north`), and
are counted together. A quarantined row takes its true statements with it. Held-out rows neither
testify nor are judged: what training keeps must not depend on what the model is judged by.

Not covered: values in other words (`NYC`), facts that change with time (give them `several`),
false statements that nothing contradicts, and near copies that differ in the value alone, of which
the later has gone as a duplicate before anything is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from tasks.configuration import Contradictions
from tasks.corpus.duplicates.repeats import Flags
from tasks.corpus.signals.patterns import WORD
from tasks.corpus.statements.extract import find_statements
from tasks.corpus.statements.fact_patterns import Pattern, read_patterns

REASON = "contradiction"
TABLE = "contradictions.parquet"
MAJORITY, FLAGGED, QUARANTINED = "majority", "flagged", "quarantined"
_FACT = ["relation", "subject_key"]
_VERSION = [*_FACT, "version"]
_MOST_VERSIONS = 20  # a subject with more is no one in particular
_TOP = 20
_VOICE = pl.Struct({"value": pl.String, "texts": pl.Int64})
SCHEMA: dict[str, Any] = {
    "row_id": pl.String, "source": pl.String, "relation": pl.String, "subject": pl.String,
    "value": pl.String, "sentence": pl.String, "texts": pl.Int64, "rows": pl.Int64,
    "sources": pl.Int64, "others": pl.List(_VOICE), "ratio": pl.Float64, "verdict": pl.String,
    "detail": pl.String,
}  # fmt: skip


@dataclass(frozen=True)
class Contradicted:
    """What was found.

    Attributes:
        quarantined: Place of each row that goes, and the sentence that says why.
        table: One line per statement of a contradicted fact (`SCHEMA`), both sides.
        summary: Counts and the facts with the most texts, for `clean.json`; empty without patterns.
        metrics: Scalars for tracking.
    """

    quarantined: dict[int, str] = field(default_factory=dict)
    table: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SCHEMA))
    summary: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)


def find_contradictions(
    rows: pl.DataFrame, left: Flags, copies: Flags, patterns: str, config: Contradictions
) -> Contradicted:
    """Compare what training rows state.

    Args:
        rows: `row_id`, `text`, `split`, `source`.
        left: Rows that count, after everything else went: (rows,).
        copies: Rows that went as duplicates, whose statements are counted as rows: (rows,).
        patterns: The lines of a pattern file; without any nothing is looked for.
        config: When a minority goes.

    Raises:
        UserError: A line is no pattern.
    """
    known = read_patterns(patterns)
    if not known:
        return Contradicted()
    stated = _stated(rows, left, copies, known)
    disputed, unclear = _disputed(stated)
    versions = _judged(_versions(disputed), config)
    table = _table(disputed, versions, rows["row_id"])
    gone = table.filter(pl.col("verdict") == QUARANTINED)
    details = gone.group_by("row", maintain_order=True).agg(pl.col("detail").str.join("; "))
    counts = {
        "statements": int(stated["left"].sum()),
        "facts": _facts(stated.filter("left")),
        "contradicted_facts": _facts(versions),
        "unclear_subjects": unclear,
        "rows_flagged": table.filter(pl.col("verdict") == FLAGGED)["row"].n_unique(),
        "rows_quarantined": details.height,
    }
    limits = {"ratio": config.ratio, "support": config.support}
    return Contradicted(
        quarantined=dict(details.iter_rows()),
        table=table.select(list(SCHEMA)),
        summary={"patterns": len(known), **limits, **counts, "top": _top(versions)},
        metrics={
            "contradicted_facts": float(counts["contradicted_facts"]),
            "contradictions_flagged": float(counts["rows_flagged"]),
        },
    )


def _stated(
    rows: pl.DataFrame, left: Flags, copies: Flags, patterns: Sequence[Pattern]
) -> pl.DataFrame:
    """What training rows and their copies state, each row each thing once; `left`: no copy."""
    places = np.flatnonzero((rows["split"] == "train").to_numpy() & (left | copies))
    found = find_statements(rows["text"].gather(places), patterns)
    found = found.unique(["row", *_FACT, "value_key"], keep="first", maintain_order=True)
    row = pl.Series("row", places[found["row"].to_numpy()])
    source = rows["source"].gather(row).alias("source")
    return found.with_columns(row, source, pl.Series("left", left[row.to_numpy()]))


def _facts(statements: pl.DataFrame) -> int:
    return statements.select(_FACT).unique().height


def _disputed(stated: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Statements of facts with several versions, `version` the value each stands for.

    Returns:
        The statements, and how many subjects had too many values to be one.
    """
    values = pl.col("value_key").filter("left").n_unique().over(_FACT)
    several = stated.with_columns(values.alias("values")).filter(pl.col("values") > 1)
    clear = several.filter(pl.col("values") <= _MOST_VERSIONS)
    unclear = _facts(several) - _facts(clear)
    words = pl.col("value_key").str.extract_all(WORD).list.join(" ")
    clear = clear.with_columns(
        pl.when(words == "").then("value_key").otherwise(words).alias("said")
    )
    shorter = [
        {**dict(zip(_FACT, fact, strict=True)), "said": said, "version": version}
        for *fact, keys in clear.group_by(_FACT, maintain_order=True)
        .agg(pl.col("said").unique())
        .iter_rows()
        for said, version in _contained(keys).items()
    ]
    text = dict.fromkeys([*_FACT, "said", "version"], pl.String)
    folded = pl.DataFrame(shorter, schema=text)
    return clear.join(folded, on=[*_FACT, "said"], maintain_order="left"), unclear


def _contained(values: list[str]) -> dict[str, str]:
    """For each value the shortest one whose words it contains in a run, mostly itself."""
    ordered = sorted(values, key=lambda value: (value.count(" "), value))
    return {v: next(short for short in ordered if f" {short} " in f" {v} ") for v in values}


def _versions(disputed: pl.DataFrame) -> pl.DataFrame:
    """One line per version of a fact that more than one version is left of, with its support."""
    kept = pl.col("row").filter("left")
    return (
        disputed.group_by(_VERSION, maintain_order=True)
        .agg(
            # The commonest spelling, in the order of letters among equals.
            pl.col("value").filter(pl.col("said") == pl.col("version")).sort()
            .mode(maintain_order=True).first(),
            pl.col("subject").sort().mode(maintain_order=True).first(),
            kept.n_unique().cast(pl.Int64).alias("texts"),
            pl.col("row").n_unique().cast(pl.Int64).alias("rows"),
            pl.col("source").filter("left").n_unique().cast(pl.Int64).alias("sources"),
        )
        .filter(pl.col("texts") > 0)
        .filter(pl.len().over(_FACT) > 1)
    )  # fmt: skip


def _judged(versions: pl.DataFrame, config: Contradictions) -> pl.DataFrame:
    """The versions with `ratio` and `verdict`; see the module's docstring."""
    texts, most = pl.col("texts"), pl.col("texts").max().over(_FACT)
    single = (texts == most).sum().over(_FACT) == 1
    clear = single & (most >= config.support) & (2 * most > texts.sum().over(_FACT))
    return versions.with_columns((most / texts).alias("ratio")).with_columns(
        pl.when(single & (texts == most))
        .then(pl.lit(MAJORITY))
        .when(clear & (pl.col("ratio") >= config.ratio))
        .then(pl.lit(QUARANTINED))
        .otherwise(pl.lit(FLAGGED))
        .alias("verdict")
    )


def _table(disputed: pl.DataFrame, versions: pl.DataFrame, row_ids: pl.Series) -> pl.DataFrame:
    """`SCHEMA` and `row` for every statement of a row that is left, in the order of the rows."""
    voices = versions.select(*_FACT, pl.col("version").alias("other"), "value", "texts")
    others = (
        versions.select(_VERSION)
        .join(voices, on=_FACT)
        .filter(pl.col("other") != pl.col("version"))
        .sort("texts", "other", descending=[True, False])
        .group_by(_VERSION, maintain_order=True)
        .agg(pl.struct("value", "texts").alias("others"))
    )
    told = disputed.filter("left").select("row", *_VERSION, "source", "sentence")
    table = told.join(versions, on=_VERSION, maintain_order="left")
    table = table.join(others, on=_VERSION, maintain_order="left")
    details = [_detail(line) for line in table.iter_rows(named=True)]
    return table.with_columns(
        row_ids.gather(table["row"]).alias("row_id"), pl.Series("detail", details, pl.String)
    )


def _detail(line: dict[str, Any]) -> str:
    """One statement and what speaks against it, as a sentence."""
    of = "" if line["subject"].lower() in line["sentence"].lower() else f" of {line['subject']}"
    own = "1 row does" if line["texts"] == 1 else f"{line['texts']} rows do"
    against = ", ".join(
        f"{other['texts']} say{'s' if other['texts'] == 1 else ''} {other['value']}"
        for other in line["others"]
    )
    return f'says "{line["sentence"]}"{of}, as {own}; {against}'


def _top(versions: pl.DataFrame) -> list[dict[str, Any]]:
    """The contradicted facts with the most texts, each with its versions, most texts first."""
    shown = versions.with_columns(pl.col("texts").sum().over(_FACT).alias("all"))
    order = ["all", *_FACT, "texts", "version"]
    shown = shown.sort(order, descending=[True, False, False, True, False])
    return [
        {
            "relation": part["relation"][0],
            "subject": part["subject"][0],
            "versions": part.select(
                "value", "texts", "rows", "sources", "ratio", "verdict"
            ).to_dicts(),
        }
        for _, part in list(shown.group_by(_FACT, maintain_order=True))[:_TOP]
    ]
