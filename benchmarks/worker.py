"""The process of one contender: a job of `ours` or of a peer, and the gate through which it steps.

    python benchmarks/worker.py ours.throughput '{"layers": 4, ...}'

Standard output is the channel to `measuring.Worker`, a JSON object a line; whatever libraries print
goes to standard error. torch and TensorFlow never meet in one process.
"""

from __future__ import annotations

import importlib
import json
import os
import sys

from gate import Finished, send

_ROOMS = {
    "ours": "ours",
    "ours_budget": "ours_budget",
    "ours_upkeep": "ours_upkeep",
    "filtering": "filtering",
    "scaling": "scaling",
    "hugging_face": "peers.hugging_face",
    "keras_hub": "peers.keras_hub",
}


def main() -> None:
    """Run the job that the command line names."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    room, _, name = sys.argv[1].partition(".")
    job = getattr(importlib.import_module(_ROOMS[room]), name)
    try:
        found = job(answers, **json.loads(sys.argv[2]))
    except Finished:
        return
    if found is not None:
        send(answers, found)


if __name__ == "__main__":
    main()
