"""Quarantine as a person reads it: how many rows for which reason, which rows, and as a file.

Texts in quarantine may hold anything, escape sequences among it; what is shown on a terminal has
every character that cannot be printed written out and personal data masked; what is exported is the
text as it was read.
"""

from __future__ import annotations

import difflib
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from tasks.corpus.cleaning_report import excerpt, masked
from tasks.corpus.findings import DISPUTED
from tasks.corpus.profile import CORPUS
from tasks.corpus.quarantine.releasing import faults, rule_names
from tasks.corpus.quarantine.spared import Released
from tasks.corpus.rows import QUARANTINE, QUARANTINE_FILE, STRUCK_FILE, digest
from tasks.errors import UserError

ENDINGS = (".csv", ".parquet", ".jsonl")
_SPLITS = ("train", "validation", "test", "serving")


def gather(folders: Mapping[str, Path]) -> pl.DataFrame:
    """The quarantined rows of a night's stages, in the order of the stages, then rows cut short.

    The last were kept without the sentences that were struck from them.

    Args:
        folders: The stages' folders by title; one without a quarantine adds nothing.
    """
    frames = [
        pl.read_parquet(folder / name).select(list(QUARANTINE))
        for name in (QUARANTINE_FILE, STRUCK_FILE)
        for folder in folders.values()
        if (folder / name).exists()
    ]
    return pl.concat([pl.DataFrame(schema=QUARANTINE), *frames])


def kept(folders: Mapping[str, Path]) -> list[str]:
    """Ids of the rows that a night's cleaning kept."""
    if "clean" not in folders:
        return []
    return pl.read_parquet(folders["clean"] / CORPUS, columns=["row_id"])["row_id"].to_list()


def chosen(
    rows: pl.DataFrame,
    *,
    reason: str | None = None,
    split: str | None = None,
    search: str | None = None,
) -> pl.DataFrame:
    """Those of one reason, of one split, and with a piece of text in any case.

    Raises:
        UserError: No row has that reason or split; the message lists those there are.
    """
    for column, wanted in (("reason", reason), ("split", split)):
        if wanted is None:
            continue
        there = rows[column].drop_nulls().unique().sort().to_list()
        if wanted not in there:
            near = difflib.get_close_matches(wanted, there, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UserError(
                f"no quarantined row has the {column} {wanted!r}{hint}",
                f"There are {', '.join(there) or 'none'}.",
            )
        rows = rows.filter(pl.col(column) == wanted)
    if search is not None:
        text = pl.col("text").fill_null("").str.to_lowercase()
        rows = rows.filter(text.str.contains(search.lower(), literal=True))
    return rows


def counted(rows: pl.DataFrame, released: Released) -> str:
    """A table of the reasons, most rows first: rows, stage, splits, and how many are released."""
    if rows.is_empty():
        return "no row is in quarantine\n"
    marked = rows.with_columns(pl.Series("back", _released(rows, released), pl.Boolean))
    groups = marked.group_by("stage", "reason").agg(
        pl.len().alias("rows"),
        *((pl.col("split") == name).sum().alias(name) for name in _SPLITS),
        pl.col("back").sum(),
    )
    groups = groups.sort(["rows", "stage", "reason"], descending=[True, False, False])
    cut = rows.filter(pl.col("reason") == DISPUTED).height
    splits = [name for name in _SPLITS if groups[name].sum()]
    table = [["rows", "stage", "reason", *splits, ""]]
    for row in groups.iter_rows(named=True):
        back = f"{row['back']:,} released" if row["back"] else ""
        counts = [f"{row[name]:,}" for name in splits]
        table.append([f"{row['rows']:,}", row["stage"], row["reason"], *counts, back])
    short = f", {cut:,} kept without a disputed sentence" if cut else ""
    whole = f"{rows.height - cut:,} rows in quarantine{short}\n"
    return whole + aligned(table, {0, *range(3, 3 + len(splits))})


def shown(rows: pl.DataFrame, examples: int, meanings: Mapping[str, str]) -> str:
    """Rows by reason, each with its id, what was found, and the beginning of its text.

    Personal data and secrets are masked: a terminal is read over shoulders and kept in logs.

    Args:
        rows: Quarantined rows.
        examples: Most rows shown of each reason.
        meanings: What a row rule asks for, by its name.
    """
    lines = []
    for (stage, reason), part in rows.group_by("stage", "reason", maintain_order=True):
        meaning = f", because {meanings[str(reason)]}" if str(reason) in meanings else ""
        lines.append(f"{reason} ({stage}): {part.height:,} rows{meaning}")
        for row in part.head(examples).iter_rows(named=True):
            about = ", ".join(str(row[name]) for name in ("split", "source") if row[name])
            lines.append(f"  {row['row_id']}  {printable(about)}")
            lines.append(f"    {printable(masked(row['detail']))}")
            lines.append(f"    {printable(excerpt(masked(row['text']) or '(no text)', 0))}")
        if part.height > examples:
            lines.append(f"  and {part.height - examples:,} more")
    return "".join(f"{line}\n" for line in lines) or "no row is like that\n"


def export(rows: pl.DataFrame, path: Path, *, force: bool = False) -> None:
    """Write rows to a file, whole or not at all.

    Raises:
        UserError: The ending is none of the known ones, the file is there, or cannot be written.
    """
    if path.suffix not in ENDINGS:
        raise UserError(f"{path} is no {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]} file")
    if path.exists() and not force:
        raise UserError(f"{path} is there already", "Add --force to replace it.")
    aside = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        if path.suffix == ".parquet":
            rows.write_parquet(aside)
        elif path.suffix == ".csv":
            rows.write_csv(aside)
        else:
            rows.write_ndjson(aside)
        aside.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        aside.unlink(missing_ok=True)


def printable(text: str | None) -> str:
    """Text on one line, with whatever a terminal might obey written out."""
    line = " ".join((text or "").split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def aligned(table: list[list[str]], right: set[int]) -> str:
    """Rows of text in columns, those of some numbers flush right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    made = []
    for row in table:
        cells = (
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        made.append("  ".join(cells).rstrip() + "\n")
    return "".join(made)


def _released(rows: pl.DataFrame, released: Released) -> Iterator[bool]:
    """Which rows the next night will not quarantine for what they were quarantined for."""
    if not (released.rules or released.rows):
        yield from [False] * rows.height
        return
    columns, known = ("row_id", "text", "reason", "detail"), rule_names()
    for row_id, text, reason, detail in rows.select(columns).iter_rows():
        names = (digest(text or ""), row_id)
        yield all(released.covers(fault, *names) for fault in faults(reason, detail, known))
