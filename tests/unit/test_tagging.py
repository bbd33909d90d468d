"""Claims about token classification: files, schemes, alignment, metrics, and a tagger that learns."""

import os
from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest
from sklearn.metrics import classification_report
from tokenizers import Tokenizer, models, pre_tokenizers

from models.network import hugging_face
from models.network.configuration import EncoderConfig
from models.network.encoder import build
from models.text.reader import Reader
from models.training.examples import IGNORED
from tasks.configuration import Tagging
from tasks.errors import UserError
from tasks.log import Log
from tasks.training import class_report
from tasks.training.entities import counts, f1, scores, spans, to_iob2, total
from tasks.training.labelled_files import content_digest, read_sentences
from tasks.training.tagging import Tagger, judge, report_text, tag

WORDS = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "mr", "in", "ada", "bo", "##b", "rome", "oslo",
    "sat", "ran", "the", "cat",
]  # fmt: skip
SHAPE = EncoderConfig(vocabulary=len(WORDS), layers=1, width=16, heads=2)


def write_tokenizer(path: Path) -> Path:
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.add_special_tokens(WORDS[:5])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.save(str(path))
    return path


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader.load(write_tokenizer(tmp_path / "tokenizer.json"), max_tokens=12)


@pytest.mark.parametrize(
    ("scheme", "tags", "entities"),
    [
        ("IO", "I-PER I-PER O I-LOC I-PER", [(0, 2, "PER"), (3, 4, "LOC"), (4, 5, "PER")]),
        ("bare IO", "PER PER O LOC PER", [(0, 2, "PER"), (3, 4, "LOC"), (4, 5, "PER")]),
        ("IOB1", "I-PER I-PER B-PER O I-LOC", [(0, 2, "PER"), (2, 3, "PER"), (4, 5, "LOC")]),
        ("IOB2", "B-PER I-PER B-PER O B-LOC", [(0, 2, "PER"), (2, 3, "PER"), (4, 5, "LOC")]),
        ("BIOES", "B-PER E-PER S-PER O S-LOC", [(0, 2, "PER"), (2, 3, "PER"), (4, 5, "LOC")]),
        ("BILOU", "B-PER L-PER U-PER O U-LOC", [(0, 2, "PER"), (2, 3, "PER"), (4, 5, "LOC")]),
        ("of an unsure model", "I-PER I-LOC E-LOC I-LOC O", [(0, 1, "PER"), (1, 3, "LOC"), (3, 4, "LOC")]),
        ("to the end", "O B-a-b I-a-b", [(1, 3, "a-b")]),
    ],
)  # fmt: skip
def test_every_scheme_is_read_as_the_same_spans(
    scheme: str, tags: str, entities: list[tuple[int, int, str]]
) -> None:
    assert spans(tags.split()) == entities
    assert spans(to_iob2(tags.split())) == entities


def test_iob2_stays_as_it_is() -> None:
    tags = ["B-PER", "I-PER", "B-PER", "O", "B-LOC"]
    assert to_iob2(tags) == tags
    assert to_iob2(["I-PER", "B-PER", "O", "S-LOC"]) == ["B-PER", "B-PER", "O", "B-LOC"]


def test_an_entity_counts_only_with_both_ends_and_its_type_right() -> None:
    truth = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-LOC", "I-LOC"], ["O"]]
    guess = [["B-PER", "I-PER", "O", "B-PER"], ["O", "B-LOC", "O"], ["O"]]
    by_type = counts(truth, guess)
    assert scores(by_type["PER"]) == {
        "precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "support": 1,
    }  # fmt: skip
    assert scores(by_type["LOC"])["f1"] == 0.0
    everything = total(by_type, 3)
    assert everything.tolist() == [[1, 2, 2], [0, 1, 1], [0, 0, 0]]
    assert scores(everything)["f1"] == pytest.approx(2 * 1 / (3 + 3))
    assert f1(everything[None, :1]).tolist() == [0.5]
    assert f1(np.zeros((1, 2, 3), np.int64)).tolist() == [0.0]


def test_the_per_tag_report_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice(["O", "B-PER", "I-PER", "B-LOC"], 300, p=[0.6, 0.2, 0.1, 0.1]).tolist()
    guess = [t if rng.random() < 0.7 else "B-LOC" for t in truth]
    names = ["B-LOC", "B-PER", "I-PER"]
    theirs = classification_report(truth, guess, labels=names, digits=3)
    ours = class_report.table(class_report.per_class(truth, guess, names))
    assert ours.split() == theirs.split()
    every = class_report.per_class(truth, guess, [*names, "O"])
    accuracy = np.mean([a == b for a, b in zip(truth, guess, strict=True)])
    assert every["micro avg"]["f1-score"] == pytest.approx(accuracy)


