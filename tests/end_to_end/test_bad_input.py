"""Bad input, as a person gives it: one clear error, no traceback, nothing half written.

What ingest does with single bad rows is in unit/test_ingest.py; here whole commands are given what
they cannot use. All of them share one Prefect server, so that each takes seconds.
"""

import json
import os
import resource
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from commands import command, run

from tasks.manifest import intact


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A home whose databases exist, and the API of a Prefect server."""
    home = tmp_path_factory.mktemp("bad") / "runs"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        other = probe.getsockname()[1]
    line, environment = command(home, "ui", "--prefect-port", port, "--mlflow-port", other)
    process = subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(3):
        process.stdout.readline()
    yield home, f"http://127.0.0.1:{port}/api"
    process.terminate()
    process.wait(30)


ROWS = [
    {"text": f"The quiet harbour welcomed visitor number {i}.", "label": i % 2} for i in range(60)
]


def jsonl(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def prepare_bad(tmp: Path, kind: str) -> tuple[list[str], str]:
    """The arguments of a command that cannot work, and what its error must say."""
    good = jsonl(tmp / "good.jsonl", ROWS)
    source = f"source.location={good}"
    made = {
        "missing file": ([f"source.location={tmp}/goood.jsonl"], "did you mean 'good.jsonl'"),
        "missing folder": ([f"source.location={tmp}/no/such.csv"], "there is no file"),
        "wrong column": ([source, "source.text=txt"], "has no column 'txt'; it has"),
        "wrong label": ([source, "source.label=lable"], "has no column 'lable'"),
        "unknown key": ([source, "pretrain.tokns=5"], "pretrain.tokns: there is no such setting"),
        "out of bounds": ([source, "pretrain.mask_rate=2"], "pretrain.mask_rate"),
        "contradiction": (["source.label=label"], "source.location is 'fictional'"),
        "not an assignment": ([source, "fast"], "'fast' is not an assignment"),
        "missing config": (["--config", f"{tmp}/absent.yaml"], "there is no configuration file"),
        "unknown suite": ([source, "validation.suites=[nois]"], "nois"),
        "unknown ending": ([f"source.location={tmp}/a.docx"], "docx"),
        "missing probes": ([source, f"source.probes={tmp}/p.jsonl"], "there is no probe file"),
        "store protocol": ([source], "cannot be opened"),
    }
    (tmp / "a.docx").write_bytes(b"PK\x03\x04")
    if kind in made:
        return made[kind]
    file = tmp / "bad.csv"
    contents: dict[str, tuple[bytes, str]] = {
        "empty file": (b"", "is empty"),
        "header only": (b"text,label\n", "holds no usable row"),
        "binary bytes": (bytes(range(256)) * 40, "should be csv but is"),
        "only blanks": (b"text\n" + b'" "\n' * 30, "holds no usable row: 30 empty"),
        "one huge line": (b"text\n" + b"x" * 10_000_000 + b"\n", "1 too_long"),
        "invalid UTF-8": (b"text\n" + b"caf\xe9 \xe9\xe8 row\n" * 9, "9 invalid_utf8"),
        "gibberish for parquet": (b"no parquet", "is not a readable parquet file"),
    }
    data, message = contents[kind]
    if kind == "gibberish for parquet":
        file = tmp / "bad.parquet"
    file.write_bytes(data)
    return [f"source.location={file}"], message


KINDS = [
    "missing file", "missing folder", "wrong column", "wrong label", "unknown key", "out of bounds",
    "contradiction", "not an assignment", "missing config", "unknown suite", "unknown ending",
    "missing probes", "empty file", "header only", "binary bytes", "only blanks", "one huge line",
    "invalid UTF-8", "gibberish for parquet", "store protocol",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_bad_input_is_one_clear_error(server: tuple[Path, str], tmp_path: Path, kind: str) -> None:
    home, api = server
    arguments, message = prepare_bad(tmp_path, kind)
    more = {"PLUMBLINE_STORE": "nowhere://x"} if kind == "store protocol" else {}
    ran = run(home, "prepare", *arguments, PREFECT_API_URL=api, **more)
    assert ran.status == 2, ran.err
    assert message in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""
    for folder in (home / "store").glob("[!.]*/*"):
        assert intact(folder), "half-written output"
    assert not list((home / "store" / ".aside" / "work").glob("*"))


@pytest.mark.slow
def test_rows_without_labels_go_through_and_too_few_are_refused_by_their_number(
    server: tuple[Path, str], tmp_path: Path
) -> None:
    home, api = server
    labels = pl.Series([1.0, float("nan"), None] * 20)
    nan = tmp_path / "nan.parquet"
    pl.DataFrame({"text": [r["text"] for r in ROWS], "label": labels}).write_parquet(nan)
    ran = run(home, "prepare", f"source.location={nan}", "source.label=label", PREFECT_API_URL=api)
    assert ran.status == 0, ran.err
    single = jsonl(tmp_path / "one.jsonl", ROWS[:1])
    alike = jsonl(tmp_path / "alike.jsonl", ROWS[:1] * 50)
    for file in (single, alike):
        ran = run(home, "prepare", f"source.location={file}", PREFECT_API_URL=api)
        assert ran.status == 3, ran.err
        assert "the number of rows must be between 20 and 100,000,000: found 1." in ran.err
        assert "Traceback" not in ran.err


@pytest.mark.slow
def test_an_unwritable_home_or_store_is_named(server: tuple[Path, str], tmp_path: Path) -> None:
    home, api = server
    (tmp_path / "file").write_text("in the way")
    blocked = str(tmp_path / "file" / "inside")
    ran = run(home, "prepare", PREFECT_API_URL=api, PLUMBLINE_STORE=blocked)
    assert (ran.status, "Traceback" in ran.err) == (2, False)
    assert f"the store {blocked} cannot be written" in ran.err
    ran = run(Path(blocked), "prepare", PREFECT_API_URL=api)
    assert ran.status == 2
    assert "cannot be written" in ran.err


@pytest.mark.slow
def test_a_disk_that_fills_up_is_named_and_leaves_nothing_half_written(
    server: tuple[Path, str], tmp_path: Path
) -> None:
    home, api = server
    store = tmp_path / "small"
    long = jsonl(tmp_path / "long.jsonl", [{"text": os.urandom(9000).hex()} for _ in range(400)])
    line, environment = command(
        home, "prepare", f"source.location={long}", PREFECT_API_URL=api, PLUMBLINE_STORE=str(store)
    )
    limit = 2_500_000  # bytes a file may grow to, as a quota would have it; MLflow's database is smaller
    done = subprocess.run(
        line, env=environment, capture_output=True, text=True, check=False, timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert f"the store {store} cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(store.glob("[!.]*/*"))


@pytest.mark.slow
def test_an_mlflow_server_that_does_not_answer_is_named(server: tuple[Path, str]) -> None:
    home, api = server
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{closed.getsockname()[1]}"
    ran = run(home, "prepare", PREFECT_API_URL=api, PLUMBLINE_TRACKING_URI=uri)
    assert ran.status == 2, ran.err
    assert f"MLflow at {uri} does not answer" in ran.err
