"""Ingest: the same rows whatever the format, and every unusable row kept with its reason."""

import csv
import gzip
import json
import os
from pathlib import Path
from types import SimpleNamespace

import fsspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.configuration import Source
from tasks.corpus import rows as schema
from tasks.corpus.ingest import ingest
from tasks.corpus.sources.readers import source_digest
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
        ("NaN", None),
        ("None", "None"),
        (" True ", "true"),
        (b"a", "a"),
    ],
)
def test_a_label_is_one_text_whatever_its_type(value: object, label: str | None) -> None:
    assert schema.canonical_label(value) == label


def test_an_open_quote_costs_its_own_line_and_not_the_rest_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    good = "".join(f"Sentence {i}.,1\n" for i in range(30))
    file.write_text(f'text,label\n"open,1\n{good}"closed ""here"" well",0\n"a "bad" one",1\n\n')
    outcome, out = run(file, tmp_path, label="label")
    found = pl.read_parquet(out / "quarantine.parquet")
    assert found.select("text", "reason", "detail").rows() == [
        ('"open,1', "unparseable", "line 2: a quote opens and never closes"),
        ('"a "bad" one",1', "unparseable", "line 34: ',' expected after '\"'"),
        ("", "empty", "line 35: blank"),
    ]
    assert outcome.rows is not None
    assert outcome.rows.kept == 31
    assert corpus(out)["text"][-1] == 'closed "here" well'


