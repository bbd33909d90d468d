"""Any source into one schema; what cannot be a row goes to quarantine with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from tasks.configuration import Source
from tasks.corpus import rows as schema
from tasks.corpus.probes import read_probes
from tasks.corpus.readers import Reject, Row, find_files, is_hub, read_file, read_hub
from tasks.errors import UserError
from tasks.log import Log
from tasks.records import Outcome, Rows
from tasks.stage import stage

_KEPT_CHARACTERS = 10_000  # of a rejected text, enough to see what it was


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
    good, bad = _sort_out(_items(config), config, log)
    if not good:
        counts = Counter(r["reason"] for r in bad)
        why = ", ".join(f"{n} {reason}" for reason, n in counts.most_common()) or "it has no rows"
        raise UserError(f"{config.location!r} holds no usable row: {why}", "Check source.text.")
    corpus = _assemble(good, config)
    probes = read_probes(config.probes) if config.probes else None
    return _write(out, corpus, pl.DataFrame(bad, schema=schema.QUARANTINE), probes, content)


def _ingest_fictional(config: Source, seed: int, out: Path) -> Outcome:
    from tasks.corpus.fictional import generate

    made = generate(config.people, config.defects, seed)
    quarantine = pl.DataFrame(schema=schema.QUARANTINE)
    return _write(out, made.corpus, quarantine, made.probes, "fictional")


def _items(config: Source) -> Iterator[Row | Reject]:
    if is_hub(config):
        yield from read_hub(config)
        return
    for file in find_files(config):
        yield from read_file(file, config)


def _sort_out(
    items: Iterator[Row | Reject], config: Source, log: Log
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows that can be judged, and quarantine entries for the others."""
    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    for number, item in enumerate(items):
        if isinstance(item, Reject):
            bad.append(_entry(item.text, item.reason, item.detail, item.source, number))
            continue
        text = item.values.get(config.text)
        problem = _problem(text, config.max_characters)
        if problem:
            bad.append(_entry(text, *problem, item.source, number))
        else:
            good.append(_row(str(text), item, config))
        if number % 10_000 == 0:
            log.progress(number, number + 1, f"{number:,} rows read")
    return good, bad


def _problem(text: Any, max_characters: int) -> tuple[str, str] | None:
    """Why a value cannot be a row's text, as (reason, detail), or None where it can."""
    if text is None or (isinstance(text, float) and text != text):
        return "empty", "no value"
    if isinstance(text, bytes):
        return "not_text", "bytes"
    if not isinstance(text, str):
        return "not_text", f"a {type(text).__name__}"
    if not text.strip():
        return "empty", "only white space"
    if any(0xDC80 <= ord(c) <= 0xDCFF for c in text):
        return "invalid_utf8", "bytes that are not UTF-8"
    if "\0" in text:
        return "binary", "NUL bytes"
    if len(text) > max_characters:
        return "too_long", f"{len(text):,} characters, at most {max_characters:,} are read"
    return None


def _entry(text: Any, reason: str, detail: str, source: str, number: int) -> dict[str, Any]:
    kept = text if isinstance(text, str) else "" if text is None else repr(text)
    kept = kept[:_KEPT_CHARACTERS].encode("utf-8", "replace").decode()
    return {
        "row_id": f"unread-{number}", "text": kept, "reason": reason, "detail": detail,
        "stage": "ingest", "split": None, "source": source,
    }  # fmt: skip


def _row(text: str, item: Row, config: Source) -> dict[str, Any]:
    values = item.values
    row: dict[str, Any] = {
        "digest": schema.digest(text), "text": text, "source": item.source,
        "label": schema.canonical_label(values.get(config.label)) if config.label else None,
        "split": values.get(config.split) if config.split else item.split,
        "timestamp": _timestamp(values.get(config.timestamp)) if config.timestamp else None,
    }  # fmt: skip
    for name in config.groups:
        row[schema.GROUP + name] = schema.canonical_label(values.get(name))
    return row


def _timestamp(value: Any) -> datetime | None:
    if isinstance(value, int | float) and value == value:
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return None


def _assemble(rows: list[dict[str, Any]], config: Source) -> pl.DataFrame:
    groups = {schema.GROUP + name: pl.String for name in config.groups}
    digests = [row["digest"] for row in rows]
    for row, row_id, split in zip(
        rows, schema.row_ids(digests), _splits(rows, config), strict=True
    ):
        row["row_id"], row["split"] = row_id, split
    return pl.DataFrame(rows, schema={**schema.BASE, **groups})


def _splits(rows: list[dict[str, Any]], config: Source) -> list[str]:
    """Existing splits, with what is missing carved out of `train`; else splits by content."""
    hashed = schema.hash_split(
        [row["digest"] for row in rows], config.validation_share, config.test_share
    )
    if all(row["split"] is None for row in rows):
        return _with_training_rows(hashed)
    named = {str(row["split"]) for row in rows}
    known = {name: schema.canonical_split(name) for name in named}
    unknown = sorted(name for name, split in known.items() if split is None)
    if unknown:
        raise UserError(
            f"the split column holds {', '.join(map(repr, unknown[:10]))}",
            f"Known splits are {', '.join(schema.SPLITS)} and their usual short forms.",
        )
    present = {known[name] for name in named}
    splits = []
    for row, by_hash in zip(rows, hashed, strict=True):
        split = known[str(row["split"])] or "train"
        splits.append(by_hash if split == "train" and by_hash not in present else split)
    return _with_training_rows(splits)


def _with_training_rows(splits: list[str]) -> list[str]:
    """Rows so few or so alike that chance left none to train on: then there is nothing to do."""
    if "train" not in splits:
        counts = ", ".join(f"{n} {split}" for split, n in Counter(splits).items())
        raise UserError(
            f"no row is left to train on: {counts}",
            "Give more (or more varied) rows, or a split column.",
        )
    return splits


def _write(
    out: Path, corpus: pl.DataFrame, bad: pl.DataFrame, probes: pl.DataFrame | None, content: str
) -> Outcome:
    corpus.write_parquet(out / "corpus.parquet")
    bad.write_parquet(out / "quarantine.parquet")
    if probes is not None:
        probes.write_parquet(out / "probes.parquet")
    splits = dict(sorted(corpus["split"].value_counts().iter_rows()))
    labels = sorted(corpus["label"].drop_nulls().unique())
    about = {
        "content": content, "splits": splits, "labels": labels[:200],
        "probes": 0 if probes is None else len(probes),
        "quarantined": dict(sorted(bad["reason"].value_counts().iter_rows())),
    }  # fmt: skip
    (out / "ingest.json").write_bytes(orjson.dumps(about, option=orjson.OPT_INDENT_2))
    rows = Rows(entered=len(corpus) + len(bad), kept=len(corpus), quarantined=len(bad))
    return Outcome(
        summary=f"{rows.kept:,} rows kept, {rows.quarantined:,} quarantined",
        rows=rows,
        metrics={f"rows_{split}": float(count) for split, count in splits.items()},
        artifacts=("ingest.json",),
        dataset="corpus.parquet",
    )
