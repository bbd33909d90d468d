"""cleanlab's rankings of given labels, from the same probabilities.

Run by another interpreter than ours, whose environment has cleanlab (AGPL) and none of our code:

    python cleanlab_ranking.py IN.npz OUT.npz

IN holds `given` (n,) and `probabilities` (n, m); OUT gets a score per row for each of its ways to
rank, higher is more suspect, and `suspects`, the rows that its default filter names.
"""

from __future__ import annotations

import sys

import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores

WAYS = (
    ("self_confidence", False), ("normalized_margin", False),
    ("confidence_weighted_entropy", False), ("self_confidence", True), ("normalized_margin", True),
)  # fmt: skip


def main() -> None:
    """Read, rank, write."""
    read = np.load(sys.argv[1])
    given, probabilities = read["given"], read["probabilities"]
    found = {
        method + ("_adjusted" if adjusted else ""): 1
        - get_label_quality_scores(given, probabilities, method=method, adjust_pred_probs=adjusted)
        for method, adjusted in WAYS
    }
    np.savez(sys.argv[2], suspects=find_label_issues(given, probabilities, n_jobs=1), **found)


if __name__ == "__main__":
    main()