def test_the_report_shows_tags_entities_and_the_interval() -> None:
    truth = [["B-PER", "I-PER", "O"], ["O", "B-LOC", "O"]] * 10
    guess = [["B-PER", "I-PER", "O"], ["O", "O", "O"]] * 10
    found = judge(truth, guess, Tagging(bootstrap=200), seed=1)
    assert found["entity_f1"]["value"] == pytest.approx(2 / 3)
    assert found["entity_f1"]["low"] < 0.6 < 0.75 < found["entity_f1"]["high"]
    text = report_text(found)
    assert "B-LOC      0.000      0.000      0.000         10" in text
    assert "entity F1 0.667" in text
    plain = judge([["NOUN", "VERB"]], [["NOUN", "NOUN"]], Tagging(entities=False), seed=1)
    assert "entities" not in plain
    assert plain["tags"].keys() >= {"NOUN", "VERB", "micro avg"}


def test_a_word_is_labelled_on_its_first_subword_and_nowhere_else(tmp_path: Path) -> None:
    path = write_tokenizer(tmp_path / "tokenizer.json")
    labels = ["O", "B-PER"]
    tagger = Tagger(build(SHAPE), path, labels, Tagging(max_tokens=8), seed=0)
    from tasks.training.labelled_files import Sentences

    given = Sentences(
        [["mr", "bob", "", "ran"], ["cat"] * 9], [["O", "B-PER", "O", "new"], ["O"] * 9]
    )
    rows = tagger.aligned(given)
    assert rows.rows[0] == [2, 5, 8, 9, 1, 13, 3]  # [CLS] mr bo ##b [UNK] ran [SEP]
    x = IGNORED
    assert rows.classes[0].tolist() == [x, 0, 1, x, 0, x, x]
    assert rows.rows[1] == [2, *[15] * 6, 3]
    assert rows.classes[1].tolist() == [x, *[0] * 6, x]
    assert [len(tags) for tags in tagger.tags(given.words)] == [4, 9]
    assert tagger.tags(given.words)[1][6:] == ["O"] * 3


def test_words_with_spaces_and_odd_characters_keep_their_places(reader: Reader) -> None:
    rows, places = reader.encode_words([["ada", "the cat", "\ud800", "oslo"], []])
    assert rows == [[2, 7, 14, 15, 1, 11, 3], [2, 3]]
    assert [first.tolist() for first in places] == [[1, 2, 4, 5], []]


def test_of_a_pair_the_longer_part_is_cut_first(reader: Reader) -> None:
    short, long = "ada ran", " ".join(["cat"] * 30)
    assert reader.encode_pairs([short], [short]) == [[2, 7, 13, 3, 7, 13, 3]]
    assert reader.encode_pairs([short], [long]) == [[2, 7, 13, 3, *[15] * 7, 3]]
    assert reader.encode_pairs([long], [short]) == [[2, *[15] * 7, 3, 7, 13, 3]]
    assert reader.encode_pairs([long], [long]) == [[2, *[15] * 5, 3, *[15] * 4, 3]]
    assert reader.encode_pairs([""], [""]) == [[2, 3, 3]]


