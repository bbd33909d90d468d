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
from tasks.corpus.signals.wordgrams import Words
from tasks.errors import UserError

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


def relative_signals(texts: pl.Series, words: Words, signals: pl.DataFrame) -> pl.DataFrame:
    """The signals named in `SIGNALS`, one row per text.

    Args:
        texts: The texts.
        words: Their words.
        signals: What was measured of each row, with `row_id` and `language`.
    """
    trusted, languages = trusted_rows(signals), signals["language"]
    measured = pl.concat(
        [
            typos.typo_signals(texts, words, languages, trusted),
            perplexity.perplexities(texts, languages, trusted),
        ],
        how="horizontal",
    )
    known = pl.concat([signals, measured], how="horizontal")
    odd = outliers.outlier_signals(known, trusted)
    return pl.concat([measured, odd], how="horizontal")
