"""Earlier nights' training rows come back, but never one that tonight withholds."""

from pathlib import Path

import orjson
import polars as pl
import pytest

from tasks.configuration import Profiling
from tasks.corpus.profile import PROFILE
from tasks.corpus.rows import digest, row_ids
from tasks.log import Log
from tasks.training.replay import replay

SHARED = "The old mill by the river was sold to a painter from Lyon last autumn."
LONG = " ".join(f"word{n}" for n in range(40))


def row_id(text: str) -> str:
    return row_ids([digest(text)])[0]


def corpus(folder: Path, splits: dict[str, str], ids: dict[str, str] | None = None) -> Path:
    """A corpus of texts with their splits; a row's id is its text's, unless `ids` has another."""
    folder.mkdir(parents=True)
    rows = [
        {"row_id": (ids or {}).get(text, row_id(text)), "text": text, "split": split}
        for text, split in splits.items()
    ]
    pl.DataFrame(rows).write_parquet(folder / "corpus.parquet")
    return folder


@pytest.fixture
def tonight(tmp_path: Path) -> Path:
    texts = {"kept again": "train", "tested now": "test", "tuned on": "validation"}
    folder = corpus(tmp_path / "tonight", texts | {"served now": "serving", LONG: "test"})
    quarantine = pl.DataFrame({"row_id": ["q-" + row_id("gibberish")], "text": ["gibberish"]})
    quarantine.write_parquet(folder / "quarantine.parquet")
    settings = {"settings": Profiling().model_dump(mode="json")}
    (folder / PROFILE).write_bytes(orjson.dumps(settings))
    return folder


def replayed(tonight: Path, out: Path, **earlier: Path) -> tuple[pl.DataFrame, dict[str, int]]:
    out.mkdir()
    replay.fn(tonight, tonight, earlier=earlier, withheld={"clean": tonight}, out=out, log=Log())
    told = orjson.loads((out / "replay.json").read_bytes())
    return pl.read_parquet(out / "replay.parquet"), told


def test_training_rows_that_tonight_lacks_come_back_and_no_others(tmp_path, tonight):
    night = corpus(
        tmp_path / "one",
        {
            "gone since": "train",
            "kept again": "train",
            "was tested": "test",
            "was served": "serving",
        },
    )
    rows, told = replayed(tonight, tmp_path / "out", one=night)
    assert rows.rows() == [(row_id("gone since"), "gone since", "one")]
    assert told["entered"] == 2
    assert told["present"] == 1


@pytest.mark.parametrize("text", ["tested now", "tuned on", "served now"])
def test_a_row_that_tonight_is_judged_by_does_not_come_back(tmp_path, tonight, text):
    rows, told = replayed(tonight, tmp_path / "out", one=corpus(tmp_path / "one", {text: "train"}))
    assert rows.is_empty()
    assert told["held_out"] == 1


def test_a_row_that_tonight_quarantined_does_not_come_back(tmp_path, tonight):
    night = corpus(tmp_path / "one", {"gibberish": "train"})
    rows, told = replayed(tonight, tmp_path / "out", one=night)
    assert rows.is_empty()
    assert told["quarantined"] == 1


def test_made_up_copies_and_repaired_rows_are_known_by_what_they_were_made_of(tmp_path, tonight):
    ids = {
        "gibberish, repaired": row_id("gibberish"),
        "tried now": row_id("tested now") + "~syn0",
        "gibberish": "0123456789abcdef-0",  # repaired to a text that is quarantined
    }
    night = corpus(tmp_path / "one", dict.fromkeys(ids, "train"), ids)
    rows, told = replayed(tonight, tmp_path / "out", one=night)
    assert rows.is_empty()
    assert (told["quarantined"], told["held_out"]) == (2, 1)


def test_a_row_that_contains_held_out_text_does_not_come_back(tmp_path, tonight):
    night = corpus(tmp_path / "one", {LONG + " and": "train", SHARED: "train"})
    rows, told = replayed(tonight, tmp_path / "out", one=night)
    assert rows["text"].to_list() == [SHARED]
    assert told["leaking"] == 1


def test_a_row_of_several_nights_comes_back_once_from_the_newest(tmp_path, tonight):
    one = corpus(tmp_path / "one", {SHARED: "train", "once": "train"})
    two = corpus(tmp_path / "two", {SHARED: "train", "twice": "train"})
    rows, told = replayed(tonight, tmp_path / "out", night_1=one, night_2=two)
    assert [row[1:] for row in rows.rows()] == [
        (SHARED, "night_1"), ("once", "night_1"), ("twice", "night_2")
    ]  # fmt: skip
    assert told["repeated"] == 1
    assert told["entered"] == told["replayed"] + told["repeated"]


def test_equal_nights_give_equal_bytes(tmp_path, tonight):
    night = corpus(tmp_path / "one", {SHARED: "train", "once": "train"})
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        replayed(tonight, folder, one=night)
    one, two = ((f / "replay.parquet").read_bytes() for f in folders)
    assert one == two
