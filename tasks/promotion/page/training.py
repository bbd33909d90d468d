"""How the model was trained: corpus in tokens, curves, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from models.training.smoothing import smoothed
from tasks.promotion.page import numbers
from tasks.promotion.page.outlook import outlook
from tasks.promotion.page.plots import Line, line_chart
from tasks.promotion.page.read import Shelf

_SPAN = 10  # points after which a value weighs 1/e in a smoothed curve
_SMOOTHED_FROM = 20  # points; shorter curves are drawn as they are
_STYLES = ("c1", "c2", "c3", "c0")
# Words in a curve's name, the axis they share, and whether the axis starts at 0.
_AXES = (
    ("loss", "loss (nats)", False),
    ("accuracy", "accuracy (share)", False),
    ("learning_rate", "learning rate", True),
    ("tokens_per_second", "tokens per second", True),
)


def training(shelf: Shelf) -> list[dict[str, Any]]:
    """One block per training stage: curves and facts."""
    blocks = (
        ("tokenize", "Tokens", "tokenizer_stats.json"),
        ("pack", "Packing", "packing.json"),
        ("pretrain", "Pretraining", "training.json"),
        ("finetune", "Fine-tuning", "training.json"),
    )
    made = []
    for title, name, file in blocks:
        ahead = outlook(shelf.facts(title, "forecast.json"), shelf.curve(title))
        made.append(
            {
                "title": name,
                "stage": title,
                "why": shelf.why_not(title),
                "summary": outcome.summary if (outcome := shelf.outcome(title)) else "",
                "plots": curves(shelf.curve(title), name, ahead["plots"]),
                "outlook": ahead,
                "facts": facts(shelf.facts(title, file)),
            }
        )
    return made


def curves(
    found: dict[str, list[tuple[float, float]]], of: str, more: Sequence[Markup] = ()
) -> list[Markup]:
    """One chart per kind of curve, `more` after the first; held-out series are drawn as dots.

    The training loss is drawn twice: faint as it was, and smoothed.
    """
    plots: list[Markup] = []
    for word, axis, zero in _AXES:
        names = sorted(n for n in found if word in n and len(found[n]))
        names.sort(key=lambda n: (n.startswith("validation"), n.startswith("adversarial"), n))
        lines = [
            line
            for i, n in enumerate(names)
            for line in _drawn(n, found[n], _STYLES[i % len(_STYLES)])
        ]
        lines.sort(key=lambda line: not line.dots)  # the first is drawn on top
        if lines:
            plots.append(line_chart(lines, f"{of.lower()} step", axis, zero=zero))
            plots += more
            more = ()
    return plots


def _drawn(name: str, points: list[tuple[float, float]], style: str) -> list[Line]:
    """One series; a noisy loss as its smoothed curve over the raw one."""
    title = numbers.words(name)
    judged = name.startswith("validation")
    if "loss" not in name or judged or len(points) < _SMOOTHED_FROM:
        return [Line(title, points, style, dots=judged or len(points) < 2)]
    steps, values = zip(*points, strict=True)
    if not all(map(math.isfinite, values)):
        return [Line(title, points, style)]
    curve = list(zip(steps, smoothed(values, _SPAN).tolist(), strict=True))
    raw = [] if name.startswith("adversarial") else [Line(title, points, f"{style} faint")]
    return [Line(f"{title}, smoothed", curve, style), *raw]


def facts(found: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """The scalars of a JSON object, nested ones with a dotted name."""
    rows: list[tuple[str, str]] = []
    for name, value in found.items():
        label = f"{prefix}{numbers.words(str(name))}"
        if isinstance(value, dict):
            rows += facts(value, f"{label}, ")
        elif isinstance(value, bool) or value is None:
            rows.append((label, "none" if value is None else "yes" if value else "no"))
        elif isinstance(value, int):
            rows.append((label, numbers.count(value)))
        elif isinstance(value, float):
            rows.append((label, numbers.plain(value)))
        elif isinstance(value, str):
            rows.append((label, numbers.cut(value, 80)))
    return rows
