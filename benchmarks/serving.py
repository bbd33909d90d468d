"""What serving costs: latency and requests a second of `mlflow models serve`, beside the bare model.

    python benchmarks/serving.py [--seconds 20] [--model FOLDER] [--quick]

A bundle (by default the newest that a night left in the store) is served by MLflow as a champion is,
in a process of its own on loopback, and asked one request after another over a kept connection, 1 and
32 texts at a time; then by four clients at once. The bare model is the same bundle called in this
process. Both take turns (A B A B), medians of the slices. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
from measuring import table

TEXTS = [
    "Colleagues describe her as brilliant and patient.",
    "Mara lives in Arvenholm and works as a baker; customers remember him as careless above all.",
    "The birth was recorded in 1951. Everyone who met her found her generous and kind to strangers.",
    "He signed a contract with Northwind.",
]
SIZES = (1, 32)
CLIENTS = 4


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="for each cell of the table")
    parser.add_argument("--model", type=Path, help="a model bundle")
    parser.add_argument("--quick", action="store_true", help="a second for each")
    asked = parser.parse_args()
    seconds = 1.0 if asked.quick else asked.seconds
    bundle = asked.model or newest()
    from models.bundle import TextModel

    model = TextModel.load(bundle)
    with tempfile.TemporaryDirectory() as folder, Server(bundle, Path(folder)) as server:
        found = {size: alternated(server, model, size, seconds) for size in SIZES}
        together = at_once(server, seconds)
    rows = []
    for size, both in found.items():
        for name, times in both.items():
            p50, p99 = np.percentile(times, [50, 99]) * 1000
            rows.append([f"{name}, {size} texts", f"{p50:.2f}", f"{p99:.2f}",
                         f"{1 / np.mean(times):,.0f}", f"{size / np.mean(times):,.0f}"])  # fmt: skip
    rows.append([f"served, 1 text, {CLIENTS} clients at once", "", "", f"{together:,.0f}", ""])
    table(["", "p50 (ms)", "p99 (ms)", "requests/s", "texts/s"], rows, title=f"{bundle.name[:12]}")
    print("\n" + json.dumps(headline(found, together)))


def headline(found: dict[int, dict[str, list[float]]], together: float) -> dict[str, float]:
    """The figures of the last line: milliseconds, and requests a second."""
    figures = {f"requests_per_second_{CLIENTS}_clients": round(together, 1)}
    for size, both in found.items():
        for name, times in both.items():
            key = f"{name.split()[0]}_{size}"
            figures[f"{key}_p50_ms"] = round(float(np.percentile(times, 50)) * 1000, 3)
            figures[f"{key}_p99_ms"] = round(float(np.percentile(times, 99)) * 1000, 3)
    return figures


def newest() -> Path:
    """The bundle that was finished last in this machine's store."""
    from tasks.settings import Environment

    found = sorted(
        Path(Environment().store_root).glob("finetune/*/classifier/config.json"),
        key=lambda path: path.stat().st_mtime,
    )
    if not found:
        sys.exit("no night has left a model yet: run `make nightly`, or name a bundle by --model")
    return found[-1].parents[1]


class Server:
    """`mlflow models serve` of a bundle, saved as the registry has it."""

    def __init__(self, bundle: Path, folder: Path) -> None:
        self._bundle, self._folder = bundle, folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def __enter__(self) -> Server:
        import mlflow

        from tasks.tracking import registering

        terms = self._folder / "served.json"
        terms.write_text(json.dumps(registering.terms_of(self._bundle, None)))
        mlflow.pyfunc.save_model(
            path=str(self._folder / "model"),
            **registering.served(self._bundle, terms),
        )
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(self._folder / "model"),
             "--env-manager", "local", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"],
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "TF_CPP_MIN_LOG_LEVEL": "3",
                 # MLflow starts uvicorn by its name
                 "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        for _ in range(600):
            try:
                self.ask(HTTPConnection("127.0.0.1", self.port, timeout=30), TEXTS[:1])
                return self
            except OSError:
                time.sleep(0.2)
        raise RuntimeError("the server did not start")

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def ask(self, connection: HTTPConnection, texts: list[str]) -> Any:
        """Send texts, return the answers."""
        body = json.dumps({"inputs": texts})
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        told = json.loads(answer.read())
        if answer.status != 200:
            raise RuntimeError(f"the server answered {answer.status}: {told}")
        return told


def alternated(server: Server, model: Any, size: int, seconds: float) -> dict[str, list[float]]:
    """Seconds of every request, served and bare, in turns of a quarter of the time each."""
    texts = [TEXTS[i % len(TEXTS)] for i in range(size)]
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    contenders: dict[str, Callable[[], Any]] = {
        "served": lambda: server.ask(connection, texts),
        "bare": lambda: model.predict_proba(texts),
    }
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for call in contenders.values():
        for _ in range(5):
            call()
    for _ in range(4):
        for name, call in contenders.items():
            ends = time.perf_counter() + seconds / 4
            while (started := time.perf_counter()) < ends:
                call()
                found[name].append(time.perf_counter() - started)
    return found


def at_once(server: Server, seconds: float) -> float:
    """Requests a second that several clients get answered together."""
    counts = [0] * CLIENTS
    ends = time.perf_counter() + seconds

    def client(number: int) -> None:
        connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
        while time.perf_counter() < ends:
            server.ask(connection, TEXTS[:1])
            counts[number] += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


if __name__ == "__main__":
    main()
