"""Quarantine as a person reads it."""

from pathlib import Path

import polars as pl
import pytest

from tasks.corpus.quarantine.shelf import chosen, counted, export, gather, kept, printable, shown
from tasks.corpus.quarantine.spared import Released
from tasks.corpus.rows import QUARANTINE, digest
from tasks.errors import UserError

ROWS = pl.DataFrame(
    [
        ("q-1", None, "empty", "no value", "ingest", None, "s"),
        (
            "a-0",
            "Zwölf \x1b[31mÜBEL",
            "gibberish",
            "gibberish: 1; digits: 2",
            "clean",
            "train",
            "s",
        ),
        ("b-0", "zwölf übel", "gibberish", "gibberish: 1", "clean", "test", "s"),
        ("c-0", "(copy)", "exact_duplicate", "repeats d-0", "clean", "train", "t"),
    ],
    QUARANTINE,
    orient="row",
)


def test_the_rows_of_all_stages_are_gathered_in_their_order(tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("ingest", "clean")}
    for name, folder in folders.items():
        folder.mkdir()
        ROWS.filter(pl.col("stage") == name).write_parquet(folder / "quarantine.parquet")
        pl.DataFrame({"row_id": [name]}).write_parquet(folder / "corpus.parquet")
    assert gather(folders).equals(ROWS)
    assert kept(folders) == ["clean"]
    assert gather({}).is_empty()
    assert kept({}) == []


def test_reasons_are_counted_by_stage_and_split_with_what_is_released() -> None:
    table = counted(ROWS, Released(rows={digest("zwölf übel"): ("gibberish",)}))
    assert table == (
        "4 rows in quarantine\n"
        "rows  stage   reason           train  test\n"
        "   2  clean   gibberish            1     1  1 released\n"
        "   1  clean   exact_duplicate      1     0\n"
        "   1  ingest  empty                0     0\n"
    )
    # A row that breaks two rules is released when both are.
    assert "2 released" not in counted(ROWS, Released(rules=("gibberish",)))
    assert "2 released" in counted(ROWS, Released(rules=("digits", "gibberish")))
    assert counted(ROWS.clear(), Released()) == "no row is in quarantine\n"


def test_rows_are_chosen_by_reason_split_and_text_in_any_case() -> None:
    def ids(**wanted: str) -> list[str]:
        return chosen(ROWS, **wanted)["row_id"].to_list()

    assert ids(reason="gibberish") == ["a-0", "b-0"]
    assert ids(reason="gibberish", split="test") == ["b-0"]
    assert ids(search="übel") == ["a-0", "b-0"]
    assert ids(search="(C") == ["c-0"]
    with pytest.raises(UserError, match=r"reason 'giberish'; did you mean 'gibberish'"):
        ids(reason="giberish")
    with pytest.raises(UserError, match=r"split 'dev'\n  There are test, train\."):
        ids(split="dev")


def test_a_shown_row_has_id_finding_and_text_that_no_terminal_obeys() -> None:
    text = shown(chosen(ROWS, reason="gibberish"), 1, {"gibberish": "letters must be plausible"})
    assert text == (
        "gibberish (clean): 2 rows, because letters must be plausible\n"
        "  a-0  train, s\n"
        "    gibberish: 1; digits: 2\n"
        "    Zwölf \\x1b[31mÜBEL\n"
        "  and 1 more\n"
    )
    assert printable("a\nb\u202e\x00") == "a b\\u202e\\x00"
    assert "(no text)" in shown(ROWS.head(1), 1, {})


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_an_export_is_read_back_as_it_was(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"out.{ending}"
    export(ROWS, path)
    read = {"csv": pl.read_csv, "parquet": pl.read_parquet, "jsonl": pl.read_ndjson}[ending]
    assert read(path).rows() == ROWS.rows()
    with pytest.raises(UserError, match="is there already"):
        export(ROWS, path)
    export(ROWS.head(1), path, force=True)
    assert read(path).height == 1
    assert list(tmp_path.iterdir()) == [path]


def test_an_export_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"out\.xlsx is no \.csv, \.parquet or \.jsonl file"):
        export(ROWS, tmp_path / "out.xlsx")
    with pytest.raises(UserError, match=r"out\.csv cannot be written: No such file"):
        export(ROWS, tmp_path / "absent" / "out.csv")


def test_a_listing_masks_personal_data_and_secrets() -> None:
    key = "AKIA" + "Z7QJ2LMNOP3RSTUV"
    text = f"write to jo@mail.example.org with {key}"
    rows = pl.DataFrame(
        [("d-0", text, "pii", "pii: 1", "clean", "train", "s")], QUARANTINE, orient="row"
    )
    listed = shown(rows, 1, {})
    assert "write to [EMAIL] with [SECRET]" in listed
    assert "jo@" not in listed
    assert key not in listed
