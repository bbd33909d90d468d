"""Several devices, and several processes, against one: the same losses."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

PROGRAM = """
import json, sys
import numpy as np
import tensorflow as tf

devices = int(sys.argv[1])
if devices > 1:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)

from models.network.encoder import EncoderConfig, build
from models.text.order import Order
from models.text.rows import Rows
from models.training import distribution
from models.training.schedule import Plan
from models.training.trainer import Trainer

if devices > 1:
    strategy = tf.distribute.MirroredStrategy([f"CPU:{n}" for n in range(devices)])
else:
    strategy = distribution.strategy()
plan = Plan(
    presentations=10_000, rows=8, learning_rate=1e-2, warmup=0.1, decay=0.3, weight_decay=0.01,
    mask_rate=0.3, adversarial_share=0.5, adversarial_epsilon=0.05, seed=7, accumulate=2,
    average=0.9, next_sentence=4.0, masking="span", optimizer="stable_adamw",
)
generator = np.random.default_rng(0)
tokens = generator.integers(5, 60, (64, 16)).astype(np.int32)
tokens[:, 8:] = tokens[:, :8]
tokens[:, 0], tokens[:, 8] = 2, 2
segments = np.repeat([[1] * 8 + [2] * 8], 64, axis=0).astype(np.int32)
rows = Rows(tokens, segments)
with strategy.scope():
    model = build(EncoderConfig(vocabulary=60, layers=2, width=32, heads=2), seed=1)
    trainer = Trainer(model, plan, 16)
order, losses = Order(64, 7), []
for step in range(50):
    batches = []
    for number in range(2 * step, 2 * step + 1 + step % 2):  # one micro-batch, then two
        batch = rows.take(order.at(number * 8, 8))
        follows = np.full((8, 16), -1, np.int32)
        follows[:, 0] = batch.tokens[:, 3] % 2
        batches.append(batch._replace(follows=follows))
    losses.append(trainer.step(batches, 2 * step, step, 5e-3, 0.3).numpy().tolist())
with trainer.averaged():
    judged = trainer.held_out_loss(rows)
weights = [float(np.abs(weight).sum()) for weight in model.get_weights()]
print(json.dumps({
    "losses": losses, "judged": judged, "weights": weights, "agreed": trainer.agreed(3.0),
    "replicas": trainer.replicas,
}))
"""


def start(devices=1, cluster=None):
    environment = dict(os.environ, CUDA_VISIBLE_DEVICES="-1", TF_CPP_MIN_LOG_LEVEL="3")
    if cluster:
        environment["TF_CONFIG"] = json.dumps(cluster)
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(devices)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip


def finish(process):
    out, _ = process.communicate(timeout=250)
    assert process.returncode == 0
    return json.loads(out.splitlines()[-1])


def agree(one, other):
    np.testing.assert_allclose(one["losses"], other["losses"], atol=1e-5)
    np.testing.assert_allclose(one["judged"], other["judged"], rtol=1e-5)
    np.testing.assert_allclose(one["weights"], other["weights"], rtol=1e-4)
    return True


@pytest.fixture(scope="module")
def alone():
    """One device: what all others are compared with."""
    return finish(start())


@pytest.mark.slow
def test_two_devices_have_the_losses_of_one(alone):
    two = finish(start(devices=2))
    assert (alone["replicas"], two["replicas"]) == (1, 2)
    assert np.ptp(np.array(alone["losses"])[:, 0]) > 0.1
    assert agree(alone, two)


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(alone):
    ports = []
    held = [socket.socket() for _ in range(2)]
    for one in held:
        one.bind(("127.0.0.1", 0))
        ports.append(one.getsockname()[1])
    for one in held:
        one.close()
    workers = [f"127.0.0.1:{port}" for port in ports]
    clusters = [
        {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        for index in range(2)
    ]
    processes = [start(cluster=cluster) for cluster in clusters]
    first, second = [finish(process) for process in processes]
    assert first == second
    assert (first["replicas"], first["agreed"]) == (2, 3.0)
    assert agree(alone, first)
