import subprocess
import sys

import numpy as np
import orjson
import polars as pl
import pytest
from tokenizers import Tokenizer

from tasks.configuration import Tokenization
from tasks.errors import UserError
from tasks.log import Log
from tasks.training.pack import pack
from tasks.training.tokenize import tokenize
from tasks.training.vocabulary import encode, learn

TRAIN = ["Ada Lovelace was born in London.", "Émile Zola wrote in Paris, not in London!"] * 5


def corpus(folder, train=TRAIN, validation=("Grace Hopper was born in New York.",)):
    folder.mkdir()
    splits = ["train"] * len(train) + ["validation"] * len(validation)
    texts = [*train, *validation]
    ids = [f"row-{i}" for i in range(len(texts))]
    pl.DataFrame({"row_id": ids, "text": texts, "split": splits}).write_parquet(
        folder / "corpus.parquet"
    )
    return folder


@pytest.fixture
def tokenized(tmp_path):
    out = tmp_path / "tokenized"
    out.mkdir()
    tokenize.fn(
        corpus(tmp_path / "corpus"), config=Tokenization(vocabulary=200), out=out, log=Log()
    )
    return out


def test_specials_have_the_first_ids(tokenized):
    tokenizer = Tokenizer.from_file(str(tokenized / "tokenizer.json"))
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert [tokenizer.token_to_id(name) for name in specials] == [0, 1, 2, 3, 4]
    assert tokenizer.encode("London").ids[::2] == [2, 3]


def test_frequent_words_are_one_token_and_accents_are_kept(tokenized):
    tokenizer = Tokenizer.from_file(str(tokenized / "tokenizer.json"))
    assert tokenizer.encode("London Émile", add_special_tokens=False).tokens == ["London", "Émile"]


def test_held_out_words_are_not_in_the_vocabulary(tokenized):
    vocabulary = Tokenizer.from_file(str(tokenized / "tokenizer.json")).get_vocab()
    assert "London" in vocabulary
    assert not {"Grace", "Hopper", "York"} & vocabulary.keys()


def test_offsets_cut_the_tokens_into_the_rows_of_a_split(tokenized):
    tokenizer = Tokenizer.from_file(str(tokenized / "tokenizer.json"))
    tokens = np.load(tokenized / "tokens_train.npy")
    offsets = np.load(tokenized / "offsets_train.npy")
    rows = [tokenizer.decode(tokens[a:b]) for a, b in zip(offsets, offsets[1:], strict=False)]
    assert rows[0] == "Ada Lovelace was born in London."
    assert len(rows) == len(TRAIN) == pl.read_parquet(tokenized / "row_ids_train.parquet").height
    assert np.load(tokenized / "offsets_test.npy").tolist() == [0]


def test_a_literal_mask_in_the_text_is_read_as_letters():
    tokenizer = learn(pl.Series(["a [MASK] b [ ] M A S K"] * 3), 200, lowercase=False)
    (ids,) = encode(tokenizer, ["a [MASK] [PAD]"])
    assert min(ids) >= 1
    assert 4 not in ids


def test_text_without_spaces_is_not_one_unknown_word():
    text = "กรุงเทพมหานครเป็นเมืองหลวง" * 10
    tokenizer = learn(pl.Series([text] * 3), 200, lowercase=False)
    (ids,) = encode(tokenizer, [text])
    assert len(ids) > 1
    assert 1 not in ids


def test_chinese_characters_are_words_of_their_own():
    tokenizer = learn(pl.Series(["北京很大", "上海很大"] * 3), 200, lowercase=False)
    assert len(encode(tokenizer, ["北京很大"])[0]) == 4


def test_case_is_folded_only_when_asked():
    texts = pl.Series(["London london LONDON"] * 3)
    kept, folded = (learn(texts, 200, lowercase=flag) for flag in (False, True))
    assert len({tuple(ids) for ids in encode(kept, ["London", "london"])}) == 2
    assert len({tuple(ids) for ids in encode(folded, ["London", "london"])}) == 1


def test_the_vocabulary_is_the_same_in_every_process():
    """The trainer's hash maps are seeded per process, which once changed the vocabulary."""
    code = (
        "import hashlib, random, polars as pl; from tasks.training.vocabulary import learn\n"
        "rng = random.Random(0)\n"
        "words = [''.join(rng.choices('abcdefgh', k=rng.randint(2, 7))) for _ in range(400)]\n"
        "texts = pl.Series([' '.join(rng.choices(words, k=20)) for _ in range(100)])\n"
        "print(hashlib.md5(learn(texts, 300, lowercase=False).to_str().encode()).hexdigest())"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(3)
    ]
    assert len({run.stdout for run in runs}) == 1


def test_a_corpus_without_training_text_is_refused(tmp_path):
    folder = corpus(tmp_path / "corpus", train=["  "])
    with pytest.raises(UserError, match="1 rows"):
        tokenize.fn(folder, config=Tokenization(), out=tmp_path, log=Log())


def test_packing_keeps_every_token(tokenized, tmp_path):
    out = tmp_path / "packed"
    out.mkdir()
    outcome = pack.fn(tokenized, config=Tokenization(sequence_length=16), out=out, log=Log())
    rows = np.load(out / "packed_train_tokens.npy", mmap_mode="r")
    tokens = np.load(tokenized / "tokens_train.npy")
    np.testing.assert_array_equal(np.sort(rows[rows > 3]), np.sort(tokens))
    assert np.load(out / "packed_test_tokens.npy").shape == (0, 16)
    stats = orjson.loads((out / "packing.json").read_bytes())
    assert stats["train"]["documents"] == len(TRAIN)
    assert outcome.metrics["fill"] == stats["train"]["fill"]