def test_columns_are_read_with_spaces_or_tabs_and_documents_apart(tmp_path: Path) -> None:
    file = tmp_path / "a.conll"
    file.write_text("-DOCSTART- -X- O\n\nada NNP I-PER\nran VBD O\n\n\nthe DT O\n", "utf-8-sig")
    found = read_sentences(str(file), entities=True)
    assert found.words == [["ada", "ran"], ["the"]]
    assert found.tags == [["I-PER", "O"], ["O"]]
    file.write_text("mr ada\tB-PER\r\n\r\na\u00a0b\tO\r\n")
    assert read_sentences(str(file), entities=True).words == [["mr ada"], ["a\u00a0b"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ada I-PER\nran\n", "a.conll, line 2: a word without a tag: 'ran'"),
        ("ada I-PER\n\nran VBD O\n", "a.conll, line 3: 3 columns where the lines before have 2"),
        ("ada I-\n", "a.conll, line 1: the tag 'I-' names no type"),
        ("ada\tO\n\tO\n", "a.conll, line 2: a tag without a word"),
        ("ada\t\n", "a.conll, line 1: an empty tag"),
        ("\n\n", "holds no sentence"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "a.conll"
    file.write_text(text)
    with pytest.raises(UserError) as refused:
        read_sentences(str(file), entities=True)
    assert message in str(refused.value)


def test_a_malformed_parquet_row_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    pl.DataFrame({"tokens": [["a"], ["a", "b"]], "tags": [["O"], ["O"]]}).write_parquet(file)
    with pytest.raises(UserError, match=r"a.parquet, row 2: not as many tags as tokens"):
        read_sentences(str(file), entities=True)
    pl.DataFrame({"tokens": ["a"], "tags": ["O"]}).write_parquet(file)
    with pytest.raises(UserError, match="'tokens' should be a list of strings and is String"):
        read_sentences(str(file), entities=True)


def test_the_digest_follows_the_contents_and_their_role(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a O\n")
    two.write_text("a O\n")
    digest = content_digest(Tagging(train=str(one)))
    assert digest == content_digest(Tagging(train=str(two)))
    assert digest != content_digest(Tagging(train=str(one), test=str(two)))
    two.write_text("b O\n")
    assert digest != content_digest(Tagging(train=str(two)))
    with pytest.raises(UserError, match="there is no file"):
        content_digest(Tagging(train=str(tmp_path / "absent")))


def _sentences(count: int, seed: int) -> str:
    """Who comes after `mr` is a person, and where one is `in` is a place."""
    rng = np.random.default_rng(seed)
    lines = []
    for _ in range(count):
        name, town = rng.choice(["ada", "bob"]), rng.choice(["rome", "oslo"])
        swap = rng.random() < 0.5  # so that the word before decides, not the word
        name, town = (town, name) if swap else (name, town)
        lines.append(f"mr O\n{name} B-PER\nsat O\nin O\n{town} B-LOC\n")
        lines.append(f"the O\ncat O\nran O\n{rng.choice([name, town])} O\n")
    return "\n".join(lines)


def test_the_stage_learns_a_rule_and_reports_it(tmp_path: Path) -> None:
    folder = tmp_path / "pretrained" / "model"
    write_tokenizer(tmp_path / "plain.json")
    hugging_face.save(build(SHAPE, seed=1), tmp_path / "plain.json", folder, max_tokens=32)
    for name, count in (("train", 60), ("validation", 10), ("test", 20)):
        (tmp_path / f"{name}.conll").write_text(_sentences(count, seed=count))
    config = Tagging(
        **{name: str(tmp_path / f"{name}.conll") for name in ("train", "validation", "test")},
        epochs=20, batch=8, learning_rate=1e-2, max_tokens=16, bootstrap=100,
    )  # fmt: skip
    outcomes = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        outcomes.append(
            tag.fn(folder.parent, config=config, seed=3, content="", out=tmp_path / name, log=Log())
        )
    outcome = outcomes[0]
    assert outcome.metrics["entity_f1"] == 1.0
    assert outcome.metrics["validation_score"] == 1.0
    report = orjson.loads((tmp_path / "one" / "report.json").read_bytes())
    assert report["entities"]["PER"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 20}
    assert report["judged_on"] == "test"
    assert "weighted avg" in (tmp_path / "one" / "report.txt").read_text()
    labels = hugging_face.describe(tmp_path / "one" / "model").labels
    assert labels == ("O", "B-LOC", "B-PER")
    for path in sorted((tmp_path / "one").rglob("*.*")):
        other = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == other.read_bytes(), path.name


def test_one_tag_alone_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.conll"
    file.write_text("ada O\n")
    with pytest.raises(UserError, match="1 different tags"):
        tag.fn(
            tmp_path, config=Tagging(train=str(file)), seed=0, content="", out=tmp_path, log=Log()
        )


@pytest.mark.skipif(not os.environ.get("PLUMBLINE_DATA"), reason="PLUMBLINE_DATA is not set")
def test_real_files_of_two_schemes_are_read_whole() -> None:
    folder = Path(os.environ["PLUMBLINE_DATA"], "ner")
    wnut = read_sentences(str(folder / "wnut17_train.parquet"), entities=True)
    assert len(wnut.words) == 3394
    assert sum(len(spans(tags)) for tags in wnut.tags) == 1975  # as many as there are B- tags
    assert list(map(to_iob2, wnut.tags)) == wnut.tags
    gold = read_sentences(str(folder / "wikigold.parquet"), entities=True)
    assert {kind for tags in gold.tags for _, _, kind in spans(tags)} == {
        "PER",
        "ORG",
        "LOC",
        "MISC",
    }
