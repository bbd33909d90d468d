"""Rows that are quarantined for what other rows say: leaks, duplicates, rows of an earlier night."""

from __future__ import annotations

import numpy as np
import polars as pl

from tasks.configuration import Cleaning, Profiling
from tasks.corpus.duplicates.relations import Relations
from tasks.corpus.duplicates.repeats import Flags
from tasks.corpus.findings import EXACT, LEAK, NEAR, NEAR_SEEN, PROBE, SEEN, Finding

_ROUNDS = 3  # of looking for leaks again


def superfluous(
    relations: Relations,
    row_ids: pl.Series,
    findings: dict[int, Finding],
    settings: Profiling,
    probes: pl.DataFrame | None,
    wanted: Cleaning,
) -> dict[int, Finding]:
    """Leaks, duplicates, and if asked for rows seen before, among the rows that pass.

    Fewer rows make fewer sequences common phrasing, which can show further leaks, so these are
    looked for again after each removal. Removing rows never makes new duplicates.
    """
    left: Flags = np.ones(len(row_ids), bool)
    left[list(findings)] = False
    found = _leaks(relations, left) if wanted.leaks else {}
    if wanted.leaks and settings.probe_leaks == "quarantine":
        found |= _probe_leaks(relations, left, probes)
    if settings.seen_before != "report":
        found |= _seen(relations, left, near=settings.seen_before == "quarantine")
    if not wanted.duplicates:
        return found
    duplicates = relations.duplicates(left)
    kept = duplicates["near_cluster"]
    for column, reason, wording in (
        ("is_exact_duplicate", EXACT, "repeats"),
        ("is_near_duplicate", NEAR, "nearly repeats"),
    ):
        for row in map(int, duplicates[column].arg_true()):
            found[row] = Finding(reason, f"{wording} {row_ids[kept[row]]}, which is kept")
            left[row] = False
    return found | (_leaks(relations, left) if wanted.leaks else {})


def _probe_leaks(
    relations: Relations, left: Flags, probes: pl.DataFrame | None
) -> dict[int, Finding]:
    """Rows that state a probe, which then leave."""
    told = relations.stated(left, probes)
    rows = np.flatnonzero(told >= 0)
    left[rows] = False
    names = [] if probes is None else probes["probe_id"].gather(told[rows]).to_list()
    return {
        int(row): Finding(PROBE, f"states the fact probe {name} word for word")
        for row, name in zip(rows, names, strict=True)
    }


def _seen(relations: Relations, left: Flags, *, near: bool) -> dict[int, Finding]:
    """Rows that the earlier night had, which then leave."""
    seen = relations.seen(left)
    found: dict[int, Finding] = {}
    for column, wording in (
        (SEEN, "the earlier night had this text"),
        (NEAR_SEEN, "the earlier night had nearly this text"),
    )[: 1 + near]:
        found |= {int(row): Finding(column, wording) for row in seen[column].arg_true()}
    left[list(found)] = False
    return found


def _leaks(relations: Relations, left: Flags) -> dict[int, Finding]:
    """Leaks among the rows left, which they then leave."""
    found: dict[int, Finding] = {}
    for _ in range(_ROUNDS):
        leaks = relations.leaks(left)
        rows = np.flatnonzero(leaks.leaked)
        if not len(rows):
            break
        found |= {int(row): Finding(LEAK, _overlap(leaks.overlap[row])) for row in rows}
        left[rows] = False
    return found


def _overlap(share: float) -> str:
    return f"{share:.0%} of its word sequences are in validation or test rows"
