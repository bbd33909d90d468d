"""Claims about made-up rows: counterfactuals, synonyms, and the stage that adds them."""

import hashlib
import os
from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest

from tasks.augmentation.augment import augment
from tasks.augmentation.counterfactual import pairs, swap
from tasks.augmentation.synonyms import SYNONYMS, exchange, lexicon, own
from tasks.augmentation.words import article
from tasks.configuration import Augmentation
from tasks.errors import UserError
from tasks.log import Log
from tasks.records import Outcome, Rows


@pytest.mark.parametrize(
    ("text", "swapped"),
    [
        ("Her mother saw her yesterday.", "His father saw him yesterday."),
        ("He gave her his book.", "She gave him her book."),
        ("The book is hers, not his.", "The book is his, not hers."),
        ("I told her that she was late.", "I told him that he was late."),
        ("His own car; a friend of his.", "Her own car; a friend of hers."),
        ("They made her cry, but her cry was loud.", "They made him cry, but his cry was loud."),
        ("I saw her last night with her last aunt.", "I saw him last night with his last uncle."),
        ("I saw her and her sister.", "I saw him and his brother."),
        ("One follows his or her heart.", "One follows her or his heart."),
        ("SHE LOVES HER DAD.", "HE LOVES HIS MOM."),
        ("She left her 3 cats to him.", "He left his 3 cats to her."),
        ("She's an heiress.", "He's an heir."),
        ("A queen and an uncle met.", "A king and an aunt met."),
        ("Mrs. Smith met Mr King, the girls' uncle.", "Mr. Smith met Ms King, the boys' aunt."),
        ("Her daughter-in-law hurt herself.", "His son-in-law hurt himself."),
    ],
)  # fmt: skip
def test_genders_are_exchanged_and_the_grammar_kept(text: str, swapped: str) -> None:
    assert swap(text) == swapped


@pytest.mark.parametrize(
    "text",
    ["It rained.", "The actor is the hero.", "Stephen King met Iron Man.", "She is pregnant.",
             "her@he.com", "she_id is man-made", ""],
)  # fmt: skip
def test_what_has_no_counterfactual_gets_none(text: str) -> None:
    assert swap(text) is None


def test_names_and_facts_stay_in_a_swapped_biography() -> None:
    text = "Anna Vell was born in Tor in 1931. She works as a weaver, and her son lives in Mer."
    assert swap(text) == (
        "Anna Vell was born in Tor in 1931. He works as a weaver, and his daughter lives in Mer."
    )


def test_a_word_exchanged_both_ways_comes_back() -> None:
    table = pairs()
    there_and_back = [w for w in table if table.get(table[w]) == w]
    assert len(there_and_back) > 250
    assert all(w == w.strip() and " " not in w for w in [*table, *table.values()])


@pytest.mark.parametrize(
    ("word", "expected"),
    [("hour", "an"), ("house", "a"), ("unusual", "an"), ("university", "a"), ("useful", "a"),
     ("one", "a"), ("honest", "an"), ("uncle", "an"), ("European", "a"), ("movie", "a")],
)  # fmt: skip
def test_an_article_goes_by_sound(word: str, expected: str) -> None:
    assert article(word) == expected


def all_exchanged(text: str) -> str | None:
    return exchange(text, {"strange": ("odd",), "film": ("movie",), "quickly": ("fast",)},
                    share=0.99, generator=np.random.default_rng(0))  # fmt: skip


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("A strange film ends quickly.", "An odd movie ends fast."),
        ("Strange things. Film it quickly!", "Odd things. Movie it fast!"),
        ("We saw Strange Film at the Film House.", None),
        ("Strange Adventures is a title.", None),
        ("see film.com or 3film or film_2 or @film", None),
        ("A STRANGE sight", None),
        ("nothing to see", None),
    ],
)
def test_words_are_exchanged_outside_names_addresses_and_numbers(
    text: str, new: str | None
) -> None:
    assert all_exchanged(text) == new


