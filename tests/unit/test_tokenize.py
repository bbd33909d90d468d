import subprocess
import sys

import numpy as np
import orjson
import polars as pl
import pytest
from tokenizers import Tokenizer, models

from models.text.rows import Rows, open_order
from tasks.configuration import Tokenization
from tasks.errors import UserError
from tasks.log import Log
from tasks.training import streams
from tasks.training.pack import pack
from tasks.training.tokenize import tokenize
from tasks.training.vocabulary import SPECIALS, encode, learn

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


@pytest.mark.parametrize(("made_up", "rows"), [(False, 10), (True, 11)])
def test_made_up_rows_are_pretrained_on_only_where_asked_for(tmp_path, made_up, rows):
    folder = corpus(tmp_path / "corpus")
    read = pl.read_parquet(folder / "corpus.parquet").with_columns(origin=pl.lit("original"))
    made = read.head(1).with_columns(
        row_id=pl.lit("row-0~syn0"), text=pl.lit("Xanthippe lives."), origin=pl.lit("synonym")
    )
    pl.concat([read, made]).write_parquet(folder / "corpus.parquet")
    out = tmp_path / "out"
    out.mkdir()
    config = Tokenization(vocabulary=200, made_up=made_up)
    tokenize.fn(folder, config=config, out=out, log=Log())
    ids = pl.read_parquet(out / "row_ids_train.parquet")["row_id"].to_list()
    assert (len(ids), "row-0~syn0" in ids) == (rows, made_up)
    # Fine-tuning reads them in any case, so the vocabulary knows their letters.
    assert "X" in Tokenizer.from_file(str(out / "tokenizer.json")).get_vocab()


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


SOURCES = {"novels": 60, "wiki": 30, "forum": 10}


def mixed_corpus(folder, sources=SOURCES, words=6):
    """Rows `<source>-<n>` of a few words that tell their source, and two held-out ones."""
    folder.mkdir()
    rows = [
        {"row_id": f"{name}-{n}", "text": f"{name} " * words, "split": "train", "source": name}
        for name, count in sources.items()
        for n in range(count)
    ]
    rows.append({"row_id": "v", "text": "novels wiki", "split": "validation", "source": "novels"})
    rows.append({"row_id": "s", "text": "wiki forum", "split": "serving", "source": "wiki"})
    pl.DataFrame(rows).write_parquet(folder / "corpus.parquet")
    return folder


def prepared(tmp_path, corpus, *, replayed=None, corrected=None, start=None, seed=0, **settings):
    """The corpus tokenised and packed: the two folders."""
    config = Tokenization(vocabulary=200, sequence_length=16, **settings)
    place = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
    tokenized, packed = place / "tokenized", place / "packed"
    tokenized.mkdir(parents=True)
    packed.mkdir()
    tokenize.fn(corpus, replayed, start, config=config, seed=seed, out=tokenized, log=Log())
    pack.fn(tokenized, corrected, config=config, seed=seed, out=packed, log=Log())
    return tokenized, packed


def told(packed):
    return orjson.loads((packed / "packing.json").read_bytes())["train"]


def contents(*folders):
    return {p.name: p.read_bytes() for f in folders for p in sorted(f.iterdir())}


def test_what_is_streamed_in_small_parts_is_what_is_made_in_one(tmp_path, monkeypatch):
    folder = mixed_corpus(tmp_path / "corpus")
    whole = contents(*prepared(tmp_path, folder, mixture={"wiki": 0.5}, next_sentence=True))
    monkeypatch.setattr(streams, "_ROWS", 7)
    monkeypatch.setattr(streams, "_CHARACTERS", 50)
    parts = contents(*prepared(tmp_path, folder, mixture={"wiki": 0.5}, next_sentence=True))
    # The file of row ids has a row group for each part; its rows are the same.
    ids = [name for name in whole if name.startswith("row_ids")]
    assert len(ids) == 3
    for name in ids:
        one, two = (pl.read_parquet(c.pop(name)) for c in (whole, parts))
        assert one.equals(two)
    assert whole == parts


