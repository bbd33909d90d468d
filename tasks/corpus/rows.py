"""The one schema of every corpus: row identity, canonical labels, splits."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
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

BASE: dict[str, Any] = {
    "row_id": pl.String, "digest": pl.String, "text": pl.String, "label": pl.String,
    "split": pl.String, "source": pl.String, "timestamp": pl.Datetime("us", "UTC"),
}  # fmt: skip
QUARANTINE: dict[str, Any] = {
    "row_id": pl.String, "text": pl.String, "reason": pl.String, "detail": pl.String,
    "stage": pl.String, "split": pl.String, "source": pl.String,
}  # fmt: skip


def digest(text: str) -> str:
    """BLAKE2b-128 of the text as UTF-8, unnormalised, in hex."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def row_ids(digests: Iterable[str]) -> list[str]:
    """`<half the digest>-<how many identical texts came before>`.

    Depends on the text alone, so it is the same in every file format and stays the same when
    other rows are added.
    """
    seen: Counter[str] = Counter()
    ids = []
    for value in digests:
        ids.append(f"{value[:16]}-{seen[value]}")
        seen[value] += 1
    return ids


def canonical_label(value: Any) -> str | None:
    """A label as text: `1` from 1, 1.0, "1" and "1.0"; None from NaN, null and blanks."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value).strip()
    if text.lower() == "nan":
        return None
    if text.endswith(".0") and text[:-2].lstrip("-").isdigit():
        return text[:-2]
    return {"True": "true", "False": "false"}.get(text, text) or None


def hash_split(digests: Sequence[str], validation_share: float, test_share: float) -> list[str]:
    """A split by content, so identical texts share one and tomorrow's rows move no others."""
    edges = (test_share, test_share + validation_share)
    places = [int(value[16:28], 16) / 16**12 for value in digests]
    return ["test" if p < edges[0] else "validation" if p < edges[1] else "train" for p in places]


def canonical_split(value: Any) -> str | None:
    """The split that a name such as `dev` stands for, or None where the name is unknown."""
    return _SPLIT_NAMES.get(str(value).strip().lower())
