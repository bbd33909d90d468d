"""Our models against transformers', in a process of its own, where torch is imported first.

The program writes and reads folders both ways and prints one JSON object of what it found, by case.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = r"""
import torch  # before TensorFlow: the other way round their thread pools collide
import json
import sys
from pathlib import Path

import numpy as np
import transformers as hf
from tokenizers import Tokenizer, models, pre_tokenizers, processors

# Fetched now: transformers imports lazily, and more of torch after TensorFlow crashes.
for name in ("ModernBertForMaskedLM", "AutoModelForMaskedLM", "AutoTokenizer"):
    getattr(hf, name)

from models.network import hugging_face
from models.network.configuration import EncoderConfig
from models.network.encoder import build
from models.network.heads import Classifier, TokenClassifier

folder = Path(sys.argv[1])
LABELS = ["no", "perhaps", "yes"]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(chr(97 + i) for i in range(26)), "##a"]
V = 40
SHAPES = {
    "narrow": dict(layers=4, width=32, heads=4, local_window=4),
    "wide": dict(
        layers=3, width=64, heads=2, intermediate=80, local_window=11, global_every=2,
        rope_theta_global=40000.0, rope_theta_local=500.0, norm_epsilon=1e-6,
    ),
}

tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
tokenizer.add_special_tokens(WORDS[:5])
tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
tokenizer.post_processor = processors.TemplateProcessing(
    single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
)
tokenizer.save(str(folder / "plain.json"))

draw = np.random.default_rng(0)
tokens = draw.integers(5, len(WORDS), (3, 30)).astype(np.int32)
segments = np.ones_like(tokens)
for row, length in ((1, 13), (2, 21)):  # padded rows, all longer than the local windows
    tokens[row, length:], segments[row, length:] = 0, 0
positions = np.arange(30, dtype=np.int32) * segments


def ours(model):
    return np.asarray(model(tokens, segments, positions))


def theirs(model):
    with torch.no_grad():
        ids, mask = torch.tensor(tokens).long(), torch.tensor(segments).long()
        return model.eval()(input_ids=ids, attention_mask=mask).logits.float().numpy()


def distance(model, peer):
    a, b = ours(model), theirs(peer)
    if a.shape != b.shape:
        return float("inf")
    if a.shape[:2] == tokens.shape:  # what stands at padding means nothing
        a, b = a[segments > 0], b[segments > 0]
    assert np.ptp(b) > 1, np.ptp(b)  # logits that differ among themselves, so the test can fail
    return float(np.abs(a - b).max())


def roughen(weights, assign):
    # Initial weights leave norms at 1 and biases at 0; a mistake there would not be seen.
    for weight in weights:
        assign(weight, draw.normal(size=tuple(weight.shape)).astype(np.float32) * 0.2
               + (1.0 if len(weight.shape) == 1 else 0.0))


def kinds(shape):
    for tied in (True, False):
        config = EncoderConfig(vocabulary=V, tied=tied, **shape)
        yield ("tied" if tied else "untied"), build(config, 1), hf.AutoModelForMaskedLM, ()
    for name, kind, auto in (
        ("text", Classifier, hf.AutoModelForSequenceClassification),
        ("token", TokenClassifier, hf.AutoModelForTokenClassification),
    ):
        model = kind(config, 3, 0.1, 1, dtype="float32")
        model.build()
        yield name, model, auto, LABELS


def their_config(shape, **more):
    c = EncoderConfig(vocabulary=V, **shape)
    return hf.ModernBertConfig(
        vocab_size=V, hidden_size=c.width, intermediate_size=c.intermediate,
        num_hidden_layers=c.layers, num_attention_heads=c.heads, norm_eps=c.norm_epsilon,
        local_attention=c.local_window, global_attn_every_n_layers=c.global_every,
        global_rope_theta=c.rope_theta_global, local_rope_theta=c.rope_theta_local,
        pad_token_id=0, bos_token_id=2, cls_token_id=2, eos_token_id=3, sep_token_id=3, **more,
    )


def random_peer(kind, config):
    peer = kind(config)
    def assign(weight, value):
        weight.data.copy_(torch.tensor(value))
    roughen(list(peer.parameters()), assign)
    return peer


