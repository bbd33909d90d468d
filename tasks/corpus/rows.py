"""The one schema of every corpus: row identity, canonical labels, splits."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

SPLITS = ("train", "validation", "test", "serving")
_SPLIT_NAMES = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test", "eval": "test",
    "serving": "serving",
}  # fmt: skip
GROUP = "group_"
TIME_LOST = "time_lost"  # only where there is a column of times: whether a value was no time
STEM = 16  # characters of a text's digest in its row's id
KEPT_CHARACTERS = 10_000  # of a rejected text, enough to see what it was
_EPOCH = re.compile(r"-?\d{9,13}(?:\.\d+)?")  # shorter digits are a year, month and day

BASE: dict[str, Any] = {
    "row_id": pl.String, "digest": pl.String, "text": pl.String, "label": pl.String,
    "split": pl.String, "source": pl.String, "timestamp": pl.Datetime("us", "UTC"),
}  # fmt: skip
QUARANTINE_FILE, STRUCK_FILE = "quarantine.parquet", "struck.parquet"
QUARANTINE: dict[str, Any] = {
    "row_id": pl.String, "text": pl.String, "reason": pl.String, "detail": pl.String,
    "stage": pl.String, "split": pl.String, "source": pl.String,
}  # fmt: skip


def digest(text: str) -> str:
    """BLAKE2b-128 of the text as UTF-8, unnormalised, in hex."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def row_ids(digests: Iterable[str], seen: Counter[str] | None = None) -> list[str]:
    """`<half the digest>-<how many identical texts came before>`.

    Depends on the text alone, so it is the same in every file format and stays the same when
    other rows are added.

    Args:
        digests: Of the texts, in their order.
        seen: How often each came in earlier parts; these are added to it.
    """
    seen = Counter() if seen is None else seen
    ids = []
    for value in digests:
        ids.append(f"{value[:STEM]}-{seen[value]}")
        seen[value] += 1
    return ids


def ids_of(digests: pl.Series) -> pl.Series:
    """`row_ids` of a column."""
    before = pl.int_range(pl.len()).over("digest").cast(pl.String)
    stem = pl.col("digest").str.slice(0, STEM)
    return digests.alias("digest").to_frame().select(pl.concat_str(stem, before, separator="-")
                                                     .alias("row_id")).to_series()  # fmt: skip


def canonical_label(value: Any) -> str | None:
    """A label or group as text: `1` from 1, 1.0, "1" and "1.0"; None from NaN, null and blanks.

    NaN is also null as text, since that is how CSV holds it; "NA", "null" and "None" stay, for
    they may be names of classes.

    Raises:
        ValueError: The value is a list, a mapping, or bytes or text that are not UTF-8.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list | tuple | dict | set):
        raise ValueError(f"a {type(value).__name__} is no label")
    text = value.decode() if isinstance(value, bytes) else str(value)
    text.encode()
    text = text.strip()
    if text in ("NaN", "nan"):
        return None
    if text.endswith(".0") and text[:-2].lstrip("-").isdigit():
        return text[:-2]
    return {"True": "true", "False": "false"}.get(text, text) or None


def moment(value: Any) -> datetime | None:
    """A time in UTC: dates, ISO text, or seconds or milliseconds since 1970.

    Returns:
        None where there is no value.

    Raises:
        ValueError: The value is no time.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        value = float(text) if _EPOCH.fullmatch(text) else datetime.fromisoformat(text)
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value / 1000 if abs(value) > 1e11 else value, UTC)
        except (OverflowError, OSError) as error:
            raise ValueError(f"{value!r} is no time") from error
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        raise ValueError(f"{value!r} is no time")
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def hash_split(digests: Sequence[str], validation_share: float, test_share: float) -> list[str]:
    """A split by content, so identical texts share one and tomorrow's rows move no others."""
    edges = (test_share, test_share + validation_share)
    places = [int(value[16:28], 16) / 16**12 for value in digests]
    return ["test" if p < edges[0] else "validation" if p < edges[1] else "train" for p in places]


def canonical_split(value: Any) -> str | None:
    """The split that a name such as `dev` stands for, or None where the name is unknown."""
    return _SPLIT_NAMES.get(str(value).strip().lower())


def readable(text: str) -> str:
    """Text that can be stored, cut to a sensible length, with bytes that are no UTF-8 in hex."""
    text = text[:KEPT_CHARACTERS]
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a lone surrogate that no byte stands behind
        return text.encode("utf-8", "backslashreplace").decode()


def quarantine(
    rows: Sequence[tuple[str | None, str, str, str | None, str]], seen: Counter[str] | None = None
) -> pl.DataFrame:
    """Rows that ingest took out: (raw text, reason, detail, split, source) of each.

    Their ids are made like a row's, of the text as kept, and begin with `q-`; `seen` is as there.
    """
    texts = [None if text is None else readable(text) for text, *_ in rows]
    columns: dict[str, Any] = {
        "row_id": [f"q-{name}" for name in row_ids((digest(t or "") for t in texts), seen)],
        "text": texts,
        "reason": [reason for _, reason, *_ in rows],
        "detail": [readable(detail) for _, _, detail, *_ in rows],
        "stage": ["ingest"] * len(rows),
        "split": [split for *_, split, _ in rows],
        "source": [source for *_, source in rows],
    }
    return pl.DataFrame(columns, schema=QUARANTINE)
