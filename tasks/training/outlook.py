"""What twice the pretraining budget would buy, as the stage leaves it for the page and MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from tasks.records import Point

OUTLOOK = "forecast.json"
_LOSS = "validation_loss"
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


def write_outlook(
    out: Path, points: Sequence[Point], tokens_per_step: float, stable: tuple[int, int], seed: int
) -> dict[str, float]:
    """Fit the held-out losses and write `forecast.json`: a forecast, or the reason for none.

    Args:
        out: The stage's folder.
        points: The whole curve, to the end of the decay.
        tokens_per_step: Positions of a step; with a batch-size ramp, of the mean step.
        stable: The steps after which the warm-up is over and the decay begins.
        seed: Of the interval's bootstrap.

    Returns:
        `loss_at_twice` with `_low` and `_high` for the record's metrics, empty without a forecast.
    """
    found = _forecast(points, tokens_per_step, stable, seed)
    (out / OUTLOOK).write_bytes(orjson.dumps(found, option=_JSON))
    if "reason" in found:
        return {}
    names = {"loss_at_twice": "twice", "loss_at_twice_low": "low", "loss_at_twice_high": "high"}
    return {name: found[key] for name, key in names.items()}


def _forecast(
    points: Sequence[Point], tokens_per_step: float, stable: tuple[int, int], seed: int
) -> dict[str, Any]:
    from models.training.forecast import NoForecast, forecast

    judged = [(p.step, p.metrics[_LOSS]) for p in points if _LOSS in p.metrics]
    if not judged:
        return {"reason": "There is no held-out text to judge by."}
    if points[-1].step < stable[1] or judged[-1][0] != points[-1].step:
        return {"reason": "The run ended before its learning rate decayed."}
    first, last = stable
    kept = [(step * tokens_per_step, loss) for step, loss in judged if first <= step <= last]
    found = forecast(kept, (judged[-1][0] * tokens_per_step, judged[-1][1]), seed=seed)
    if isinstance(found, NoForecast):
        return {"reason": found.reason}
    return found.to_dict()
