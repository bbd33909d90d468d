"""What becomes of a question to an MLflow server that went away while a night was under way.

Whoever needs the answer waits for it, saying so, for as long as the environment's patience lasts.
Whoever only has something to report says so (`at_once`), and keeps it; see `outbox`.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tasks.console import note
from tasks.errors import UserError
from tasks.settings import Environment

_SECONDS_BETWEEN = 10.0  # two attempts
# What MLflow's client says of a server that is not there, or has a proxy answer in its place.
_AWAY = re.compile(
    r"failed with exception|failed with error code 50[234]|Connection (refused|reset|aborted)"
    r"|Max retries exceeded|too many 50[0234] error responses|Read timed out"
)
_waits: ContextVar[bool] = ContextVar("plumbline_waits_for_mlflow", default=True)


class Unreachable(UserError):
    """The MLflow server does not answer; nothing that the night computed is lost."""


@contextmanager
def at_once() -> Iterator[None]:
    """Within, a server that does not answer is `Unreachable` at once."""
    token = _waits.set(False)
    try:
        yield
    finally:
        _waits.reset(token)


def is_away(error: BaseException) -> bool:
    """Whether an error says that the server cannot be reached, and not that it said no."""
    from requests import RequestException
    from requests.exceptions import HTTPError

    if isinstance(error, HTTPError):
        return error.response is not None and error.response.status_code in (502, 503, 504)
    return isinstance(error, RequestException | ConnectionError) or bool(_AWAY.search(str(error)))


def patiently(call: Callable[[], Any]) -> Any:
    """What a question to MLflow answers, asked again while the server is away.

    Args:
        call: Asks; asking twice must do no harm.

    Raises:
        Unreachable: The server stayed away for `PLUMBLINE_MLFLOW_PATIENCE` minutes, or nobody waits.
    """
    environment = Environment()
    gives_up = time.monotonic() + 60 * environment.mlflow_patience
    told = False
    while True:
        try:
            return call()
        except Exception as error:
            if isinstance(error, UserError) or not is_away(error):
                raise
            if not _waits.get() or time.monotonic() > gives_up:
                raise Unreachable(
                    f"MLflow at {environment.tracking} went away: {error}",
                    "Start it and run the night again: finished stages are kept and reused.",
                ) from error
        if not told:
            note(f"MLflow does not answer; asking again for {environment.mlflow_patience:g} min")
            told = True
        time.sleep(min(_SECONDS_BETWEEN, max(0.0, gives_up - time.monotonic())))


class Patient:
    """An MLflow client whose every method waits for a server that went away.

    Args:
        client: What is asked.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not callable(found):
            return found

        @functools.wraps(found)
        def ask(*arguments: Any, **named: Any) -> Any:
            return patiently(lambda: found(*arguments, **named))

        return ask