def test_the_share_of_exchanged_words_is_kept() -> None:
    text = "the strange film " * 20
    changed = exchange(text, {"strange": ("odd",), "film": ("movie",)}, share=0.25,
                       generator=np.random.default_rng(0))  # fmt: skip
    assert changed is not None
    pairs_of_words = zip(text.split(), changed.split(), strict=True)
    assert sum(old != new for old, new in pairs_of_words) == 15


def test_a_form_of_two_slots_is_exchanged_only_for_what_fits_both() -> None:
    table = own()
    assert table["began"] == ("commenced", "started")
    assert table["started"] == ()
    assert table["commenced"] == ("started",)  # "began" is no participle, "begun" no past
    assert "spellbinding" not in table["fascinating"]  # no form of a verb
    assert set(table["fascinating"]) == {"captivating", "enthralling"}


def test_the_lexicon_is_large_and_its_groups_are_well_formed() -> None:
    groups = pl.read_csv(SYNONYMS, separator="\t", quote_char=None)
    assert groups.height >= 250
    slots = {"adjective": {1}, "adverb": {1}, "noun": {1, 2}, "verb": {5}}
    for part, group in groups.iter_rows():
        sizes = {len(alternative.split()) for alternative in group.split(" | ")}
        assert len(sizes) == 1, group
        assert sizes <= slots[part], group
    assert not {"not", "no", "never", "nothing", "without", "hardly"} & set(own())


@pytest.mark.skipif("PLUMBLINE_DATA" not in os.environ, reason="needs PLUMBLINE_DATA")
def test_no_exchange_turns_a_positive_word_negative() -> None:
    opinions = pl.read_parquet(
        Path(os.environ["PLUMBLINE_DATA"]) / "lexical/opinion_lexicon.parquet"
    )
    polarity = {w: 1 if p == "positive" else -1 for w, p in opinions.iter_rows()}
    turned = [
        (word, new)
        for word, options in lexicon(None).items()
        for new in options
        if polarity.get(word, 0) * polarity.get(new, 0) < 0
    ]
    assert turned == []


DATA_ADJ = """  1 licence
00001 00 s 03 gleeby 0 shorn(p) 0 glowy_hot 0 000 | none
00002 00 s 03 crumbly 0 friable 0 brittle 0 000 | easily broken
00003 00 s 01 brittle 0 000 | another sense
"""
DATA_NOUN = """00010 00 n 02 brolly 0 gampy 0 000 | umbrella
00011 00 n 02 mousse 0 mooses 0 000 | none
"""


def test_a_wordnet_adds_only_words_of_a_single_sense(tmp_path: Path) -> None:
    (tmp_path / "data.adj").write_text(DATA_ADJ)
    (tmp_path / "data.noun").write_text(DATA_NOUN)
    (tmp_path / "data.verb").write_text("00020 00 v 02 traipse 0 slogger 0 000 | walk\n")
    (tmp_path / "data.adv").write_text("00030 00 r 02 might 0 mightily 0 000 | none\n")
    more = {w: o for w, o in lexicon(str(tmp_path)).items() if w not in own()}
    assert more == {
        "crumbly": ("friable",),
        "friable": ("crumbly",),
        "brolly": ("gampy",),
        "gampy": ("brolly",),
        "brollies": ("gampies",),
        "gampies": ("brollies",),
        "mousse": ("mooses",),
        "mooses": ("mousse",),
    }


def test_a_wordnet_is_read_from_parquet_too(tmp_path: Path) -> None:
    path = tmp_path / "oewn.parquet"
    rows = {
        "synset": ["1", "2"],
        "pos": ["s", "v"],
        "members": [["crumbly", "friable"], ["amblee", "strolle"]],
    }
    pl.DataFrame(rows).write_parquet(path)
    assert {w for w in lexicon(str(path)) if w not in own()} == {"crumbly", "friable"}


@pytest.mark.parametrize("name", ["nowhere", "empty", "note.txt", "other.parquet"])
def test_a_missing_wordnet_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "note.txt").write_text("x")
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "other.parquet")
    with pytest.raises(UserError, match=name):
        lexicon(str(tmp_path / name))


