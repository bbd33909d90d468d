"""How much of the loss's variance each setting accounts for, and how sure that is.

fANOVA (https://proceedings.mlr.press/v32/hutter14.html): a random forest is fitted to loss as a
function of the settings, and its variance split by setting. Interactions are left out, so shares
are of what single settings explain. With a few dozen trials the forest is guesswork, so the same
is done with resampled trials and the spread told.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tasks.records import Frozen
from tasks.search.study import Trial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

FEWEST = 4  # complete trials
_RESAMPLES = 20
_TREES = 16


class Importance(Frozen):
    """A setting's share, from 0 to 1, of the variance, with its 90 % interval."""

    name: str
    share: float
    low: float
    high: float


def importances(
    trials: Sequence[Trial], space: Mapping[str, BaseDistribution], *, seed: int
) -> list[Importance]:
    """Share of each setting, greatest first; empty where too few trials were completed.

    Args:
        trials: Those without a loss are left out.
        space: What was varied.
        seed: Of forest and resampling.
    """
    complete = [t for t in trials if t.loss is not None]
    if len(complete) < FEWEST or len({t.loss for t in complete}) < 2:
        return []
    whole = _shares(complete, space, seed)
    if len(space) == 1:  # it explains what is explained, whatever the sample
        return [Importance(name=n, share=s, low=s, high=s) for n, s in whole.items()]
    random = np.random.default_rng(seed)
    drawn: list[dict[str, float]] = []
    for number in range(_RESAMPLES):
        sample = [complete[i] for i in random.integers(len(complete), size=len(complete))]
        if len({t.loss for t in sample}) > 1:
            drawn.append(_shares(sample, space, seed + number))
    found = []
    for name, share in whole.items():
        low, high = np.quantile([shares[name] for shares in drawn or [whole]], [0.05, 0.95])
        found.append(Importance(name=name, share=share, low=float(low), high=float(high)))
    return sorted(found, key=lambda i: (-i.share, i.name))


def _shares(
    trials: Sequence[Trial], space: Mapping[str, BaseDistribution], seed: int
) -> dict[str, float]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=optuna.storages.InMemoryStorage())
    study.add_trials(
        [
            optuna.trial.create_trial(
                params=dict(t.settings), distributions=dict(space), value=t.loss
            )
            for t in trials
        ]
    )
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=_TREES, seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(shares.get(name, 0.0)) for name in space}
