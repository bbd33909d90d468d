"""Claims about what a night keeps of its corpus and how the next one is compared with it."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest

from tasks.configuration import Validation
from tasks.corpus.drift.drift import drift, two_nights
from tasks.corpus.drift.reference import reference, snapshot_digest
from tasks.corpus.drift.snapshot import read_snapshot, snapshot
from tasks.corpus.drift.topics import is_learnt_from, learn
from tasks.corpus.signals.wordgrams import split_words
from tasks.corpus.validate import validate
from tasks.errors import UserError
from tasks.log import Log
from tasks.promotion.page.drift import drift as block
from tasks.promotion.page.read import Shelf
from tasks.records import Outcome

LAW = "the court heard the judge and the lawyer on the appeal"
FARM = "the farmer took the cows and the plough to the meadow"
ZOO = "elephants quietly munch bamboo beside seventeen penguins"
COURT = "法院今天审理了这起案件并作出判决"
FIELD = "农民早晨牵着牛去田里耕地种水稻"


def sentence(words: str, rng: random.Random) -> str:
    """Most of the words of a sentence, in any order; of its characters where it has no spaces."""
    parts = words.split() if " " in words else list(words)
    return (" " if " " in words else "").join(rng.sample(parts, len(parts) - 3))


def night(root: Path, *kinds: str, rows: int = 600, seed: int = 0, **columns: Any) -> Path:
    """A corpus of sentences of some kinds, its signals and its snapshot."""
    rng = random.Random(seed)
    texts = [sentence(kinds[i % len(kinds)], rng) for i in range(rows)]
    ids = [f"{rng.getrandbits(64):016x}-0" for _ in texts]
    table = pl.DataFrame({"row_id": ids, "text": texts, "split": ["train"] * rows})
    measured: dict[str, Any] = {
        "words": np.random.default_rng(seed).normal(50, 9, rows), "label": ["a", "b"] * (rows // 2),
        "source": ["web"] * (rows // 2) + ["books"] * (rows // 2), **columns,
    }  # fmt: skip
    signals = table.select("row_id", "split").with_columns(
        pl.Series(name, values) for name, values in measured.items()
    )
    for name, frame in (("corpus", table), ("signals", signals)):
        (root / name).mkdir(parents=True)
        frame.write_parquet(root / name / f"{name}.parquet")
    (root / "snapshot").mkdir()
    snapshot.fn(
        root / "corpus", root / "signals", config=Validation(), cleaned=False, seed=1,
        out=root / "snapshot", log=Log(),
    )  # fmt: skip
    return root


def compared(
    tonight: Path, reference_: Path | None, *, cleaned: bool = False, **settings: Any
) -> tuple[Outcome, dict[str, Any]]:
    out = tonight / f"drift{len(list(tonight.iterdir()))}"
    out.mkdir()
    outcome = drift.fn(
        tonight / "corpus", tonight / "signals", reference_, config=Validation(**settings),
        cleaned=cleaned, out=out, log=Log(),
    )  # fmt: skip
    facts: dict[str, Any] = orjson.loads((out / "drift.json").read_bytes())
    return outcome, facts | {"folder": out}


def column(facts: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [c for c in facts["columns"] if c["column"] == name]
    statistics: dict[str, Any] = found["statistics"][found["first"]]
    return statistics


# --- vocabulary and topics ---


@pytest.mark.parametrize("kinds", [(LAW, FARM), (COURT, FIELD)])
def test_topics_are_what_sentences_are_about_with_and_without_spaces(
    kinds: tuple[str, ...],
) -> None:
    rng = random.Random(0)
    texts = pl.Series([sentence(kinds[i % 2], rng) for i in range(400)])
    words = split_words(texts)
    language = learn(words, most_words=100, topics=2, seed=0)
    topics = language.describe(words)["topic"].to_list()
    assert len(language.names) == 2
    assert len(set(zip(topics, [i % 2 for i in range(400)], strict=True))) == 2


def test_familiar_words_are_a_share_and_a_text_without_words_has_none() -> None:
    language = learn(split_words(pl.Series(["a b", "a c"])), most_words=2, topics=0, seed=0)
    assert language.words.to_list() == ["a", "b"]
    found = language.describe(split_words(pl.Series(["a a b z", "z", "", "..."])))
    assert found["familiar_share"].to_list() == [0.75, 0.0, None, None]


def test_what_was_learnt_is_read_again_as_it_was(tmp_path: Path) -> None:
    saved = read_snapshot(night(tmp_path, LAW, FARM) / "snapshot")
    words = split_words(pl.Series([LAW, FARM, ZOO]))
    again = tmp_path / "again"
    again.mkdir()
    saved.language.save(again)
    loaded = type(saved.language).load(again, saved.language.learnt_from)
    assert loaded.describe(words).equals(saved.language.describe(words))
    assert loaded.names == saved.language.names
    assert len(loaded.names) >= 2


def test_half_of_the_rows_are_learnt_from_and_never_asked(tmp_path: Path) -> None:
    sample = read_snapshot(night(tmp_path, LAW, FARM) / "snapshot").sample
    learnt = is_learnt_from(sample["row_id"])
    assert 0.4 < learnt.mean() < 0.6
    assert sample["topic"].is_null().to_list() == learnt.tolist()
    copies = is_learnt_from(pl.Series(["00ff00ff00ff00ff-0", "00ff00ff00ff00ff-7"]))
    assert copies[0] == copies[1]


def test_a_snapshot_repeats_byte_for_byte(tmp_path: Path) -> None:
    one, two = (night(tmp_path / name, LAW, FARM) / "snapshot" for name in ("one", "two"))
    for path in sorted(one.iterdir()):
        assert path.read_bytes() == (two / path.name).read_bytes()
    assert snapshot_digest(one) == snapshot_digest(two)


def test_a_snapshot_keeps_no_more_rows_than_asked_and_only_training_rows(tmp_path: Path) -> None:
    root = night(tmp_path, LAW, rows=500)
    signals = pl.read_parquet(root / "signals" / "signals.parquet").with_columns(
        split=pl.Series(["train"] * 400 + ["test"] * 100)
    )
    signals.write_parquet(root / "signals" / "signals.parquet")
    (root / "small").mkdir()
    outcome = snapshot.fn(
        root / "corpus", root / "signals", config=Validation(snapshot_rows=200), cleaned=False,
        seed=1, out=root / "small", log=Log(),
    )  # fmt: skip
    sample = read_snapshot(root / "small").sample
    assert outcome.summary.startswith("200 of 400 training rows")
    assert sample["split"].unique().to_list() == ["train"]
    assert sample["row_id"].to_list() == sorted(signals.head(400)["row_id"])[:200]


# --- comparing ---


def test_the_first_night_has_nothing_to_compare_with_and_says_so(tmp_path: Path) -> None:
    outcome, facts = compared(night(tmp_path, LAW), None)
    assert outcome.skipped == "there is no accepted night to compare with yet"
    assert facts["why"] == outcome.skipped
    asked_not, _ = compared(tmp_path, None, reference="none")
    assert asked_not.skipped == "no reference is asked for"


def test_the_same_rows_have_not_moved_at_all(tmp_path: Path) -> None:
    root = night(tmp_path, LAW, FARM)
    outcome, facts = compared(root, root / "snapshot")
    assert outcome.metrics["columns_moved"] == outcome.metrics["columns_changed"] == 0
    assert {c["statistics"][c["first"]]["value"] for c in facts["columns"]} == {0.0}


def test_other_rows_of_one_source_have_not_moved_beyond_chance(tmp_path: Path) -> None:
    before, after = night(tmp_path / "a", LAW, FARM), night(tmp_path / "b", LAW, FARM, seed=5)
    outcome, facts = compared(after, before / "snapshot")
    assert outcome.metrics["columns_moved"] == 0
    assert not facts["changes"]
    assert column(facts, "familiar_share")["rows"] < 400  # the half that was not learnt from


@pytest.mark.parametrize(("old", "new"), [((LAW, FARM), (LAW, ZOO)), ((COURT, FIELD), (COURT,))])
def test_another_vocabulary_is_found_by_familiar_words_or_topics(
    tmp_path: Path, old: tuple[str, ...], new: tuple[str, ...]
) -> None:
    before, after = night(tmp_path / "a", *old), night(tmp_path / "b", *new, seed=5)
    outcome, facts = compared(after, before / "snapshot")
    moved = [column(facts, name) for name in ("familiar_share", "topic")]
    assert max(one["value"] for one in moved) > 0.3
    assert min(one["p"] for one in moved) < 1e-9
    assert facts["words"][0]["change"] > 0.2
    assert outcome.metrics["columns_moved"] >= 1


def test_new_and_renamed_columns_and_changed_types_are_named(tmp_path: Path) -> None:
    regions = {"group_region": ["n", "s"] * 300}
    before = night(tmp_path / "a", LAW, **regions, score=[1, 2] * 300)
    after = night(
        tmp_path / "b", LAW, group_regions=["s", "n"] * 300, score=["1", "2"] * 300, mine=[0.5] * 600
    )  # fmt: skip
    outcome, facts = compared(after, before / "snapshot")
    assert facts["changes"] == [
        "'group_region' is perhaps 'group_regions' now", "new 'mine'",
        "'score' was Int64 and is String",
    ]  # fmt: skip
    assert outcome.metrics["columns_changed"] == 3


def test_cleaned_rows_are_not_compared_with_rows_as_they_arrived(tmp_path: Path) -> None:
    root = night(tmp_path, LAW)
    outcome, _ = compared(root, root / "snapshot", cleaned=True)
    assert outcome.skipped == "the reference is of rows as they arrived, these are cleaned rows"


def test_a_folder_that_holds_no_snapshot_is_refused_by_name(tmp_path: Path) -> None:
    root = night(tmp_path / "a", LAW)
    with pytest.raises(UserError, match="corpus' holds no snapshot"):
        snapshot_digest(root / "corpus")
    facts = orjson.loads((root / "snapshot" / "snapshot.json").read_bytes()) | {"format": 99}
    (root / "snapshot" / "snapshot.json").write_bytes(orjson.dumps(facts))
    with pytest.raises(UserError, match="has format 99, not 1"):
        read_snapshot(root / "snapshot")


def test_a_named_snapshot_is_kept_as_it_was(tmp_path: Path) -> None:
    root = night(tmp_path / "a", LAW)
    (tmp_path / "kept").mkdir()
    content = snapshot_digest(root / "snapshot")
    reference.fn(location=str(root / "snapshot"), content=content, out=tmp_path / "kept", log=Log())
    assert snapshot_digest(tmp_path / "kept") == content


def test_two_nights_of_unlike_columns_make_one_table() -> None:
    both = two_nights(pl.DataFrame({"a": [1], "b": ["x"]}), pl.DataFrame({"a": ["y"], "c": [2.0]}))
    assert both.rows() == [("1", "x", "tonight", None), ("y", None, "reference", 2.0)]


def test_the_page_draws_both_nights_over_each_other(tmp_path: Path) -> None:
    before = night(tmp_path / "a", LAW, FARM)
    after = night(tmp_path / "b", LAW, FARM, seed=5, label=["a"] * 500 + ["<b>"] * 100)
    outcome, facts = compared(after, before / "snapshot")
    page = (facts["folder"] / "drift.html").read_text()
    assert "drift.html" in outcome.artifacts
    assert "Histogram of words, the reference and tonight" in page
    assert "Shares of label, the reference and tonight" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page.split("</style>")[1]


def test_the_drift_suite_names_what_moved_and_the_first_night_fails_nothing(
    tmp_path: Path,
) -> None:
    before = night(tmp_path / "a", LAW, FARM)
    after = night(tmp_path / "b", LAW, FARM, seed=5, label=["a"] * 500 + ["c"] * 100)
    for path in (after / "signals" / "signals.parquet",):
        pl.read_parquet(path).with_columns(
            language=pl.lit("en"), stopword_ratio=pl.col("words") / 200
        ).write_parquet(path)
    _, facts = compared(after, before / "snapshot")
    first, _ = compared(after, None)
    assert first.skipped
    records = {}
    for name, folder in (("moved", facts["folder"]), ("first", after / "drift4")):
        out = after / f"validated-{name}"
        out.mkdir()
        suite = Validation(suites=("drift",))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "tasks.corpus.validate.judged_frame",
                lambda corpus, profiled: pl.read_parquet(profiled / "signals.parquet"),
            )
            validate.fn(
                after / "corpus", after / "signals", folder, config=suite, strict=False, out=out,
                log=Log(),
            )  # fmt: skip
        records[name] = orjson.loads((out / "validation.json").read_bytes())
    broken = [r["sentence"] for r in records["moved"] if not r["success"]]
    assert any("label must have the values" in s and "'b' is perhaps 'c'" not in s for s in broken)
    assert any("new 'c' (16.7 % of its rows); vanished 'b' (50 % of its rows)" in s for s in broken)
    assert {r["skipped"] for r in records["first"]} == {
        "there is no accepted night to compare with yet"
    }


def test_the_run_page_shows_both_comparisons_and_why_one_is_missing(tmp_path: Path) -> None:
    before = night(tmp_path / "a", LAW, FARM)
    after = night(tmp_path / "b", LAW, FARM, seed=5)
    _, facts = compared(after, before / "snapshot")
    _, none = compared(after, before / "snapshot", cleaned=True)
    shown = block(Shelf({"drift": facts["folder"], "drift_clean": none["folder"]}))
    arrived, cleaned = shown["parts"]
    assert arrived["sizes"] == (
        "600 of tonight's 600 training rows against 600 of the reference's 600"
    )
    assert len(arrived["plots"]) == min(8, len(arrived["columns"]))
    assert cleaned["why"] == (
        "Not compared: the reference is of rows as they arrived, these are cleaned rows."
    )
    assert block(Shelf({}))["why"] == "This stage did not run."
