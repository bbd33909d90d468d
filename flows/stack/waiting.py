"""The health check of Prefect's services, which answer no requests: do they still ask for messages?

    python -m flows.stack.waiting

Those that act on events (they keep events and task runs, pull triggers, and do what was triggered) ask
Redis for more about every second, in whichever state the queue is. Seen with Prefect 3.8: four readers
of groups, and none in the process of the API, which reads without a group.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping

from redis import Redis

_READERS = 4
_LATELY = 60  # seconds


def readers(clients: Iterable[Mapping[str, str]]) -> int:
    """How many of Redis's clients read for a group, and asked lately.

    Args:
        clients: As `CLIENT LIST` gives them.
    """
    return sum(
        client["cmd"] == "xreadgroup" and int(client["idle"]) < _LATELY for client in clients
    )


def main() -> int:
    """Exit status: 0 if the services wait for messages."""
    named = "PREFECT_REDIS_MESSAGING_"
    server = Redis(
        host=os.environ[f"{named}HOST"], port=int(os.environ[f"{named}PORT"]),
        password=os.environ[f"{named}PASSWORD"], decode_responses=True, socket_timeout=5,
    )  # fmt: skip
    found = readers(server.client_list())
    if found < _READERS:
        sys.stderr.write(f"{found} of {_READERS} services wait for messages\n")
    return int(found < _READERS)


if __name__ == "__main__":
    sys.exit(main())
