"""Whether what a reader found can be a row: its columns, or why it cannot."""

from __future__ import annotations

import re
from typing import Any

from tasks.configuration import Source
from tasks.corpus import rows as schema
from tasks.corpus.sources.items import Reject, Row

_CONTROL = re.compile("[\x01-\x08\x0e-\x1f]")
_BINARY = 0.05  # share of control characters from which text is no text


def judge(item: Row | Reject, config: Source) -> dict[str, Any] | Reject:
    """A row's columns, or why it cannot be one."""
    if isinstance(item, Reject):
        return item
    text = item.values.get(config.text)
    problem = _problem(text, config.max_characters)
    if problem is None:
        try:
            return _row(str(text), item, config)
        except UnicodeEncodeError:
            problem = "invalid_utf8", "a label, group or split that is not UTF-8"
        except ValueError as error:
            problem = "unusable_label", str(error)
    kept = text if isinstance(text, str) else "" if text is None else repr(text)
    # The split is shown as the source calls it; it may be unknown, or no text at all.
    split = item.values.get(config.split) if config.split else item.split
    known = None if split is None else schema.canonical_split(split)
    return Reject(kept, *problem, item.source, known)


def _problem(text: Any, max_characters: int) -> tuple[str, str] | None:
    """Why a value cannot be a row's text, as (reason, detail), or None where it can."""
    if text is None or (isinstance(text, float) and text != text):
        return "empty", "no value"
    if not isinstance(text, str):
        return "not_text", f"a {type(text).__name__}"
    if not text.strip():
        return "empty", "only white space" if text else "no text"
    if len(text) > max_characters:
        return "too_long", f"{len(text):,} characters, at most {max_characters:,} are read"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return "invalid_utf8", f"bytes that are not UTF-8 at character {error.start}"
    if "\0" in text:
        return "binary", "NUL bytes"
    if _CONTROL.search(text) and len(_CONTROL.findall(text)) > _BINARY * len(text):
        return "binary", f"{len(_CONTROL.findall(text))} control characters"
    return None


def _row(text: str, item: Row, config: Source) -> dict[str, Any]:
    values = item.values
    split = values.get(config.split) if config.split else item.split
    row: dict[str, Any] = {
        "digest": schema.digest(text), "text": text, "source": item.source,
        "label": schema.canonical_label(values.get(config.label)) if config.label else None,
        "split": None if split is None else str(split).encode().decode(),
        "timestamp": None, schema.TIME_LOST: False,
    }  # fmt: skip
    if config.origin:
        row["source"] = schema.canonical_label(values.get(config.origin)) or item.source
    for name in config.groups:
        row[schema.GROUP + name] = schema.canonical_label(values.get(name))
    if config.timestamp:
        try:
            row["timestamp"] = schema.moment(values.get(config.timestamp))
        except ValueError:
            row[schema.TIME_LOST] = True
    return row
