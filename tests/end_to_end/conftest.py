"""One whole night, shared by every test that looks at one, whichever process runs it."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest
from commands import SMOKE, Ran, run
from filelock import FileLock


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """One whole night on the fictional corpus, and the home it ran in."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # all workers' folders lie in one
        shared = shared.parent
    home, told = shared / "night" / "runs", shared / "night.json"
    with FileLock(shared / "night.lock"):
        if told.exists():
            return home, Ran(**json.loads(told.read_text()))
        ran = run(home, "nightly", "--config", SMOKE)
        assert ran.status == 0, ran.err
        told.write_text(json.dumps(asdict(ran)))
    return home, ran
