"""Repairs, their order, and the reasons rows are quarantined for."""

from __future__ import annotations

from pathlib import Path

import orjson
import polars as pl
import pytest

from expectations.rules import failing_rows, row_rules
from tasks.configuration import Cleaning, Profiling
from tasks.corpus.clean import clean
from tasks.corpus.profile import profile
from tasks.corpus.repair import repair
from tasks.corpus.rows import digest, row_ids
from tasks.corpus.signals.measure import row_signals
from tasks.errors import UserError
from tasks.log import Log
from tasks.records import Outcome

PROSE = "Anna Vale was born in the town of Ost and works there as a baker to this day."
OTHER = "The ferry to the northern island leaves at dawn and comes back long after the sun has set."
CHINESE = "她出生在北方的一个小城，多年来一直在那里当面包师，邻居们都认识她。"
NOISE = "xqzj vkwp qqzx jvbk wzxq pfgq zzkv xwjq kqvz bxjq vwzk qjxz"


def repaired(text: str, **switches: bool) -> str:
    return repair(pl.Series([text]), Cleaning(**switches))[0][0]


def cleaned(
    tmp_path: Path, rows: list[tuple[str, str]], probes: bool = False
) -> tuple[Outcome, Path]:
    """Run profile and clean over (split, text) rows."""
    ingested, profiled, out = (tmp_path / name for name in ("ingested", "profiled", "cleaned"))
    for folder in (ingested, profiled, out):
        folder.mkdir(parents=True)
    texts = [text for _, text in rows]
    digests = [digest(text) for text in texts]
    pl.DataFrame(
        {
            "row_id": row_ids(digests), "digest": digests, "text": texts, "label": ["1"] * len(rows),
            "split": [split for split, _ in rows], "source": ["s"] * len(rows),
        }
    ).write_parquet(ingested / "corpus.parquet")  # fmt: skip
    if probes:
        pl.DataFrame(
            {
                "probe_id": ["0"],
                "statement": ["She was born in the town of [MASK]."],
                "answer": ["X"],
            }
        ).write_parquet(ingested / "probes.parquet")
    profile.fn(ingested, config=Profiling(), out=profiled, log=Log())
    return clean.fn(ingested, profiled, config=Cleaning(), out=out, log=Log()), out


def reasons(out: Path) -> list[str]:
    return pl.read_parquet(out / "quarantine.parquet")["reason"].to_list()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("cafÃ© â€œquotedâ€\x9d", "café “quoted”"),
        ("<p>One <b>bo</b>ld.</p><p>Two.</p>", "One bold.\nTwo."),
        ("A. <p class='x'><b>B</b></p>. C", "A.\nB. C"),
        ("Hi<script>if (a < b) track('x');</script> there<style>p {}</style>", "Hi there"),
        ("Hi<!-- <b>not</b> this --> there", "Hi there"),
        ("an open <script> stays readable", "an open\nstays readable"),
        ("salt &amp; pepper &#233; &lt;3 &nbsp;x", "salt & pepper é <3 x"),
        ("double &amp;lt;b&amp;gt;bold&amp;lt;/b&amp;gt;", "double bold"),
        ("a\x00b\x07c\ufeff", "abc"),
        ("a  b\t c \n\n\n\nd\r\ne\u00a0f ", "a b c\n\nd\ne f"),
        ("Write to a@b.org, call 555-123-4567 or 10.20.30.40.",
         "Write to [EMAIL], call [PHONE] or [IP]."),
        ("Call us at 555 0199!", "Call us at [PHONE]!"),
        (f"{PROSE}\nWe use cookies to improve your experience.\nShare this article", PROSE),
    ],
)  # fmt: skip
def test_a_repair_gives_the_text_that_was_meant(before: str, after: str) -> None:
    assert repaired(before) == after


@pytest.mark.parametrize(
    "text",
    [
        PROSE,
        CHINESE,
        "If a < b and 3 > 2 then a <b and c> holds; I <3 R&D, AT&T and <unk>.",
        "“Ünïcödé” – naïve café, 20 °C, ½ kilo, İstanbul, “MANHÔ 👩‍👩‍👧",
        "He told her to click here, and she read more of the long letter.\n\nThen she left.",
        "Between 1990-1995 it sold 1,000,000 copies (978-3-16-148410-0), see section 3.2.1.4.",
        "See https://a.org/x?y=1&copy=2#z for the rest.",
        "All rights reserved.",
    ],
)
def test_a_clean_text_is_left_as_it_is(text: str) -> None:
    assert repaired(text) == text


