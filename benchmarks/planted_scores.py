"""Cleaning against the known truth: which planted defects it finds, and what else it accuses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tasks.configuration import Cleaning, Defects, Profiling, Source
from tasks.corpus.clean import clean
from tasks.corpus.ingest import ingest
from tasks.corpus.profile import profile
from tasks.corpus.sources.fictional import generate
from tasks.corpus.statements.fact_patterns import fictional_patterns
from tasks.corpus.statements.listing import FLAGGED, QUARANTINED, STRUCK, UNDECIDED
from tasks.evaluation.bootstrap import wilson
from tasks.log import Log
from tasks.records import Outcome

# kind of planted defect -> where cleaning says that it found one, and what it calls it
FOUND = {
    "exact_duplicate": ("quarantine", "exact_duplicate"),
    "near_duplicate": ("quarantine", "near_duplicate"),
    "leak": ("quarantine", "test_leak"),
    "leak_inside": ("quarantine", "test_leak"),
    "gibberish": ("quarantine", "gibberish"),
    "mojibake": ("repairs", "mojibake"),
    "mojibake_case": ("repairs", "mojibake"),
    "markup": ("repairs", "markup"),
    "email": ("repairs", "email"),
    "boilerplate": ("repairs", "boilerplate"),
    "typos": ("signals", "typo_ratio"),
    "false_fact": ("contradictions", "outvoted"),
    "false_fact_flagged": ("contradictions", "disputed"),
}
# Above it the noise suite warns of a row and names the worst; what is a slip depends on the other rows,
# so no row is quarantined for it.
TYPO_RATIO = 0.1
# Verdicts on a statement, by what they are called above.
VERDICTS = {
    "outvoted": (QUARANTINED, STRUCK),
    "disputed": (QUARANTINED, STRUCK, UNDECIDED, FLAGGED),
}
# Kinds that count several planted ones, by their names in the table of the planted.
PLANTED = {"false_fact_flagged": ("false_fact",)}
LEAKS = ("leak", "leak_inside")


@dataclass(frozen=True)
class Night:
    """What came of a corpus with planted defects."""

    raw: pl.DataFrame
    planted: pl.DataFrame
    kept: pl.DataFrame
    quarantine: pl.DataFrame
    repairs: pl.DataFrame
    contradictions: pl.DataFrame
    signals: pl.DataFrame
    again: pl.DataFrame
    outcome: Outcome


@dataclass(frozen=True)
class Score:
    """True, false and missed findings of one kind."""

    true: int
    false: int
    missed: int

    def __add__(self, other: Score) -> Score:
        return Score(self.true + other.true, self.false + other.false, self.missed + other.missed)

    @property
    def precision(self) -> float:
        """Share of the findings that are right; of none, 0."""
        return self.true / max(1, self.true + self.false)

    @property
    def recall(self) -> float:
        """Share of the planted that is found."""
        return self.true / max(1, self.true + self.missed)

    def interval(self, name: str) -> tuple[float, float]:
        """Wilson's 95 % interval of `precision` or `recall`."""
        rows = self.true + (self.false if name == "precision" else self.missed)
        return wilson(getattr(self, name), rows) if rows else (0.0, 1.0)


def clean_fictional(people: int, seed: int, root: Path) -> Night:
    """Ingest, profile, clean and profile the fictional corpus in folders under `root`."""
    ingested = root / "ingested"
    ingested.mkdir(parents=True)
    ingest.fn(config=Source(people=people), seed=seed, content="fictional", out=ingested, log=Log())
    planted = generate(people, Defects(), seed).planted
    return clean_planted(ingested, planted, root, fictional_patterns())


def clean_planted(ingested: Path, planted: pl.DataFrame, root: Path, patterns: str = "") -> Night:
    """Profile, clean and profile again the corpus in a folder."""
    folders = {name: root / name for name in ("profiled", "cleaned", "profiled_again")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    profiled, cleaned, again = folders.values()
    profile.fn(ingested, config=Profiling(), out=profiled, log=Log())
    outcome = clean.fn(
        ingested, profiled, config=Cleaning(), patterns=patterns, out=cleaned, log=Log()
    )
    profile.fn(cleaned, config=Profiling(), out=again, log=Log())
    disputed = pl.DataFrame(schema={"row_id": pl.String, "verdict": pl.String})
    if (cleaned / "contradictions.parquet").exists():
        disputed = pl.read_parquet(cleaned / "contradictions.parquet")
    return Night(
        raw=pl.read_parquet(ingested / "corpus.parquet"),
        planted=planted,
        kept=pl.read_parquet(cleaned / "corpus.parquet"),
        quarantine=pl.read_parquet(cleaned / "quarantine.parquet"),
        repairs=pl.read_parquet(cleaned / "repairs.parquet"),
        contradictions=disputed,
        signals=pl.read_parquet(profiled / "signals.parquet"),
        again=pl.read_parquet(again / "signals.parquet"),
        outcome=outcome,
    )


def found_rows(night: Night, kind: str) -> set[str]:
    """The rows that cleaning says have this defect."""
    table, name = FOUND[kind]
    if table == "quarantine":
        rows = night.quarantine.filter(pl.col("reason") == name)
    elif table == "repairs":
        rows = night.repairs.filter(pl.col("rule") == name)
    elif table == "signals":
        rows = night.signals.filter((pl.col("split") == "train") & (pl.col(name) > TYPO_RATIO))
    else:
        rows = night.contradictions.filter(pl.col("verdict").is_in(VERDICTS[name]))
    return set(rows["row_id"])


def struck_rows(night: Night) -> set[str]:
    """The rows that lost a disputed sentence."""
    rows = night.contradictions.filter(pl.col("verdict").is_in([STRUCK, UNDECIDED]))
    return set(rows["row_id"])


def score(night: Night, kind: str) -> Score:
    """How a kind was found. Of a copy and its original either may be kept.

    Where two kinds are found under one name, a finding of either is right.
    """
    found = found_rows(night, kind)
    pairs = _pairs(night, kind)
    named = [other for other, place in FOUND.items() if place == FOUND[kind]]
    right = {row for other in named for pair in _pairs(night, other) for row in pair}
    hits = sum(bool(found & set(pair)) for pair in pairs)
    return Score(hits, len(found - right), len(pairs) - hits)


def _pairs(night: Night, kind: str) -> list[tuple[str, str]]:
    """Each planted row and what it is a copy of, itself if it is none; a leak's origin is innocent."""
    rows = night.planted.filter(pl.col("kind").is_in(planted_as(kind)))
    own = kind in LEAKS
    return [(r, r if own else o or r) for r, o in rows.select("row_id", "origin").iter_rows()]


def planted_as(kind: str) -> tuple[str, ...]:
    """The names of a kind in the table of what was planted."""
    return PLANTED.get(kind, (kind,))


def table(scores: dict[str, Score]) -> str:
    """The scores as lines, with their intervals."""
    lines = [f"{'kind':<20} planted  true false missed  precision (95 %)      recall (95 %)"]
    for kind, s in scores.items():
        (p_low, p_high), (r_low, r_high) = s.interval("precision"), s.interval("recall")
        lines.append(
            f"{kind:<20} {s.true + s.missed:7} {s.true:5} {s.false:5} {s.missed:6}  "
            f"{s.precision:.3f} ({p_low:.3f}-{p_high:.3f})  {s.recall:.3f} ({r_low:.3f}-{r_high:.3f})"
        )
    return "\n".join(lines)
