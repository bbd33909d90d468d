"""Two nights at once in one home."""

from __future__ import annotations

import signal

from faulting.ground import Ground
from faulting.nights import Broken, Ended


def together(ground: Ground, _: str) -> str:
    """Both started at the same moment: each result is computed by one and used by both."""
    nights = [ground.night() for _ in range(2)]
    one, other = [night.wait() for night in nights]
    for ended in (one, other):
        _require_well(ended)
    computed = [{title for title, reused in e.stages if not reused} for e in (one, other)]
    if both := computed[0] & computed[1]:
        raise Broken(f"computed twice: {', '.join(sorted(both))}")
    return f"{len(computed[0])} computed by one, {len(computed[1])} by the other"


def one_killed(ground: Ground, title: str) -> str:
    """The first killed inside a stage that the second waits for."""
    first, second = ground.night(), ground.night()
    first.wait_until(lambda: ground.is_working_on(title))
    first.send(signal.SIGKILL, group=True)
    ended = second.wait()
    _require_well(ended)
    taken = sum(not reused for _, reused in ended.stages)
    return f"the other computed {taken}"


def _require_well(ended: Ended) -> None:
    if ended.status:
        raise Broken(f"a night ended with {ended.status}: {ended.err[-800:]}")
