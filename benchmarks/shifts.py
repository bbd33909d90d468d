"""The corpus that drift is measured on, the shifts put into it, and who looks for them.

Detectors are held to one false-alarm rate: each alarms above the 95 % quantile of its own values
over draws without a shift. `suite` is the line of the suite `drift` itself.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from scipy import stats

from expectations.comparing import compare
from tasks.configuration import Configuration, Profiling
from tasks.corpus.drift.topics import Language, learn
from tasks.corpus.ingest import ingest
from tasks.corpus.profile import profile
from tasks.corpus.signals.wordgrams import split_words
from tasks.log import Log

Curves = dict[str, dict[str, list[tuple[float, float]]]]
ALARM = 0.05
COMMON = 100  # words whose counts SciPy's table holds
SHIFTS = {
    "mean word length (standard deviations)": (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4),
    "share of rows whose source changed": (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3),
    "share of the words replaced": (0.0, 0.01, 0.02, 0.05, 0.1, 0.2),
}


class Corpus(NamedTuple):
    """Rows to draw from, with signals and texts, and what topics are found with."""

    rows: pl.DataFrame
    texts: pl.Series
    language: Language

    def draw(self, rows: int, rng: np.random.Generator) -> tuple[pl.DataFrame, pl.Series]:
        """So many rows with replacement."""
        places = rng.integers(0, self.rows.height, rows)
        return self.rows[places], self.texts.gather(places)


def real(folder: Path) -> pl.DataFrame:
    """Reviews with a label, and sentences of Wikipedia with the group that they speak of."""
    reviews = pl.read_parquet(folder / "sentiment" / "mr_polarity.parquet").select(
        "text", pl.col("label").cast(pl.String), source=pl.lit("reviews"),
        group_kind=pl.lit(None, pl.String),
    )  # fmt: skip
    wiki = pl.read_parquet(folder / "pretrain_wiki" / "bold_wiki.parquet").select(
        "text", label=pl.lit(None, pl.String), source=pl.col("domain"), group_kind=pl.col("group")
    )
    both = pl.concat([reviews, wiki]).sample(12_000, seed=0, shuffle=True)
    ids = pl.Series("row_id", [f"{place:06}-0" for place in range(both.height)])
    return both.with_columns(ids, pl.lit("train").alias("split"))


def load() -> Corpus:
    """The corpus, measured once."""
    with tempfile.TemporaryDirectory() as place:
        raw, measured = Path(place, "raw"), Path(place, "measured")
        raw.mkdir(), measured.mkdir()
        if data := os.environ.get("PLUMBLINE_DATA"):
            real(Path(data)).write_parquet(raw / "corpus.parquet")
        else:
            settings = Configuration(source={"people": 1000}).source
            ingest.fn(config=settings, seed=1, content="", out=raw, log=Log())
        profile.fn(raw, config=Profiling(), out=measured, log=Log())
        signals = pl.read_parquet(measured / "signals.parquet")
        texts = pl.read_parquet(raw / "corpus.parquet", columns=["text"])["text"]
    learnt = np.random.default_rng(0).random(len(texts)) < 0.2
    language = learn(split_words(texts.filter(learnt)), most_words=2000, topics=16, seed=0)
    rows, texts = signals.filter(~learnt), texts.filter(~learnt)
    return Corpus(rows.hstack(language.describe(split_words(texts))), texts, language)


def ours(column: str, statistic: str) -> Callable[..., float]:
    """A statistic of ours on a column."""

    def measure(tonight: Any, reference: Any) -> float:
        return _found(tonight, reference, column, statistic, 1.0).value

    return measure


def suite_line(column: str, statistic: str, threshold: float, level: float) -> Callable[..., float]:
    """A line of the suite: 1 where it fails."""

    def measure(tonight: Any, reference: Any) -> float:
        found = _found(tonight, reference, column, statistic, level)
        return float(found.value > threshold and found.p <= level)

    return measure


def _found(tonight: Any, reference: Any, column: str, statistic: str, level: float) -> Any:
    return compare(
        tonight[0][column].to_numpy(), reference[0][column].to_numpy(), statistic, level
    ).distance


def scipy_numbers(tonight: Any, reference: Any) -> float:
    """Minus the logarithm of ks_2samp's p on `mean_word_length`."""
    sides = (side[0]["mean_word_length"].to_numpy() for side in (tonight, reference))
    return -math.log(max(stats.ks_2samp(*sides, method="asymp").pvalue, 1e-300))


