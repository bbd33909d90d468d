"""From which stage on a night computes afresh, although an earlier night left the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import get_args

from tasks.configuration import StageTitle

_ORDER: tuple[str, ...] = get_args(StageTitle)
_start: ContextVar[tuple[str, float] | None] = ContextVar("plumbline_start_from", default=None)


@contextmanager
def starting_from(stage: StageTitle | None, started: str) -> Iterator[None]:
    """Within a night, count nothing as done from a stage on that was done before the night began.

    A night that was interrupted and goes on keeps what it has computed itself.

    Args:
        stage: The stage's title; None for a night that reuses all that is unchanged.
        started: When the night began (ISO time).
    """
    token = _start.set((stage, datetime.fromisoformat(started).timestamp()) if stage else None)
    try:
        yield
    finally:
        _start.reset(token)


def is_outdated(title: str, finished: float) -> bool:
    """Whether what a stage left is to be computed again tonight.

    Args:
        title: The stage's title.
        finished: When its folder was finished (s since 1970).
    """
    if (start := _start.get()) is None:
        return False
    first, since = start
    title = title.removeprefix("champion_")
    # What is not in the order is brought from outside, such as the champion, and not computed.
    return finished < since and title in _ORDER[_ORDER.index(first) :]
