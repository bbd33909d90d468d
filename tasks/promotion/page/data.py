"""The data: where rows went, why, what was repaired, and how the signals moved."""

from __future__ import annotations

from typing import Any

import polars as pl

from tasks.promotion.page import numbers
from tasks.promotion.page.difference import changes
from tasks.promotion.page.plots import Line, histogram, legend
from tasks.promotion.page.read import Shelf

_DATA_STAGES = ("ingest", "clean", "augment")
_EXAMPLES = 2
_REASONS = 20
_FACTS = 8
_DEFECTS = (
    ("is_exact_duplicate", "exact duplicates of another row"),
    ("is_near_duplicate", "near duplicates of another row"),
    ("is_test_leak", "rows that hold text of the test split"),
    ("is_probe_leak", "rows that state a fact probe word for word"),
    ("repeated_span_ratio", "rows with passages that other documents repeat"),
    ("seen_before", "rows that the earlier night had"),
    ("near_seen_before", "rows nearly the same as one that the earlier night had"),
    ("mojibake_score", "rows with mojibake"),
    ("markup_count", "rows with markup"),
    ("boilerplate_count", "rows with boilerplate"),
    ("control_characters", "rows with control characters"),
    ("pii_count", "rows with personal data (e-mail, phone, IP address, card or account number)"),
)
_SIGNALS = (
    ("words", "words per row"),
    ("mean_word_length", "mean word length (characters)"),
    ("symbol_ratio", "share of symbols"),
    ("stopword_ratio", "share of stop words"),
    ("unique_word_ratio", "share of distinct words"),
    ("gibberish_score", "gibberish score (0 to 1)"),
    ("language_confidence", "language confidence (0 to 1)"),
    ("alpha_ratio", "share of letters"),
)


def conservation(shelf: Shelf) -> dict[str, Any]:
    """The conservation law of each data stage, and the same rows counted again in the files."""
    rows, quarantined, checked = [], 0, True
    entered = kept = None
    for title in _DATA_STAGES:
        outcome = shelf.outcome(title)
        law = outcome.rows if outcome else None
        if law is None:
            continue
        entered = law.entered if entered is None else entered
        holds = law.entered == law.kept + law.quarantined and (kept in (None, law.entered))
        counted = _recount(shelf, title)
        agrees = counted in (None, (law.kept + law.added, law.quarantined))
        kept, quarantined = law.kept, quarantined + law.quarantined
        checked = checked and holds and agrees
        rows.append(
            {
                "title": title, "entered": numbers.count(law.entered),
                "kept": numbers.count(law.kept), "quarantined": numbers.count(law.quarantined),
                "added": numbers.count(law.added), "holds": holds and agrees,
                "recounted": counted is not None,
                "summary": outcome.summary if outcome else "",
            }
        )  # fmt: skip
    if entered is None or kept is None:
        return {"rows": [], "why": shelf.why_not("ingest") or "No data stage reported rows."}
    return {
        "rows": rows,
        "why": "",
        "holds": checked and entered == kept + quarantined,
        "law": f"{entered:,} in = {kept:,} kept + {quarantined:,} quarantined",
        "added": numbers.count(sum(o.rows.added for o in _outcomes(shelf) if o.rows)),
    }


def _outcomes(shelf: Shelf) -> list[Any]:
    return [o for title in _DATA_STAGES if (o := shelf.outcome(title))]


def _recount(shelf: Shelf, title: str) -> tuple[int, int] | None:
    """Rows in the stage's own files: (passed on, quarantined)."""
    passed = shelf.count(title, "corpus.parquet")
    if passed is None:
        return None
    return passed, shelf.count(title, "quarantine.parquet") or 0


