"""What more training would buy: the fitted learning curve, followed to twice the budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from tasks.promotion.page import numbers
from tasks.promotion.page.plots import Axes, Line, Points, frame, legend, line_shape, svg, ticks

_HEIGHT = 250
_LOSS = "validation_loss"


def outlook(found: Mapping[str, Any], curve: Mapping[str, Points]) -> dict[str, Any]:
    """The sentence, the note and the drawing of a stage's `forecast.json`; empty without one.

    Args:
        found: The file's object: a forecast, or a `reason` for none.
        curve: The stage's curves by name, of which the held-out loss is drawn.
    """
    if "reason" in found:
        return {"sentence": "", "note": f"No forecast: {found['reason']}", "plots": []}
    if not found:
        return {"sentence": "", "note": "", "plots": []}
    loss, twice = (numbers.plain(found[k], 2) for k in ("loss", "twice"))
    span = f"{numbers.plain(found['low'], 2)} to {numbers.plain(found['high'], 2)}"
    if found["high"] < found["loss"]:
        sentence = (
            f"Twice the budget would lower held-out loss from {loss} to {twice} ({span}) nats."
        )
    else:
        sentence = (
            f"Whether twice the budget would lower the held-out loss of {loss} nats cannot be told: "
            f"{twice} ({span})."
        )
    return {
        "sentence": sentence,
        "note": f"A power law through {found['points']} held-out measurements before the learning "
        "rate decays, lowered by what the decay bought; "
        f"{numbers.percent(found['level'], 0)} interval. It supposes the same model, settings and "
        "kind of text, and enough of it.",
        "plots": [_chart(found, curve.get(_LOSS, ()))],
    }


def _chart(found: Mapping[str, Any], judged: Points) -> Markup:
    """Held-out loss over tokens: measured, fitted, and ahead with its band."""
    end, tokens = judged[-1][0] if judged else 1.0, found["tokens"]
    dots = [(step / end * tokens, loss) for step, loss in judged]
    fitted, ahead = found["fitted"], found["ahead"]
    shown = [d for d in dots if d[0] >= fitted[0][0]]  # the first steps would flatten the rest
    lines = [
        Line(
            f"forecast, with its {numbers.percent(found['level'], 0)} interval",
            [(x, y) for x, y, _, _ in ahead],
            "c2 ahead",
        ),
        Line("fit before the decay", fitted, "c0"),
        Line("held-out loss", shown, "c1", dots=True),
    ]
    ys = [y for line in lines for _, y in line.points] + [v for row in ahead for v in row[2:]]
    y_ticks = ticks(min(ys), max(ys))
    axes = Axes(
        fitted[0][0], 2 * tokens, min(y_ticks[0], min(ys)), max(y_ticks[-1], max(ys)),
        height=_HEIGHT, left=58,
    )  # fmt: skip
    x_ticks = [t for t in ticks(axes.x0, axes.x1, 5) if axes.x0 <= t <= axes.x1]
    body = frame(axes, x_ticks, y_ticks, "tokens trained on", "held-out loss (nats)")
    body.append(_band(axes, ahead))
    body += [line_shape(axes, line) for line in reversed(lines)]
    x, y, low, high = ahead[-1]
    at = axes.x(x)
    body.append(
        f'<line class="c2 whisker" x1="{at}" x2="{at}" y1="{axes.y(low)}" y2="{axes.y(high)}"/>'
        f'<circle class="c2 dot" cx="{at}" cy="{axes.y(y)}" r="4.5"/>'
    )
    drawn = svg(axes.width, _HEIGHT, body, "Held-out loss over tokens, with its forecast")
    return drawn + legend(lines)


def _band(axes: Axes, rows: Sequence[Sequence[float]]) -> str:
    there = [f"{axes.x(x)},{axes.y(high)}" for x, _, _, high in rows]
    back = [f"{axes.x(x)},{axes.y(low)}" for x, _, low, _ in reversed(rows)]
    return f'<polygon class="c2 band" points="{" ".join(there + back)}"/>'