def test_the_lines_of_a_record_that_does_not_parse_do_not_become_rows(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    record = '"One.\nTwo, with "bad" quotes.\nThree.",1'
    file.write_text("text,label\n" + "".join(f"Row {i}.,1\n" for i in range(9)) + record + "\n")
    outcome, out = run(file, tmp_path, label="label")
    assert outcome.rows is not None
    assert outcome.rows.kept == 9
    assert "Three." not in corpus(out)["text"]
    assert pl.read_parquet(out / "quarantine.parquet")["text"][0].startswith('"One.\nTwo,')


def test_a_csv_may_be_packed_have_a_mark_or_another_delimiter(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv.gz"
    file.write_bytes(gzip.compress(b"\xef\xbb\xbftext;label\nA, with comma.;1\nB.;2\n"))
    _, out = run(file, tmp_path, label="label")
    assert corpus(out).select("text", "label").rows() == [("A, with comma.", "1"), ("B.", "2")]
    file.write_bytes(file.read_bytes()[:-12])
    with pytest.raises(UserError, match="cannot be read to its end"):
        run(file, tmp_path)


def test_the_csv_field_limit_of_the_process_is_left_as_it_was(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    run(write(ROWS, tmp_path / "a.csv"), tmp_path)
    assert csv.field_size_limit() == before


def test_parquet_text_that_is_no_utf8_costs_one_row(tmp_path: Path) -> None:
    raw = pa.array([b"good text", b"bad \xff", b"also good"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    pq.write_table(pa.table({"text": text}), tmp_path / "a.parquet")
    outcome, out = run(tmp_path / "a.parquet", tmp_path)
    (bad,) = pl.read_parquet(out / "quarantine.parquet").to_dicts()
    assert (bad["text"], bad["reason"]) == ("bad \\xff", "invalid_utf8")
    assert bad["row_id"] == f"q-{schema.digest('bad ' + chr(92) + 'xff')[:16]}-0"
    assert outcome.rows is not None
    assert outcome.rows.kept == 2


def test_a_label_that_is_a_list_costs_its_row_and_a_time_that_is_none_is_counted(
    tmp_path: Path,
) -> None:
    file = tmp_path / "rows.jsonl"
    rows = [
        {"text": "a", "label": [1], "when": 0},
        {"text": "b", "label": 1, "when": "2026-01-02T03:04:05+01:00"},
        {"text": "c", "label": 1, "when": "soon"},
        {"text": "d", "label": 1, "when": 1767319445000},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, out = run(file, tmp_path, label="label", timestamp="when")
    assert reasons(out) == {"unusable_label": "a list is no label"}
    times = [t and f"{t:%m-%d %H:%M:%S}" for t in corpus(out)["timestamp"]]
    assert times == ["01-02 02:04:05", None, "01-02 02:04:05"]
    warnings = json.loads((out / "ingest.json").read_text())["warnings"]
    assert warnings[0] == "1 values of 'when' are no time"


def test_groups_become_columns_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("text,sex,age\na,f,30\nb,,41.0\n" + "".join(f"{i},m,1\n" for i in range(9)))
    _, out = run(file, tmp_path, groups=("sex", "age"))
    assert corpus(out)[:2].select("group_sex", "group_age").rows() == [("f", "30"), (None, "41")]


def test_a_folder_a_pattern_and_a_url_give_the_same_rows(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "_SUCCESS").write_text("")
    write(ROWS[:9], folder / "a.jsonl")
    write(ROWS[9:], folder / "deep" / "b.jsonl")
    memory = fsspec.filesystem("memory")
    memory.pipe("/plumbline/a.jsonl", (folder / "a.jsonl").read_bytes())
    memory.pipe("/plumbline/b.jsonl", (folder / "deep" / "b.jsonl").read_bytes())
    places = [folder, f"{folder}/**/*.jsonl", "memory://plumbline", "memory://plumbline/*.jsonl"]
    frames = [corpus(run(place, tmp_path, label="label")[1]) for place in places]
    memory.rm("/plumbline", recursive=True)
    assert frames[0]["text"].to_list() == [row["text"] for row in ROWS]
    assert frames[0]["source"].unique().sort().to_list() == ["a", "b"]
    assert all(frame.equals(frames[0]) for frame in frames[1:])


@pytest.mark.parametrize(
    ("files", "place", "message"),
    [
        (["a.csv", "b.txt"], "", "holds files of several formats (1 csv, 1 txt)"),
        (["a.pdf"], "", "it holds 'a.pdf'"),
        ([], "", "it holds nothing"),
        (["a.csv"], "/*.jsonl", "no file matches"),
    ],
)
def test_a_folder_that_cannot_be_read_says_what_it_holds(
    tmp_path: Path, files: list[str], place: str, message: str
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in files:
        (folder / name).write_text("text\na\n")
    with pytest.raises(UserError) as refused:
        source_digest(Source(location=f"{folder}{place}"))
    assert message in str(refused.value)


def test_files_named_for_their_splits_keep_them(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("train-00000-of-00001", "dev", "test"):
        write([{"text": f"{name} {i}", "label": 1} for i in range(5)], folder / f"{name}.jsonl")
    _, out = run(folder, tmp_path)
    assert corpus(out)["split"].value_counts().sort("split").rows() == [
        ("test", 5), ("train", 5), ("validation", 5)
    ]  # fmt: skip


def test_a_dataset_saved_by_the_library_keeps_its_splits(tmp_path: Path) -> None:
    import datasets

    train = datasets.Dataset.from_list([{"text": f"Row {i}.", "label": i % 2} for i in range(80)])
    both = datasets.DatasetDict({"train": train, "dev": train.select(range(4))})
    both.save_to_disk(tmp_path / "saved")
    _, out = run(tmp_path / "saved", tmp_path, label="label")
    counts = dict(corpus(out)["split"].value_counts().iter_rows())
    assert counts["validation"] == 4
    assert counts["train"] + counts["test"] == 80


def test_a_hub_dataset_keeps_its_splits_and_runs_no_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets
    import huggingface_hub

    asked: dict[str, object] = {}

    def load(name: str, configuration: str | None, **given: object) -> object:
        asked.update(given, name=name, configuration=configuration)
        rows = datasets.Dataset.from_list([{"text": "A.", "label": 1}, {"text": "B.", "label": 0}])
        return datasets.DatasetDict({"train": rows, "test": rows, "validation": rows})

    def info(self: object, name: str, **given: object) -> object:
        return SimpleNamespace(sha="c0ffee")

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", info)
    config = Source(location="someone/things:small", label="label", revision="v1")
    assert source_digest(config) == "hub:someone/things:small@c0ffee"
    _, out = run("someone/things:small", tmp_path, label="label", revision="v1")
    assert asked == {"name": "someone/things", "configuration": "small", "revision": "v1"}
    assert corpus(out)["split"].to_list() == ["train"] * 2 + ["test"] * 2 + ["validation"] * 2
    assert corpus(out)["source"].unique().to_list() == ["things:small"]


def test_an_unreachable_hub_dataset_is_one_error_that_says_what_was_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import huggingface_hub

    def info(self: object, name: str, **given: object) -> object:
        raise ConnectionError("no route\nand more")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", info)
    with pytest.raises(UserError) as refused:
        source_digest(Source(location="nobody/nothing-at-all"))
    assert "'nobody/nothing-at-all' is no file or folder here, and neither" in str(refused.value)
    assert "(ConnectionError: no route)" in str(refused.value)


def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    for location in (write(ROWS, tmp_path / "a.csv"), "fictional"):
        _, one = run(location, tmp_path, people=20)
        _, two = run(location, tmp_path, people=20)
        names = sorted(path.name for path in one.iterdir())
        assert {"corpus.parquet", "ingest.json", "quarantine.parquet"} <= set(names)
        assert all((one / name).read_bytes() == (two / name).read_bytes() for name in names)


@pytest.mark.parametrize("name", ["movie_reviews", "mr_polarity"])
def test_real_reviews_are_the_same_rows_in_every_format(name: str, tmp_path: Path) -> None:
    if "PLUMBLINE_DATA" not in os.environ:
        pytest.skip("PLUMBLINE_DATA is not set")
    original = Path(os.environ["PLUMBLINE_DATA"]) / "sentiment" / f"{name}.parquet"
    frame = pl.read_parquet(original).select("text", "label")
    frame.write_csv(tmp_path / "a.csv")
    frame.write_ndjson(tmp_path / "a.jsonl")
    places = [original, tmp_path / "a.csv", tmp_path / "a.jsonl"]
    frames = [corpus(run(p, tmp_path, label="label")[1]).drop("source") for p in places]
    assert len(frames[0]) == len(frame)
    assert frames[0]["label"].unique().sort().to_list() == ["0", "1"]
    assert frames[0].equals(frames[1])
    assert frames[0].equals(frames[2])


def test_a_column_may_name_where_a_row_comes_from(tmp_path: Path) -> None:
    rows = [
        {"text": f"A sentence of number {n}.", "from": "web" if n % 2 else None} for n in range(40)
    ]
    write(rows, tmp_path / "mine.jsonl")
    _, out = run(tmp_path / "mine.jsonl", tmp_path, origin="from")
    assert set(corpus(out)["source"]) == {"web", "mine"}
    with pytest.raises(UserError, match="(?s)no column 'form'.*Did you mean 'from'"):
        run(tmp_path / "mine.jsonl", tmp_path, origin="form")
