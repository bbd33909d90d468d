"""Ports on loopback that a server is about to listen on."""

from __future__ import annotations

import socket

from tasks.errors import UserError

HOST = "127.0.0.1"


def require_free(what: str, port: int, remedy: str) -> None:
    """See that nobody listens on a port yet.

    Args:
        what: Who wants it, in words.
        port: The port.
        remedy: How to choose another one.

    Raises:
        UserError: It is taken.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UserError(
                f"port {port} for {what} is taken",
                f"Stop what uses it, or choose another: {remedy}",
            ) from error