written, read, missing = {}, {}, {}
for size, shape in SHAPES.items():
    for name, model, auto, labels in kinds(shape):
        roughen(model.weights, lambda weight, value: weight.assign(value))
        where = folder / f"{size}-{name}"
        hugging_face.save(model, folder / "plain.json", where, max_tokens=30, labels=labels)
        peer, report = auto.from_pretrained(where, output_loading_info=True)
        missing[f"{size}-{name}"] = [v for v in map(list, report.values()) if v]
        written[f"{size}-{name}"] = distance(model, peer)
        again = hugging_face.load(where)
        assert type(again) is type(model) and again.config == model.config
        assert all((a.numpy() == b.numpy()).all() for a, b in zip(
            again.weights, model.weights, strict=True))
        if labels:
            assert [peer.config.id2label[i] for i in range(3)] == labels
            assert list(hugging_face.describe(where).labels) == labels

for size, shape in SHAPES.items():
    for name, kind, more in (
        ("tied", hf.ModernBertForMaskedLM, {}),
        ("untied", hf.ModernBertForMaskedLM, dict(tie_word_embeddings=False)),
        ("no-decoder-bias", hf.ModernBertForMaskedLM, dict(decoder_bias=False)),
        ("text", hf.ModernBertForSequenceClassification,
         dict(num_labels=3, classifier_pooling="mean")),
        ("token", hf.ModernBertForTokenClassification, dict(num_labels=5)),
        ("two-labels", hf.ModernBertForTokenClassification, {}),
    ):
        peer = random_peer(kind, their_config(shape, **more))
        where = folder / f"their-{size}-{name}"
        peer.save_pretrained(where)
        read[f"{size}-{name}"] = distance(hugging_face.load(where), peer)
        if name == "token":
            peer.save_pretrained(folder / "shards", max_shard_size="20KB")
            assert len(list((folder / "shards").glob("model-*.safetensors"))) > 1
            read[f"{size}-shards"] = distance(hugging_face.load(folder / "shards"), peer)
for kind in ("float16", "bfloat16"):
    peer = random_peer(hf.ModernBertForMaskedLM, their_config(SHAPES["wide"])).to(
        getattr(torch, kind))
    peer.save_pretrained(folder / kind)
    # Read anew, since `to` has rounded the rotary frequencies too, which are not saved.
    peer = hf.ModernBertForMaskedLM.from_pretrained(folder / kind, dtype=torch.float32)
    read[kind] = distance(hugging_face.load(folder / kind), peer)

texts = ["a b ca", "", "z " * 40, "\U0001f642 b", "a\nb"]
peer = hf.AutoTokenizer.from_pretrained(folder / "narrow-tied")
from models.text.reader import Reader
reader = Reader.load(folder / "narrow-tied" / "tokenizer.json", 30)
found = {
    "written": written, "read": read, "missing": missing,
    "tokens_ours": reader.encode(texts),
    "tokens_theirs": peer(texts, truncation=True)["input_ids"],
    "special": [peer.pad_token_id, peer.unk_token_id, peer.cls_token_id, peer.sep_token_id,
                peer.mask_token_id],
    "inputs": peer.model_input_names, "longest": peer.model_max_length,
}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder: Path = tmp_path_factory.mktemp("folders")
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.slow
def test_transformers_gives_the_logits_of_what_we_save(found: dict) -> None:
    assert len(found["written"]) == 8
    assert {case: far for case, far in found["written"].items() if not far < 1e-4} == {}
    assert {case: keys for case, keys in found["missing"].items() if keys} == {}


@pytest.mark.slow
def test_we_give_the_logits_of_what_transformers_saves(found: dict) -> None:
    assert len(found["read"]) == 16
    assert {case: far for case, far in found["read"].items() if not far < 1e-4} == {}


@pytest.mark.slow
def test_the_saved_tokenizer_is_the_one_we_read_with(found: dict) -> None:
    assert found["tokens_theirs"] == found["tokens_ours"]
    assert found["special"] == [0, 1, 2, 3, 4]
    assert found["inputs"] == ["input_ids", "attention_mask"]
    assert found["longest"] == 30
