"""The figures of a search: where good trials lie, which settings matter, how the best came down.

Drawn with matplotlib's objects rather than through pyplot, which keeps state between threads; the
same trials give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.search.importance import FEWEST, Importance, importances
from tasks.search.results import readable, short
from tasks.search.study import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from optuna.distributions import BaseDistribution

PARALLEL, IMPORTANCES, HISTORY = (
    "parallel_coordinates.png",
    "importances.png",
    "optimization_history.png",
)
_INK, _MUTED, _BEST, _BAR = "#22272e", "#b9c0c8", "#d1495b", "#2f6f9f"
_DPI = 144
_UNFINISHED = ("pruned", "diverged", "impossible", "failed")

Space = Mapping[str, "BaseDistribution"]


def draw(folder: Path, trials: Sequence[Trial], space: Space, *, seed: int) -> None:
    """Write the three figures as PNG.

    Args:
        folder: To write to.
        trials: All that have ended.
        space: What was varied.
        seed: Of the importances' forest and resampling.
    """
    counted = [t for t in trials if t.ending != "killed"]
    _save(_parallel(counted, space), folder / PARALLEL)
    _save(_importances(importances(counted, space, seed=seed), counted), folder / IMPORTANCES)
    _save(_history(counted), folder / HISTORY)


def _figure(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11, color=_INK, pad=30)
    axes.tick_params(colors=_INK, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    # Without the version of the library, so that the same picture is the same file.
    figure.savefig(path, dpi=_DPI, metadata={"Software": None})


def _say(axes: Axes, text: str) -> None:
    axes.axis("off")
    axes.text(0.0, 0.6, text, transform=axes.transAxes, color=_INK, fontsize=10)


# --- parallel coordinates ---


def _parallel(trials: Sequence[Trial], space: Space) -> Figure:
    names = list(space)
    complete = sorted((t for t in trials if t.loss is not None), key=lambda t: -_loss(t))
    title = f"Parallel coordinates: {len(complete)} complete trials, coloured by held-out loss"
    figure, axes = _figure(2.1 * (len(names) + 1) + 1.6, 4.6, title)
    if not complete:
        _say(axes, "No trial was completed.")
        return figure
    losses = [_loss(t) for t in complete]
    low, high = min(losses), max(losses)
    colours = _colours()
    for trial in (t for t in trials if t.ending in _UNFINISHED):
        heights = [_height(space[n], trial.settings[n]) for n in names]
        _path(axes, heights, color=_MUTED, linewidth=0.8, linestyle=(0, (3, 3)), zorder=1)
        axes.plot(len(names) - 1, heights[-1], marker="x", color=_MUTED, markersize=5, zorder=55)
    for rank, trial in enumerate(complete):
        place = _share(_loss(trial), low, high)
        heights = [*(_height(space[n], trial.settings[n]) for n in names), place]
        best = rank == len(complete) - 1
        _path(
            axes, heights, zorder=3 + rank,
            color=_BEST if best else colours(0.92 * place), linewidth=2.6 if best else 1.3,
            alpha=1.0 if best else 0.85,
        )  # fmt: skip
    for column, name in enumerate(names):
        _axis(axes, column, short(names)[name], _ticks(space[name]))
    shares = (0.0, 0.25, 0.5, 0.75, 1.0) if high > low else (0.5,)
    marks = [(share, f"{low + share * (high - low):.3f}") for share in shares]
    _axis(axes, len(names), "loss (nats)", marks)
    _legend(axes, complete[-1], any(t.ending in _UNFINISHED for t in trials))
    axes.set(xlim=(-0.25, len(names) + 0.45), ylim=(-0.04, 1.04))
    axes.axis("off")
    return figure


def _legend(axes: Axes, best: Trial, unfinished: bool) -> None:
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=_BEST, linewidth=2.6, label=f"best: trial {best.number}")]
    if unfinished:
        dashed: dict[str, Any] = {
            "color": _MUTED,
            "linewidth": 1,
            "linestyle": (0, (3, 3)),
            "marker": "x",
        }
        lines += [Line2D([], [], label="not completed", **dashed)]
    axes.legend(
        handles=lines, loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=2, frameon=False,
        fontsize=9, labelcolor=_INK,
    )  # fmt: skip


def _colours() -> Any:
    from matplotlib import colormaps

    return colormaps["viridis"]


def _path(axes: Axes, heights: Sequence[float], **style: Any) -> None:
    """One trial from axis to axis, easing in and out so that crossings can be followed."""
    ease = np.linspace(0.0, 1.0, 25)
    bend = ease * ease * (3.0 - 2.0 * ease)
    xs = [column + ease for column in range(len(heights) - 1)]
    ys = [a + bend * (b - a) for a, b in zip(heights, heights[1:], strict=False)]
    if ys:
        axes.plot(np.concatenate(xs), np.concatenate(ys), solid_capstyle="round", **style)


def _axis(axes: Axes, column: int, title: str, ticks: Sequence[tuple[float, str]]) -> None:
    axes.plot([column, column], [0, 1], color=_INK, linewidth=1.0, zorder=50)
    for height, text in ticks:
        axes.plot([column, column + 0.03], [height, height], color=_INK, linewidth=1.0, zorder=50)
        axes.text(
            column + 0.05, height, text, va="center", fontsize=8, color=_INK, zorder=60,
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8},
        )  # fmt: skip
    axes.text(column, 1.05, title, ha="center", va="bottom", fontsize=9, color=_INK, weight="bold")


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _height(distribution: Any, value: Any) -> float:
    """Where on its axis, from 0 to 1, a value stands."""
    choices = getattr(distribution, "choices", None)
    if choices is not None:
        return _share(choices.index(value), 0, len(choices) - 1)
    if distribution.log:
        return _share(math.log(value), math.log(distribution.low), math.log(distribution.high))
    return _share(value, distribution.low, distribution.high)


def _ticks(distribution: Any) -> list[tuple[float, str]]:
    choices = getattr(distribution, "choices", None)
    if choices is not None:
        return [(_height(distribution, c), readable(c)) for c in choices]
    low, high = distribution.low, distribution.high
    inner = _decades(low, high) if distribution.log else np.linspace(low, high, 5)[1:-1]
    values = [low, *((round(v) if isinstance(low, int) else float(v)) for v in inner), high]
    heights = {v: _height(distribution, v) for v in values}
    kept = [v for v in heights if v in (low, high) or 0.06 < heights[v] < 0.94]
    return [(heights[v], readable(v)) for v in kept]


def _decades(low: float, high: float) -> list[float]:
    """Round numbers between two: 1, 2 and 5 of each decade, or 1 alone where those are many."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if last - first <= 2 else (1,)
    numbers = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    return [number for number in numbers if low < number < high]


