"""A pretraining that two processes share, as the first worker's stage and `plumbline follow`."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import orjson
import polars as pl
import pytest
from safetensors.numpy import load_file

from tasks.configuration import Tokenization
from tasks.errors import UserError
from tasks.log import Log
from tasks.training.follow import follow
from tasks.training.pack import pack
from tasks.training.tokenize import tokenize

PRETRAIN = """
import sys
from pathlib import Path

from tasks.configuration import Pretraining
from tasks.log import Log
from tasks.training.pretrain import pretrain

folder, out, scratch = map(Path, sys.argv[1:])
config = Pretraining(
    layers=1, width=32, heads=2, tokens=30_000, batch_tokens=512, precision="float32",
    checkpoint_seconds=0.1,
)
out.mkdir()
scratch.mkdir(parents=True)
pretrain.fn(
    folder / "packed", folder / "tokenized", config=config, seed=5, out=out, scratch=scratch,
    log=Log(),
)
"""
FOLLOW = """
import sys
from pathlib import Path

from tasks.training.follow import follow

print(follow(Path(sys.argv[1])))
"""


def start(program, *arguments, cluster=None):
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")
    if cluster:
        environment["TF_CONFIG"] = json.dumps(cluster)
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def clusters():
    held = [socket.socket() for _ in range(2)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    workers = [f"127.0.0.1:{one.getsockname()[1]}" for one in held]
    for one in held:
        one.close()
    return [
        {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        for index in range(2)
    ]


@pytest.mark.slow
def test_two_workers_leave_the_model_that_one_would_have_trained(tmp_path):
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefgh"), 5)) for _ in range(60)]
    texts = [" ".join(rng.choice(words, 12)) for _ in range(200)]
    table = {"row_id": [str(i) for i in range(200)], "text": texts}
    pl.DataFrame(table | {"split": ["train"] * 180 + ["validation"] * 20}).write_parquet(
        tmp_path / "corpus.parquet"
    )
    for name in ("tokenized", "packed"):
        (tmp_path / name).mkdir()
    config = Tokenization(vocabulary=200, sequence_length=32)
    tokenize.fn(tmp_path, config=config, out=tmp_path / "tokenized", log=Log())
    pack.fn(tmp_path / "tokenized", config=config, out=tmp_path / "packed", log=Log())

    first, second = clusters()
    scratches = tmp_path / "scratch"
    processes = [
        start(PRETRAIN, tmp_path, tmp_path / "two", scratches / "pretrain-1", cluster=first),
        start(FOLLOW, scratches, cluster=second),
    ]
    told = [process.communicate(timeout=250) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    alone = start(PRETRAIN, tmp_path, tmp_path / "one", tmp_path / "alone" / "pretrain-1")
    assert alone.communicate(timeout=250)
    assert alone.returncode == 0

    described = [
        orjson.loads((tmp_path / name / "training.json").read_bytes()) for name in ("one", "two")
    ]
    assert [found["devices"] for found in described] == [1, 2]
    assert described[0]["steps"] == described[1]["steps"] == int(told[1][0]) == 59
    one, two = (load_file(tmp_path / n / "model" / "model.safetensors") for n in ("one", "two"))
    for name in one:
        np.testing.assert_allclose(one[name], two[name], atol=1e-3)


@pytest.mark.parametrize(
    ("cluster", "what"),
    [
        (None, "nobody to follow"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"index": 0}}', "nobody to follow"),
        ("{", "TF_CONFIG does not name the workers"),
    ],
)
def test_a_process_that_is_no_second_worker_is_told_what_to_run(
    monkeypatch, tmp_path, cluster, what
):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if cluster:
        monkeypatch.setenv("TF_CONFIG", cluster)
    with pytest.raises(UserError, match=what):
        follow(tmp_path)