def write(folder: Path, rows: list[dict[str, str]]) -> Path:
    defaults = {"label": "1", "split": "train", "source": "s", "group_gender": "female"}
    frame = pl.DataFrame(
        [
            {"row_id": f"r{i}", "digest": digest(row["text"])} | defaults | row
            for i, row in enumerate(rows)
        ]
    )
    folder.mkdir()
    frame.write_parquet(folder / "corpus.parquet")
    return folder


def digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def run(
    tmp_path: Path, rows: list[dict[str, str]], seed: int = 1, **config: float
) -> tuple[Outcome, pl.DataFrame]:
    settings = Augmentation(**({"synonym_share": 1, "counterfactual_share": 1} | config))
    out = tmp_path / "out"
    out.mkdir()
    corpus = write(tmp_path / "in", rows)
    outcome = augment.fn(corpus, config=settings, seed=seed, out=out, log=Log())
    return outcome, pl.read_parquet(out / "corpus.parquet")


def test_made_up_rows_are_marked_traceable_and_inherit(tmp_path: Path) -> None:
    outcome, frame = run(
        tmp_path, [{"text": "She saw a movie."}, {"text": "It rained.", "label": "0"}]
    )
    assert outcome.rows == Rows(entered=2, kept=2, added=2)
    made = frame.filter(pl.col("origin") != "original").to_dicts()
    assert [
        (r["row_id"], r["origin"], r["parent"], r["text"], r["group_gender"]) for r in made
    ] == [
        ("r0~cf0", "counterfactual", "r0", "He saw a movie.", "male"),
        ("r0~syn0", "synonym", "r0", "She saw a film.", "female"),
    ]
    assert all(r["digest"] == digest(r["text"]) and r["label"] == "1" for r in made)
    assert frame["parent"].to_list()[:2] == [None, None]
    examples = orjson.loads((tmp_path / "out" / "examples.json").read_bytes())
    assert {(e["origin"], e["before"]) for e in examples} == {
        ("synonym", "She saw a movie."), ("counterfactual", "She saw a movie."),
    }  # fmt: skip


def test_only_training_rows_are_copied(tmp_path: Path) -> None:
    rows = [
        {"text": f"She saw a movie in {s}.", "split": s} for s in ("validation", "test", "serving")
    ]
    outcome, frame = run(tmp_path, rows)
    assert outcome.rows == Rows(entered=3, kept=3)
    assert set(frame["origin"]) == {"original"}


def test_no_made_up_text_equals_one_of_any_split(tmp_path: Path) -> None:
    rows = [{"text": "She sang."}, {"text": "He sang.", "split": "test"}]
    outcome, frame = run(tmp_path, rows)
    assert frame.height == 2
    assert outcome.metrics["existing_texts"] == 1
    assert frame["text"].n_unique() == 2


def test_rows_added_elsewhere_change_nothing_about_a_row(tmp_path: Path) -> None:
    texts = [f"The strange movie number {chr(97 + i)} was boring and scary." for i in range(20)]
    rows = [{"row_id": f"x{i}", "text": t} for i, t in enumerate(texts)]
    settings = {"synonym_share": 0.5, "synonym_words": 0.2}
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    _, one = run(tmp_path / "a", rows, **settings)
    _, two = run(
        tmp_path / "b", [{"row_id": "new", "text": "A boring movie."}, *rows[::-1]], **settings
    )
    made = [set(f.filter(pl.col("parent").str.starts_with("x"))["text"]) for f in (one, two)]
    assert made[0] == made[1]
    assert 3 <= len(made[0]) <= 17


def test_another_seed_makes_other_rows(tmp_path: Path) -> None:
    rows = [{"text": f"The strange movie {chr(97 + i)} was boring and scary."} for i in range(20)]
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    found = [
        run(tmp_path / turn, rows, seed=seed)[1]["text"].to_list()
        for turn, seed in (("a", 1), ("b", 2))
    ]
    assert found[0] != found[1]
