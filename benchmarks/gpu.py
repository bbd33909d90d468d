"""How fast the encoder trains on a GPU, beside Hugging Face's ModernBERT on PyTorch.

    python benchmarks/gpu.py [--preset base] [--seconds 10] [--repeats 3]

For a machine that has a GPU, JAX, optax, PyTorch and transformers; TensorFlow is not needed, and
Keras runs on JAX. So this times the network of `models/network`, which is `keras.ops` alone, and
not the trainer, which is TensorFlow's. Same shape, documents, share of hidden tokens, AdamW and
bfloat16 on both sides, in turns. Documents are those of `training.py`: median 40, mean 66 tokens.
What is counted are real tokens. First it compares the logits of both at the same weights in float32.

The last line is JSON.
"""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # PyTorch works beside it

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

try:
    import jax
    import jax.numpy as jnp
    import keras
    import optax
    import torch
    import transformers
except ModuleNotFoundError as missing:
    sys.exit(
        f"{missing.name} is not installed: this needs JAX, optax, Keras, PyTorch and transformers"
    )

import corpora
from measuring import table, tell
from safetensors.torch import load_file

from models.network import encoder, hugging_face_tensors
from models.network.hugging_face_config import SIZES
from models.network.presets import preset
from models.text import packing
from models.training.flops import flops_per_token

_SLOTS = corpora.MASK_RATE  # of a row's positions
_WARM_UP = 3  # steps, the first of which compiles
_PEAK_SIZE = 8192
Step = Callable[[], Any]  # one step; what it gives can be waited for


def main() -> None:
    """Compare logits, then speeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="base")
    parser.add_argument("--lengths", type=int, nargs="*", default=[128, 512])
    parser.add_argument("--positions", type=int, default=32_768, help="of a step")
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=6.0, help="of a reading")
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    difference = logits_differ(asked.preset)
    tell(f"largest difference of the logits in float32: {difference:.2e}")
    peak = matmul_peak()
    tell(f"bfloat16 product peak: {peak / 1e12:.0f} TFLOP/s")
    found: dict[str, Any] = {"device": jax.devices()[0].device_kind, "logits_differ": difference}
    for length in asked.lengths:
        rates, cost = race(asked, length)
        found |= report(length, rates, cost, peak)
    print(json.dumps(found))


def race(asked: argparse.Namespace, length: int) -> tuple[dict[str, list[float]], float]:
    """Real tokens a second of each contender, reading by reading, and our FLOPs a token."""
    documents = corpora.made_up(asked.documents, seed=0)
    rows = asked.positions // length
    slots = int(np.ceil(_SLOTS * length))
    made = packing.pack(*documents, length=length, begin=corpora.BEGIN, end=corpora.END)
    padded, grouped = corpora.padded(documents, length), corpora.grouped(documents, length)
    contenders: dict[str, tuple[Step, float]] = {}
    tell(f"length {length}: compiling")
    contenders["ours, packed"] = ours(asked.preset, made, rows, slots), rows * length * made.fill
    for name, layout, compiled in (
        ("Hugging Face, padded", padded, False),
        ("Hugging Face, grouped", grouped, False),
        ("Hugging Face, grouped, torch.compile", grouped, True),
    ):
        real = rows * length * corpora.fill(layout)
        contenders[name] = theirs(asked.preset, layout, rows, compiled), real
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for step, _ in contenders.values():
        for _ in range(_WARM_UP):
            finish(step())
    for _ in range(asked.repeats):
        for name, (step, tokens) in contenders.items():
            rates[name].append(tokens * steps_a_second(step, asked.seconds))
    config = preset(asked.preset)
    return rates, flops_per_token(config, rows, length, slots) / made.fill


def report(
    length: int, rates: dict[str, list[float]], cost: float, peak: float
) -> dict[str, float]:
    """Print the table of one length; headline figures by name."""
    middle = {name: float(np.median(each)) for name, each in rates.items()}
    mine = middle["ours, packed"]
    table(
        ["contender", "real tokens/s, median [range]", "ours / it"],
        [[name, f"{middle[name]:,.0f} [{min(each):,.0f}, {max(each):,.0f}]", f"{mine / middle[name]:.2f}"]
         for name, each in rates.items()],
        title=f"rows of {length}",
    )  # fmt: skip
    others = [value for name, value in middle.items() if name != "ours, packed"]
    return {
        f"tokens_per_second_{length}": mine,
        f"ratio_padded_{length}": mine / middle["Hugging Face, padded"],
        f"ratio_best_{length}": mine / max(others),
        f"utilisation_{length}": mine * cost / peak,
    }


def steps_a_second(step: Step, seconds: float) -> float:
    """Steps a second over so many seconds, timed until the last one's result is there."""
    finish(step())
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        last = step()
        count += 1
        if count % 4 == 0:  # a queue that grows without end would be timed after it
            finish(last)
    finish(last)
    return count / (time.perf_counter() - started)


def finish(result: Any) -> None:
    """Wait for a step's loss, which must be a number."""
    if not np.isfinite(float(result)):
        raise SystemExit("a loss is not finite")