def splits(shelf: Shelf) -> list[dict[str, str]]:
    """Rows per split at the beginning and after cleaning."""
    counts: dict[str, dict[str, int]] = {}
    for title in ("ingest", "clean"):
        frame = shelf.frame(title, "corpus.parquet", ("split",))
        if frame.height:
            for split, rows in frame.group_by("split").len().iter_rows():
                counts.setdefault(str(split), {})[title] = rows
    order = {name: i for i, name in enumerate(("train", "validation", "test", "serving"))}
    return [
        {"split": s, **{t: numbers.count(counts[s].get(t)) for t in ("ingest", "clean")}}
        for s in sorted(counts, key=lambda s: (order.get(s, 9), s))
    ]


def quarantine(shelf: Shelf) -> list[dict[str, Any]]:
    """Why rows were taken out: rows per reason and stage, with examples that can be read."""
    columns = ("row_id", "text", "reason", "detail", "split")
    frames = [
        frame.with_columns(pl.lit(title).alias("by"))
        for title in ("ingest", "clean")
        if (frame := shelf.frame(title, "quarantine.parquet", columns)).height
    ]
    if not frames:
        return []
    rows = pl.concat(frames, how="diagonal_relaxed").sort("by", "reason", "row_id")
    counts = rows.group_by("reason", "by").len().sort(["len", "reason"], descending=[True, False])
    most = counts["len"].max()
    made = []
    for reason, by, n in counts.head(_REASONS).iter_rows():
        some = rows.filter((pl.col("reason") == reason) & (pl.col("by") == by)).head(_EXAMPLES)
        made.append(
            {
                "reason": numbers.words(str(reason)), "by": by, "rows": numbers.count(n),
                "width": 100 * n / float(most or 1),  # type: ignore[arg-type]
                "examples": [
                    {
                        "row_id": r["row_id"], "detail": r.get("detail") or "",
                        "text": numbers.cut(r.get("text") or "(no text)", 180),
                    }
                    for r in some.to_dicts()
                ],
            }
        )  # fmt: skip
    return made


def contradictions(shelf: Shelf) -> dict[str, Any]:
    """Facts that training rows state differently, each version with what speaks for it."""
    found = shelf.facts("clean", "clean.json").get("contradictions")
    if not isinstance(found, dict):
        return {}
    styles = {
        "majority": ("good", "most"), "quarantined": ("bad", "quarantined"), "struck": ("bad", "struck"),
        "undecided": ("warn", "struck, undecided"),
    }  # fmt: skip
    return {
        "counts": {
            name: numbers.count(found[name])
            for name in (
                "facts", "contradicted_facts", "facts_undecided", "rows_flagged", "rows_quarantined",
                "rows_struck",
            )
        },
        "ratio": numbers.plain(found["ratio"], 1),
        "support": numbers.count(found["support"]),
        "facts": [
            {
                "subject": numbers.cut(fact["subject"], 80),
                "relation": numbers.words(fact["relation"]),
                "versions": [
                    {
                        "value": numbers.cut(v["value"], 80), "texts": numbers.count(v["texts"]),
                        "voices": numbers.plain(v["voices"], 1),
                        "rows": numbers.count(v["rows"]), "sources": numbers.count(v["sources"]),
                        "style": styles.get(v["verdict"], ("", ""))[0],
                        "word": styles.get(v["verdict"], ("", "flagged"))[1],
                    }
                    for v in fact["versions"]
                ],
            }
            for fact in found["top"][:_FACTS]
        ],
    }  # fmt: skip


def released(shelf: Shelf) -> list[dict[str, str]]:
    """Rows that a person took out of quarantine and cleaning therefore kept, per reason."""
    reasons = shelf.facts("clean", "clean.json").get("released") or {}
    return [
        {"reason": numbers.words(str(reason)), "rows": numbers.count(found["rows"])}
        for reason, found in sorted(reasons.items(), key=lambda item: -item[1]["rows"])
    ]


