"""Two nights at once in one home."""

from __future__ import annotations

import signal

from faulting.ground import Ground
from faulting.nights import Broken, Ended


def together(ground: Ground, _: str) -> str:
    """Both started at the same moment: each result is computed by one and used by both."""
    one, other = (_computed(ended) for ended in pair(ground))
    if both := one & other:
        raise Broken(f"computed twice: {', '.join(sorted(both))}")
    return f"{len(one)} computed by one, {len(other)} by the other"


def pair(ground: Ground) -> tuple[Ended, Ended]:
    """Two nights from one moment on, both ended well."""
    first, second = ground.night(), ground.night()
    one, other = first.wait(), second.wait()
    _require_well(one)
    _require_well(other)
    return one, other


def one_killed(ground: Ground, title: str) -> str:
    """The first killed inside a stage that the second waits for."""
    first, second = ground.night(), ground.night()
    first.wait_until(lambda: ground.is_working_on(title))
    first.send(signal.SIGKILL, group=True)
    ended = second.wait()
    _require_well(ended)
    return f"the other computed {len(_computed(ended))}"


def _computed(ended: Ended) -> set[str]:
    return {title for title, reused in ended.stages if not reused}


def _require_well(ended: Ended) -> None:
    if ended.status:
        raise Broken(f"a night ended with {ended.status}: {ended.err[-800:]}")
