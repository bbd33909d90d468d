"""The verdict, the comparisons behind it, and the figures that a reader looks for first."""

from __future__ import annotations

import re
from typing import Any

from tasks.promotion.page import numbers
from tasks.promotion.page.gauges import verdict_gauge
from tasks.promotion.page.read import Shelf, figure

_WORDS = {
    "promote": ("Promoted", "good", "The candidate becomes champion"),
    "first": ("First champion", "good", "The candidate is the first champion"),
    "refuse": ("Refused", "bad", "The candidate is not let through"),
}
# What the headline is made of: name, stage, file, path in it, unit, anchor, meaning.
_FIGURES = (
    ("accuracy", "Accuracy", "quality", "accuracy", "share", "of the test rows"),
    ("macro_f1", "Macro F1", "quality", "macro_f1", "share", "every class counts alike"),
    ("hallucinated", "Hallucinated", "hallucination", "hallucinated", "share", "of the probes"),
    ("correct", "Facts right", "hallucination", "correct", "share", "of the probes"),
    ("abstained", "Abstained", "hallucination", "abstained", "share", "of the probes"),
    ("ece", "Calibration error", "calibration", "ece", "share", "confidence against accuracy"),
    ("accuracy_gap", "Group gap", "group_metrics", "accuracy_gap", "points", "best to worst group"),
    (
        "accuracy_under_attack", "Under attack", "robustness", "accuracy_under_attack", "share",
        "right after typing errors",
    ),
    ("mlm_loss", "Masked-token loss", "quality", "mlm_loss", "nats per token", "held-out text"),
)  # fmt: skip


def verdict(shelf: Shelf) -> dict[str, Any]:
    """The verdict as words and a table."""
    found = shelf.facts("decide", "decision.json")
    if not found:
        return {
            "verdict": "none", "word": "No verdict", "style": "none", "margins": [], "floors": [],
            "sentence": shelf.why_not("decide") or "The decision left no result.",
            "reasons": [], "level": None,
        }  # fmt: skip
    word, style, lead = _WORDS.get(found["verdict"], (found["verdict"], "none", "The verdict"))
    rows = [comparison_row(c) for c in found["comparisons"]]
    reasons = re.sub(r"-(?=\d)", numbers.MINUS, "; ".join(found["reasons"]))
    return {
        "verdict": found["verdict"],
        "word": word,
        "style": style,
        "sentence": f"{lead}: {reasons}.",
        "reasons": found["reasons"],
        "level": numbers.percent(found.get("level", 0.95), 0),
        "margins": [r for r in rows if r["kind"] == "margin"],
        "floors": [r for r in rows if r["kind"] == "floor"],
    }


def comparison_row(c: dict[str, Any]) -> dict[str, Any]:
    """A line of the table of comparisons."""
    unit, floor = c.get("unit", "share"), c["kind"] == "floor"
    ours, theirs, difference = (figure(c.get(k)) for k in ("candidate", "champion", "difference"))
    shown = ours if floor else difference
    gauge = None
    if shown and c.get("limit") is not None:
        gauge = verdict_gauge(
            shown,
            c["limit"],
            higher_is_better=c["higher_is_better"],
            floor=floor,
            passed=c["passed"],
        )
    style, word = _result(c)
    sign = "\u2265" if c.get("higher_is_better") else "\u2264"
    in_words = numbers.of_unit if floor else numbers.points
    return {
        "name": c["name"],
        "kind": c["kind"],
        "rows": f"{c['rows']:,} {_counted(c['name'])}" if c.get("rows") else "",
        "unit": "" if unit in ("share", "points") else unit,
        "candidate": numbers.of_unit(ours["value"], unit) if ours else numbers.DASH,
        "candidate_span": numbers.span(ours, unit),
        "champion": numbers.of_unit(theirs["value"], unit) if theirs else numbers.DASH,
        "champion_span": numbers.span(theirs, unit),
        "difference": numbers.points(difference["value"], unit) if difference else numbers.DASH,
        "difference_span": numbers.points_span(difference, unit),
        "limit": numbers.DASH if c.get("limit") is None else f"{sign} {in_words(c['limit'], unit)}",
        "gauge": gauge,
        "style": style,
        "word": word,
        "why": c.get("why") or ("not proven" if c["passed"] and not c.get("proven", True) else ""),
    }


def _counted(name: str) -> str:
    return "probes" if "hallucinated" in name else "rows"


def _result(c: dict[str, Any]) -> tuple[str, str]:
    if c["passed"] is None:
        return "none", "cannot tell" if c.get("candidate") else "not judged"
    if not c["passed"]:
        return "bad", "fails"
    return "good", "holds"


def cards(shelf: Shelf) -> list[dict[str, Any]]:
    """Headline figures with their intervals, beside the champion's where there is one."""
    made = []
    for _, name, stage, key, unit, meaning in _FIGURES:
        found = figure(shelf.facts(stage, f"{stage}.json").get(key))
        theirs = figure(shelf.facts(f"champion_{stage}", f"{stage}.json").get(key))
        if found is None and stage not in shelf:
            continue
        made.append(
            {
                "name": name,
                "value": numbers.of_unit(found["value"], unit) if found else numbers.DASH,
                "span": numbers.span(found, unit) if found else "",
                "meaning": meaning if unit != "nats per token" else f"{unit}, {meaning}",
                "champion": numbers.of_unit(theirs["value"], unit) if theirs else "",
                "why": "" if found else shelf.why_not(stage) or "No such figure.",
                "anchor": stage,
            }
        )
    return made


def headline(shelf: Shelf) -> dict[str, float]:
    """The figures that compare across nights, flat; what was not measured is left out."""
    found: dict[str, float] = {}
    for key, _, stage, path, _, _ in _FIGURES:
        value = figure(shelf.facts(stage, f"{stage}.json").get(path))
        if value is not None:
            found[key] = value["value"]
    rows = [o.rows for t in ("ingest", "clean") if (o := shelf.outcome(t)) and o.rows]
    if rows:
        found["rows_kept"] = float(rows[-1].kept)
        found["rows_quarantined"] = float(sum(r.quarantined for r in rows))
    decided = shelf.facts("decide", "decision.json")
    if decided:
        found["promoted"] = float(decided["verdict"] != "refuse")
    return found
