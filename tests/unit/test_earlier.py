"""Tonight's rows against an earlier night's: exact copies, near copies, and what is new."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.configuration import Cleaning, Profiling
from tasks.corpus.clean import clean
from tasks.corpus.duplicates.earlier import INDEX, earlier_night, folder_digest
from tasks.corpus.duplicates.relations import Relations
from tasks.corpus.profile import profile
from tasks.corpus.rows import digest, row_ids
from tasks.errors import UserError
from tasks.log import Log

_RNG = np.random.default_rng(4)
_WORDS = [
    "".join(_RNG.choice(list("bdklmnprst")) + _RNG.choice(list("aeiou")) for _ in range(n % 3 + 2))
    for n in range(3000)
]


def text(words: int = 40) -> str:
    return "The " + " ".join(_WORDS[n] for n in _RNG.integers(0, 3000, words)) + " of it."


def edited(one: str) -> str:
    words = one.split()
    return " ".join([*words[:20], "elsewhere", *words[21:]])


OLD = [text() for _ in range(40)]
NEW = [text() for _ in range(40)]
SPOILT = f"<p>{text()}</p> Write to a@b.org."


def night(root: Path, texts: list[str], earlier: Path | None = None, **settings: str) -> Path:
    """Profile and clean training rows, and a test row that repeats none; the cleaned folder."""
    for name in ("ingested", "profiled", "cleaned"):
        (root / name).mkdir(parents=True)
    rows = [*texts, "A row that is held out for the test of it all."]
    digests = [digest(one) for one in rows]
    pl.DataFrame(
        {
            "row_id": row_ids(digests), "digest": digests, "text": rows, "label": ["1"] * len(rows),
            "split": ["train"] * len(texts) + ["test"], "source": ["s"] * len(rows),
        }
    ).write_parquet(root / "ingested" / "corpus.parquet")  # fmt: skip
    config = Profiling.model_validate(settings | ({"earlier": "last"} if earlier else {}))
    profile.fn(root / "ingested", earlier, config=config, out=root / "profiled", log=Log())
    clean.fn(
        root / "ingested", root / "profiled", earlier, config=Cleaning(), out=root / "cleaned",
        log=Log(),
    )  # fmt: skip
    return root / "cleaned"


def seen(root: Path) -> pl.DataFrame:
    signals = pl.read_parquet(root / "profiled" / "signals.parquet")
    return signals.select("seen_before", "near_seen_before").head(-1)


@pytest.fixture(scope="module")
def yesterday(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return night(tmp_path_factory.mktemp("yesterday"), [*OLD, OLD[3].upper(), SPOILT])


def tonight() -> list[str]:
    return [*OLD[:10], *[edited(one) for one in OLD[10:30]], *NEW]


def test_every_copy_is_found_exact_or_near_and_no_new_row(tmp_path: Path, yesterday: Path) -> None:
    night(tmp_path, tonight(), yesterday)
    exact, near = seen(tmp_path).to_dict(as_series=False).values()
    assert exact == [True] * 10 + [False] * 60
    assert near == [False] * 10 + [True] * 20 + [False] * 40


def test_a_row_is_known_by_its_text_before_and_after_repair(
    tmp_path: Path, yesterday: Path
) -> None:
    repaired = pl.read_parquet(yesterday / "corpus.parquet")["text"][-2]
    assert repaired != SPOILT
    night(tmp_path, [SPOILT, repaired, *NEW], yesterday)
    assert seen(tmp_path)["seen_before"].to_list() == [True, True, *[False] * 40]


def test_an_index_that_is_missing_or_of_other_settings_is_made_anew(
    tmp_path: Path, yesterday: Path
) -> None:
    night(tmp_path / "a", tonight(), yesterday)
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "corpus.parquet").write_bytes((yesterday / "corpus.parquet").read_bytes())
    night(tmp_path / "b", tonight(), bare)
    assert seen(tmp_path / "a").equals(seen(tmp_path / "b"))
    night(tmp_path / "c", tonight(), yesterday, permutations="64")
    assert seen(tmp_path / "a").equals(seen(tmp_path / "c"))


def test_rows_seen_before_are_kept_unless_asked_otherwise(tmp_path: Path, yesterday: Path) -> None:
    counts = {}
    for how in ("report", "quarantine_exact", "quarantine"):
        out = night(tmp_path / how, tonight(), yesterday, seen_before=how)
        reasons = pl.read_parquet(out / "quarantine.parquet")["reason"].value_counts()
        counts[how] = dict(reasons.iter_rows())
    assert counts == {
        "report": {},
        "quarantine_exact": {"seen_before": 10},
        "quarantine": {"seen_before": 10, "near_seen_before": 20},
    }


def test_rows_seen_before_are_not_sketched_again_and_give_the_same_clusters(
    yesterday: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [*OLD, edited(OLD[5]), NEW[0], NEW[0] + " Yes."]
    rows = pl.DataFrame({"text": texts, "split": ["train"] * len(texts)})
    counted, asked = np.ones(len(texts), bool), []
    alone = Relations(rows, Profiling()).duplicates(counted)
    import tasks.corpus.duplicates.relations as module

    def watched(words, places, *rest):
        asked.extend(places.tolist())
        return made(words, places, *rest)

    made = module.band_keys
    monkeypatch.setattr(module, "band_keys", watched)
    after = Relations(rows, Profiling(), earlier=yesterday).duplicates(counted)
    assert after.equals(alone)
    assert alone["is_near_duplicate"].sum() == 2
    assert asked == [40, 41, 42]


def test_the_index_holds_the_kept_rows_and_is_the_same_each_time(
    tmp_path: Path, yesterday: Path
) -> None:
    index, corpus = (pl.read_parquet(yesterday / name) for name in (INDEX, "corpus.parquet"))
    assert index["row_id"].to_list() == corpus["row_id"].to_list()
    assert corpus.height == 42  # one of the 42 training rows repeats another
    again = night(tmp_path, [*OLD, OLD[3].upper(), SPOILT])
    assert (again / INDEX).read_bytes() == (yesterday / INDEX).read_bytes()


def test_a_folder_is_taken_over_by_its_contents(tmp_path: Path, yesterday: Path) -> None:
    earlier_night.fn(location=str(yesterday), content="x", out=tmp_path)
    assert folder_digest(str(tmp_path)) == folder_digest(str(yesterday))
    (tmp_path / INDEX).unlink()
    assert folder_digest(str(tmp_path)) != folder_digest(str(yesterday))
    with pytest.raises(UserError, match=r"profile\.earlier .*no corpus\.parquet"):
        folder_digest(str(tmp_path / "nowhere"))


def test_quarantining_without_an_earlier_night_is_refused() -> None:
    with pytest.raises(ValueError, match=r"profile\.earlier names no night"):
        Profiling(seen_before="quarantine")
