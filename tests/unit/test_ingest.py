"""Ingest: the same rows whatever the format, and every unusable row kept with its reason."""

import json
from pathlib import Path

import polars as pl
import pytest

from tasks.configuration import Source
from tasks.corpus import rows as schema
from tasks.corpus.ingest import ingest
from tasks.corpus.readers import source_digest
from tasks.errors import UserError
from tasks.log import Log
from tasks.records import Outcome

ROWS = [
    {"text": "First, with a comma and\na second line.", "label": 1},
    {"text": 'Quoted "words" here.', "label": 0},
    {"text": "NA", "label": 1},
    {"text": "null", "label": None},
    {"text": "Ünïcode — naïve café.", "label": 0},
    {"text": "NA", "label": 1},
] + [{"text": f"Filler sentence number {i}.", "label": i % 2} for i in range(30)]


def run(location: Path | str, tmp_path: Path, **settings: object) -> tuple[Outcome, Path]:
    config = Source(location=str(location), **settings)
    out = tmp_path / f"out-{len(list(tmp_path.iterdir()))}"
    out.mkdir()
    return ingest.fn(config=config, seed=1, content=source_digest(config), out=out, log=Log()), out


def corpus(out: Path) -> pl.DataFrame:
    return pl.read_parquet(out / "corpus.parquet")


def reasons(out: Path) -> dict[str, str]:
    return {
        r["reason"]: r["detail"] for r in pl.read_parquet(out / "quarantine.parquet").to_dicts()
    }


def write(rows: list[dict], path: Path) -> Path:
    frame = pl.DataFrame(rows)
    if path.suffix == ".parquet":
        frame.with_columns(pl.col("label").cast(pl.Float64)).write_parquet(path)
    elif path.suffix == ".csv":
        frame.write_csv(path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        path.write_text(json.dumps(rows))
    return path


def test_rows_ids_labels_and_splits_are_the_same_whatever_the_format(tmp_path: Path) -> None:
    seen = []
    for name in ("a.parquet", "b.csv", "c.jsonl", "d.json"):
        outcome, out = run(write(ROWS, tmp_path / name), tmp_path, label="label")
        assert outcome.rows is not None
        assert (outcome.rows.kept, outcome.rows.quarantined) == (len(ROWS), 0)
        seen.append(corpus(out).drop("source"))
    assert seen[0]["label"][:4].to_list() == ["1", "0", "1", None]
    assert all(frame.equals(seen[0]) for frame in seen[1:])


def test_identical_texts_have_ids_of_their_own_and_share_a_split(tmp_path: Path) -> None:
    _, out = run(write(ROWS, tmp_path / "a.jsonl"), tmp_path, label="label")
    twice = corpus(out).filter(pl.col("text") == "NA")
    digest = schema.digest("NA")
    assert twice["row_id"].to_list() == [f"{digest[:16]}-0", f"{digest[:16]}-1"]
    assert twice["split"].n_unique() == 1


def test_rows_added_elsewhere_change_no_id_and_no_split(tmp_path: Path) -> None:
    _, before = run(write(ROWS, tmp_path / "a.jsonl"), tmp_path)
    more = [{"text": "Something new.", "label": 0}, *ROWS]
    _, after = run(write(more, tmp_path / "b.jsonl"), tmp_path)
    columns = ["row_id", "text", "split"]
    assert corpus(after)[1:].select(columns).equals(corpus(before).select(columns))


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        (b'{"text": "half', "unparseable", "line 31"),
        (b'{"text": "bad \xff byte"}', "invalid_utf8", "line 31"),
        (b"[1, 2]", "unparseable", "line 31: list, not an object"),
        (b'{"text": ""}', "empty", "no text"),
        (b'{"text": " "}', "empty", "only white space"),
        (b"", "empty", "line 31: blank"),
        (b'{"text": "lone \\ud800 surrogate"}', "invalid_utf8", "at character 5"),
        (b'{"text": "' + b"\\u0001" * 9 + b'"}', "binary", "9 control characters"),
        (b'{"text": null}', "empty", "no value"),
        (b'{"other": 1}', "empty", "no value"),
        (b'{"text": 12}', "not_text", "a int"),
        (b'{"text": ["a"]}', "not_text", "a list"),
        (b'{"text": "nul \\u0000 byte"}', "binary", "NUL bytes"),
        (b'{"text": "' + b"x" * 10_000_000 + b'"}', "too_long", "10,000,000 characters"),
    ],
)
def test_one_bad_line_costs_one_row_and_has_a_reason(
    tmp_path: Path, line: bytes, reason: str, detail: str
) -> None:
    file = tmp_path / "rows.jsonl"
    good = "".join(json.dumps(row) + "\n" for row in ROWS[6:]).encode()
    file.write_bytes(good + line + b"\n")
    outcome, out = run(file, tmp_path)
    assert outcome.rows is not None
    assert (outcome.rows.kept, outcome.rows.quarantined) == (30, 1)
    ((found, said),) = reasons(out).items()
    assert found == reason
    assert detail in said


