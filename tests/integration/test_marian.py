"""Back-translation by Marian models from folders, as the hub has them; tiny ones with random weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

# In a process of its own, since torch and TensorFlow in one process slow each other down.
PROGRAM = """
import json, sys
from pathlib import Path
import sentencepiece, torch
from transformers import MarianConfig, MarianMTModel, MarianTokenizer
from tasks.augmentation.translators import pair, translators_digest

folder = Path(sys.argv[1])
text = folder / "text.txt"
text.write_text("\\n".join(f"the {a} {b} of {c}" for a in "red old new".split()
                           for b in "house film road".split() for c in "Anna Eva Tor".split()))
sentencepiece.SentencePieceTrainer.train(input=str(text), model_prefix=str(folder / "source"),
                                         vocab_size=24, minloglevel=2)
pieces = [line.split("\\t")[0] for line in (folder / "source.vocab").read_text().splitlines()]
words = ["</s>", "<unk>", *[p for p in pieces if p not in ("<s>", "</s>", "<unk>")], "<pad>"]
(folder / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(words)}))
spm = str(folder / "source.model")
tokenizer = MarianTokenizer(spm, spm, str(folder / "vocab.json"), source_lang="en", target_lang="de")
pad = len(words) - 1
torch.manual_seed(0)
model = MarianMTModel(MarianConfig(
    vocab_size=len(words), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
    decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, pad_token_id=pad, eos_token_id=0,
    decoder_start_token_id=pad, forced_eos_token_id=0, max_position_embeddings=64))
model.generation_config.max_length = 12
for name in ("there", "back"):
    model.save_pretrained(folder / name)
    tokenizer.save_pretrained(folder / name)
location = f"{folder / 'there'},{folder / 'back'}"
there, back = pair(location)
texts = ["the red house of Anna", "the old film", "a"] * 20
print(json.dumps([there(texts), back(there(texts)), translators_digest(location)]))
"""


@pytest.mark.slow
def test_marian_models_translate_many_sentences_and_the_same_each_time(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    there, back, digest = json.loads(done.stdout.splitlines()[-1])
    assert len(there) == len(back) == 60
    assert all(isinstance(text, str) for text in [*there, *back])
    assert there[:3] == there[3:6]  # a sentence's translation does not depend on its neighbours
    assert len(digest) == 64
