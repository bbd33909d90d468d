"""The suites of Gopher, C4 and FineWeb: complete, cited, and good to clean and to judge by."""

from __future__ import annotations

from pathlib import Path

import orjson
import polars as pl
import pytest

from expectations.rules import chosen_rules, failing_rows, row_rules
from expectations.runner import load_suite, run_suite
from expectations.suite_files import SuiteError, suite_path
from tasks.configuration import Cleaning, Profiling
from tasks.corpus.clean import clean
from tasks.corpus.profile import profile
from tasks.corpus.rows import digest, row_ids
from tasks.corpus.signals.filters import HELP
from tasks.corpus.signals.measure import row_signals
from tasks.errors import UserError
from tasks.log import Log
from tasks.settings import load_configuration

SUITES = ("gopher", "c4", "fineweb")
# Fifty words and more that say something new each time.
PROSE = (
    "The ferry leaves the northern island at dawn. It comes back long after the sun has set, and "
    "nobody on the quay asks why. Anna Vale, who was born in the town of Ost, works there as a baker. "
    "She has never been to sea! Her brother keeps bees with some success. Would he sell you honey?"
)
CHINESE = (
    "她出生在北方的一个小城，多年来一直在那里当面包师，邻居们都认识她，"
    "也常常来买她刚烤好的面包和点心，孩子们尤其喜欢。"
)


def signals_of(*texts: str) -> pl.DataFrame:
    ids = [f"r{place}" for place in range(len(texts))]
    return row_signals(pl.Series(texts)).with_columns(
        pl.Series("row_id", ids), pl.lit("train").alias("split"), pl.Series("text", texts)
    )


def broken(suite: str, text: str) -> set[str]:
    return set(failing_rows(signals_of(text), row_rules(suite))["reason"])


@pytest.mark.parametrize("suite", SUITES)
def test_every_expectation_cites_its_source_and_asks_for_a_measured_signal(suite: str) -> None:
    content = orjson.loads(suite_path(suite).read_bytes())
    measured = {*HELP, "repeated_line_ratio"}
    for item in content["expectations"]:
        assert item["kwargs"]["column"] in measured
        assert any(word in item["notes"] for word in ("arXiv:", "c4_utils.py", "released filter"))


def test_together_the_suites_judge_by_every_figure_of_the_filters() -> None:
    asked = {
        item["kwargs"]["column"]
        for suite in SUITES
        for item in orjson.loads(suite_path(suite).read_bytes())["expectations"]
    }
    assert set(HELP) <= asked


@pytest.mark.parametrize("suite", SUITES)
def test_good_prose_breaks_nothing(suite: str) -> None:
    assert broken(suite, PROSE) == set()


@pytest.mark.parametrize(
    ("suite", "text", "reason"),
    [
        ("gopher", "A single sentence.", "gopher_length"),
        ("gopher", PROSE.replace(" ", ""), "gopher_word_length"),
        ("gopher", PROSE + " #" * 9, "gopher_hashes"),
        ("gopher", PROSE + " …" * 9, "gopher_ellipses"),
        ("gopher", "- " + PROSE.replace(". ", ".\n- "), "gopher_bullets"),
        ("gopher", PROSE.replace(". ", "...\n"), "gopher_ellipsis_lines"),
        ("gopher", PROSE + " 7" * 20, "gopher_lettered_words"),
        ("gopher", "Baker Vale sells honey daily. " * 12, "gopher_stop_words"),
        ("gopher", f"{PROSE}\n" * 2, "gopher_repeated_lines"),
        ("gopher", f"{PROSE}\n\n" * 2, "gopher_repeated_paragraph_characters"),
        ("gopher", "to be of the and " * 12, "gopher_top_2gram"),
        ("gopher", PROSE + " " + PROSE, "gopher_repeated_10grams"),
        ("c4", "It rains. It pours.", "c4_few_sentences"),
        ("c4", PROSE + "\nPlease put { here.", "c4_brackets"),
        ("c4", PROSE + "\nLorem ipsum dolor sit amet.", "c4_lorem_ipsum"),
        ("fineweb", "no end\n" + "a line without an end of its own\n" * 8, "fineweb_punctuated_lines"),
        ("fineweb", "It rains.\nIt pours.\nIt hails.\n" + PROSE, "fineweb_short_lines"),
        ("fineweb", f"{PROSE}\n{PROSE}", "fineweb_repeated_characters"),
        ("fineweb", "One.\nTwo.\nThree.", "fineweb_new_lines"),
    ],
)  # fmt: skip
def test_a_text_breaks_the_rule_that_is_made_for_it(suite: str, text: str, reason: str) -> None:
    assert reason in broken(suite, text)


def test_text_in_another_language_is_not_asked_for_english_words() -> None:
    text = CHINESE + "这家店已经开了二十年，城里没有人不知道。"
    assert not {"gopher_stop_words", "gopher_word_length", "gopher_length"} & broken("gopher", text)


def test_great_expectations_and_the_row_rules_fail_the_same_rows() -> None:
    frame = signals_of(
        PROSE, CHINESE, "One.", "Baker Vale sells honey daily. " * 12, PROSE + PROSE, ""
    )
    for suite in SUITES:
        judged = run_suite(frame, load_suite(suite_path(suite)), strict=True, worst=9)
        theirs = {
            (row["row_id"], record["rule"])
            for record in judged.records if record["rule"]
            for row in record["worst_rows"]
        }  # fmt: skip
        ours = failing_rows(frame, row_rules(suite)).select("row_id", "reason").rows()
        assert theirs == set(ours)


def test_rows_are_quarantined_by_the_chosen_suites_only(tmp_path: Path) -> None:
    ingested, profiled = tmp_path / "ingested", tmp_path / "profiled"
    for folder in (ingested, profiled):
        folder.mkdir()
    texts = [PROSE, "Anna Vale was born in the town of Ost and bakes there.", "!"]
    digests = [digest(text) for text in texts]
    pl.DataFrame(
        {
            "row_id": row_ids(digests), "digest": digests, "text": texts, "label": ["1"] * 3,
            "split": ["train"] * 3, "source": ["s"] * 3,
        }
    ).write_parquet(ingested / "corpus.parquet")  # fmt: skip
    profile.fn(ingested, config=Profiling(), out=profiled, log=Log())
    for suites, reasons in {
        ("noise",): ["too_short"],
        ("noise", "gopher"): ["gopher_length", "too_short"],
    }.items():
        out = tmp_path / "-".join(suites)
        out.mkdir()
        clean.fn(ingested, profiled, config=Cleaning(suites=suites), out=out, log=Log())
        found = pl.read_parquet(out / "quarantine.parquet")["reason"].sort().to_list()
        assert found == reasons


@pytest.mark.parametrize(
    ("suites", "message"),
    [("noise,gofer", "there is no suite 'gofer'"), ("schema", "'schema' has no row rules")],
)
def test_a_suite_that_cannot_clean_is_refused_by_name(suites: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_configuration(None, [f"clean.suites=[{suites}]"])


def test_two_rules_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.json").write_bytes(suite_path("c4").read_bytes())
    monkeypatch.setattr("expectations.suite_files.SUITES", tmp_path)
    with pytest.raises(SuiteError, match="'c4_few_sentences' is in two of one, two"):
        chosen_rules(["one", "two"])