# --- importances ---


def _importances(found: Sequence[Importance], trials: Sequence[Trial]) -> Figure:
    complete = sum(t.loss is not None for t in trials)
    title = f"What moves the held-out loss: share of its variance (fANOVA, {complete} trials)"
    figure, axes = _figure(7.6, 1.5 + 0.5 * max(len(found), 2), title)
    if not found:
        _say(
            axes,
            f"It takes {FEWEST} complete trials of different losses to tell; there are {complete}.",
        )
        return figure
    rows = list(reversed(found))
    titles = short([i.name for i in rows])
    for place, importance in enumerate(rows):
        axes.barh(place, importance.share, height=0.56, color=_BAR)
        axes.plot([importance.low, importance.high], [place, place], color=_INK, linewidth=1.4)
        low, high = 100 * importance.low, 100 * importance.high
        told = f"{100 * importance.share:.0f} %  ({low:.0f} to {high:.0f})"
        right = max(importance.share, importance.high)
        axes.text(right + 0.015, place, told, va="center", fontsize=9, color=_INK)
    axes.set_yticks(range(len(rows)), [titles[i.name] for i in rows])
    axes.set(xlim=(0, max(1.0, 0.3 + max(i.high for i in rows))), ylim=(-0.6, len(rows) - 0.4))
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.set_xlabel("bar: all trials; line: 90 % of resampled trials", fontsize=9, color=_INK)
    return figure


# --- history ---


def _history(trials: Sequence[Trial]) -> Figure:
    complete = [t for t in trials if t.loss is not None]
    figure, axes = _figure(7.6, 4.0, f"Held-out loss of {len(trials)} trials in their order")
    if not complete:
        _say(axes, "No trial was completed.")
        return figure
    stopped = [t for t in trials if t.loss is None and t.last_loss is not None]
    lost = [t for t in trials if t.loss is None and t.last_loss is None]
    best = np.minimum.accumulate([_loss(t) for t in complete])
    numbers = [*(t.number for t in complete), trials[-1].number]
    axes.step(
        numbers, [*best, best[-1]], where="post", color=_BEST, linewidth=1.8, label="best so far"
    )
    axes.scatter(
        numbers[:-1], [_loss(t) for t in complete], color=_BAR, s=34, zorder=3, label="complete"
    )
    if stopped:
        axes.scatter(
            [t.number for t in stopped], [t.last_loss or 0.0 for t in stopped], s=34, zorder=2,
            facecolors="white", edgecolors=_MUTED, linewidths=1.4, label="ended early, at its last loss",
        )  # fmt: skip
    if lost:
        axes.scatter(
            [t.number for t in lost], [1.0] * len(lost), marker="x", color=_INK, s=26, clip_on=False,
            transform=axes.get_xaxis_transform(), label="no loss",
        )  # fmt: skip
    axes.set_xlabel("trial", fontsize=9, color=_INK)
    axes.set_ylabel("held-out loss (nats)", fontsize=9, color=_INK)
    axes.locator_params(axis="x", integer=True)
    axes.grid(axis="y", color=_MUTED, alpha=0.35, linewidth=0.6)
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=4, frameon=False, fontsize=9,
        labelcolor=_INK, handletextpad=0.4,
    )  # fmt: skip
    return figure


def _loss(trial: Trial) -> float:
    return trial.loss if trial.loss is not None else math.nan