def test_equal_inputs_give_equal_bytes(tmp_path):
    folder = mixed_corpus(tmp_path / "corpus")
    settings = {"mixture": {"wiki": 0.5}, "next_sentence": True, "seed": 4}
    one, two, other = (
        contents(*prepared(tmp_path, folder, **(settings | change)))
        for change in ({}, {}, {"seed": 5})
    )
    assert one == two
    assert one["packed_train_follows.npy"] != other["packed_train_follows.npy"]


def test_tokens_take_16_bits_until_the_vocabulary_has_65536_entries(tmp_path, tokenized):
    assert np.load(tokenized / "tokens_train.npy").dtype == np.uint16
    start = tmp_path / "start"
    start.mkdir()
    vocabulary = {name: n for n, name in enumerate(SPECIALS)}
    vocabulary |= {f"w{n}": n for n in range(5, 65_536)}
    Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]")).save(str(start / "tokenizer.json"))
    tokenized, packed = prepared(tmp_path, corpus(tmp_path / "large"), start=start)
    assert np.load(tokenized / "tokens_train.npy").dtype == np.int32
    assert np.load(packed / "packed_train_tokens.npy").dtype == np.int32


def test_a_vocabulary_is_taken_over_byte_for_byte(tmp_path, tokenized):
    folder = corpus(tmp_path / "other", train=["Ada wrote to Émile."] * 3)
    again, _ = prepared(tmp_path, folder, start=tokenized)
    before, after = ((f / "tokenizer.json").read_bytes() for f in (tokenized, again))
    assert before == after
    assert orjson.loads((again / "tokenizer_stats.json").read_bytes())["taken_over"]


def test_a_start_without_a_usable_tokenizer_is_refused(tmp_path):
    folder = corpus(tmp_path / "corpus")
    with pytest.raises(UserError, match=r"start from, .*tokenizer.json, cannot be read"):
        prepared(tmp_path, folder, start=tmp_path)
    Tokenizer(models.WordPiece({"a": 0}, unk_token="a")).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(UserError, match="lacks special tokens: pad"):
        prepared(tmp_path, folder, start=tmp_path)


def test_a_vocabulary_is_learnt_from_a_seeded_sample_of_much_text(tmp_path):
    folder = mixed_corpus(tmp_path / "corpus", {"novels": 3000})
    one, same, other = (
        prepared(tmp_path, folder, vocabulary_sample=10_000, seed=seed)[0] for seed in (1, 1, 2)
    )
    stats = [orjson.loads((f / "tokenizer_stats.json").read_bytes()) for f in (one, same, other)]
    learnt = [s["learnt_from"] for s in stats]
    assert learnt[0]["of_characters"] == 3000 * 42
    assert 8000 < learnt[0]["characters"] < 12_000
    assert learnt[0] == learnt[1] != learnt[2]


def test_documents_of_named_sources_share_no_row_and_have_their_share(tmp_path):
    mixture = {"wiki": 0.5, "forum": 0.3}
    tokenized, packed = prepared(tmp_path, mixed_corpus(tmp_path / "corpus"), mixture=mixture)
    tokenizer = Tokenizer.from_file(str(tokenized / "tokenizer.json"))
    rows = Rows.open(packed, "train")
    ranges = told(packed)["ranges"]
    assert [r["source"] for r in ranges] == [None, "forum", "wiki"]
    assert [r["share"] for r in ranges] == pytest.approx([0.2, 0.3, 0.5])
    shown = rows.take(open_order(packed, "train", seed=0).at(0, 1000)).tokens
    names = [set(tokenizer.decode(row.tolist()).split()) for row in shown]
    assert max(map(len, names)) == 1
    shares = {name: np.mean([name in found for found in names]) for name in SOURCES}
    assert shares == pytest.approx({"novels": 0.2, "forum": 0.3, "wiki": 0.5}, abs=0.01)
    assert (packed / "packed_validation_tokens.npy").exists()


