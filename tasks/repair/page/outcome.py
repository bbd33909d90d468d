"""What became of a repair, as a page: the targets first, then the price."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from tasks.promotion.page import numbers
from tasks.promotion.page.verdict import comparison_row
from tasks.repair.page.drawing import counted, render

_OUTCOMES = ("correct", "abstained", "hallucinated")
_STYLES = {"correct": "good", "abstained": "quiet", "hallucinated": "bad"}
_MOST = 50
_MOST_WORSE = 15


def page(facts: Mapping[str, Any], asked: pl.DataFrame, chosen: pl.DataFrame) -> str:
    """The page, without what is the night's own.

    Args:
        facts: What goes to `repair.json`.
        asked: Both models' answers, from `tasks.repair.compare.paired`.
        chosen: The rows taken out, of the proposal.
    """
    margins = [comparison_row(c) for c in facts["decision"]["comparisons"] if c["kind"] == "margin"]
    targets = facts["targets"]
    targeted = asked.filter("targeted").sort(["gone", "confidence"], descending=[False, True])
    worse = asked.filter(~pl.col("targeted") & (pl.col("change") < 0)).sort("change", "probe_id")
    text = facts["sentence"]
    found = {
        "head": f"{targets['gone']:,} of {targets['probes']:,} gone",
        "sentence": text[0].upper() + text[1:],
        "colour": _colour(margins, targets),
        "cards": _cards(facts),
        "control": "control" in facts,
        "became": _became(targets),
        "targets": [_target(row) for row in targeted.head(_MOST).to_dicts()],
        "beyond": ", ".join(row["name"] for row in margins if row["style"] == "bad"),
        "targets_left": _left(targeted),
        "bars": _bars(facts),
        "outcomes": _OUTCOMES,
        "transitions": _transitions(facts["others"]["transitions"]),
        "sums": _sums(facts["others"], facts.get("control")),
        "worse": [_answers(row) for row in worse.head(_MOST_WORSE).to_dicts()],
        "worse_left": _left(worse, _MOST_WORSE),
        "margins": margins,
        "rows_note": _rows_note(facts),
        "rows": [
            {**row, "wrong": numbers.count(len(row["wrong"]))}
            for row in chosen.head(_MOST).to_dicts()
        ],
    }
    return render("outcome.html", found)


def _colour(margins: list[dict[str, Any]], targets: Mapping[str, Any]) -> str:
    """Bad where anything else surely suffered, good where the targets are gone without that."""
    if any(row["style"] == "bad" for row in margins):
        return "bad"
    return "good" if targets["gone"] else "none"


def _left(rows: pl.DataFrame, shown: int = _MOST) -> str:
    return numbers.count(rows.height - shown) if rows.height > shown else ""


def _cards(facts: Mapping[str, Any]) -> list[dict[str, str]]:
    targets = facts["targets"]
    made = [
        {
            "name": "Targets gone",
            "value": f"{targets['gone']:,} of {targets['probes']:,}",
            "span": numbers.span(targets.get("gone_share")),
            "unit": f"{targets['not_likeliest']:,} whatever the threshold",
        }
    ]
    if "control" in facts:
        drawn, more = facts["control"]["targets"], facts["more_gone_than_control"]
        told = f"repair minus control {_difference(more)}" if more else ""
        made.append(
            {
                "name": "Gone without random rows",
                "value": f"{drawn['gone']:,} of {drawn['probes']:,}",
                "span": "",
                "unit": told,
            }
        )
    for name, key in (("Hallucinated", "hallucinated"), ("Facts right", "correct")):
        change = facts[key]
        if change is not None:
            before, after = (numbers.percent(change[k]["value"]) for k in ("before", "after"))
            made.append(
                {
                    "name": name, "value": f"{before} → {after}",
                    "span": _difference(change["difference"]),
                    "unit": f"of all {facts['probes']:,} probes",
                }
            )  # fmt: skip
    return made


def _difference(found: Mapping[str, float]) -> str:
    return f"{numbers.points(found['value'], 'share')}, {numbers.points_span(found)}"


def _became(targets: Mapping[str, Any]) -> str:
    return (
        f"Of {targets['probes']:,}, {targets['became_correct']:,} became correct, "
        f"{targets['became_abstained']:,} are not answered any more, "
        f"{targets['became_another_wrong']:,} turned into another wrong answer, and "
        f"{targets['probes'] - targets['gone']:,} are still asserted."
    )


def _answers(row: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: numbers.percent(row[name], 0) for name in ("confidence", "new_confidence")}
    return {**row, **shown}


def _target(row: Mapping[str, Any]) -> dict[str, Any]:
    if not row["gone"]:
        style, word = "bad", "still asserted"
    else:
        style, word = {
            "correct": ("good", "correct"),
            "abstained": ("none", "not answered"),
            "hallucinated": ("bad", "another wrong"),
        }[row["new_outcome"]]
    return {**_answers(row), "style": style, "word": word}


def _bars(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Outcomes of all probes: before, after, and in the control."""
    tau = facts["tau"]
    made = [(f"before, τ = {tau['before']:.2f}", "before", facts)]
    made.append((f"repaired, τ = {tau['after']:.2f}", "after", facts))
    if tau["before"] != tau["after"]:
        words = f"repaired, at the night's τ = {tau['before']:.2f}"
        made.append((words, "after", facts["at_the_nights_tau"]))
    if "control" in facts:
        made.append(("without random rows", "after", facts["control"]))
    bars = []
    for name, side, found in made:
        if found["correct"] is None:
            continue
        right, wrong = (found[key][side] for key in ("correct", "hallucinated"))
        quiet = max(1.0 - right["value"] - wrong["value"], 0.0)
        shares = {"correct": right["value"], "abstained": quiet, "hallucinated": wrong["value"]}
        bars.append(
            {
                "name": name, "probes": numbers.count(found["probes"]),
                "bar": [(_STYLES[key], 100 * value) for key, value in shares.items()],
                "hallucinated": numbers.percent(wrong["value"]), "span": numbers.span(wrong),
            }
        )  # fmt: skip
    return bars


