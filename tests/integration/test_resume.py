"""A pretraining that is killed and started again, against one that was left alone."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest

from tasks.configuration import Tokenization
from tasks.log import Log
from tasks.training.pack import pack
from tasks.training.tokenize import tokenize

PROGRAM = """
import sys
from pathlib import Path

from tasks.configuration import Pretraining
from tasks.log import Log
from tasks.training.pretrain import pretrain

folder, name, precision = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
config = Pretraining(
    layers=1, width=32, heads=2, tokens=330_000, batch_tokens=1024, checkpoint_seconds=0.5,
    precision=precision,
)
out, scratch = folder / name, folder / f"{name}-scratch"
out.mkdir()
scratch.mkdir(exist_ok=True)
pretrain.fn(
    folder / "packed", folder / "tokenized", config=config, seed=5, out=out, scratch=scratch,
    log=Log(),
)
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A small corpus, tokenised and packed."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefgh"), 5)) for _ in range(100)]
    texts = [" ".join(rng.choice(words, 12)) for _ in range(400)]
    splits = ["train"] * 360 + ["validation"] * 40
    ids = [str(i) for i in range(400)]
    table = pl.DataFrame({"row_id": ids, "text": texts, "split": splits})
    table.write_parquet(folder / "corpus.parquet")
    config = Tokenization(vocabulary=300, sequence_length=32)
    for name in ("tokenized", "packed"):
        (folder / name).mkdir()
    tokenize.fn(folder, config=config, out=folder / "tokenized", log=Log())
    pack.fn(folder / "tokenized", config=config, out=folder / "packed", log=Log())
    return folder


def start(folder, name, precision):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), name, precision], stderr=subprocess.DEVNULL
    )


def kill_after_a_checkpoint(folder, name, precision):
    """Start a run and kill it as soon as it has a checkpoint."""
    process = start(folder, name, precision)
    deadline = time.monotonic() + 120
    while not list((folder / f"{name}-scratch").glob("step-*")):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_killed_run_ends_with_the_files_of_one_that_was_not(prepared, precision):
    whole, broken = f"whole-{precision}", f"broken-{precision}"
    kill_after_a_checkpoint(prepared, broken, precision)
    assert not (prepared / broken / "model").exists()
    (prepared / broken).rmdir()
    again, alone = start(prepared, broken, precision), start(prepared, whole, precision)
    assert again.wait() == alone.wait() == 0
    for file in ("model/model.safetensors", "curve.jsonl", "training.json"):
        assert (prepared / broken / file).read_bytes() == (prepared / whole / file).read_bytes()
