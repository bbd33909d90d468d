"""Claims about folders in Hugging Face's format that need no transformers to check."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from models.bundle import TextModel, save_bundle
from models.network import hugging_face
from models.network.configuration import EncoderConfig
from models.network.encoder import build
from models.network.heads import Classifier, TokenClassifier
from models.network.presets import NAMES, preset
from models.text.special_tokens import SpecialTokens
from tasks.errors import UserError
from tasks.training.starting_point import resolve

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SHAPE = EncoderConfig(vocabulary=8, layers=2, width=16, heads=2)


def word_pieces(words: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.add_special_tokens(words[:5])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    word_pieces([*SPECIALS, "a", "b", "c"]).save(str(tmp_path / "plain.json"))
    hugging_face.save(build(SHAPE, 1), tmp_path / "plain.json", tmp_path / "model", max_tokens=20)
    return tmp_path / "model"


def change(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def change_tensors(folder: Path, drop: tuple[str, ...] = (), **more: np.ndarray) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    save_file({k: v for k, v in tensors.items() if k not in drop} | more, path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hidden_activation", "silu"),
        ("classifier_activation", "relu"),
        ("attention_bias", True),
        ("mlp_bias", True),
        ("norm_bias", True),
        ("classifier_bias", True),
        ("rope_scaling", {"rope_type": "yarn"}),
        ("quantization_config", {"bits": 4}),
        ("auto_map", {"AutoModel": "code.Model"}),
        ("architectures", ["ModernBertModel"]),
        ("hidden_size", None),
        ("hidden_size", 17),
        ("num_hidden_layers", "2"),
        ("local_attention", 0),
        ("local_rope_theta", "far"),
        ("rope_parameters", {"full_attention": {"rope_type": "linear"}}),
        ("rope_parameters", {"rope_theta": 5.0}),
        ("layer_types", ["sliding_attention", "full_attention"]),
    ],
)
def test_what_we_cannot_compute_is_refused_by_key(folder: Path, key: str, value: object) -> None:
    change(folder, **{key: value})
    name = {"hidden_size": "width|hidden_size", "local_rope_theta": "rotary base"}.get(key, key)
    with pytest.raises(ValueError, match=rf"config\.json describes .*({name})"):
        hugging_face.load(folder)


def test_all_that_is_in_the_way_is_named_at_once(folder: Path) -> None:
    change(folder, mlp_bias=True, hidden_activation="silu", vocab_size=-1)
    with pytest.raises(ValueError, match=r"'silu'.*mlp_bias is True.*vocab_size is -1"):
        hugging_face.load(folder)


def test_a_model_of_another_kind_is_refused(folder: Path) -> None:
    change(folder, model_type="bert")
    with pytest.raises(ValueError, match=r"model_type is 'bert'.*learned positions"):
        hugging_face.load(folder)
    with pytest.raises(ValueError, match=r"config\.json cannot be read"):
        hugging_face.load(folder.parent)


@pytest.mark.parametrize(
    ("key", "value"), [("classifier_pooling", "cls"), ("problem_type", "regression")]
)
def test_a_text_classifier_of_another_kind_is_refused(folder: Path, key: str, value: str) -> None:
    change(folder, architectures=["ModernBertForSequenceClassification"], **{key: value})
    with pytest.raises(ValueError, match=f"{key} is '{value}'"):
        hugging_face.load(folder)
    change(folder, architectures=["ModernBertForMaskedLM"])
    hugging_face.load(folder)


def test_the_layout_of_transformers_5_is_read(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    for key in ("global_rope_theta", "local_rope_theta", "global_attn_every_n_layers"):
        del values[key]
    kinds = ["full_attention", "sliding_attention"]
    values |= {
        "num_hidden_layers": 4,
        "layer_types": kinds * 2,
        "rope_parameters": {
            kind: {"rope_type": "default", "rope_theta": theta}
            for kind, theta in zip(kinds, (7e4, 3e3), strict=True)
        },
    }
    (folder / "config.json").write_text(json.dumps(values))
    config = hugging_face.describe(folder).config
    assert (config.rope_theta_global, config.rope_theta_local) == (7e4, 3e3)
    assert [config.is_global(i) for i in range(4)] == [True, False, True, False]


def test_every_tensor_that_does_not_fit_is_named(folder: Path) -> None:
    change_tensors(
        folder,
        drop=("decoder.bias",),
        **{
            "head.norm.weight": np.ones(9, np.float32),
            "head.norm.bias": np.ones(16, np.float32),
            "model.final_norm.weight": np.ones(16, np.int32),
        },
    )
    with pytest.raises(ValueError, match="do not fit") as caught:
        hugging_face.load(folder)
    for said in (
        "decoder.bias is missing",
        "head.norm.bias is not part of the model",
        "head.norm.weight has shape (9,), expected (16,)",
        "model.final_norm.weight holds I32",
    ):
        assert said in str(caught.value)


def test_a_stored_tied_decoder_has_to_equal_the_embedding(folder: Path) -> None:
    table = load_file(folder / "model.safetensors")["model.embeddings.tok_embeddings.weight"]
    change_tensors(folder, **{"decoder.weight": table})
    hugging_face.load(folder)
    change_tensors(folder, **{"decoder.weight": table + 1})
    with pytest.raises(ValueError, match=r"decoder\.weight differs from the embedding"):
        hugging_face.load(folder)


def test_truncated_missing_and_pickled_weights_are_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match=r"model\.safetensors cannot be read"):
        hugging_face.load(folder)
    path.rename(folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"pytorch_model\.bin is a pickle and is not read"):
        hugging_face.load(folder)
    index = folder / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"decoder.bias": "../elsewhere.safetensors"}}')
    with pytest.raises(ValueError, match="points outside its folder"):
        hugging_face.load(folder)


def test_labels_and_tokenizer_have_to_fit_the_model(tmp_path: Path) -> None:
    plain = tmp_path / "plain.json"
    word_pieces([*SPECIALS, "a"]).save(str(plain))
    model = Classifier(SHAPE, 2, dtype="float32")
    model.build()
    for labels in ([], ["a"], ["a", "a"]):
        with pytest.raises(ValueError, match="2 outputs need as many distinct names"):
            hugging_face.save(model, plain, tmp_path / "out", max_tokens=9, labels=labels)
    word_pieces([*SPECIALS, *"abcdef"]).save(str(plain))
    with pytest.raises(ValueError, match="has 11 tokens, the model 8"):
        hugging_face.save(build(SHAPE), plain, tmp_path / "out", max_tokens=9)
    assert not (tmp_path / "out").exists()


def test_a_bundle_with_a_foreign_tokenizer_can_be_asked(tmp_path: Path) -> None:
    """Byte-level BPE that keeps spaces, special tokens at the end under RoBERTa's names."""
    tokenizer = Tokenizer(
        models.BPE({c: i for i, c in enumerate(["a", "b", "Ġ", "Ġb"])}, [("Ġ", "b")])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens(
        ["<unk>", "<s>", "</s>", "<pad>", AddedToken("<mask>", lstrip=True, special=True)]
    )
    tokenizer.save(str(tmp_path / "plain.json"))
    masked = build(EncoderConfig(vocabulary=12, layers=1, width=16, heads=2), seed=1)
    save_bundle(tmp_path / "bundle", masked, None, tmp_path / "plain.json", [], 16)
    model = TextModel.load(tmp_path / "bundle")
    assert model.reader.encode(["a b"]) == [[5, 0, 3, 6]]
    # The space is the answer's: " b" is one token and " a" two.
    expected = []
    for ids in ([3], [2, 0]):
        row = np.array([[5, 0, *[8] * len(ids), 6]], np.int32)
        places = np.arange(row.shape[1], dtype=np.int32)[None]
        logits = np.asarray(masked(row, np.ones_like(row), places))[0, 2:-1].astype(np.float64)
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        expected.append(shares[np.arange(len(ids)), ids].prod())
    found = model.score_candidates(["a [MASK]"], [["b", "a"]])[0]
    np.testing.assert_allclose(found, np.array(expected) / sum(expected), rtol=1e-5)


def test_special_tokens_are_found_by_name_wherever_they_are() -> None:
    tokenizer = Tokenizer(models.BPE({"a": 0}, []))
    tokenizer.add_special_tokens(["<mask>", "</s>", "<extra>", "<s>", "<unk>", "<pad>"])
    tokenizer.add_tokens(["plain"])
    assert SpecialTokens.of(tokenizer) == SpecialTokens(
        pad=6, unknown=5, begin=4, end=2, mask=1, ids=(1, 2, 3, 4, 5, 6)
    )
    bare = Tokenizer(models.BPE({"[CLS]": 0, "[UNK]": 1, "[PAD]": 2}, []))
    with pytest.raises(ValueError, match=r"lacks special tokens: end \(.*\), mask \(\[MASK\]"):
        SpecialTokens.of(bare)


@pytest.mark.parametrize("tied", [True, False])
def test_keras_saves_and_loads_each_model(tmp_path: Path, tied: bool) -> None:
    config = EncoderConfig(vocabulary=8, layers=2, width=16, heads=2, tied=tied)
    row = np.array([[2, 5, 6, 3]], np.int32)
    inputs = (row, np.ones_like(row), np.arange(4, dtype=np.int32)[None])
    for model in (build(config, 3), Classifier(config, 2), TokenClassifier(config, 4)):
        expected = np.asarray(model(*inputs))
        twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model))
        assert (type(twin), twin.config) == (type(model), config)
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(np.asarray(again(*inputs)), expected)
    block = model.encoder.blocks[1]
    twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(block))
    assert (twin.name, twin.index, twin.seed) == ("layer_1", 1, block.seed)


