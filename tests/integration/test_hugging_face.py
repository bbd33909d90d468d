"""The encoder against its peer. In a process of its own, where torch is imported first."""

import subprocess
import sys

import pytest

PROGRAM = """
import torch
import numpy as np
from transformers import ModernBertConfig, ModernBertForMaskedLM

from models.network import weights
from models.network.encoder import EncoderConfig, build

shape = EncoderConfig(vocabulary=50, layers=4, width=32, heads=4, local_window=4)
model = build(shape, seed=3)
peer = ModernBertForMaskedLM(ModernBertConfig(
    vocab_size=50, hidden_size=32, intermediate_size=shape.intermediate, num_hidden_layers=4,
    num_attention_heads=4, local_attention=4, global_attn_every_n_layers=3,
    attn_implementation="eager", pad_token_id=0, initializer_range=0.3,
)).eval()
names = {
    "encoder/token_embedding/embeddings": "model.embeddings.tok_embeddings.weight",
    "encoder/embedding_norm/gamma": "model.embeddings.norm.weight",
    "encoder/final_norm/gamma": "model.final_norm.weight",
    "head_dense/kernel": "head.dense.weight",
    "head_norm/gamma": "head.norm.weight",
    "decoder_bias": "decoder.bias",
}
parts = {
    "attention_norm/gamma": "attn_norm", "attention/qkv/kernel": "attn.Wqkv",
    "attention/output/kernel": "attn.Wo", "feedforward_norm/gamma": "mlp_norm",
    "feedforward/input/kernel": "mlp.Wi", "feedforward/output/kernel": "mlp.Wo",
}
for i in range(4):
    for ours, theirs in parts.items():
        names[f"encoder/layer_{i}/{ours}"] = f"model.layers.{i}.{theirs}.weight"
state = peer.state_dict()
for name, weight in weights.named(model).items():
    value = state[names[name]].numpy()
    weight.assign(value.T if name.endswith("kernel") else value)
tokens = np.random.default_rng(0).integers(5, 50, (2, 20)).astype(np.int32)
positions = np.tile(np.arange(20, dtype=np.int32), (2, 1))
with torch.no_grad():
    expected = peer(torch.tensor(tokens).long()).logits.numpy()
found = model(tokens, np.ones_like(tokens), positions).numpy()
print(np.abs(found - expected).max() / np.abs(expected).max())
"""


@pytest.mark.slow
def test_the_logits_are_those_of_hugging_faces_modernbert():
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert float(run.stdout.split()[-1]) < 1e-5
