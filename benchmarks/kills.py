"""Twenty kills at random moments, a flipped bit, and the same bytes in the end.

    python benchmarks/kills.py [--kills 20] [--seed 0] [--quick]

One pretraining run is left alone. Another is killed (SIGKILL) again and again: half of the times at
any moment after its start, loading and compiling included, half at any moment once it has gone
beyond its last checkpoint. Midway one bit of its newest checkpoint is flipped. The files of both
must be equal byte for byte. The last line is JSON; the exit status is 1 if they are not.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measuring import table, tell

_WORDS = 400
_CHECKPOINT_SECONDS = 0.5
_LONGEST_TRAINING = 1.5  # seconds after a new checkpoint until the kill, at most


def main() -> None:
    """Kill, resume, compare, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--tokens", type=int, default=6_000_000, help="of the run")
    parser.add_argument("--quick", action="store_true", help="three kills of a short run")
    parser.add_argument("--child", nargs=2, metavar=("FOLDER", "NAME"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        child(Path(asked.child[0]), asked.child[1], asked.tokens)
        return
    if asked.quick:
        asked.kills, asked.tokens = 3, 600_000
    moments = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where)
        prepare(folder)
        started = time.monotonic()
        if start(folder, "whole", asked.tokens).wait():
            sys.exit("the undisturbed run failed")
        whole = time.monotonic() - started
        tell(f"undisturbed: {whole:.0f} s")
        rows, refused = [], None
        for number in range(asked.kills):
            rows.append([number + 1, *kill(folder, asked.tokens, moments, whole, number % 2 == 1)])
            tell(f"kill {number + 1}: {rows[-1][1:]}")
            if refused is None and number >= asked.kills // 2:
                refused = flip(folder / "broken-scratch", moments)
        if start(folder, "broken", asked.tokens).wait():
            sys.exit("the resumed run failed")
        differing = compare(folder / "whole", folder / "broken")
    table(["kill", "after (s)", "newest checkpoint (step)"], rows, title="Kills")
    print(f"flipped bit: {refused or 'there were not two checkpoints to try it on'}")
    print(f"files that differ in the end: {', '.join(differing) or 'none'}")
    good = not differing and refused is not None and refused["used"] == refused["before"]
    print("\n" + json.dumps({
        "kills": asked.kills, "identical": not differing, "damaged_refused": good,
        "quick": asked.quick,
    }))  # fmt: skip
    sys.exit(not good)


def prepare(folder: Path) -> None:
    """A small made-up corpus, tokenised and packed."""
    import polars as pl

    from tasks.configuration import Tokenization
    from tasks.log import Log
    from tasks.training.pack import pack
    from tasks.training.tokenize import tokenize

    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefghijkl"), 5)) for _ in range(_WORDS)]
    texts = [" ".join(rng.choice(words, 14)) for _ in range(3_000)]
    table = {
        "row_id": [str(i) for i in range(len(texts))],
        "text": texts,
        "split": ["validation" if i % 20 == 0 else "train" for i in range(len(texts))],
    }
    pl.DataFrame(table).write_parquet(folder / "corpus.parquet")
    config = Tokenization(vocabulary=500, sequence_length=32)
    for name in ("tokenized", "packed"):
        (folder / name).mkdir()
    tokenize.fn(folder, config=config, out=folder / "tokenized", log=Log())
    pack.fn(folder / "tokenized", config=config, out=folder / "packed", log=Log())


def child(folder: Path, name: str, tokens: int) -> None:
    """The pretraining stage itself, in its own process; goes on from its scratch folder."""
    from tasks.configuration import Pretraining
    from tasks.log import Log
    from tasks.training.pretrain import pretrain

    config = Pretraining(
        layers=1, width=32, heads=2, tokens=tokens, batch_tokens=1024,
        checkpoint_seconds=_CHECKPOINT_SECONDS,
    )  # fmt: skip
    out, scratch = folder / name, folder / f"{name}-scratch"
    shutil.rmtree(out, ignore_errors=True)  # what a killed run had begun to write
    out.mkdir()
    scratch.mkdir(exist_ok=True)
    pretrain.fn(
        folder / "packed", folder / "tokenized", config=config, seed=5, out=out, scratch=scratch,
        log=Log(),
    )  # fmt: skip


def start(folder: Path, name: str, tokens: int) -> subprocess.Popen[bytes]:
    """Start or resume a run."""
    command = [sys.executable, __file__, "--tokens", str(tokens), "--child", str(folder), name]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def kill(
    folder: Path, tokens: int, moments: random.Random, whole: float, training: bool
) -> tuple[str, str]:
    """Start the run and kill it: seconds it lived, and its newest checkpoint."""
    scratch = folder / "broken-scratch"
    before = newest(scratch)
    process = start(folder, "broken", tokens)
    began = time.monotonic()
    if training:
        while newest(scratch) == before and process.poll() is None:
            time.sleep(0.01)
        time.sleep(moments.uniform(0.0, _LONGEST_TRAINING))
    else:
        time.sleep(moments.uniform(0.0, min(whole, 20.0)))
    if process.poll() is not None:
        sys.exit(f"the run ended ({process.returncode}) before it could be killed: more --tokens")
    process.send_signal(signal.SIGKILL)
    process.wait()
    return f"{time.monotonic() - began:.2f}", newest(scratch)


def newest(scratch: Path) -> str:
    """Steps of the newest checkpoint, damaged or not."""
    found = sorted(scratch.glob("step-*"))
    return str(int(found[-1].name.removeprefix("step-"))) if found else "none"


def flip(scratch: Path, moments: random.Random) -> dict[str, int] | None:
    """Flip a bit of the newest checkpoint's tensors; which one is used then."""
    from models.training import checkpoints

    found = sorted(scratch.glob("step-*"))
    if len(found) < 2:
        return None
    path = found[-1] / "tensors.safetensors"
    blob = bytearray(path.read_bytes())
    blob[moments.randrange(len(blob))] ^= 1 << moments.randrange(8)
    path.write_bytes(blob)
    used = checkpoints.latest(scratch)
    steps = [int(one.name.removeprefix("step-")) for one in found]
    return {"damaged": steps[-1], "before": steps[-2], "used": used.step if used else -1}


def compare(whole: Path, broken: Path) -> list[str]:
    """Files that are not in both or not equal."""
    files = {p.relative_to(d) for d in (whole, broken) for p in d.rglob("*") if p.is_file()}
    return sorted(
        str(name)
        for name in files
        if not (whole / name).exists()
        or not (broken / name).exists()
        or (whole / name).read_bytes() != (broken / name).read_bytes()
    )


if __name__ == "__main__":
    main()
