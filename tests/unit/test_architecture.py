"""Imports point one way, importing does nothing, and names shadow no library."""

import os
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tasks import version

ROOT = Path(__file__).parents[2]


def test_the_import_contracts_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_importing_the_flows_loads_no_heavy_library_and_writes_nothing(tmp_path: Path) -> None:
    heavy = "tensorflow torch textattack shap lime great_expectations mlflow datasets sklearn matplotlib"
    code = (
        "import sys, flows.nightly, flows.cli\n"
        f"print([m for m in {heavy.split()} if m in sys.modules])"
    )
    environment = {
        **os.environ,
        "PLUMBLINE_HOME": str(tmp_path / "runs"),
        "PREFECT_HOME": str(tmp_path / "p"),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["flows", "tasks", "expectations", "models"])
def test_no_installed_library_brings_a_package_of_our_names(name: str) -> None:
    assert set(packages_distributions().get(name, [])) <= {"plumbline"}


def test_a_stage_is_as_new_as_the_newest_file_it_can_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("tasks", "models"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
    (tmp_path / "tasks" / "first.py").write_text("def f():\n    from models import deep\n")
    (tmp_path / "tasks" / "other.py").write_text("x = 1\n")
    (tmp_path / "models" / "deep.py").write_text("y = 1\n")
    monkeypatch.setattr(version, "ROOT", tmp_path)

    def versions() -> list[str]:
        version.code_version.cache_clear()
        return [version.code_version(f"tasks.{name}") for name in ("first", "other")]

    before = versions()
    (tmp_path / "models" / "deep.py").write_text("y = 2\n")
    after = versions()
    version.code_version.cache_clear()
    assert before[0] != after[0]
    assert before[1] == after[1]
