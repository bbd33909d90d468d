"""Signals of the user's own: from a decorated function to the signals, the suites and the page."""

from __future__ import annotations

import sys
from pathlib import Path

import orjson
import polars as pl
import pytest

from tasks.configuration import Profiling
from tasks.corpus.profile import profile
from tasks.corpus.signals.registry import (
    load_signals,
    measure_signals,
    signal,
    signals,
    signals_digest,
)
from tasks.errors import UserError
from tasks.log import Log
from tasks.promotion.page import data
from tasks.promotion.page.read import Shelf

SHOUTING = """
import polars as pl
from tasks.corpus.signals.registry import signal

@signal("shouting", help="exclamation marks")
def shouting(texts: pl.Series) -> pl.Series:
    return texts.str.count_matches("!")
"""
ROWS = pl.DataFrame(
    {
        "row_id": ["a", "b"], "text": ["Go! Go! Go to the house of the king.", None],
        "split": ["train", "test"], "source": ["s", "s"], "label": ["x", None],
    }
)  # fmt: skip


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(SHOUTING)
    return path


def profiled(tmp_path: Path, *places: str) -> Path:
    corpus, out = tmp_path / "corpus", tmp_path / "profiled"
    for folder in (corpus, out):
        folder.mkdir(exist_ok=True)
    ROWS.write_parquet(corpus / "corpus.parquet")
    profile.fn(corpus, config=Profiling(signals=places), out=out, log=Log())
    return out


def test_a_signal_of_ones_own_is_measured_summarised_and_shown(
    tmp_path: Path, module: Path
) -> None:
    out = profiled(tmp_path, str(module))
    assert pl.read_parquet(out / "signals.parquet")["shouting"].to_list() == [2, 0]
    summary = orjson.loads((out / "profile.json").read_bytes())
    assert summary["own_signals"] == ["shouting"]
    assert summary["signals"]["shouting"] == "exclamation marks"
    assert summary["quantiles"]["shouting"]["1"] == 2
    shown = data.signals(Shelf({"profile": out}))
    assert any("exclamation marks" in str(plot) for plot in shown["plots"])
    line = next(line for line in shown["all"] if line["name"] == "shouting")
    assert (line["own"], line["before"]) == (True, "2 (0 to 2)")


def test_every_measured_column_of_ours_is_on_the_page(tmp_path: Path) -> None:
    out = profiled(tmp_path)
    shown = {line["name"] for line in data.signals(Shelf({"profile": out}))["all"]}
    assert {"words", "gopher_words", "c4_sentences", "language"} <= shown


def test_a_changed_function_is_a_changed_input_and_is_used(tmp_path: Path, module: Path) -> None:
    before = signals_digest([str(module)])
    assert load_signals([str(module)])[0](pl.Series(["a?!"])).to_list() == [1]  # type: ignore[union-attr]
    module.write_text(SHOUTING.replace('"!"', '"[?!]"'))
    assert signals_digest([str(module)]) != before
    assert load_signals([str(module)])[0](pl.Series(["a?!"])).to_list() == [2]  # type: ignore[union-attr]
    assert signals_digest([]) == ""


def test_a_module_is_found_by_its_name_and_read_again_when_it_changes(
    tmp_path: Path, module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert list(load_signals(["mine"])[0].help) == ["shouting"]
    module.write_text(SHOUTING.replace('"shouting"', '"crying"'))
    assert list(load_signals(["mine"])[0].help) == ["crying"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x = 1", "mine.py', in which no function is a signal"),
        ("import no_such_library", "mine.py' cannot be loaded: ModuleNotFoundError"),
        (SHOUTING + SHOUTING.replace("def shouting", "def other"), "two signals are called 'shouting'"),
    ],
)  # fmt: skip
def test_a_module_that_cannot_be_used_is_named(module: Path, content: str, message: str) -> None:
    module.write_text(content)
    with pytest.raises(UserError, match=message):
        load_signals([str(module)])


@pytest.mark.parametrize("place", ["no_such_package.signals", "nowhere/mine.py", "no_such_module"])
def test_a_module_that_is_not_there_is_named(place: str) -> None:
    with pytest.raises(UserError, match=f"names '{place}', and there is no such"):
        signals_digest([place])


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda texts: 1 / 0, "'mine' failed: ZeroDivisionError"),
        (lambda texts: [1, 2], "'mine' returned list, not mine"),
        (lambda texts: pl.Series([1]), "'mine' returned 1 values for 2 texts"),
        (lambda texts: texts, "'mine' returned String, not numbers"),
    ],
)
def test_a_signal_that_returns_no_number_for_each_text_is_named(made: object, message: str) -> None:
    mine = signal("mine", help="a figure")(made)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=message):
        measure_signals(pl.Series(["a", "b"]), [mine])


def test_a_name_of_ours_is_refused() -> None:
    mine = signal("words", help="a figure")(lambda texts: texts.str.len_chars())
    with pytest.raises(UserError, match="'words' has the name of a column of ours"):
        measure_signals(pl.Series(["a"]), [mine], ["words"])


def test_a_frame_gives_several_signals_and_what_is_no_number_is_null() -> None:
    both = signals({"half": "half of it", "is_long": "over two characters"})(
        lambda texts: pl.DataFrame(
            {"is_long": texts.str.len_chars() > 2, "half": 1 / texts.str.len_chars().cast(int)}
        )
    )
    made = measure_signals(pl.Series(["a", "abcd", None]), [both])
    assert made.to_dict(as_series=False) == {"half": [1.0, 0.25, None], "is_long": [0, 1, 0]}
