"""Numbers as people read them: with their uncertainty, their unit, and no more digits than that."""

from __future__ import annotations

import math
from collections.abc import Mapping

MINUS = "\u2212"
DASH = "\u2013"
_THIN = "\u202f"


def count(value: float | None) -> str:
    """`12,345`; nothing is a dash."""
    return DASH if value is None else f"{round(value):,}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share of 0..1 as `93.4 %`."""
    if share is None or not math.isfinite(share):
        return DASH
    return f"{_minus(f'{100 * share:.{digits}f}')}{_THIN}%"


def plain(value: float | None, digits: int = 3) -> str:
    """`0.123`; very large and very small values in scientific notation."""
    if value is None or not math.isfinite(value):
        return DASH
    if value and not 1e-3 <= abs(value) < 1e6:
        mantissa, _, exponent = f"{value:.1e}".partition("e")
        return _minus(f"{mantissa}e{int(exponent)}")
    return _minus(f"{value:,.{digits}f}")


def tick(value: float) -> str:
    """An axis label: as short as it can be."""
    if value and not 1e-4 <= abs(value) < 1e4:
        if abs(value) >= 1e3:
            scaled, suffix = (value / 1e6, "M") if abs(value) >= 1e6 else (value / 1e3, "k")
            return _minus(f"{scaled:g}{suffix}")
        mantissa, _, exponent = f"{value:.0e}".partition("e")
        return _minus(f"{mantissa}e{int(exponent)}")
    return _minus(f"{value:.4g}")


def of_unit(value: float | None, unit: str) -> str:
    """A value in its unit: shares as per cent, their differences in points, the rest plainly."""
    if unit == "points" and value is not None and math.isfinite(value):
        return f"{_minus(f'{100 * value:.1f}')}{_THIN}pp"
    return percent(value) if unit == "share" else plain(value)


def points(difference: float | None, unit: str) -> str:
    """A signed difference: shares in percentage points."""
    if difference is None or not math.isfinite(difference):
        return DASH
    if unit in ("share", "points"):
        return f"{_minus(f'{100 * difference:+.1f}')}{_THIN}pp"
    return _minus(f"{difference:+.3f}")


def span(found: Mapping[str, float] | None, unit: str = "share") -> str:
    """An interval as `91.2 to 94.6 %`."""
    if not found:
        return ""
    if unit in ("share", "points"):
        low, high = f"{100 * found['low']:.1f}", f"{100 * found['high']:.1f}"
        return f"{_minus(low)} to {_minus(high)}{_THIN}{'%' if unit == 'share' else 'pp'}"
    return f"{plain(found['low'])} to {plain(found['high'])}"


def points_span(found: Mapping[str, float] | None, unit: str = "share") -> str:
    """A difference's interval as `-1.2 to +0.4`."""
    if not found:
        return ""
    scale, digits = (100, 1) if unit in ("share", "points") else (1, 3)
    low, high = (_minus(f"{scale * found[k]:+.{digits}f}") for k in ("low", "high"))
    return f"{low} to {high}"


def seconds(value: float) -> str:
    """`0.4 s`, `12 s`, `3 min 05 s`."""
    if value < 10:
        return f"{value:.1f}{_THIN}s"
    if value < 60:
        return f"{value:.0f}{_THIN}s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes}{_THIN}min {rest:02d}{_THIN}s"


def words(name: str) -> str:
    """`group_gender`, `mention_gender` and `markup_count` as a person would write them."""
    return name.removeprefix("group_").removeprefix("mention_").replace("_", " ")


def cut(text: object, characters: int = 240) -> str:
    """A text shortened to be read at a glance."""
    text = " ".join(str(text or "").split())
    return text if len(text) <= characters else text[: characters - 1].rstrip() + "\u2026"


def _minus(text: str) -> str:
    return text.replace("-", MINUS)
