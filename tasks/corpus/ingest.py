"""Any source into one schema; what cannot be a row goes to quarantine with its reason."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from tasks.configuration import Source
from tasks.corpus import rows as schema
from tasks.corpus.shards import ShardWriter, TableWriter, read_rows
from tasks.corpus.sources.items import Reject
from tasks.corpus.sources.judge import judge
from tasks.corpus.sources.probe_files import read_probes
from tasks.corpus.sources.readers import read_source
from tasks.errors import UserError
from tasks.log import Log
from tasks.records import Outcome, Rows
from tasks.stage import stage

_BATCH = 20_000  # rows held as Python objects at once
_CHARACTERS = 32_000_000  # of these, from which they are written whatever their number
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


@stage
def ingest(*, config: Source, seed: int, content: str, out: Path, log: Log) -> Outcome:
    """Read a source into `corpus.parquet` and `quarantine.parquet`.

    Args:
        config: The `source` section.
        seed: Seed of the fictional corpus; other sources do not depend on it.
        content: Digest of the source's bytes, so that a changed file is read again.
        out: Also receives `probes.parquet`, if the source has fact probes, and `ingest.json`.
        log: Told how many rows are read.

    Raises:
        UserError: The source is missing, not of its format, or holds no usable row.
    """
    if config.location == "fictional":
        return _ingest_fictional(config, seed, out)
    probes = read_probes(config.probes) if config.probes else None
    with tempfile.TemporaryDirectory(dir=out) as aside:
        sorted_out = _sort_out(config, Path(aside), log)
        if not sorted_out.batches:
            counts = sorted_out.reasons
            why = (
                ", ".join(f"{n} {reason}" for reason, n in counts.most_common()) or "it has no rows"
            )
            raise UserError(
                f"{config.location!r} holds no usable row: {why}",
                f"Rows were looked for in column {config.text!r}; check source.text and source.format.",
            )
        rows = _assembled(sorted_out, config)
        outcome = _write(out, rows, sorted_out.reasons, probes, content, sorted_out.warnings)
        (Path(aside) / schema.QUARANTINE_FILE).rename(out / schema.QUARANTINE_FILE)
    return outcome


def _ingest_fictional(config: Source, seed: int, out: Path) -> Outcome:
    from tasks.corpus.sources.fictional import generate

    shares = (config.validation_share, config.test_share)
    made = generate(config.people, config.defects, seed, *shares)
    schema.quarantine([]).write_parquet(out / schema.QUARANTINE_FILE)
    return _write(out, iter([made.corpus]), Counter(), made.probes, "fictional", [])


@dataclass
class _Sorted:
    """What is known once a source was read.

    Attributes:
        path: Holds the rows that can be used, with the splits that the source gave them.
        batches: Row counts of its parts.
        reasons: Why how many rows cannot be used.
        lost_times: Values of the column of times that are no time.
        warnings: What there is to say.
    """

    path: Path
    batches: list[int] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    lost_times: int = 0
    warnings: list[str] = field(default_factory=list)


def _sort_out(config: Source, folder: Path, log: Log) -> _Sorted:
    """Part a source into a file of rows that can be used, and quarantine; a batch of rows is held."""
    columns = {name: kind for name, kind in _columns(config).items() if name != "row_id"}
    found, seen = _Sorted(folder / "rows.parquet"), Counter[str]()
    good: list[dict[str, Any]] = []
    bad: list[tuple[str | None, str, str, str | None, str]] = []
    with TableWriter(found.path, columns) as usable, TableWriter(
        folder / schema.QUARANTINE_FILE, schema.QUARANTINE
    ) as quarantine:  # fmt: skip

        def put() -> None:
            if good:
                usable.write(pl.DataFrame(good, schema=columns))
                found.batches.append(len(good))
            quarantine.write(schema.quarantine(bad, seen))
            good.clear()
            bad.clear()

        characters = 0
        for number, item in enumerate(read_source(config), 1):
            judged = judge(item, config)
            if isinstance(judged, Reject):
                bad.append((judged.text, judged.reason, judged.detail, judged.split, judged.source))
                found.reasons[judged.reason] += 1
                characters += len(judged.text)
            else:
                found.lost_times += judged[schema.TIME_LOST]
                good.append({name: judged[name] for name in columns})
                characters += len(judged["text"])
            if len(good) + len(bad) == _BATCH or characters >= _CHARACTERS:
                put()
                characters = 0
            if number % _BATCH == 0:
                log.progress(number, number + 1, f"{number:,} rows read")
        put()
    if found.lost_times:
        found.warnings.append(f"{found.lost_times} values of {config.timestamp!r} are no time")
    return found


def _columns(config: Source) -> dict[str, Any]:
    lost = {schema.TIME_LOST: pl.Boolean} if config.timestamp else {}
    return {**schema.BASE, **{schema.GROUP + name: pl.String for name in config.groups}, **lost}


def _assembled(found: _Sorted, config: Source) -> Iterator[pl.DataFrame]:
    """The rows with ids and splits, both of which depend on all rows, a batch at a time."""
    named = pl.read_parquet(found.path, columns=["digest", "split"])
    ids, splits = schema.ids_of(named["digest"]), pl.Series(_splits(named, config), dtype=pl.String)
    del named
    begin = 0
    for size in found.batches:
        rows = read_rows(found.path, begin, begin + size)
        part = slice(begin, begin + size)
        yield rows.with_columns(row_id=ids[part], split=splits[part]).select(list(_columns(config)))
        begin += size


def _splits(rows: pl.DataFrame, config: Source) -> list[str]:
    """Existing splits, with what is missing carved out of `train`; else splits by content."""
    hashed = schema.hash_split(rows["digest"].to_list(), config.validation_share, config.test_share)
    given = rows["split"]
    if given.null_count() == len(given):
        return _with_training_rows(hashed, config)
    counts = Counter(given.fill_null(""))
    known = {name: schema.canonical_split(name) for name in counts}
    unknown = [f"{n or '(empty)'!r} ({counts[n]} rows)" for n in sorted(counts) if not known[n]]
    if unknown:
        raise UserError(
            f"{config.location!r} has splits of unknown name: {', '.join(unknown[:10])}",
            f"Known splits are {', '.join(schema.SPLITS)} and their usual short forms.",
        )
    present = set(known.values())
    splits = []
    for name, by_hash in zip(given, hashed, strict=True):
        split = known[name] or "train"
        splits.append(by_hash if split == "train" and by_hash not in present else split)
    return _with_training_rows(splits, config)


def _with_training_rows(splits: list[str], config: Source) -> list[str]:
    """Rows so few or so alike that chance left none to train on: then there is nothing to do."""
    if "train" not in splits:
        counts = ", ".join(f"{n} {split}" for split, n in Counter(splits).items())
        raise UserError(
            f"{config.location!r} leaves no row to train on: {counts}",
            "Give more (or more varied) rows, or a split column.",
        )
    return splits


def _write(
    out: Path,
    rows: Iterator[pl.DataFrame],
    reasons: Counter[str],
    probes: pl.DataFrame | None,
    content: str,
    warnings: list[str],
) -> Outcome:
    splits, labels = Counter[str](), Counter[str]()
    first = next(rows)
    with ShardWriter(out / "corpus.parquet", first.schema) as writer:
        for part in chain([first], rows):
            writer.write(part)
            splits.update(dict(part["split"].value_counts().iter_rows()))
            labels.update(dict(part["label"].drop_nulls().value_counts().iter_rows()))
    if probes is not None:
        probes.write_parquet(out / "probes.parquet")
    absent = [name for name in ("validation", "test") if name not in splits]
    about = {
        "content": content, "splits": dict(sorted(splits.items())),
        "labels": dict(sorted(labels.items())[:200]),
        "probes": 0 if probes is None else len(probes),
        "quarantined": dict(sorted(reasons.items())),
        "warnings": [*warnings, *(f"the {name} split is empty" for name in absent)],
    }  # fmt: skip
    (out / "ingest.json").write_bytes(orjson.dumps(about, option=_JSON))
    kept, quarantined = splits.total(), reasons.total()
    counts = Rows(entered=kept + quarantined, kept=kept, quarantined=quarantined)
    return Outcome(
        summary=f"{kept:,} rows kept, {quarantined:,} quarantined",
        rows=counts,
        metrics={f"rows_{split}": float(count) for split, count in sorted(splits.items())},
        artifacts=("ingest.json",),
        dataset="corpus.parquet",
    )