def ours(name: str, made: packing.PackedRows, rows: int, slots: int) -> Step:
    """A training step of our network on packed rows."""
    model = encoder.build(preset(name), precision="mixed_bfloat16")
    optimizer = optax.adamw(1e-4, weight_decay=0.01)
    weights = [variable.value for variable in model.trainable_variables]
    state = optimizer.init(weights)

    def loss(weights: Any, tokens: Any, segments: Any, positions: Any, key: Any) -> Any:
        order = jax.random.uniform(key, tokens.shape) - 2.0 * (segments == 0)
        places = jax.lax.top_k(order, slots)[1]  # hidden in each row, all of them real
        targets = jnp.take_along_axis(tokens, places, axis=1)
        hidden_tokens = jax.vmap(lambda row, at: row.at[at].set(corpora.MASK))(tokens, places)
        with keras.StatelessScope(state_mapping=list(zip(model.trainable_variables, weights))):  # noqa: B905
            hidden = model.encoder(hidden_tokens, segments, positions, training=True)
            gathered = jnp.take_along_axis(hidden, places[:, :, None], axis=1)
            scores = model.logits(gathered.reshape(-1, hidden.shape[-1]))
        shares = jax.nn.log_softmax(scores.astype("float32"))
        return -jnp.take_along_axis(shares, targets.reshape(-1, 1), axis=1).mean()

    @jax.jit
    def step(weights: Any, state: Any, batch: Any, key: Any) -> Any:
        value, gradients = jax.value_and_grad(loss)(weights, *batch, key)
        updates, state = optimizer.update(gradients, state, weights)
        return optax.apply_updates(weights, updates), state, value

    fields = (made.tokens.astype(np.int32), made.segments.astype(np.int32), made.positions)
    batches, keys = _batches(fields, rows), iter(range(10**9))

    def train() -> Any:
        nonlocal weights, state
        weights, state, value = step(weights, state, next(batches), jax.random.PRNGKey(next(keys)))
        return value

    return train


def theirs(name: str, layout: Any, rows: int, compiled: bool) -> Step:
    """A training step of transformers' ModernBERT: a plain loop, fused AdamW, bfloat16 autocast."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = transformers.ModernBertForMaskedLM(_their_config(name)).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, weight_decay=0.01, fused=True)
    forward = torch.compile(model) if compiled else model
    batches = _batches((layout.astype(np.int64),), rows)
    generator = torch.Generator(device).manual_seed(0)
    whole = corpora.fill(layout) == 1.0

    def train() -> Any:
        (array,) = next(batches)
        tokens = torch.from_numpy(array).to(device, non_blocking=True)
        real = tokens != corpora.PAD
        draw = torch.rand(tokens.shape, generator=generator, device=device)
        hidden = (draw < corpora.MASK_RATE) & real
        labels = torch.where(hidden, tokens, -100)
        given = torch.where(hidden, corpora.MASK, tokens)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.bfloat16):
            # Rows without padding need no mask, which lets attention take its fastest way.
            told = {} if whole else {"attention_mask": real.long()}
            value = forward(input_ids=given, labels=labels, **told).loss
        value.backward()
        optimizer.step()
        return value.detach()

    return train


def _batches(fields: tuple[Any, ...], rows: int) -> Iterator[tuple[Any, ...]]:
    """The rows over and over, so many at a time."""
    whole = len(fields[0]) // rows
    if not whole:
        raise SystemExit(f"{len(fields[0])} rows do not fill a batch of {rows}: more --documents")
    while True:
        for number in range(whole):
            yield tuple(field[number * rows : (number + 1) * rows] for field in fields)


def _their_config(name: str) -> Any:
    """The same shape in transformers, with decoding of hidden tokens only."""
    config = preset(name)
    sizes = {theirs: getattr(config, ours) for theirs, ours in SIZES.items()}
    return transformers.ModernBertConfig(
        **sizes, local_attention=config.local_window, norm_eps=config.norm_epsilon,
        pad_token_id=corpora.PAD, sparse_prediction=True, attn_implementation="sdpa",
        bos_token_id=corpora.BEGIN, eos_token_id=corpora.END, cls_token_id=corpora.BEGIN,
        sep_token_id=corpora.END,
    )  # fmt: skip


def logits_differ(name: str) -> float:
    """Largest difference between our logits and theirs, float32, documents of a batch alone in rows."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = encoder.build(preset(name), seed=1)
    other = transformers.ModernBertForMaskedLM(_their_config(name)).eval()
    other.config.sparse_prediction = False
    with tempfile.TemporaryDirectory() as folder:
        hugging_face_tensors.write(model, Path(folder))
        tensors = load_file(Path(folder) / hugging_face_tensors.FILE)
    missing, unexpected = other.load_state_dict(tensors, strict=False)
    if unexpected or [key for key in missing if key != "decoder.weight"]:
        raise SystemExit(f"weights do not fit: {missing}, {unexpected}")
    tokens = corpora.padded(corpora.made_up(16, seed=2), 128)
    segments = (tokens != corpora.PAD).astype(np.int32)
    with jax.default_matmul_precision("highest"):
        mine = np.asarray(model(tokens, segments, packing.positions(segments)))
    with torch.no_grad():
        given = torch.from_numpy(tokens.astype(np.int64)).to(device)
        mask = torch.from_numpy(segments.astype(np.int64)).to(device)
        their = other.to(device)(input_ids=given, attention_mask=mask).logits.float().cpu().numpy()
    real = segments > 0
    return float(np.abs(mine[real] - their.reshape(*tokens.shape, -1)[real]).max())


def matmul_peak() -> float:
    """FLOP/s of products of large bfloat16 matrices."""
    a = jax.random.normal(jax.random.PRNGKey(0), (_PEAK_SIZE, _PEAK_SIZE), jnp.bfloat16)
    product = jax.jit(lambda a: (a @ a).at[0, 0].get())
    rate = steps_a_second(lambda: product(a), 1.0)
    return 2.0 * _PEAK_SIZE**3 * rate


if __name__ == "__main__":
    main()
