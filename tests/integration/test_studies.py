"""A study in PostgreSQL, shared by two threads; skipped where there is no server to start."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.configuration import Configuration
from tasks.search.configuration import Dimension, Search
from tasks.search.space import distributions
from tasks.search.study import Study

SPACE = {"pretrain.learning_rate": Dimension(low=1e-4, high=1e-1, log=True)}
INITDB, PG_CTL = shutil.which("initdb"), shutil.which("pg_ctl")


def server_user() -> str | None:
    """PostgreSQL refuses to run as root."""
    if os.getuid():
        return pwd.getpwuid(os.getuid()).pw_name
    return "postgres" if "postgres" in [entry.pw_name for entry in pwd.getpwall()] else None


@pytest.fixture
def database() -> Iterator[str]:
    user = server_user()
    if INITDB is None or PG_CTL is None or user is None:
        pytest.skip("there is no PostgreSQL server here to start")
    # Not pytest's own folder, which other users cannot enter; and short, since a socket lies in it.
    with tempfile.TemporaryDirectory(prefix="pg-") as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        shutil.chown(folder, user)
        data = Path(folder, "data")

        def call(*line: str) -> None:
            subprocess.run(
                line, check=True, cwd=folder, stdout=subprocess.DEVNULL, timeout=120,
                user=None if os.getuid() else user,
            )  # fmt: skip

        call(INITDB, "-D", str(data), "-A", "trust", "-U", "plumbline", "--no-sync")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        call(PG_CTL, "-D", str(data), "-o", options, "-l", f"{folder}/log", "-w", "start")
        try:
            yield f"postgresql://plumbline@127.0.0.1:{port}/postgres"
        finally:
            call(PG_CTL, "-D", str(data), "-m", "immediate", "stop")


@pytest.mark.slow
def test_two_threads_share_a_study_in_postgresql_and_its_budget_is_kept(database: str) -> None:
    told = Search(trials=7, parallel=2, startup=2)
    study = Study(database, "shared", distributions(SPACE, Configuration()), told, 1)

    def work(_: int) -> int:
        done = 0
        while (asked := study.ask()) is not None:
            study.report(asked, 10, float(asked.number))
            study.tell(asked.number, "complete", loss=float(asked.number))
            done += 1
        return done

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(work, range(2)))
    assert sum(done) == 7
    again = Study(database, "shared", distributions(SPACE, Configuration()), told, 1)
    assert again.left() == 0
    assert [t.number for t in again.trials()] == list(range(7))
    assert len({t.settings["pretrain.learning_rate"] for t in again.trials()}) == 7
