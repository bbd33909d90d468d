"""Small drawings as inline SVG: they print, scale, follow the page's colours, and need no script.

Colours are classes of `style.css` (`c1` the candidate or the cleaned data, `c0` the champion or
the raw data, `c2`, `c3` for further series), so light, dark and print differ there alone. All
text that comes from data is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

from tasks.promotion.page.numbers import tick

Points = Sequence[tuple[float, float]]
WIDTH = 440
_RIGHT, _TOP, _BOTTOM = 14, 14, 40


@dataclass(frozen=True)
class Line:
    """One series: its name in the legend, its points, and its colour class.

    Attributes:
        name: In plain words.
        points: (x, y) in the axes' units.
        style: Colour class.
        dots: Draw points rather than a line.
    """

    name: str
    points: Points
    style: str = "c1"
    dots: bool = False


@dataclass(frozen=True)
class Axes:
    """A linear plane: the data's bounds, and the drawing's size and left margin in SVG units."""

    x0: float
    x1: float
    y0: float
    y1: float
    width: int = WIDTH
    height: int = 250
    left: int = 58

    def x(self, value: float) -> float:
        """Data to drawing."""
        reach = self.width - self.left - _RIGHT
        return round(self.left + reach * (value - self.x0) / ((self.x1 - self.x0) or 1), 1)

    def y(self, value: float) -> float:
        """Data to drawing; up is more."""
        reach = self.height - _TOP - _BOTTOM
        return round(
            self.height - _BOTTOM - reach * (value - self.y0) / ((self.y1 - self.y0) or 1), 1
        )


def line_chart(
    lines: Sequence[Line], x_label: str, y_label: str, *, zero: bool = False, height: int = 250
) -> Markup:
    """Lines over a shared plane, with a legend where there are several.

    Args:
        lines: The series; those without points are left out.
        x_label: Name and unit of the horizontal axis.
        y_label: Name and unit of the vertical axis.
        zero: Let the vertical axis start at 0.
        height: In SVG units; the width is always 440.
    """
    lines = [line for line in lines if len(line.points)]
    if not lines:
        return Markup("")
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    y_ticks = ticks(0.0 if zero else min(ys), max(ys))
    x_ticks = ticks(min(xs), max(xs), 5)
    axes = Axes(
        min(xs[0], min(xs)), max(xs), min(y_ticks[0], min(ys)), max(y_ticks[-1], max(ys)),
        height=height, left=_margin(y_ticks),
    )  # fmt: skip
    body = frame(axes, [t for t in x_ticks if axes.x0 <= t <= axes.x1], y_ticks, x_label, y_label)
    for line in reversed(lines):  # the first is drawn on top
        body.append(line_shape(axes, line))
    return svg(axes.width, height, body, f"{y_label} over {x_label}") + legend(lines)


def histogram(
    before: Sequence[float],
    after: Sequence[float],
    label: str,
    sides: str = "before and after cleaning",
) -> Markup:
    """How one number is spread over rows: outlined before, filled after, in per cent of the rows.

    Values beyond the 0.5 and 99.5 % quantiles are counted in the outermost bars. `sides` says what
    the two are to those who hear the page.
    """
    values = sorted([*before, *after])
    if not values:
        return Markup("")
    low, high = values[int(0.005 * len(values))], values[int(0.995 * (len(values) - 1))]
    if high <= low:
        low, high = values[0], values[-1] if values[-1] > values[0] else values[0] + 1
    edges = [low + (high - low) * i / 24 for i in range(25)]
    shares = [_shares(part, edges) for part in (before, after)]
    y_ticks = ticks(0.0, max(max(s, default=0) for s in shares), 3)
    axes = Axes(low, high, 0.0, max(y_ticks[-1], 1e-9), width=320, height=170)
    x_ticks = [t for t in ticks(low, high, 4) if low <= t <= high]
    body = frame(axes, x_ticks, y_ticks, label, "rows (%)")
    base = axes.y(0)
    for share, left, right in zip(shares[1], edges, edges[1:], strict=False):
        x, y = axes.x(left), axes.y(share)
        body.append(
            f'<rect class="c1 fill" x="{x}" y="{y}" width="{max(axes.x(right) - x - 1, 0.5):.1f}" '
            f'height="{base - y:.1f}"/>'
        )
    steps = [f"M{axes.x(low)} {base}"]
    for share, right in zip(shares[0], edges[1:], strict=False):
        steps.append(f"V{axes.y(share)}H{axes.x(right)}")
    body.append(f'<path class="c0 line" d="{"".join(steps)}V{base}"/>')
    return svg(axes.width, 170, body, f"Histogram of {label}, {sides}")


def reliability(bins: Sequence[dict[str, float]]) -> Markup:
    """Accuracy against confidence, a dot per bin sized by its rows, with the ideal diagonal."""
    if not bins:
        return Markup("")
    axes = Axes(0, 1, 0, 1, height=330, width=360)
    marks = [0, 0.25, 0.5, 0.75, 1]
    body = frame(axes, marks, marks, "confidence", "accuracy")
    body.append(
        f'<line class="ideal" x1="{axes.x(0)}" y1="{axes.y(0)}" x2="{axes.x(1)}" y2="{axes.y(1)}"/>'
    )
    most = max(b["rows"] for b in bins)
    for b in bins:
        x = axes.x(b["confidence"])
        if "accuracy_low" in b:
            low, high = axes.y(b["accuracy_low"]), axes.y(b["accuracy_high"])
            body.append(f'<line class="c1 whisker" x1="{x}" x2="{x}" y1="{low}" y2="{high}"/>')
        radius = 3 + 7 * math.sqrt(b["rows"] / most)
        title = f"{b['rows']} rows: confidence {b['confidence']:.2f}, accuracy {b['accuracy']:.2f}"
        body.append(
            f'<circle class="c1 dot" cx="{x}" cy="{axes.y(b["accuracy"])}" r="{radius:.1f}">'
            f"<title>{title}</title></circle>"
        )
    return svg(360, 330, body, "Reliability diagram")


def frame(
    axes: Axes, x_ticks: Sequence[float], y_ticks: Sequence[float], x_label: str, y_label: str
) -> list[str]:
    """Grid, tick labels and axis labels."""
    base, right = axes.height - _BOTTOM, axes.width - _RIGHT
    body = []
    for value in y_ticks:
        y = axes.y(value)
        body.append(f'<line class="grid" x1="{axes.left}" x2="{right}" y1="{y}" y2="{y}"/>')
        body.append(f'<text x="{axes.left - 6}" y="{y + 4}" text-anchor="end">{tick(value)}</text>')
    for value in x_ticks:
        x = axes.x(value)
        body.append(f'<line class="axis" x1="{x}" x2="{x}" y1="{base}" y2="{base + 4}"/>')
        body.append(f'<text x="{x}" y="{base + 17}" text-anchor="middle">{tick(value)}</text>')
    middle_x, middle_y = (axes.left + right) / 2, (_TOP + base) / 2
    body.append(f'<line class="axis" x1="{axes.left}" x2="{right}" y1="{base}" y2="{base}"/>')
    body.append(
        f'<text class="label" x="{middle_x}" y="{axes.height - 6}" text-anchor="middle">'
        f"{escape(x_label)}</text>"
    )
    body.append(
        f'<text class="label" transform="translate(11 {middle_y}) rotate(-90)" '
        f'text-anchor="middle">{escape(y_label)}</text>'
    )
    return body


def legend(lines: Sequence[Line]) -> Markup:
    """What each colour stands for; nothing where there is one series."""
    if len(lines) < 2:
        return Markup("")
    keys = "".join(f'<li><i class="{li.style}"></i>{escape(li.name)}</li>' for li in lines)
    return Markup(f'<ul class="legend">{keys}</ul>')


def svg(
    width: float, height: float, body: Iterable[str], title: str, style: str = "plot"
) -> Markup:
    """An SVG with a title that screen readers say."""
    return Markup(
        f'<svg class="{style}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(title)}">{"".join(body)}</svg>'
    )


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round values that span `low..high`, the steps 1, 2 or 5 times a power of ten."""
    if not high > low:
        high = low + (abs(low) or 1.0)
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def _margin(values: Sequence[float]) -> int:
    """Room for the vertical axis: its name and its longest tick label."""
    return 30 + 7 * max(len(tick(value)) for value in values)