def scipy_names(tonight: Any, reference: Any) -> float:
    """Minus the logarithm of chi2_contingency's p on `source`."""
    counts = [dict(side[0]["source"].value_counts().iter_rows()) for side in (tonight, reference)]
    names = sorted(set(counts[0]) | set(counts[1]))
    return _contingency([[count.get(name, 0) for name in names] for count in counts])


def scipy_words(corpus: Corpus) -> Callable[..., float]:
    """Minus the logarithm of chi2_contingency's p on counts of the commonest words."""
    common = corpus.language.words.head(COMMON)

    def measure(tonight: Any, reference: Any) -> float:
        table = []
        for _, texts in (tonight, reference):
            words = split_words(texts)
            counts = np.bincount(words.ids, minlength=len(words.vocabulary))
            held = dict(zip(words.vocabulary, counts.tolist(), strict=True))
            known = [held.get(word, 0) for word in common]
            table.append([*known, int(counts.sum()) - sum(known)])
        return _contingency(table)

    return measure


def _contingency(table: list[list[int]]) -> float:
    filled = np.array(table)
    filled = filled[:, filled.sum(axis=0) > 0]
    return -math.log(max(stats.chi2_contingency(filled).pvalue, 1e-300))


def shifted(corpus: Corpus, kind: str, size: float, side: Any, rng: np.random.Generator) -> Any:
    """One side with a shift."""
    rows, texts = side
    chosen = rng.random(rows.height) < size
    if kind.startswith("mean"):
        spread = float(np.std(corpus.rows["mean_word_length"].to_numpy()))
        return rows.with_columns(pl.col("mean_word_length") + size * spread), texts
    if kind.endswith("changed"):
        usual = corpus.rows["source"].mode().sort()[0]
        changed = pl.when(pl.Series(chosen)).then(pl.lit(usual)).otherwise(pl.col("source"))
        return rows.with_columns(changed.alias("source")), texts
    replaced = pl.Series([_replaced(text, size, rng) for text in texts])
    described = corpus.language.describe(split_words(replaced))
    return rows.with_columns(described), replaced


def _replaced(text: str, share: float, rng: np.random.Generator) -> str:
    """A share of the words exchanged for words that nobody has seen."""
    words = text.split()
    for place in np.flatnonzero(rng.random(len(words)) < share):
        words[place] = f"zq{rng.integers(500)}x"
    return " ".join(words)


def detectors(corpus: Corpus, level: float) -> dict[str, dict[str, Callable[..., float]]]:
    """Who looks for which shift."""
    mean, share, vocabulary = SHIFTS
    return {
        mean: {
            **{name: ours("mean_word_length", name) for name in ("ks", "js", "psi")},
            "scipy ks_2samp": scipy_numbers,
            "suite": suite_line("mean_word_length", "ks", 0.1, level),
        },
        share: {
            "linf": ours("source", "linf"), "js": ours("source", "js"),
            "chi2": ours("source", "chi2"), "scipy chi2_contingency": scipy_names,
            "suite": suite_line("source", "linf", 0.1, level),
        },
        vocabulary: {
            "familiar_share": ours("familiar_share", "ks"), "topic": ours("topic", "chi2"),
            "scipy chi2_contingency": scipy_words(corpus),
            "suite": suite_line("familiar_share", "ks", 0.1, level),
        },
    }  # fmt: skip


def power(corpus: Corpus, draws: int, rows: int, level: float) -> Curves:
    """For each kind of shift and detector: (size, share of the draws in which it alarms)."""
    curves: Curves = {}
    for kind, asked in detectors(corpus, level).items():
        limits: dict[str, float] = {}
        curves[kind] = {name: [] for name in asked}
        for size in SHIFTS[kind]:
            values: dict[str, list[float]] = {name: [] for name in asked}
            for draw in range(2 * draws if not size else draws):
                rng = np.random.default_rng([2, draw, round(1000 * size)])
                reference, side = corpus.draw(rows, rng), corpus.draw(rows, rng)
                tonight = shifted(corpus, kind, size, side, rng) if size else side
                for name, measure in asked.items():
                    values[name].append(measure(tonight, reference))
            if not size:  # the limits come from half of the unshifted draws, the rate from the rest
                limits = {n: float(np.quantile(v[:draws], 1 - ALARM)) for n, v in values.items()}
                limits["suite"] = 0.5
                values = {n: v[draws:] for n, v in values.items()}
            for name, found in values.items():
                curves[kind][name].append((size, float(np.mean(np.array(found) > limits[name]))))
    return curves
