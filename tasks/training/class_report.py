"""Precision, recall, F1 and support of each class, as scikit-learn's `classification_report`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

Report = dict[str, dict[str, float]]


def per_class(truth: Sequence[str], predicted: Sequence[str], names: Sequence[str]) -> Report:
    """The figures of each class and their micro, macro and weighted averages.

    Micro: over all decisions alike. Macro: over the classes alike. Weighted: by their support.
    A figure that is 0 / 0 is 0.

    Args:
        truth: Class of each text or word.
        predicted: The same, guessed.
        names: The classes to report; what is not among them is left out of the averages too.
    """
    from sklearn.metrics import classification_report, precision_recall_fscore_support

    found: dict[str, Any] = classification_report(
        list(truth), list(predicted), labels=list(names), output_dict=True, zero_division=0
    )
    if "micro avg" not in found:  # over all classes it is the accuracy, and called so
        found.pop("accuracy")
        p, r, f, _ = precision_recall_fscore_support(
            list(truth), list(predicted), labels=list(names), average="micro", zero_division=0
        )
        found["micro avg"] = {"precision": p, "recall": r, "f1-score": f, "support": len(truth)}
    order = [*names, "micro avg", "macro avg", "weighted avg"]
    return {name: {key: float(v) for key, v in found[name].items()} for name in order}


def table(report: Report) -> str:
    """The report for people, laid out as scikit-learn prints it."""
    columns = ("precision", "recall", "f1-score", "support")
    width = max(map(len, report))
    lines = ["".join([" " * width, *(f"{name:>11}" for name in columns)]), ""]
    for name, figures in report.items():
        if name == "micro avg":
            lines.append("")
        numbers = "".join(f"{figures[column]:>11.3f}" for column in columns[:3])
        lines.append(f"{name:>{width}}{numbers}{figures['support']:>11,.0f}")
    return "\n".join(lines) + "\n"


def accuracy(
    truth: Sequence[str], predicted: Sequence[str], *, resamples: int, seed: int
) -> dict[str, float]:
    """Share of right answers, with its interval over the rows."""
    from tasks.evaluation import bootstrap

    right = np.array([a == b for a, b in zip(truth, predicted, strict=True)])
    return bootstrap.share(right, resamples=resamples, seed=seed)


def as_json(report: dict[str, Any]) -> bytes:
    """Bytes that are the same for the same report."""
    return orjson.dumps(report, option=orjson.OPT_INDENT_2)
