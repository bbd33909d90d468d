"""An S3 store that is slow, fails now and then, or goes away while a night uses it.

rclone serves a folder as a bucket, so that what lies there is judged like any other store; between it
and the night stands a proxy that delays requests, answers some with 503, or none at all.
"""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from faulting.ground import Ground
from faulting.nights import Broken, Ended, Night, NotInjected
from faulting.ports import free_port

_KEY, _SECRET = "faults", "not-a-secret"
_BUCKET = "plumbline"
_DELAY = 0.4  # seconds before each answer of a slow store
_EVERY = 4  # so many requests of a failing store, and one of them fails
_AWAY = 12.0  # seconds
_PATIENCE = 60.0


def slow(ground: Ground, title: str) -> str:
    """Every answer is late from a stage on."""
    proxy, night = _begun(ground, title)
    proxy.delay = _DELAY
    _went_well(night.wait())
    proxy.delay = 0.0
    return f"{proxy.asked} requests, each {_DELAY:g} s late"


def failing(ground: Ground, title: str) -> str:
    """One request in a few is answered with 503 from a stage on, and the night gets through."""
    proxy, night = _begun(ground, title)
    proxy.failing = True
    _went_well(night.wait())
    proxy.failing = False
    if not proxy.failed:
        raise NotInjected("no request failed")
    return f"{proxy.failed} of {proxy.asked} requests failed"


def away(ground: Ground, title: str) -> str:
    """Connections are refused inside a stage for some seconds: the night waits, or says what is wrong."""
    proxy, night = _begun(ground, title)
    proxy.away = True
    with contextlib.suppress(NotInjected):  # it ended, which is for what follows to judge
        night.wait_for(_AWAY)
    proxy.away = False
    ended = night.wait()
    if not proxy.failed:
        raise NotInjected("nothing was asked meanwhile")
    if "Traceback" in ended.err:
        raise Broken(f"it ended with {ended.status}: {ended.err[-800:]}")
    how = "went on" if ended.status == 0 else f"ended with {ended.status}"
    return f"{proxy.failed} requests refused; the night {how}"


def _begun(ground: Ground, title: str) -> tuple[_Proxy, Night]:
    """A night over S3 that has come to a stage."""
    proxy, night = _store(ground), ground.night()
    night.wait_until(lambda: _has_begun(ground, title))
    return proxy, night


def _went_well(ended: Ended) -> None:
    if ended.status or "Traceback" in ended.err:
        raise Broken(f"it ended with {ended.status}: {ended.err[-800:]}")


def _has_begun(ground: Ground, title: str) -> bool:
    stage, key = ground.made.places[title]
    return any((ground.home / "cache" / "work").glob(f"{stage}-{key[:16]}*"))


def _store(ground: Ground) -> _Proxy:
    """Put the home's store behind S3, and have the nights of this ground use it."""
    bucket = ground.home.parent / "s3" / _BUCKET
    bucket.mkdir(parents=True)
    (ground.home / "store").mkdir(parents=True, exist_ok=True)
    shutil.move(ground.home / "store", bucket / "store")
    (ground.home / "store").symlink_to(bucket / "store")
    port = free_port()
    server = subprocess.Popen(
        [Path(sys.executable).with_name("rclone"), "serve", "s3", "--config", "/dev/null",
         "--addr", f"127.0.0.1:{port}", "--auth-key", f"{_KEY},{_SECRET}", bucket.parent],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    ground.later(server.wait)
    ground.later(server.kill)
    _await(port)
    proxy = _Proxy(port)
    ground.later(proxy.close)
    ground.environment |= {
        "PLUMBLINE_STORE": f"s3://{_BUCKET}/store",
        "AWS_ENDPOINT_URL": proxy.address,
        "AWS_ACCESS_KEY_ID": _KEY,
        "AWS_SECRET_ACCESS_KEY": _SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    return proxy


class _Proxy:
    """Between a client and a server of HTTP, on loopback.

    Attributes:
        delay: Before each answer (s).
        failing: Whether one request in a few is answered with 503.
        away: Whether connections are closed without an answer.
        asked: Requests so far.
        failed: Those that were not passed on.
    """

    def __init__(self, port: int) -> None:
        self.delay, self.failing, self.away = 0.0, False, False
        self.asked = self.failed = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self) -> None:
                outer.asked += 1
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if outer.away:
                    outer.failed += 1
                    self.close_connection = True
                    return
                time.sleep(outer.delay)
                if outer.failing and outer.asked % _EVERY == 0:
                    outer.failed += 1
                    self._answer(503, [], b"")
                    return
                there = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                there.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in ("expect", "connection"):
                        there.putheader(name, value)
                there.endheaders(body)
                answer = there.getresponse()
                told = [
                    (name, value)
                    for name, value in answer.getheaders()
                    if name.lower() not in ("transfer-encoding", "connection", "content-length")
                ]
                size = answer.getheader("Content-Length") if self.command == "HEAD" else None
                self._answer(answer.status, told, answer.read(), size)
                there.close()

            def _answer(
                self,
                status: int,
                headers: list[tuple[str, str]],
                body: bytes,
                size: str | None = None,
            ) -> None:
                self.send_response_only(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", size or str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = pass_on

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()


def _await(port: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("rclone did not start")