def test_a_csv_line_with_too_many_fields_or_bad_bytes_is_quarantined(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    good = b"".join(b"Sentence %d.,1\n" % i for i in range(30))
    file.write_bytes(b"text,label\n" + good + b"one,two,three\nbad \xff byte,1\n")
    outcome, out = run(file, tmp_path, label="label")
    assert outcome.rows is not None
    assert outcome.rows.kept == 30
    assert reasons(out) == {
        "unparseable": "line 32: 3 fields, the header has 2",
        "invalid_utf8": "bytes that are not UTF-8 at character 4",
    }


@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("absent.csv", None, "there is no file"),
        ("empty.csv", b"", "is empty"),
        ("header.csv", b"text,label\n", "holds no usable row: it has no rows"),
        ("blank.jsonl", b'{"text": " "}\n', "holds no usable row: 1 empty"),
        ("wrong.csv", b"texd,label\na,1\n", "has no column 'text'; it has 'texd', 'label'"),
        ("wrong.jsonl", b'{"body": "a"}\n', "has no column 'text'; it has 'body'"),
        ("false.parquet", b"this is no parquet file at all", "is not a readable parquet file"),
        ("false.csv", b"PAR1 and more", "should be csv but is a parquet file"),
        ("bytes.csv", bytes(range(256)) * 20, "should be csv but is"),
        ("rows.xlsx", b"PK", "the ending '.xlsx' is not one of"),
        ("value.json", b"3", "holds int, not a list of objects"),
        ("broken.json", b'[{"text": "a"}', "is not one JSON value"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_error_that_names_what_was_found(
    tmp_path: Path, name: str, contents: bytes | None, message: str
) -> None:
    if contents is not None:
        (tmp_path / name).write_bytes(contents)
    with pytest.raises(UserError) as refused:
        run(tmp_path / name, tmp_path)
    assert message in str(refused.value)


def test_a_near_miss_of_a_file_name_is_suggested(tmp_path: Path) -> None:
    write(ROWS, tmp_path / "reviews.jsonl")
    with pytest.raises(UserError, match=r"did you mean 'reviews\.jsonl'"):
        run(tmp_path / "review.jsonl", tmp_path)


def test_existing_splits_are_kept_and_the_missing_one_is_carved_from_train(tmp_path: Path) -> None:
    rows = [{"text": f"Row {i}.", "part": "dev" if i < 20 else "training"} for i in range(300)]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, out = run(file, tmp_path, split="part")
    frame = corpus(out)
    assert frame[:20]["split"].unique().to_list() == ["validation"]
    assert set(frame[20:]["split"]) == {"train", "test"}


def test_an_unknown_split_name_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"text": "a", "part": "holdout"}\n')
    with pytest.raises(UserError, match="'holdout'"):
        run(file, tmp_path, split="part")


def test_one_row_or_identical_rows_train_or_are_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "rows.txt"
    for text in ("A single row.\n", "The same row.\n" * 50):
        file.write_text(text)
        outcome, out = run(file, tmp_path, format="txt")
        assert outcome.rows is not None
        assert corpus(out)["split"].unique().to_list() == ["train"]


def test_a_changed_file_is_a_changed_input_and_a_moved_one_is_not(tmp_path: Path) -> None:
    first = source_digest(Source(location=str(write(ROWS, tmp_path / "a.jsonl"))))
    moved = source_digest(Source(location=str(write(ROWS, tmp_path / "b.jsonl"))))
    changed = source_digest(Source(location=str(write(ROWS[1:], tmp_path / "a.jsonl"))))
    assert first == moved != changed


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"statement": "No mask.", "answer": "a"}', "line 2: the statement has 0 [MASK]"),
        ('{"statement": "[MASK] [MASK].", "answer": "a"}', "line 2: the statement has 2 [MASK]"),
        ('{"statement": "Is [MASK].", "answer": " "}', "line 2: the answer is empty"),
        ('{"statement": "Good [MASK].", "answer": "a"}', "line 2: the statement of line 1 again"),
        ('{"statement"', "line 2: "),
    ],
)
def test_a_bad_probe_is_refused_by_its_line(tmp_path: Path, line: str, message: str) -> None:
    probes = tmp_path / "probes.jsonl"
    probes.write_text('{"statement": "Good [MASK].", "answer": "b"}\n' + line + "\n")
    with pytest.raises(UserError) as refused:
        run(write(ROWS, tmp_path / "a.jsonl"), tmp_path, probes=str(probes))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (1, "1"),
        (1.0, "1"),
        ("1.0", "1"),
        (float("nan"), None),
        ("", None),
        (True, "true"),
        (1.5, "1.5"),
    ],
)
def test_a_label_is_one_text_whatever_its_type(value: object, label: str | None) -> None:
    assert schema.canonical_label(value) == label
