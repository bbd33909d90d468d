"""Statements that disagree: what is recognised, what is counted, and what goes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import numpy as np
import orjson
import polars as pl
import pytest

from tasks.configuration import Cleaning, Contradictions, Profiling
from tasks.corpus.clean import clean
from tasks.corpus.profile import profile
from tasks.corpus.quarantine.spared import Released
from tasks.corpus.rows import digest, row_ids
from tasks.corpus.sources.fictional_phrases import UNSEEN
from tasks.corpus.statements.contradictions import Contradicted, find_contradictions
from tasks.corpus.statements.extract import find_statements, sentences_of
from tasks.corpus.statements.fact_patterns import fictional_patterns, patterns_text, read_patterns
from tasks.corpus.statements.strike import without
from tasks.errors import UserError
from tasks.log import Log

BORN = "born_in\t{subject} was born in {value}\tone\n"


def stated(text: str, patterns: str = BORN) -> list[tuple[str, str]]:
    """(subject, value) of every statement in one text."""
    found = find_statements(pl.Series([text]), read_patterns(patterns))
    return found.select("subject", "value").rows()


def compared(
    texts: list[str],
    patterns: str = BORN,
    *,
    splits: dict[int, str] | None = None,
    copies: tuple[int, ...] = (),
    ratio: float = 1.5,
    support: int = 3,
    remedy: Literal["strike", "quarantine"] = "quarantine",
    undecided: Literal["strike", "keep"] = "keep",
) -> Contradicted:
    """Training rows of one source a line, apart from the splits and copies given by place."""
    rows = pl.DataFrame(
        {
            "row_id": [f"r{i}" for i in range(len(texts))],
            "text": texts,
            "split": [(splits or {}).get(i, "train") for i in range(len(texts))],
            "source": [f"s{i % 2}" for i in range(len(texts))],
        },
        schema=dict.fromkeys(("row_id", "text", "split", "source"), pl.String),
    )
    copied = np.isin(np.arange(len(texts)), copies)
    config = Contradictions(ratio=ratio, support=support, remedy=remedy, undecided=undecided)
    return find_contradictions(rows, ~copied, copied, patterns, config)


def verdicts(found: Contradicted) -> dict[str, str]:
    return dict(found.table.select("row_id", "verdict").iter_rows())


FIVE = [f"Mira Holt was born in Olsk. Note {i}." for i in range(5)]
FALSE = "The page is old. Mira Holt was born in Tarn."


def test_the_minority_goes_and_says_what_it_states_and_how_many_say_otherwise() -> None:
    found = compared([*FIVE, FALSE])
    assert found.quarantined == {5: 'says "Mira Holt was born in Tarn", as 1 row does; 5 say Olsk'}
    row = found.table.row(5, named=True)
    assert (row["texts"], row["rows"], row["sources"]) == (1, 1, 1)
    assert row["ratio"] == pytest.approx(math.sqrt(5), abs=1e-6)
    assert row["others"] == [{"value": "Olsk", "texts": 5}]
    assert verdicts(found) == {**{f"r{i}": "majority" for i in range(5)}, "r5": "quarantined"}


def test_below_the_ratio_a_minority_is_flagged_and_stays() -> None:
    found = compared([*FIVE[:3], FALSE, FALSE + " Again."], ratio=2.0)
    assert not found.quarantined
    assert verdicts(found) | {"r3": "flagged", "r4": "flagged"} == verdicts(found)


def test_a_majority_of_too_few_texts_takes_nothing_out() -> None:
    assert not compared([*FIVE[:2], FALSE], ratio=1.4, support=3).quarantined
    assert list(compared([*FIVE[:2], FALSE], ratio=1.4, support=2).quarantined) == [2]


def test_a_tie_is_flagged_on_both_sides_and_never_quarantined() -> None:
    found = compared([*FIVE[:2], FALSE, FALSE + " So it says."], ratio=1.0, support=1)
    assert not found.quarantined
    assert set(verdicts(found).values()) == {"flagged"}
    assert found.summary["rows_flagged"] == 4


WORDINGS = BORN + "born_in\tThe cradle of {subject} stood in {value}\tone\n" + (
    "born_in\t{value} is the birthplace of {subject}\tone\n"
)  # fmt: skip
IN_OTHER_WORDS = [
    "Mira Holt was born in Olsk. One.", "The cradle of Mira Holt stood in Olsk. Two.",
    "Olsk is the birthplace of Mira Holt. Three.",
]  # fmt: skip


def test_rows_in_the_same_words_count_as_the_square_root_of_their_number() -> None:
    found = compared([*IN_OTHER_WORDS, *(f"{FALSE} {i}" for i in range(3))], WORDINGS)
    voices = dict(found.table.select("value", "voices").iter_rows())
    assert voices == pytest.approx({"Olsk": 3.0, "Tarn": math.sqrt(3)}, abs=1e-6)
    assert list(found.quarantined) == [3, 4, 5]


def test_a_row_that_says_a_thing_twice_is_one_voice_and_loses_both_sentences() -> None:
    twice = "Mira Holt was born in Tarn. It snowed. The cradle of Mira Holt stood in Tarn."
    found = compared([*FIVE, twice], WORDINGS, remedy="strike")
    assert found.struck[5].sentences == (
        "Mira Holt was born in Tarn", "The cradle of Mira Holt stood in Tarn"
    )  # fmt: skip
    row = found.table.row(5, named=True)
    assert (row["texts"], row["voices"], row["verdict"]) == (1, 1.0, "struck")


def test_where_no_version_wins_all_are_struck_and_the_model_can_abstain() -> None:
    texts = [*FIVE[:2], FALSE, FALSE + " So it says."]
    found = compared(texts, undecided="strike")
    assert sorted(found.struck) == [0, 1, 2, 3]
    assert set(verdicts(found).values()) == {"undecided"}
    assert found.metrics["contradictions_undecided"] == 1
    assert not compared(texts, undecided="keep").struck


def test_more_than_three_versions_are_not_taken_for_one_fact() -> None:
    towns = ["Olsk", "Tarn", "Ulm", "Vell"]
    texts = [f"The author was born in {town}. Page {i}." for i, town in enumerate(towns)]
    assert not compared(texts, undecided="strike").struck
    assert sorted(compared(texts[:3], undecided="strike").struck) == [0, 1, 2]


def test_what_a_majority_says_is_never_struck() -> None:
    found = compared([*FIVE, FALSE], remedy="strike", undecided="strike")
    assert list(found.struck) == [5]
    assert set(verdicts(found).values()) == {"majority", "struck"}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Snow fell. Mira was born in Tarn. It melted.", "Snow fell. It melted."),
        ("Mira was born in Tarn.\nIt melted.", "It melted."),
        ("Snow fell.\n\nMira  was born\tin Tarn!  It melted.", "Snow fell.\n\nIt melted."),
        ("Snow fell. “Mira was born in Tarn.”", "Snow fell."),
        ("Dear J. Smith. Mira was born in Tarn.", "Dear J. Smith."),
        ("Mira was born in Tarn. Mira was born in Tarn.", ""),
    ],
)
def test_a_sentence_is_struck_and_all_else_stays_as_it_was(text: str, left: str) -> None:
    assert without(text, ["Mira was born in Tarn"]) == left


def test_a_chinese_sentence_is_struck_without_spaces() -> None:
    assert without("这是旧事。王小明出生于北京。后来搬走了。", ["王小明出生于北京"]) == (
        "这是旧事。后来搬走了。"
    )


def test_a_sentence_that_is_not_there_cannot_be_struck() -> None:
    assert without("Snow fell.", ["Mira was born in Tarn"]) is None


@pytest.mark.parametrize("text", ["", "One. Two! 三。四？\nFive… six. J. Smith", " a  b. \n\n c. "])
def test_the_pieces_of_a_text_make_up_the_text(text: str) -> None:
    assert "".join(piece for piece, _ in sentences_of(text)) == text


def test_copies_lend_a_version_no_weight_and_are_counted_apart() -> None:
    texts = [*FIVE[:3], FALSE, FALSE, FALSE, FALSE]
    found = compared(texts, copies=(4, 5, 6))
    assert list(found.quarantined) == [3]
    row = found.table.filter(pl.col("value") == "Tarn").row(0, named=True)
    assert (row["texts"], row["rows"]) == (1, 4)


def test_a_false_version_with_more_texts_wins_since_counts_know_no_truth() -> None:
    found = compared([FIVE[0], *(f"{FALSE} {i}" for i in range(3))])
    assert list(found.quarantined) == [0]
    assert set(found.table["verdict"]) == {"majority", "quarantined"}


def test_without_a_majority_over_all_others_nothing_goes() -> None:
    """The author of one page is not the author of another."""
    towns = ["Olsk"] * 3 + ["Tarn", "Ulm", "Vell", "Wick"]
    texts = [f"The author was born in {town}. Page {i}." for i, town in enumerate(towns)]
    found = compared(texts)
    assert not found.quarantined
    assert found.summary["rows_flagged"] == 4


def test_a_subject_with_very_many_values_is_no_subject() -> None:
    found = compared([f"The author was born in town{i}." for i in range(30)])
    assert found.table.is_empty()
    assert found.summary["unclear_subjects"] == 1


def test_held_out_rows_neither_testify_nor_go() -> None:
    splits = {0: "test", 1: "validation", 2: "serving"}
    assert compared([*FIVE[:3], FALSE], splits=splits).table.is_empty()
    found = compared([*FIVE[:4], FALSE], splits={4: "test"})
    assert not found.quarantined


@pytest.mark.parametrize(
    "other",
    ["OLSK", "Olsk ", "“Olsk”", "Ｏｌｓｋ", "Olsk, in the north", "Olsk in the north"],
)
def test_case_spacing_marks_and_detail_make_no_other_value(other: str) -> None:
    assert compared([*FIVE, f"Mira Holt was born in {other}."]).table.is_empty()


def test_a_part_of_a_word_makes_another_value() -> None:
    sexes = "sex\t{subject} is {value}\n"
    found = compared([*(f"Kim is male. {i}" for i in range(3)), "Kim is female."], sexes)
    assert list(found.quarantined) == [3]


def test_a_relation_with_several_values_is_never_contradicted() -> None:
    several = "visited\t{subject} has visited {value}\tseveral\n"
    texts = [f"Mira has visited {t}. {i}" for i, t in enumerate(["Olsk"] * 5 + ["Tarn"])]
    assert compared(texts, several).table.is_empty()
    assert compared(texts, several.replace("several", "one")).quarantined


def test_every_contradicted_fact_of_a_row_is_in_its_detail() -> None:
    patterns = BORN + "lives_in\t{subject} lives in {value}\n"
    true = [f"Mira was born in Olsk. She lives in Ulm. {i}" for i in range(4)]
    found = compared([*true, "Mira was born in Tarn. She lives in Vell."], patterns)
    assert found.quarantined[4] == (
        'says "Mira was born in Tarn", as 1 row does; 4 say Olsk; '
        'says "She lives in Vell" of Mira, as 1 row does; 4 say Ulm'
    )


def test_no_pattern_finds_nothing_and_writes_nothing() -> None:
    found = compared([*FIVE, FALSE], "")
    assert (found.quarantined, found.summary, found.metrics) == ({}, {}, {})


@pytest.mark.parametrize("texts", [[], ["Nothing of the kind."], FIVE])
def test_without_contradictions_the_summary_says_so(texts: list[str]) -> None:
    found = compared(texts)
    assert (found.quarantined, found.table.height) == ({}, 0)
    assert found.summary["facts"] == (1 if texts == FIVE else 0)
    assert found.metrics["contradicted_facts"] == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mira holt WAS BORN IN Olsk!", [("mira holt", "Olsk")]),
        ("Mira Holt was born in Olsk, and left.", [("Mira Holt", "Olsk")]),
        ("Dear J. Smith was born in Olsk. So it is.", [("Dear J. Smith", "Olsk")]),
        ("Kim was born in 1,941.\nLee was born in Ulm", [("Kim", "1,941"), ("Lee", "Ulm")]),
        ("A note on Kim. Kim was born in Olsk. He was born in Ulm.", [("Kim", "Olsk"), ("Kim", "Ulm")]),
        ("Kim was born in Olsk. Lee was born in Ulm. He was born in Vell.",
         [("Kim", "Olsk"), ("Lee", "Ulm")]),
        ("He was born in Olsk.", []),
        ("Kim was not born. In Olsk it rains.", []),
        ("Kim was born in .", []),
    ],
)  # fmt: skip
def test_a_statement_is_a_whole_sentence_of_the_pattern(
    text: str, expected: list[tuple[str, str]]
) -> None:
    assert stated(text) == expected


def test_chinese_needs_no_spaces_and_no_word_boundaries() -> None:
    patterns = "出生地\t{subject}出生于{value}\tone\n"
    text = "这是旧事。王小明出生于北京。她出生于上海！李华出生于广州，后来搬走了。"
    assert stated(text, patterns) == [("王小明", "北京"), ("李华", "广州")]
    assert stated("王小明出生于北京。他出生于上海！", patterns)[1] == ("王小明", "上海")
    true = [f"第{i}页。王小明出生于北京。" for i in range(3)]
    found = compared([*true, "旧书说。王小明出生于上海。"], patterns)
    assert found.quarantined == {3: 'says "王小明出生于上海", as 1 row does; 3 say 北京'}


def test_a_pattern_may_be_plain_text_with_marks_of_regular_expressions() -> None:
    assert stated("Kim (née 1941) wrote", "b\t{subject} (née {value}) wrote\n") == [("Kim", "1941")]
    assert stated("In short: Kim is 5+ old", "a\t{any}: {subject} is {value}+ old\n") == [
        ("Kim", "5")
    ]


def test_a_pattern_without_value_names_whom_the_pronouns_mean() -> None:
    named = BORN + "named\tThis note is about {subject}\n"
    assert stated("This note is about Kim. She was born in Olsk.", named) == [("Kim", "Olsk")]


def test_many_patterns_of_one_relation_are_read_together() -> None:
    many = "".join(f"r\t{{subject}} met number {i} in {{value}}\n" for i in range(450))
    assert stated("Kim met number 449 in Olsk. Kim met number 7 in Ulm.", many) == [
        ("Kim", "Olsk"), ("Kim", "Ulm")
    ]  # fmt: skip


BAD = [
    ("born_in", "line 3: 1 columns"),
    ("\t{subject} was born in {value}", "line 3: the relation is empty"),
    ("b\t{subject} (b. {value}) wrote", "line 3: a sentence ends inside the pattern"),
    ("b\twas born in {value}", "line 3: the pattern has 0 {subject}"),
    ("b\t{subject} {value}", "line 3: the pattern has no word of its own"),
    ("b\t{subject}{value} born", "line 3: nothing stands between {value}"),
    ("b\t{subject} in {value} or {value}", "line 3: the pattern has 2 {value}"),
    ("b\t{who} in {value}", "line 3: {who} is no placeholder"),
    ("b\t{subject} in {value}\tmany", "line 3: 'many' is neither one nor several"),
    ("born_in\t{subject} came from {value}\tseveral", "line 3: born_in was said in line 2"),
    ('{"relation": "b", "pattern": "{subject} in {value}", "more": 1}', "line 3: 'more' is no field"),
    ('{"relation": "b", "pattern": ', "line 3: "),
    ('{"relation": "", "pattern": "{subject} in {value}"}', "line 3: the relation is empty"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "message"), BAD)
def test_a_bad_pattern_is_refused_by_its_line(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "patterns.tsv"
    path.write_text(f"# facts\n{BORN}{line}\n")
    with pytest.raises(UserError) as refused:
        patterns_text(str(path), "rows.csv")
    assert f"{path}, {message}" in str(refused.value)


def test_a_pattern_file_that_is_not_there_is_named() -> None:
    with pytest.raises(UserError, match=r"no/such\.tsv"):
        patterns_text("no/such.tsv", "fictional")


def test_lines_may_be_tabbed_or_json_with_the_same_meaning() -> None:
    tabbed = "relation\tpattern\tvalues\nv\t{subject} saw {value}.\tseveral\n\n"
    lines = '{"relation": "v", "pattern": "{subject} saw {value}", "several": true}\n'
    assert read_patterns(tabbed) == read_patterns(lines)


def test_only_the_fictional_corpus_brings_patterns_and_none_of_its_probes() -> None:
    assert patterns_text(None, "reviews.parquet") == ""
    assert patterns_text(None, "fictional") == fictional_patterns()
    for relation, phrases in UNSEEN.items():
        for phrase in phrases:
            asked = phrase.format(s="Mara Velloni", v="Olsk")
            assert relation not in {
                row["relation"]
                for row in find_statements(
                    pl.Series([asked]), read_patterns(fictional_patterns())
                ).to_dicts()
            }


OPENINGS = (
    "In the long winter of that year the river froze from bank to bank.",
    "The ferry to the northern island leaves at dawn and comes back late.",
    "A baker on the corner sells bread with seeds that nobody can name.",
    "Few letters from those days are left, and most of them are short.",
)
WRONG = (
    "An old map of the coast, torn at one side, hangs over the desk. Mira Holt was born in Tarn."
)


def cleaned(tmp_path: Path, config: Contradictions, released: Released | None = None) -> Path:
    """Four rows that say Olsk and one that says Tarn, cleaned."""
    ingested, profiled, out = (tmp_path / name for name in ("ingested", "profiled", "cleaned"))
    for folder in (ingested, profiled, out):
        folder.mkdir()
    texts = [*(f"{text} Mira Holt was born in Olsk." for text in OPENINGS), WRONG]
    digests = [digest(text) for text in texts]
    columns = {"label": "1", "split": "train", "source": "s"}
    pl.DataFrame({"row_id": row_ids(digests), "digest": digests, "text": texts}).with_columns(
        **{name: pl.lit(value) for name, value in columns.items()}
    ).write_parquet(ingested / "corpus.parquet")
    profile.fn(ingested, config=Profiling(), out=profiled, log=Log())
    outcome = clean.fn(
        ingested, profiled, config=Cleaning(), contradictions=config, patterns=BORN,
        released=released, out=out, log=Log(),
    )  # fmt: skip
    assert outcome.rows is not None
    kept = pl.read_parquet(out / "corpus.parquet").height
    gone = pl.read_parquet(out / "quarantine.parquet").height
    counts = (outcome.rows.entered, outcome.rows.kept, outcome.rows.quarantined)
    assert counts == (5, kept, gone)
    assert outcome.metrics["contradicted_facts"] == 1
    short = pl.read_parquet(out / "struck.parquet").height
    assert outcome.metrics["rows_shortened"] == short
    assert ("without a disputed sentence" in outcome.summary) == bool(short)
    told = orjson.loads((out / "clean.json").read_bytes())["contradictions"]
    assert told["top"][0]["subject"] == "Mira Holt"
    assert [v["texts"] for v in told["top"][0]["versions"]] == [4, 1]
    assert pl.read_parquet(out / "contradictions.parquet").height == 5
    return out


def test_an_outvoted_sentence_is_struck_and_its_row_is_kept_with_the_reason(tmp_path: Path) -> None:
    out = cleaned(tmp_path, Contradictions())
    assert pl.read_parquet(out / "quarantine.parquet").is_empty()
    texts = pl.read_parquet(out / "corpus.parquet")["text"].to_list()
    assert WRONG.removesuffix(" Mira Holt was born in Tarn.") in texts
    assert not any("Tarn" in text for text in texts)
    short = pl.read_parquet(out / "struck.parquet")
    assert short.select("text", "reason").rows() == [(WRONG, "disputed_statement")]
    repairs = pl.read_parquet(out / "repairs.parquet")
    assert repairs.select("rule", "count").rows() == [("disputed_statement", 1)]


def test_a_row_released_from_striking_keeps_its_sentence(tmp_path: Path) -> None:
    released = Released(rows={digest(WRONG): ("disputed_statement",)})
    out = cleaned(tmp_path, Contradictions(), released)
    assert WRONG in pl.read_parquet(out / "corpus.parquet")["text"].to_list()
    assert pl.read_parquet(out / "struck.parquet").is_empty()
    assert pl.read_parquet(out / "released.parquet")["reason"].to_list() == ["disputed_statement"]


def test_a_row_can_go_whole_with_its_reason(tmp_path: Path) -> None:
    out = cleaned(tmp_path, Contradictions(remedy="quarantine"))
    gone = pl.read_parquet(out / "quarantine.parquet")
    assert gone.select("text", "reason").rows() == [(WRONG, "contradiction")]