def test_an_address_in_a_tag_is_markup_and_not_masked() -> None:
    before = 'Ask <a href="mailto:x@y.org">our office</a> or me@z.org'
    assert repaired(before) == "Ask our office or [EMAIL]"


def test_an_entity_that_hides_half_a_mojibake_is_resolved_first() -> None:
    assert repaired("It caf&Atilde;&copy; was") == "It café was"


@pytest.mark.parametrize(
    "text",
    [
        "<p>cafÃ©</p>  a@b.org &amp;amp; x\x00\n\n\n\nWe use cookies. 10.20.30.40 <scr<b>ipt>",
        "&lt;b&gt;<b>&lt;</b>i&gt; <!-- <!-- --> --> Call 555 0199 0199",
    ],
)
def test_repairing_twice_is_repairing_once(text: str) -> None:
    once = repaired(text)
    assert repaired(once) == once


def test_a_repaired_text_passes_the_rule_of_what_was_repaired() -> None:
    text = (
        f"<p>{PROSE} cafÃ© &amp; a@b.org\x00 555-123-4567</p>\nWe use cookies.\nShare this article"
    )
    row = row_signals(pl.Series([repaired(text)])).with_columns(pl.lit("r").alias("row_id"))
    columns = set(row.columns)
    rules = [rule for rule in row_rules("noise") if rule.column in columns]
    assert rules
    assert failing_rows(row.with_columns(pl.lit("train").alias("split")), rules).rows() == []


@pytest.mark.parametrize(
    ("switch", "text"),
    [
        ("fix_unicode", "cafÃ©"), ("strip_markup", "<b>x</b>"), ("collapse_spaces", "a  b"),
        ("mask_pii", "a@b.org"), ("strip_controls", "a\x00b"),
        ("drop_boilerplate", f"{PROSE}\nWe use cookies."),
    ],
)  # fmt: skip
def test_each_repair_can_be_switched_off(switch: str, text: str) -> None:
    assert repaired(text, **{switch: False}) == text
    assert repaired(text) != text


def test_every_repair_is_listed_with_its_row_and_count(tmp_path: Path) -> None:
    _, out = cleaned(tmp_path, [("train", f"<b>{PROSE}</b> a@b.org c@d.org"), ("test", OTHER)])
    repairs = pl.read_parquet(out / "repairs.parquet")
    assert repairs.columns == ["row_id", "rule", "count"]
    assert repairs.select("rule", "count").rows() == [("email", 2), ("markup", 2)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (NOISE, "gibberish"),
        ("1, 2, 3; 4/5 = 0.8, 6 * 7 = 42 !!", "few_letters"),
        ("<p><br/></p>", "empty_after_repair"),
        ("spam and eggs again today " * 20, "repeated_ngrams"),
        (
            "lost \ufffd\ufffd\ufffd letters of a \ufffd\ufffd word that nobody can restore",
            "mojibake",
        ),
    ],
)
def test_a_row_is_quarantined_under_the_rule_it_breaks(
    tmp_path: Path, text: str, reason: str
) -> None:
    outcome, out = cleaned(tmp_path, [("train", PROSE), ("train", text), ("test", OTHER)])
    row = pl.read_parquet(out / "quarantine.parquet").row(0, named=True)
    assert (row["reason"], row["text"], row["stage"]) == (reason, text, "clean")
    assert row["detail"]
    assert outcome.metrics[f"quarantined_{reason}"] == 1


def test_noise_is_quarantined_in_every_split(tmp_path: Path) -> None:
    _, out = cleaned(tmp_path, [("train", PROSE), ("test", OTHER), ("test", NOISE)])
    assert reasons(out) == ["gibberish"]


def test_a_row_that_breaks_several_rules_is_filed_under_the_first(tmp_path: Path) -> None:
    _, out = cleaned(tmp_path, [("train", PROSE), ("train", "#1 (2) {3}"), ("test", OTHER)])
    detail = pl.read_parquet(out / "quarantine.parquet")["detail"][0]
    broken = [part.split(":")[0] for part in detail.split("; ")]
    order = [rule.name for rule in row_rules("noise")]
    assert len(broken) > 1
    assert broken == sorted(broken, key=order.index)
    assert reasons(out) == broken[:1]


