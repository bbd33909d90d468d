"""Where a corpus is cut, and that a shard is read alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from tasks.corpus import shards
from tasks.corpus.rows import digest
from tasks.corpus.shards import Corpus, ShardWriter, TableWriter, within

SCHEMA = {"digest": pl.String, "text": pl.String}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Boundaries every hundred rows."""
    for name, rows in (("TARGET", 100), ("LEAST", 20), ("MOST", 400)):
        monkeypatch.setattr(shards, name, rows)


def written(path: Path, texts: list[str], at_once: int = 77) -> Corpus:
    with ShardWriter(path, SCHEMA) as writer:
        for start in range(0, len(texts), at_once):
            part = texts[start : start + at_once]
            writer.write(pl.DataFrame({"digest": [digest(t) for t in part], "text": part}))
    return Corpus(path)


def texts_of(count: int) -> list[str]:
    return [f"the text of number {number}" for number in range(count)]


def test_a_row_more_at_the_front_in_the_middle_or_gone_makes_one_other_shard(
    tmp_path: Path,
) -> None:
    texts = texts_of(5000)
    before = {shard.digest for shard in written(tmp_path / "a", texts).shards}
    assert len(before) > 25
    for number, changed in enumerate(
        (["new", *texts], [*texts[:2500], "new", *texts[2500:]], texts[:2500] + texts[2501:])
    ):
        after = {shard.digest for shard in written(tmp_path / str(number), changed).shards}
        assert len(before - after) == 1
        assert len(after - before) == 1


def test_shards_are_all_rows_in_their_order_and_row_groups(tmp_path: Path) -> None:
    texts = texts_of(3000)
    corpus = written(tmp_path / "a", texts)
    assert [text for part in corpus.texts() for text in part] == texts
    assert corpus.height == 3000
    assert all(20 <= shard.rows <= 400 for shard in corpus.shards[:-1])
    groups = pq.ParquetFile(corpus.path).metadata
    sizes = [groups.row_group(number).num_rows for number in range(groups.num_row_groups)]
    assert sizes == [shard.rows for shard in corpus.shards]


def test_cuts_do_not_depend_on_how_rows_arrive_or_lie(tmp_path: Path) -> None:
    texts = texts_of(2000)
    one, other = (written(tmp_path / str(n), texts, n) for n in (1, 999))
    pl.DataFrame({"text": texts}).write_parquet(tmp_path / "bare", row_group_size=500)
    assert one.shards == other.shards == Corpus(tmp_path / "bare").shards


def test_copies_on_a_boundary_and_long_texts_are_held_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boundary = next(t for t in texts_of(5000) if int(digest(t)[-8:], 16) % 100 == 0)
    assert [s.rows for s in written(tmp_path / "a", [boundary] * 100).shards] == [20] * 5
    other = next(t for t in texts_of(5000) if int(digest(t)[-8:], 16) % 100)
    assert [s.rows for s in written(tmp_path / "b", [other] * 1000).shards] == [400, 400, 200]
    monkeypatch.setattr(shards, "BYTES", 10 * len(other))
    assert [s.rows for s in written(tmp_path / "c", [other] * 25).shards] == [10, 10, 5]


def test_no_rows_are_one_empty_shard(tmp_path: Path) -> None:
    corpus = written(tmp_path / "a", [])
    assert [(s.begin, s.end) for s in corpus.shards] == [(0, 0)]
    assert pl.read_parquet(tmp_path / "a").schema == SCHEMA
    assert [part.len() for part in corpus.texts()] == [0]


def test_texts_of_some_places_come_from_the_shards_that_hold_them(tmp_path: Path) -> None:
    texts = texts_of(1000)
    corpus = written(tmp_path / "a", texts)
    assert corpus.texts_of([999, 0, 500, 0]) == {n: texts[n] for n in (0, 500, 999)}
    assert corpus.texts_of([]) == {}
    assert sum(len(some) for _, some in within(corpus.shards, np.arange(1000))) == 1000


def test_a_table_keeps_its_types(tmp_path: Path) -> None:
    rows = pl.DataFrame(
        {"a": [1, None], "b": [True, False], "c": [None, 0.5], "d": ["x", None]},
        {"a": pl.Int64, "b": pl.Boolean, "c": pl.Float64, "d": pl.String},
    ).with_columns(e=pl.lit(None, pl.Datetime("us", "UTC")))
    with TableWriter(tmp_path / "a", rows.schema) as writer:
        writer.write(rows)
        writer.write(rows)
    assert pl.read_parquet(tmp_path / "a").equals(pl.concat([rows, rows]))
