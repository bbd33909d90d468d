"""Which process did something, and whether it lives: known however the clock is set."""

import subprocess
import sys
import time

import psutil
import pytest

from tasks.processes import identity, is_dead

SAY = "from tasks.processes import identity; print(identity()['process'], flush=True); input()"


def test_a_process_is_alive_until_it_ends_and_dead_before_anybody_asks_how_it_ended() -> None:
    host = identity()["host"]
    child = subprocess.Popen(
        [sys.executable, "-c", SAY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    said = child.stdout.readline().strip()
    assert said.startswith(f"{child.pid}:")
    assert not is_dead(host, said)
    assert not is_dead("another-machine", said)
    assert is_dead(host, f"{said}0"), "another process with the same number"
    child.kill()
    deadline = time.monotonic() + 10
    while not is_dead(host, said):  # nobody has waited for it
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.communicate()
    assert is_dead(host, said)


@pytest.mark.skipif(not psutil.LINUX, reason="elsewhere a birth is a time of day")
def test_who_lives_is_alive_after_the_clock_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    before = identity()
    day = 86_400
    created = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: created(self) + day)
    monkeypatch.setattr(time, "time", lambda now=time.time: now() + day)
    assert identity() == before
    assert not is_dead(**before)
