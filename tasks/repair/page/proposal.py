"""The proposal as a person reads it before saying yes: each row, why, and what it would cost."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import polars as pl

from tasks.promotion.page import numbers
from tasks.repair.choosing import RULES, meets
from tasks.repair.page.drawing import counted, render

_MOST_ROWS = 100
_MOST_TARGETS = 50
_AROUND = 110  # characters shown on each side of the wrong answer


def page(facts: Mapping[str, Any], table: pl.DataFrame) -> str:
    """The page, without what is the night's own.

    Args:
        facts: What goes to `proposal.json`.
        table: The candidates.
    """
    asserted = {t["probe_id"]: t["asserted"] for t in facts["targets"]}
    proposed, held = table.filter("proposed"), table.filter(~pl.col("proposed"))
    sentence = facts["sentence"]
    found = {
        "head": f"{counted(proposed.height, 'row')} proposed",
        "sentence": sentence[0].upper() + sentence[1:],
        "how": _how(facts),
        "cards": _cards(facts, proposed),
        "proposed": [_row(row, asserted) for row in proposed.head(_MOST_ROWS).to_dicts()],
        "left_out": numbers.count(max(proposed.height - _MOST_ROWS, 0)) if
        proposed.height > _MOST_ROWS else "",
        "held": [_row(row, asserted) for row in held.head(_MOST_ROWS).to_dicts()],
        "cost_note": f"A right answer counts as cost if fewer than {facts['support']} other training "
        "rows would still state it, once the rows above in the list are gone.",
        "targets": [_target(target) for target in facts["targets"][:_MOST_TARGETS]],
        "rules": [
            {
                "name": name, "meaning": meaning,
                "rows": "needs repair.score" if name == "score" and facts["score"] is None
                else numbers.count(proposed.filter(meets(name, facts["score"])).height),
            }
            for name, meaning in RULES.items()
        ],
    }  # fmt: skip
    return render("proposal.html", found)


def _how(facts: Mapping[str, Any]) -> str:
    score = facts["score"]
    also = "" if score is None else f" or whose score is at least {score:g}"
    limit = facts["right"]
    most = "no right answer" if limit == 0 else f"at most {limit:,} right answers"
    return (
        f"Of the {facts['wrong_answers_in_all']:,} wrong answers of the night the "
        f"{len(facts['targets']):,} surest were looked at. Candidates are the first "
        f"{facts['ranks']:,} rows of each one's {facts['method']} trace that state the wrong answer"
        f"{also}; proposed are those that would cost {most}."
    )


def _cards(facts: Mapping[str, Any], proposed: pl.DataFrame) -> list[dict[str, str]]:
    targets = facts["targets"]
    served = sum(bool(target["rows"]) for target in targets)
    taught = {name for names in proposed["wrong"] for name in names}
    cost = {name for names in proposed["cost"] for name in names}
    along = sum(int(proposed[name].list.len().sum()) for name in ("copies", "made_up"))
    return [
        {"name": "Surest wrong answers", "value": numbers.count(len(targets)), "span": "",
         "unit": f"{served:,} of them have a proposed row"},
        {"name": "Wrong answers taught", "value": numbers.count(len(taught)), "span": "",
         "unit": "by the proposed rows, of all that the night gave"},
        {"name": "Right answers at stake", "value": numbers.count(len(cost)), "span": "",
         "unit": "if all proposed rows go"},
        {"name": "Rows that go along", "value": numbers.count(along), "span": "",
         "unit": "copies in quarantine, and rows made up from these"},
    ]  # fmt: skip


def _row(row: Mapping[str, Any], asserted: Mapping[str, str]) -> dict[str, Any]:
    along = [
        counted(len(row[name]), word, words)
        for name, word, words in (("copies", "copy", "copies"), ("made_up", "made-up row", ""))
        if row[name]
    ]
    words = [asserted[name] for name in row["wrong"] if name in asserted]
    supported = len(row["right"])
    return {
        "row_id": row["row_id"],
        "source": row["source"],
        "excerpt": marked(row["excerpt"], words[:1]),
        "along": f"goes along: {', '.join(along)}" if along else "",
        "reason": row["reason"],
        "held_back": row["held_back"],
        "wrong": numbers.count(len(row["wrong"])),
        "cost": numbers.count(len(row["cost"])),
        "right": f"of {supported:,} it supports" if supported else "supports none",
    }


def marked(text: str, words: list[str]) -> list[tuple[str, str]]:
    """A text in pieces, the wrong answer marked, and what is far from it left out."""
    if not words or not words[0]:
        return [("same", text)]
    parts = re.split(f"({re.escape(words[0])})", text, maxsplit=1, flags=re.IGNORECASE)
    if len(parts) < 3:
        return [("same", text)]
    before, said, after = parts
    pieces = [("cut", "… "), ("same", before[-_AROUND:].lstrip())] if before[_AROUND:] else []
    pieces = pieces or [("same", before)]
    end = [("same", after[:_AROUND].rstrip()), ("cut", " …")] if after[_AROUND:] else []
    return [*pieces, ("out", said), *(end or [("same", after)])]


def _target(target: Mapping[str, Any]) -> dict[str, str]:
    return {
        "statement": target["statement"],
        "answer": target["answer"],
        "asserted": target["asserted"],
        "confidence": numbers.percent(target["confidence"], 0),
        **{name: numbers.count(target[name]) for name in ("stated", "contradicted")},
        "rows": numbers.count(len(target["rows"])),
    }
