"""Signals that compare a row with the corpus' own trusted part.

Trusted are the rows that pass every row rule of the noise suite and repeat no earlier row. What is
usual among them says which words are slips (`typos`), which text is surprising (`perplexity`) and
which row is odd (`outliers`). Such a signal changes with the rows around it, so it is never a row
rule: what passed before cleaning might not pass after it. Suites judge its share of the corpus and
name the worst rows.
"""

from __future__ import annotations

import polars as pl

from expectations.rules import failing_rows, row_rules
from expectations.suite_files import SuiteError
from tasks.corpus.duplicates.repeats import Flags
from tasks.corpus.signals import outliers, perplexity, typos
from tasks.corpus.signals.perplexity import Texts
from tasks.corpus.signals.word_counts import WordCounts
from tasks.corpus.signals.wordgrams import split_words
from tasks.errors import UserError

# What `relative_signals` takes of a row.
COMPARED = ("language", *outliers.COMPARED)
SIGNALS = {**typos.SIGNALS, **perplexity.SIGNALS, **outliers.SIGNALS}


def trusted_rows(signals: pl.DataFrame) -> Flags:
    """Which rows break no row rule and are no exact duplicates: (rows,).

    Raises:
        UserError: The noise suite cannot be used.
    """
    try:
        broken = failing_rows(signals, row_rules("noise"))["row_id"].unique()
    except SuiteError as error:
        raise UserError(str(error), "The suite is expectations/suites/noise.json.") from error
    passing = ~signals["row_id"].is_in(broken.implode())
    if "is_exact_duplicate" in signals.columns:
        passing &= ~signals["is_exact_duplicate"]
    return passing.to_numpy()


def relative_signals(texts: Texts, signals: pl.DataFrame, trusted: Flags) -> pl.DataFrame:
    """The signals named in `SIGNALS`, one row per text.

    The texts are read in parts; what is counted in one is added to what was counted in the others
    before any row is judged, so the result does not depend on where the parts are cut.

    Args:
        texts: Reads the texts in parts, from the beginning whenever it is asked.
        signals: What was measured of each row: `language` and what `outliers` compares.
        trusted: Which rows say what is usual.
    """
    languages = signals["language"]
    measured = pl.concat(
        [
            _typos(texts, languages, trusted),
            perplexity.perplexities_in_parts(texts, languages, trusted),
        ],
        how="horizontal",
    )
    odd = outliers.outlier_signals(pl.concat([signals, measured], how="horizontal"), trusted)
    return pl.concat([measured, odd], how="horizontal")


def _typos(texts: Texts, languages: pl.Series, trusted: Flags) -> pl.DataFrame:
    counts, counted = WordCounts(), trusted & typos.judged_rows(languages)
    begin = 0
    for part in texts():
        counts.add(split_words(part), counted[begin : begin + len(part)])
        begin += len(part)
    slips, found, begin = typos.Slips.among(counts), [], 0
    for part in texts():
        some = languages[begin : begin + len(part)]
        found.append(slips.ratios(part, split_words(part), some))
        begin += len(part)
    return pl.concat(found)