def _transitions(counts: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    made = []
    for old in _OUTCOMES:
        total = sum(counts[old].values())
        cells = [
            {
                "count": numbers.count(counts[old][new]), "same": old == new,
                "shade": round(counts[old][new] / max(total, 1), 3),
            }
            for new in _OUTCOMES
        ]  # fmt: skip
        made.append({"name": old, "total": numbers.count(total), "cells": cells})
    return made


def _sums(others: Mapping[str, Any], control: Mapping[str, Any] | None) -> list[dict[str, str]]:
    net = others.get("net_change")
    drawn = control["others"] if control is not None else {}
    made = [
        {
            "name": name,
            "value": numbers.count(others[key]),
            "span": "",
            "unit": "facts" + (f"; {drawn[key]:,} without random rows" if drawn else ""),
        }
        for name, key in (("Got better", "better"), ("Got worse", "worse"))
    ]
    if net is not None:
        unit = f"better minus worse, of {others['probes']:,} facts"
        value = numbers.points(net["value"], "share")
        made.append(
            {"name": "Net change", "value": value, "span": numbers.points_span(net), "unit": unit}
        )
    return made


def _rows_note(facts: Mapping[str, Any]) -> str:
    other = facts["other_rows"]
    also = [f"{number:,} {words}" for words, number in other.items() if number]
    told = (
        f"{counted(facts['rows'], 'row')}, with {counted(facts['copies'], 'copy', 'copies')} that "
        f"lay in quarantine and {counted(facts['made_up'], 'made-up row')}. "
    )
    if also:
        return told + f"Cleaning without them changed other training rows too: {', '.join(also)}."
    return told + "Cleaning changed no other training row."
