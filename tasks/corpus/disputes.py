"""What becomes of statements that training rows disagree on: sentences are struck, or rows go."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from tasks.configuration import Contradictions
from tasks.corpus.findings import CONTRADICTION, DISPUTED, EXACT, NEAR, Finding
from tasks.corpus.quarantine.spared import Spared
from tasks.corpus.shards import Corpus
from tasks.corpus.statements.contradictions import Contradicted, find_contradictions
from tasks.corpus.statements.strike import without


@dataclass(frozen=True)
class Settled:
    """What was decided.

    Attributes:
        found: The statements, both sides.
        gone: Rows that go whole, by place.
        shorter: Text of each row that stays without some of its sentences, by place.
        struck: Why, and the number of sentences, of the same rows.
    """

    found: Contradicted
    gone: dict[int, Finding] = field(default_factory=dict)
    shorter: dict[int, str] = field(default_factory=dict)
    struck: dict[int, tuple[Finding, int]] = field(default_factory=dict)


def settle(
    rows: pl.DataFrame,
    repaired: Corpus,
    findings: dict[int, Finding],
    config: Contradictions,
    patterns: str,
    spared: Spared[Finding],
) -> Settled:
    """Look for disputed statements among the rows that are left, and decide.

    Args:
        rows: `row_id`, `split` and `source` of the rows.
        repaired: Their texts.
        findings: Those that go for other reasons; copies among them are counted as rows.
        config: When a version is outvoted, and what then goes.
        patterns: The lines of a pattern file.
        spared: Notes what people have released: such a row keeps its sentences.
    """
    left = np.ones(rows.height, bool)
    left[list(findings)] = False
    copies = np.zeros(rows.height, bool)
    copies[[row for row, finding in findings.items() if finding.reason in (EXACT, NEAR)]] = True
    found = find_contradictions(rows, left, copies, patterns, config, repaired.texts())
    gone = {row: Finding(CONTRADICTION, detail) for row, detail in found.quarantined.items()}
    struck = {
        row: Finding(DISPUTED, lost.detail) for row, lost in found.struck.items() if row not in gone
    }
    shorter: dict[int, str] = {}
    sifted = spared.sift(struck)
    texts = repaired.texts_of(sifted)
    for row, finding in sifted.items():
        text = without(texts[row], found.struck[row].sentences)
        if text is None:  # written in a way that cannot be cut: the statement must not stay
            gone[row] = Finding(CONTRADICTION, finding.detail)
        else:
            shorter[row] = text
    counts = {row: (struck[row], len(found.struck[row].sentences)) for row in shorter}
    return Settled(found, spared.sift(gone), shorter, counts)
