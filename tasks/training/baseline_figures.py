"""The baselines' figures: what each model makes of the same hidden tokens, with intervals.

Bits per character are

    sum of -log2 p over the hidden tokens / characters of the hidden tokens

the mark of a piece that continues a word not counted, so that a vocabulary of short pieces does
not look better than it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray
from tokenizers import Tokenizer

from tasks.evaluation.bootstrap import interval, paired_difference, ratio
from tasks.records import Outcome
from tasks.training.vocabulary import PREFIX

if TYPE_CHECKING:
    from models.training.judging import Hidden

_JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


@dataclass(frozen=True)
class Judged:
    """One model's answers at the hidden tokens.

    Attributes:
        name: `encoder`, `lstm` or `ngram`.
        losses: Surprise at each hidden token (nats).
        right: Whether the likeliest token is the true one.
        parameters: Weights, or counts that are not zero.
        tokens: Token presentations it was trained on.
    """

    name: str
    losses: NDArray[np.float64]
    right: NDArray[np.bool_]
    parameters: int
    tokens: int


def write(
    out: Path,
    judged: list[Judged],
    hidden: Hidden,
    tokenizer: Tokenizer,
    resamples: int,
    seed: int,
) -> Outcome:
    """Sum up by packed row, which is the unit of resampling, and write figures with intervals."""
    numbers = tokenizer.get_vocab().values()
    sizes = np.zeros(max(numbers) + 1)
    for number in numbers:  # decoded, since byte-level tokens are not spelt as they read
        text = tokenizer.decode([number], skip_special_tokens=False)
        sizes[number] = len(text.strip().removeprefix(PREFIX))
    characters = _by_row(hidden, sizes[hidden.targets])
    asked = _by_row(hidden, np.ones(len(hidden.targets)))
    frames, entries = [], []
    reference: NDArray[np.float64] | None = None
    for one in judged:
        loss, right = _by_row(hidden, one.losses), _by_row(hidden, one.right)
        columns = {"loss_sum": loss, "tokens": asked, "correct": right, "characters": characters}
        frame = pl.DataFrame(columns).with_row_index("row").filter(pl.col("tokens") > 0)
        frames.append(frame.with_columns(model=pl.lit(one.name)))
        pairs = frame.select("loss_sum", "tokens").to_numpy()
        reference = pairs if reference is None else reference
        entries.append(_entry(one, frame, reference, resamples, seed))
    pl.concat(frames).write_parquet(out / "held_out.parquet")
    found = {
        "rows": len(hidden.rows), "tokens_hidden": len(hidden.targets),
        "characters": int(characters.sum()), "models": entries,
    }  # fmt: skip
    (out / "baselines.json").write_bytes(orjson.dumps(found, option=_JSON))
    metrics = {
        f"{entry['name']}_{name}": entry[name]["value"]
        for entry in entries
        for name in ("loss", "accuracy", "bits_per_character")
    }
    told = ", ".join(f"{entry['name']} {entry['loss']['value']:.2f}" for entry in entries)
    return Outcome(summary=f"held-out loss: {told}", metrics=metrics, artifacts=("baselines.json",))


def _by_row(hidden: Hidden, values: NDArray[Any]) -> NDArray[np.float64]:
    sums = np.bincount(hidden.which[:, 0], weights=values, minlength=len(hidden.rows))
    return sums.astype(np.float64)


def _entry(
    one: Judged, frame: pl.DataFrame, reference: NDArray[np.float64], resamples: int, seed: int
) -> dict[str, Any]:
    def per(top: pl.Expr, bottom: str) -> NDArray[np.float64]:
        return frame.select(top, pl.col(bottom).cast(pl.Float64).alias("per")).to_numpy()

    def about(values: NDArray[np.float64]) -> dict[str, float]:
        return interval(values, resamples=resamples, seed=seed, statistic=ratio)

    loss = per(pl.col("loss_sum"), "tokens")
    return {
        "name": one.name,
        "loss": about(loss),
        "accuracy": about(per(pl.col("correct"), "tokens")),
        "bits_per_character": about(per(pl.col("loss_sum") / float(np.log(2)), "characters")),
        "behind_encoder": paired_difference(
            loss, reference, resamples=resamples, seed=seed, statistic=ratio
        ),
        "parameters": one.parameters,
        "tokens": one.tokens,
    }