def test_a_mixture_of_unknown_sources_or_of_too_much_is_refused(tmp_path):
    folder = mixed_corpus(tmp_path / "corpus")
    with pytest.raises(UserError, match="'wikki'.*'forum', 'novels', 'wiki'"):
        prepared(tmp_path, folder, mixture={"wikki": 0.5})
    with pytest.raises(ValueError, match="more than all of them"):
        Tokenization(mixture={"wiki": 0.5, "forum": 0.3}, replay_share=0.4)


def test_replayed_rows_are_training_rows_of_their_own_with_their_share(tmp_path):
    folder = mixed_corpus(tmp_path / "corpus")
    earlier = pl.DataFrame({"row_id": ["old-0", "old-1"], "text": ["forum wiki"] * 2})
    earlier.write_parquet(tmp_path / "replay.parquet")
    tokenized, packed = prepared(tmp_path, folder, replayed=tmp_path, replay_share=0.25)
    ids = pl.read_parquet(tokenized / "row_ids_train.parquet")
    assert ids.filter("replayed")["row_id"].to_list() == ["old-0", "old-1"]
    assert np.load(tokenized / "offsets_train.npy").size == 103
    assert [(r["replayed"], r["share"]) for r in told(packed)["ranges"]] == [
        (False, 0.75), (True, 0.25)
    ]  # fmt: skip
    plain, _ = prepared(tmp_path, folder)
    assert (plain / "tokenizer.json").read_bytes() == (tokenized / "tokenizer.json").read_bytes()
    assert "ranges" not in told(prepared(tmp_path, folder, replay_share=0.25)[1])


def test_rows_weigh_in_pretraining_what_the_correction_says(tmp_path):
    folder = mixed_corpus(tmp_path / "corpus", {"novels": 4, "wiki": 4}, words=3)
    weights = pl.DataFrame({"row_id": [f"novels-{n}" for n in range(4)], "weight": [3.0] * 4})
    weights = pl.concat([weights, pl.DataFrame({"row_id": ["wiki-0"], "weight": [0.2]})])
    weights.write_parquet(tmp_path / "weights.parquet")
    tokenized, packed = prepared(tmp_path, folder, corrected=tmp_path)
    tokenizer = Tokenizer.from_file(str(tokenized / "tokenizer.json"))
    batch = Rows.open(packed, "train").take(np.arange(told(packed)["sequences"]))
    novel, wiki = (tokenizer.token_to_id(word) for word in ("novels", "wiki"))
    mean = (3.0 * 4 + 0.2 + 3) / 8
    np.testing.assert_allclose(batch.weights[batch.tokens == novel], 3 / mean, rtol=1e-6)
    found = sorted(batch.weights[batch.tokens == wiki])
    np.testing.assert_allclose(found, [0.2 / mean] * 3 + [1 / mean] * 9, rtol=1e-6)
    assert batch.weights[batch.segments == 0].sum() == 0
    assert not (packed / "packed_validation_weights.npy").exists()


def test_equal_weights_are_not_stored(tmp_path):
    folder = mixed_corpus(tmp_path / "corpus")
    pl.DataFrame({"row_id": ["wiki-0"], "weight": [1.0]}).write_parquet(
        tmp_path / "weights.parquet"
    )
    _, packed = prepared(tmp_path, folder, corrected=tmp_path)
    assert {p.name for p in packed.iterdir() if "train" in p.name} == {
        "packed_train_tokens.npy", "packed_train_segments.npy"
    }  # fmt: skip
    assert set(np.unique(Rows.open(packed, "train").take(np.arange(3)).weights)) <= {0, 1}


def test_sentence_pairs_ask_their_question_at_the_first_token(tmp_path):
    _, packed = prepared(tmp_path, mixed_corpus(tmp_path / "corpus"), next_sentence=True)
    batch = Rows.open(packed, "train").take(np.arange(told(packed)["sequences"]))
    asked = batch.follows >= 0
    assert (batch.tokens[asked] == 2).all()
    assert asked.sum() == sum(SOURCES.values())
    assert 30 < (batch.follows == 0).sum() <= 50
