"""Every evaluation of one model on one corpus' held-out rows and probes."""

from __future__ import annotations

from tasks.configuration import Configuration
from tasks.evaluation.calibration import calibration
from tasks.evaluation.group_metrics import group_metrics
from tasks.evaluation.hallucination import hallucination
from tasks.evaluation.quality import quality
from tasks.evaluation.robustness import robustness
from tasks.records import Record


def evaluate(
    model: Record, corpus: Record, c: Configuration, prefix: str = ""
) -> dict[str, Record]:
    """Every evaluation of one model on tonight's held-out rows and probes."""
    config, seed = c.evaluate, c.seed
    scored = quality(model, corpus, config=config, seed=seed, title=f"{prefix}quality")
    return {
        f"{prefix}quality": scored,
        f"{prefix}calibration": calibration(
            scored, config=config, seed=seed, title=f"{prefix}calibration"
        ),
        f"{prefix}hallucination": hallucination(
            model, corpus, config=config, seed=seed, title=f"{prefix}hallucination"
        ),
        f"{prefix}group_metrics": group_metrics(
            scored,
            corpus,
            config=config,
            fairness=c.fairness,
            seed=seed,
            title=f"{prefix}group_metrics",
        ),
        f"{prefix}robustness": robustness(
            model, corpus, config=config, seed=seed, title=f"{prefix}robustness"
        ),
    }
