"""Two workers of Dask leave the same bytes as this process does."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

# The workers are spawned, so the program that asks for them must be a file with a guard.
PROGRAM = """
import sys
from pathlib import Path

if __name__ == "__main__":
    from tasks.settings import Environment

    Environment().apply()
    import orjson

    from tasks import mapping
    from tasks.configuration import Cleaning, Profiling, Source
    from tasks.corpus import shards
    from tasks.corpus.clean import clean
    from tasks.corpus.ingest import ingest
    from tasks.corpus.profile import profile

    shards.TARGET, shards.LEAST, shards.MOST = 300, 60, 1200
    with mapping.working_with(sys.argv[1], 2):
        raw = ingest(config=Source(), seed=1, content="fictional")
        signals = profile(raw, config=Profiling())
        cleaned = clean(raw, signals, config=Cleaning())
    told = {record.stage: record.digest for record in (raw, signals, cleaned)}
    Path(sys.argv[2]).write_bytes(orjson.dumps([told, signals.outcome.summary]))
"""


def run(runner: str, folder: Path) -> tuple[dict[str, str], str]:
    program, told = folder / "program.py", folder / f"{runner}.json"
    program.write_text(PROGRAM)
    environment = {**os.environ, "PLUMBLINE_HOME": str(folder / runner)}
    for name in ("PLUMBLINE_STORE", "PLUMBLINE_DASK", "PREFECT_API_URL"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, str(program), runner, str(told)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    digests, summary = orjson.loads(told.read_bytes())
    return digests, summary


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(
    importlib.util.find_spec("prefect_dask") is None, reason="the extra `scale` is not installed"
)
def test_two_workers_of_dask_leave_the_same_bytes_as_one_process(tmp_path: Path) -> None:
    alone, said = run("in_process", tmp_path)
    workers, also_said = run("dask", tmp_path)
    assert "measured, 0 reused" in said
    assert also_said == said
    assert workers == alone