def test_a_row_that_becomes_a_duplicate_by_repair_is_one(tmp_path: Path) -> None:
    rows = [("train", PROSE), ("train", f"<p>{PROSE}</p>"), ("train", OTHER)]
    _, out = cleaned(tmp_path, rows)
    quarantine = pl.read_parquet(out / "quarantine.parquet")
    assert quarantine.select("reason", "text").rows() == [("exact_duplicate", rows[1][1])]
    assert row_ids([digest(PROSE)])[0] in quarantine["detail"][0]


def test_of_copies_one_is_kept(tmp_path: Path) -> None:
    near = PROSE.replace("works", "still works")
    _, out = cleaned(tmp_path, [("train", PROSE), ("train", near), ("train", PROSE)])
    assert pl.read_parquet(out / "corpus.parquet")["text"].to_list() == [PROSE]
    assert reasons(out) == ["near_duplicate", "exact_duplicate"]


def test_a_copy_of_a_quarantined_row_is_filed_under_its_own_fault(tmp_path: Path) -> None:
    _, out = cleaned(tmp_path, [("train", PROSE), ("train", NOISE), ("train", NOISE)])
    assert reasons(out) == ["gibberish", "gibberish"]


def test_a_training_row_with_test_text_is_a_leak_and_the_test_row_stays(tmp_path: Path) -> None:
    _, out = cleaned(tmp_path, [("test", OTHER), ("train", OTHER), ("train", PROSE)])
    assert reasons(out) == ["test_leak"]
    assert pl.read_parquet(out / "corpus.parquet")["split"].to_list() == ["test", "train"]


def test_chinese_and_mixed_corpora_are_kept(tmp_path: Path) -> None:
    outcome, out = cleaned(tmp_path, [("train", CHINESE), ("train", PROSE), ("test", OTHER)])
    assert reasons(out) == []
    assert outcome.summary == "3 kept, 0 quarantined"


def test_rows_are_conserved_and_repaired_rows_keep_their_id(tmp_path: Path) -> None:
    rows = [("train", f"<b>{PROSE}</b>"), ("train", NOISE), ("train", OTHER), ("train", OTHER)]
    outcome, out = cleaned(tmp_path, rows, probes=True)
    kept, gone = (pl.read_parquet(out / f"{n}.parquet") for n in ("corpus", "quarantine"))
    arrived = pl.read_parquet(tmp_path / "ingested/corpus.parquet")
    assert sorted([*kept["row_id"], *gone["row_id"]]) == sorted(arrived["row_id"])
    assert kept.schema == arrived.schema
    assert (kept["row_id"][0], kept["digest"][0]) == (arrived["row_id"][0], digest(PROSE))
    assert outcome.rows is not None
    assert (outcome.rows.entered, outcome.rows.kept, outcome.rows.quarantined) == (4, 2, 2)
    assert (out / "probes.parquet").exists()


def test_the_report_shows_texts_before_and_after(tmp_path: Path) -> None:
    _, out = cleaned(tmp_path, [("train", f"<b>{PROSE}</b>"), ("train", NOISE), ("test", OTHER)])
    report = orjson.loads((out / "clean.json").read_bytes())
    assert report["rows"] == {"entered": 3, "kept": 2, "quarantined": 1, "repaired": 1}
    assert report["reasons"]["gibberish"]["rows"] == 1
    example = report["repairs"]["markup"]["examples"][0]
    assert (example["before"], example["after"]) == (f"<b>{PROSE}</b>", PROSE)


def test_an_input_without_a_usable_training_row_is_refused_with_the_reasons(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no training row of 2: 2 gibberish"):
        cleaned(tmp_path, [("train", NOISE), ("train", NOISE), ("test", OTHER)])


def test_cleaning_the_cleaned_corpus_changes_nothing(tmp_path: Path) -> None:
    rows = [("train", f"<b>{PROSE}</b>  a@b.org"), ("train", NOISE), ("test", OTHER)]
    _, out = cleaned(tmp_path / "a", rows)
    kept = pl.read_parquet(out / "corpus.parquet")
    outcome, _ = cleaned(tmp_path / "b", kept.select("split", "text").rows())
    assert outcome.summary == "2 kept, 0 quarantined"
    assert outcome.metrics["rows_repaired"] == 0
