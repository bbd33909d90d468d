"""How the model was trained: corpus in tokens, curves, and what it cost."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from tasks.promotion.page import numbers
from tasks.promotion.page.plots import Line, line_chart
from tasks.promotion.page.read import Shelf

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
    return [
        {
            "title": name,
            "stage": title,
            "why": shelf.why_not(title),
            "summary": outcome.summary if (outcome := shelf.outcome(title)) else "",
            "plots": curves(shelf.curve(title), name),
            "facts": facts(shelf.facts(title, file)),
        }
        for title, name, file in blocks
    ]


def curves(found: dict[str, list[tuple[float, float]]], of: str) -> list[Markup]:
    """One chart per kind of curve; series with few points are drawn as dots."""
    plots = []
    for word, axis, zero in _AXES:
        names = sorted(n for n in found if word in n and len(found[n]))
        names.sort(key=lambda n: (n.startswith("validation"), n.startswith("adversarial"), n))
        lines = [
            Line(numbers.words(n), found[n], _STYLES[i % len(_STYLES)], dots=len(found[n]) < 2)
            for i, n in enumerate(names)
        ]
        if lines:
            plots.append(line_chart(lines, f"{of.lower()} step", axis, zero=zero))
    return plots


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
