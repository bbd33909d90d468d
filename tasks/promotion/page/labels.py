"""The labels: which are suspect, which contradict each other, how evenly they are spread."""

from __future__ import annotations

from typing import Any

from tasks.promotion.page import numbers
from tasks.promotion.page.gauges import interval_gauge
from tasks.promotion.page.read import Shelf, figure

_MOST_CLASSES = 12
_PARTS = (("train", "training rows"), ("held_out", "other rows"))


def labels(shelf: Shelf) -> dict[str, Any]:
    """Figures, the most suspicious rows, contradictions and the classes' shares."""
    report = shelf.facts("check_labels", "labels.json")
    if not report:
        why = shelf.why_not("check_labels") or "Nothing is known of the labels."
        return {"why": why, "figures": []}
    return {
        "why": shelf.why_not("check_labels"),
        "figures": _figures(report),
        "judged": numbers.count(report.get("judged")),
        "learnt": numbers.count(report.get("learnt")),
        "not_judged": report.get("not_judged") or 0,
        "opinion": _opinion(report.get("champion") or {}),
        "suspects": [_row(row) for row in report.get("shown", [])],
        "reviewed": report.get("reviewed", 0),
        "conflicts": [
            {**row, "text": numbers.cut(row["text"], 180)}
            for row in report.get("conflicts", {}).get("examples", [])
        ],
        "balance": _balance(report.get("balance") or {}),
    }


def _figures(report: dict[str, Any]) -> list[dict[str, str]]:
    made = []
    for name, words in _PARTS:
        part = report.get("parts", {}).get(name, {})
        for key, called in (("share", "Suspect"), ("agreement", "Model agrees")):
            found = figure(part.get(key))
            if found:
                made.append(
                    {
                        "name": f"{called}, {words}", "value": numbers.percent(found["value"]),
                        "span": numbers.span(found), "unit": f"of {numbers.count(part['rows'])} rows",
                    }
                )  # fmt: skip
    clash = report.get("conflicts", {})
    if clash:
        made.append(
            {
                "name": "Texts under several labels", "value": numbers.count(clash["texts"]),
                "span": "", "unit": f"with {numbers.count(clash['rows'])} rows, before cleaning",
            }
        )  # fmt: skip
    spread = figure(report.get("balance", {}).get("imbalance"))
    if spread:
        made.append(
            {
                "name": "Imbalance", "value": numbers.plain(spread["value"], 2),
                "span": numbers.span(spread, "ratio"), "unit": "largest class / smallest class",
            }
        )  # fmt: skip
    return made


def _row(row: dict[str, Any]) -> dict[str, str]:
    return {
        "row_id": row["row_id"], "split": row["split"], "label": row["label"],
        "suggested": row["suggested"] or numbers.DASH, "score": numbers.plain(row["score"]),
        "probability": numbers.percent(row["probability"]), "text": numbers.cut(row["text"], 180),
    }  # fmt: skip


def _opinion(found: dict[str, Any]) -> str:
    if not found:
        return ""
    gain = figure(found.get("gain"))
    loss = (
        f" (loss {numbers.points(gain['value'], 'nats')} nats, {numbers.points_span(gain, 'nats')})"
        if gain
        else ""
    )
    rows = numbers.count(found.get("rows", 0))
    if found.get("used"):
        return f"The champion's opinion of {rows} rows that are new to it counts too{loss}."
    return f"The champion's opinion does not count: {found.get('why', '')}{loss}."


def _balance(found: dict[str, Any]) -> dict[str, Any]:
    """The commonest classes and the rarest, on one axis."""
    shares = found.get("shares", [])
    listed = shares
    if len(shares) > _MOST_CLASSES:
        listed = shares[: _MOST_CLASSES // 2] + shares[-(_MOST_CLASSES // 2) :]
    top = max((row["high"] for row in listed), default=1.0)
    return {
        "rows": [
            {
                "name": row["class"], "rows": numbers.count(row["rows"]),
                "share": numbers.percent(row["value"]), "span": numbers.span(row),
                "gauge": interval_gauge(row, (0.0, top)),
            }
            for row in listed
        ],
        "left_out": max(0, found.get("classes", 0) - len(listed)),
        "too_few": found.get("classes_too_few", 0),
        "small": ", ".join(
            f"{row['class']} ({numbers.count(row['rows'])})"
            for row in found.get("too_few", [])[:_MOST_CLASSES]
        ),
    }  # fmt: skip