def test_an_untied_decoder_is_a_matrix_of_its_own() -> None:
    model = build(EncoderConfig(vocabulary=8, layers=1, width=16, heads=2, tied=False))
    hidden = np.random.default_rng(0).normal(size=(3, 16)).astype(np.float32)
    before = np.asarray(model.logits(hidden))
    model.encoder.token_embedding.embeddings.assign(np.zeros((8, 16), np.float32))
    np.testing.assert_array_equal(np.asarray(model.logits(hidden)), before)
    model.decoder_weight.assign(np.zeros((8, 16), np.float32))
    assert not np.asarray(model.logits(hidden)).any()


@pytest.mark.parametrize(
    ("name", "millions"),
    [("tiny", 17), ("mini", 32), ("small", 68), ("base", 149), ("large", 395)],
)
def test_a_preset_has_the_parameters_of_the_model_it_is_named_after(
    name: str, millions: int
) -> None:
    c = preset(name)
    layer = 4 * c.width**2 + 3 * c.width * c.intermediate + 2 * c.width
    total = c.vocabulary * (c.width + 1) + c.layers * layer + c.width**2 + 2 * c.width
    assert round(total / 1e6) == pytest.approx(millions, abs=1)
    assert (c.local_window, c.global_every) == (128, 3)


def test_an_unknown_preset_is_refused_and_the_known_are_named() -> None:
    with pytest.raises(ValueError, match=", ".join(NAMES)):
        preset("huge")
    assert preset("minute", 500) == EncoderConfig(vocabulary=500, layers=2, width=128, heads=4)


def test_a_training_starts_from_a_folder_or_from_a_bundle(folder: Path, tmp_path: Path) -> None:
    assert resolve(str(folder)) == folder
    save_bundle(tmp_path / "bundle", build(SHAPE), None, tmp_path / "plain.json", [], 16)
    assert resolve(str(tmp_path / "bundle")) == tmp_path / "bundle" / "encoder"
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"without tokenizer\.json"):
        resolve(str(folder))
    with pytest.raises(UserError, match="holds no model"):
        resolve(str(tmp_path))


def test_a_hub_model_out_of_reach_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    asked = {}

    def offline(name: str, **options: object) -> str:
        asked[name] = options
        raise LocalEntryNotFoundError("offline mode is enabled")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(UserError, match=r"'owner/model' is no folder.*offline mode(.|\n)*HF_HUB"):
        resolve("owner/model", "v1")
    assert asked["owner/model"]["revision"] == "v1"
    assert not [p for p in asked["owner/model"]["allow_patterns"] if "bin" in p or "py" in p]
    with pytest.raises(UserError, match="neither a folder here nor the name of a hub model"):
        resolve("no such folder")
