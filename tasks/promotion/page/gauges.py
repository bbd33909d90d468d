"""Drawings the height of a table row: a value with its interval, against a limit or an axis."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from tasks.promotion.page.plots import svg

_WIDTH, _HEIGHT, _PAD = 200, 26, 8
Interval = Mapping[str, float]


def verdict_gauge(
    found: Interval, limit: float, *, higher_is_better: bool, floor: bool, passed: bool | None
) -> Markup:
    """An interval against its limit, drawn so that right is always better.

    Args:
        found: The difference (margin) or the value (floor).
        limit: What may not be passed to the left.
        higher_is_better: Otherwise the picture is mirrored.
        floor: A floor has no line of equality at 0.
        passed: Colours the dot.
    """
    sign = 1.0 if higher_is_better else -1.0
    value = sign * found["value"]
    low, high = sorted((sign * found["low"], sign * found["high"]))
    edge = sign * limit
    marks = [value, low, high, edge] + ([] if floor else [0.0, -edge])
    first, last = min(marks), max(marks)
    room = ((last - first) or 1.0) * 0.08
    scale = _Scale(first - room, last + room)
    middle, at_edge = _HEIGHT / 2, scale.at(edge)
    colour = {True: "good", False: "bad", None: "c0"}[passed]
    body = [
        f'<rect class="forbidden" x="{_PAD}" y="3" width="{max(at_edge - _PAD, 0):.1f}" '
        f'height="{_HEIGHT - 6}"/>',
        f'<line class="limit" x1="{at_edge}" x2="{at_edge}" y1="2" y2="{_HEIGHT - 2}"/>',
    ]
    if not floor:
        zero = scale.at(0.0)
        body.append(f'<line class="axis" x1="{zero}" x2="{zero}" y1="2" y2="{_HEIGHT - 2}"/>')
    body.append(_whisker(scale, low, high, middle, colour))
    body.append(f'<circle class="{colour} dot" cx="{scale.at(value)}" cy="{middle}" r="4.5"/>')
    return svg(_WIDTH, _HEIGHT, body, "interval against its limit; right is better", "gauge")


def interval_gauge(
    found: Interval,
    bounds: tuple[float, float],
    *,
    style: str = "c1",
    mark: float | None = None,
    other: float | None = None,
) -> Markup:
    """A value and its interval on an axis shared by the column.

    Args:
        found: Value, low and high.
        bounds: The axis, the same for every row.
        style: Colour class.
        mark: A reference drawn as a thin line, such as the overall rate.
        other: A second value, hollow, such as the rate after correction.
    """
    scale = _Scale(*bounds)
    middle = _HEIGHT / 2
    body = [f'<line class="grid" x1="{_PAD}" x2="{_WIDTH - _PAD}" y1="{middle}" y2="{middle}"/>']
    if mark is not None:
        at = scale.at(mark)
        body.append(f'<line class="ideal" x1="{at}" x2="{at}" y1="2" y2="{_HEIGHT - 2}"/>')
    body.append(_whisker(scale, found["low"], found["high"], middle, style))
    body.append(
        f'<circle class="{style} dot" cx="{scale.at(found["value"])}" cy="{middle}" r="4"/>'
    )
    if other is not None:
        body.append(f'<circle class="c2 ring" cx="{scale.at(other)}" cy="{middle}" r="5"/>')
    return svg(_WIDTH, _HEIGHT, body, "value with its interval", "gauge")


class _Scale:
    def __init__(self, low: float, high: float) -> None:
        self._low, self._reach = low, (high - low) or 1.0

    def at(self, value: float) -> float:
        share = min(max((value - self._low) / self._reach, 0.0), 1.0)
        return round(_PAD + (_WIDTH - 2 * _PAD) * share, 1)


def _whisker(scale: _Scale, low: float, high: float, y: float, style: str) -> str:
    a, b = scale.at(low), scale.at(high)
    ends = "".join(f"M{x} {y - 4}V{y + 4}" for x in (a, b))
    return f'<path class="{style} whisker" d="M{a} {y}H{b}{ends}"/>'
