"""One whole night, shared by every test that looks at one."""

from pathlib import Path

import pytest
from commands import SMOKE, Ran, run


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """One whole night on the fictional corpus, and the home it ran in."""
    home = tmp_path_factory.mktemp("night") / "runs"
    ran = run(home, "nightly", "--config", SMOKE)
    assert ran.status == 0, ran.err
    return home, ran
