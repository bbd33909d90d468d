"""What the model said when it was asked for facts, and when it was attacked."""

from __future__ import annotations

from typing import Any

from tasks.promotion.page import numbers
from tasks.promotion.page.difference import changes
from tasks.promotion.page.figures import figures
from tasks.promotion.page.plots import Line, line_chart
from tasks.promotion.page.read import Shelf, figure

_MOST_RELATIONS = 14
_WORST = 10
_ATTACKS = 6
_OUTCOMES = (("correct", "good"), ("abstained", "quiet"), ("hallucinated", "bad"))


def hallucination(shelf: Shelf) -> dict[str, Any]:
    """Shares of the three outcomes, the risk-coverage curve, and the surest errors."""
    found = shelf.facts("hallucination", "hallucination.json")
    curve = found.get("risk_coverage") or []
    theirs = shelf.facts("champion_hallucination", "hallucination.json")
    bars = [("candidate", found), ("champion", theirs)]
    lines = [
        Line(name, [(p["coverage"], p["risk"]) for p in f.get("risk_coverage") or []], style)
        for name, f, style in (("candidate", found, "c1"), ("champion", theirs, "c0"))
    ]
    return {
        "why": shelf.why_not("hallucination") or ("" if found else "No result was written."),
        "tau": numbers.plain(found.get("tau"), 2),
        "probes": numbers.count(found.get("probes")),
        "bars": [_outcome_bar(name, f) for name, f in bars if _is_judged(f)],
        "figures": figures(found, ("correct", "abstained", "hallucinated"), "share")
        + figures({"if_made_to_answer": found.get("accuracy")}, ("if_made_to_answer",), "share")
        + figures(found, ("aurc",), "0 to 1"),
        "relations": [
            _outcome_bar(numbers.words(str(r["relation"])), r)
            for r in _by_relation(found)[:_MOST_RELATIONS]
        ],
        "curve": line_chart(lines, "coverage (share of probes answered)", "wrong share", zero=True)
        if curve
        else "",
        "worst": [
            {
                "statement": numbers.cut(w.get("statement"), 160),
                "answer": numbers.cut(w.get("answer"), 60),
                "asserted": numbers.cut(w.get("asserted"), 60),
                "confidence": numbers.percent(w.get("confidence"), 0),
            }
            for w in (found.get("worst") or [])[:_WORST]
        ],
    }


def _by_relation(found: dict[str, Any]) -> list[dict[str, Any]]:
    rows = [r for r in found.get("by_relation") or [] if _is_judged(r)]
    return sorted(rows, key=lambda r: (-r["hallucinated"]["value"], str(r["relation"])))


def _is_judged(found: dict[str, Any]) -> bool:
    return all(figure(found.get(name)) for name, _ in _OUTCOMES)


def _outcome_bar(name: str, found: dict[str, Any]) -> dict[str, Any]:
    shares = [(style, 100 * found[outcome]["value"]) for outcome, style in _OUTCOMES]
    return {
        "name": name,
        "probes": numbers.count(found.get("probes")),
        "bar": shares,
        "hallucinated": numbers.percent(found["hallucinated"]["value"]),
        "span": numbers.span(figure(found["hallucinated"])),
    }


def robustness(shelf: Shelf) -> dict[str, Any]:
    """What an attack with typing errors leaves standing, and what the edits look like."""
    found = shelf.facts("robustness", "robustness.json")
    examples = []
    for row in (found.get("examples") or [])[:_ATTACKS]:
        old, new = changes(str(row["original"]), str(row["perturbed"]))
        examples.append(
            {
                "before": old, "after": new, "label": str(row["label"]),
                "predicted": str(row.get("predicted_after", "")),
                "queries": numbers.count(row.get("queries")),
                "confidence": [
                    numbers.percent(row.get(name), 0)
                    for name in ("confidence_before", "confidence_after")
                ],
            }
        )  # fmt: skip
    budget = found.get("budget") or {}
    return {
        "why": shelf.why_not("robustness") or ("" if found else "No result was written."),
        "attack": str(found.get("attack", "")),
        "rows": numbers.count(found.get("rows")),
        "figures": figures(
            found, ("clean_accuracy", "accuracy_under_attack", "attack_success"), "share"
        ),
        "budget": numbers.count(budget.get("queries_per_row")) if isinstance(budget, dict) else "",
        "queries_mean": numbers.plain(found.get("queries_mean"), 1),
        "note": str(found.get("note", "")),
        "examples": examples,
    }
