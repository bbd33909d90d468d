"""Back-translated and mistyped copies: what is kept of a text, and what is refused."""

from __future__ import annotations

import stat
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.augmentation.augment import augment
from tasks.augmentation.backtranslation import round_trip, says_the_same, sentences
from tasks.augmentation.translators import pair, translators_digest
from tasks.augmentation.typos import mistype
from tasks.augmentation.words import words
from tasks.configuration import Augmentation
from tasks.errors import UserError
from tasks.log import Log

# A translator of one mode each: out of English word by word, and back with other words.
APERTIUM = """#!{python}
import sys
mode = sys.argv[-1]
words = {{"en-xx": {{"film": "filmo", "good": "bona", "not": "ne"}},
         "xx-en": {{"filmo": "movie", "bona": "fine", "ne": "not"}}}}
if sys.argv[1:] == ["-l"]:
    print("en-xx xx-en")
elif mode not in words:
    sys.exit("Error: Mode " + mode + " does not exist")
else:
    for line in sys.stdin.read().split("\\n"):
        print(" ".join(words[mode].get(w, w) for w in line.rstrip(".").split(" ")))
"""


@pytest.fixture
def apertium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "apertium"
    program.parent.mkdir()
    program.write_text(APERTIUM.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One. Two! Three?", ["One. ", "Two! ", "Three?"]),
        ("A line\nand “another.” No end", ["A line\n", "and “another.” ", "No end"]),
        ("", []),
    ],
)
def test_a_text_is_its_sentences_joined(text: str, parts: list[str]) -> None:
    assert sentences(text) == parts
    assert "".join(sentences(text)) == text


@pytest.mark.parametrize(
    ("copy", "same"),
    [
        ("We saw Anna's 3 films, and they were not fine.", True),
        ("We saw Anna's 4 films, and they were not fine.", False),  # another number
        ("We saw Anna's 3 films, and they were fine.", False),  # the negation is lost
        ("We saw Eva's 3 films, and they were not fine.", False),  # another name
        ("We saw Anna's 3 films, and they were ne ĝojaj not.", False),  # not translated
        ("Anna's 3 films: not.", False),  # most of it is lost
    ],
)
def test_a_copy_that_says_something_else_is_told(copy: str, same: bool) -> None:
    assert says_the_same("We saw Anna's 3 films, and they were not good.", copy) is same


def test_texts_go_sentence_by_sentence_and_come_back_with_their_own_ends() -> None:
    seen: list[str] = []

    def there(texts: Sequence[str]) -> list[str]:
        seen.extend(texts)
        return [text.upper().rstrip(".!") for text in texts]

    def back(texts: Sequence[str]) -> list[str]:
        return [text.capitalize().replace("film", "movie") for text in texts]

    copies = round_trip(["A fine film.\nSee it!", "It rains."], there, back)
    assert copies == ["A fine movie.\nSee it!", None]  # what comes back unchanged is no copy
    assert seen == ["A fine film.", "See it!", "It rains."]


@pytest.mark.usefixtures("apertium")
def test_apertium_is_asked_line_by_line_and_a_missing_mode_is_named() -> None:
    there, back = pair("apertium:en-xx,xx-en")
    assert back(there(["a good film", "not so good."])) == ["a fine movie", "not so fine"]
    with pytest.raises(UserError, match="mode 'en-yy': Error: Mode en-yy does not exist"):
        pair("apertium:en-yy,yy-en")[0](["a"])
    assert translators_digest("apertium:en-xx,xx-en") != translators_digest("apertium:xx-en,en-xx")


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("apertium:en-eo", "names no pair of translators"),
        ("one model", "names no pair of translators"),
        ("apertium:en-eo,eo-en", "Apertium, which is not installed"),
        ("/no/such/model,/nor/this", "is no folder here"),
    ],
)
def test_translators_that_are_not_there_are_named(
    location: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=said):
        translators_digest(location)


@pytest.mark.usefixtures("apertium")
def test_the_stage_adds_translated_and_mistyped_rows_with_their_parents(tmp_path: Path) -> None:
    texts = ["This is a good film.", "It rains here."]
    frame = pl.DataFrame(
        {"row_id": ["a", "b"], "digest": ["1", "2"], "text": texts, "split": ["train", "train"]}
    )
    corpus, out = tmp_path / "corpus", tmp_path / "out"
    corpus.mkdir()
    out.mkdir()
    frame.write_parquet(corpus / "corpus.parquet")
    config = Augmentation(
        synonym_share=0, counterfactual_share=0, typo_share=1, typo_words=0.2,
        back_translation="apertium:en-xx,xx-en", back_translation_share=1,
    )  # fmt: skip
    found = augment.fn(corpus, config=config, seed=1, out=out, log=Log())
    made = pl.read_parquet(out / "corpus.parquet").filter(pl.col("origin") != "original")
    assert found.summary == "2 typo and 1 back-translation rows added"
    assert found.metrics["unchangeable_rows"] == 1  # the other came back as it was
    assert made.filter(pl.col("origin") == "back_translation").select(
        "row_id", "parent", "text"
    ).rows() == [("a~bt0", "a", "This is a fine movie.")]
    assert made.filter(pl.col("origin") == "typo")["parent"].to_list() == ["a", "b"]


def test_typing_errors_spoil_the_stated_share_of_words_and_no_first_letter() -> None:
    text = " ".join(["wonderful"] * 200)
    spoilt = mistype(text, share=0.15, generator=np.random.default_rng(0))
    assert spoilt is not None
    changed = [word for word in spoilt.split(" ") if word != "wonderful"]
    assert len(changed) == 30
    assert all(w[0] == "w" and abs(len(w) - len("wonderful")) <= 1 for w in changed)
    assert len(set(changed)) > 10
    assert len(words(spoilt)) == 200
    assert mistype("It is so.", share=0.5, generator=np.random.default_rng(0)) is None
