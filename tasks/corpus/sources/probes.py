"""Fact probes from a user's file: masked statements with a known answer."""

from __future__ import annotations

import fsspec
import orjson
import polars as pl

from tasks.errors import UserError

MASK = "[MASK]"


def read_probes(path: str) -> pl.DataFrame:
    """Read JSONL lines with `statement` and `answer`, and optionally `subject`, `relation`, `split`.

    Every fifth probe without a split serves to choose the threshold.

    Raises:
        UserError: The file is missing or empty, or a line is no probe; the line is named.
    """
    try:
        with fsspec.open(path, "rb") as handle:
            lines = handle.read().splitlines()
    except OSError as error:
        raise UserError(f"there is no probe file {path!r}", "Check source.probes.") from error
    rows: list[dict[str, str]] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            probe = _parse(path, number, line)
            if probe["statement"] in seen:
                earlier = seen[probe["statement"]]
                raise UserError(f"{path}, line {number}: the statement of line {earlier} again")
            seen[probe["statement"]] = number
            default = "validation" if len(rows) % 5 == 4 else "test"
            rows.append({**probe, "probe_id": f"line-{number}", "split": probe["split"] or default})
    if not rows:
        raise UserError(f"the probe file {path!r} is empty")
    order = ["probe_id", "statement", "answer", "subject", "relation", "split"]
    return pl.DataFrame(rows).select(order)


def _parse(path: str, number: int, line: bytes) -> dict[str, str]:
    where = f"{path}, line {number}"
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise UserError(f"{where}: {error}") from error
    if not isinstance(value, dict) or not isinstance(value.get("statement"), str):
        raise UserError(f"{where}: a probe is an object with the text fields statement and answer")
    count = value["statement"].count(MASK)
    if count != 1:
        raise UserError(f"{where}: the statement has {count} {MASK}, and must have one")
    answer = value.get("answer")
    if not isinstance(answer, str) or not answer.strip():
        raise UserError(f"{where}: the answer is empty")
    split = str(value.get("split") or "")
    if split not in ("", "validation", "test"):
        raise UserError(f"{where}: the split {split!r} is neither validation nor test")
    return {
        "statement": value["statement"], "answer": answer, "split": split,
        "subject": str(value.get("subject") or ""), "relation": str(value.get("relation") or "any"),
    }  # fmt: skip