def line_shape(axes: Axes, line: Line) -> str:
    """A series as a line or as dots."""
    return _dots(axes, line) if line.dots else _path(axes, line)


def _path(axes: Axes, line: Line) -> str:
    points = " ".join(f"{axes.x(x)},{axes.y(y)}" for x, y in thin(line.points))
    return f'<polyline class="{line.style} line" points="{points}"/>'


def _dots(axes: Axes, line: Line) -> str:
    return "".join(
        f'<circle class="{line.style} dot" cx="{axes.x(x)}" cy="{axes.y(y)}" r="3.5"/>'
        for x, y in line.points
    )


def thin(points: Points, most: int = 300) -> Points:
    """At most so many points, evenly taken, the first and the last among them."""
    if len(points) <= most:
        return points
    return [points[round(i * (len(points) - 1) / (most - 1))] for i in range(most)]


def _shares(values: Sequence[float], edges: Sequence[float]) -> list[float]:
    """Per cent of the values in each bin, what lies outside in the outermost."""
    counts = [0] * (len(edges) - 1)
    reach = (edges[-1] - edges[0]) or 1.0
    for value in values:
        place = int((value - edges[0]) / reach * len(counts))
        counts[min(max(place, 0), len(counts) - 1)] += 1
    return [100 * c / max(len(values), 1) for c in counts]