def repairs(shelf: Shelf) -> list[dict[str, Any]]:
    """Rows per repair rule, each with one row before and after."""
    done = shelf.frame("clean", "repairs.parquet")
    if not done.height or "rule" not in done.columns:
        return []
    counts = done.group_by("rule").len().sort(["len", "rule"], descending=[True, False])
    texts = _texts_around_cleaning(shelf, done)
    made = []
    for rule, rows in counts.iter_rows():
        ids = set(done.filter(pl.col("rule") == rule)["row_id"])
        alone = texts.filter(pl.col("row_id").is_in(list(ids))) if texts.height else texts
        example = None
        if alone.height:
            first = alone.sort("rules", "length", "row_id").row(0, named=True)
            old, new = changes(first["before"], first["after"])
            example = {"row_id": first["row_id"], "before": old, "after": new}
        made.append(
            {"rule": numbers.words(str(rule)), "rows": numbers.count(rows), "example": example}
        )
    return made


def _texts_around_cleaning(shelf: Shelf, done: pl.DataFrame) -> pl.DataFrame:
    """Repaired rows that were kept: text before and after, and how many rules touched them."""
    before = shelf.frame("ingest", "corpus.parquet", ("row_id", "text"))
    after = shelf.frame("clean", "corpus.parquet", ("row_id", "text"))
    if not before.height or not after.height:
        return pl.DataFrame()
    rules = done.group_by("row_id").agg(pl.col("rule").n_unique().alias("rules"))
    return (
        rules.join(before.rename({"text": "before"}), on="row_id")
        .join(after.rename({"text": "after"}), on="row_id")
        .filter(pl.col("before") != pl.col("after"))
        .with_columns(pl.col("before").str.len_chars().alias("length"))
    )


def defects(shelf: Shelf) -> list[dict[str, str]]:
    """Rows with each defect before and after cleaning."""
    before, after = (shelf.frame(t, "signals.parquet") for t in ("profile", "profile_clean"))
    counts = [(name, _positive(before, c), _positive(after, c)) for c, name in _DEFECTS]
    return [
        {"name": name, "before": numbers.count(old), "after": numbers.count(new)}
        for name, old, new in counts
        if old is not None or new is not None
    ]


def _positive(frame: pl.DataFrame, column: str) -> int | None:
    if column not in frame.columns:
        return None
    return int(frame.select((pl.col(column).cast(pl.Float64) > 0).sum()).item())


def signals(shelf: Shelf) -> dict[str, Any]:
    """Histograms of the signals that show noise best and of the user's own, before and after cleaning.

    Beside them a line for every signal that was measured, from the list that profile left.
    """
    before, after = (shelf.frame(t, "signals.parquet") for t in ("profile", "profile_clean"))
    facts = [shelf.facts(title, "profile.json") for title in ("profile", "profile_clean")]
    lines = facts[0].get("signals") or facts[1].get("signals") or {}
    own = [(name, lines.get(name, name)) for name in facts[0].get("own_signals") or []]
    drawn = []
    for column, label in (*_SIGNALS, *own):
        values = [_values(f, column) for f in (before, after)]
        if values[0] or values[1]:
            drawn.append(histogram(values[0], values[1], label))
    keys = [Line("before cleaning", (), "c0"), Line("after cleaning", (), "c1")]
    names = {name for name, _ in own}
    return {
        "plots": drawn,
        "legend": legend(keys),
        "all": [
            {
                "name": name, "help": line, "own": name in names,
                "before": _spread(facts[0], name), "after": _spread(facts[1], name),
            }
            for name, line in lines.items()
        ],
    }  # fmt: skip


def _spread(facts: dict[str, Any], name: str) -> str:
    """A signal's median and the bounds of its middle 98 %, such as `12 (3 to 41)`."""
    found = (facts.get("quantiles") or {}).get(name) or {}
    low, middle, high = (found.get(q) for q in ("0.01", "0.5", "0.99"))
    if low is None or middle is None or high is None:
        return ""
    return f"{middle:.4g} ({low:.4g} to {high:.4g})"


def _values(frame: pl.DataFrame, column: str) -> list[float]:
    if column not in frame.columns:
        return []
    values = frame[column].cast(pl.Float64)
    return [v for v in values.drop_nulls().drop_nans().to_list() if abs(v) != float("inf")]
