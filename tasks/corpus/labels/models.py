"""Probabilities of the classes from models that never saw the row: what labels are judged by.

Training rows are parted into folds, stratified by label; each fold is judged by logistic
regression on cheap features (`text_features`), taught on the others. Every other row is judged by
one model of all the rows learnt from. How freely the models fit, 1 / C of the L2 penalty, is
raised from C = 1 as long as they then agree with more of the labels left out, by more than one
standard error (the one-standard-error rule, Breiman et al. 1984): short film reviews want 1, the
fictional corpus 30, where it doubles the area under the precision-recall curve. The choice sees
the labels of the rows that are then judged, but only as one of five numbers for all of them.

A champion is a second opinion, where it is out of sample too. Its labels are those of its own
training corpus (what a model was pretrained on had none), so it counts only for rows whose text
it was not fine-tuned or tuned on. The two are combined as the mean of their log-probabilities,
brought to sum 1, if that lowers the loss on the given labels of those rows: the interval of the
paired difference must lie below zero. A few wrong labels raise the loss of both alike.

Not covered: a row that the champion saw in slightly other words counts as unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.configuration import Labels
from tasks.corpus.labels.confident import Codes, Flags, Numbers
from tasks.corpus.labels.text_features import TextFeatures
from tasks.evaluation.bootstrap import paired_difference

_FREEDOMS = (1.0, 3.0, 10.0, 30.0, 100.0)  # C of logistic regression, tried in this order
_ROUNDS = 200  # of the optimiser, which needs some twenty at C = 1
_MOST_WEIGHTS = 4_000_000  # columns x classes of one model; the optimiser holds some 25 copies
_AT_ONCE = 20_000  # rows judged together
_FEWEST = 50  # rows by which a second opinion can be told to help
_UNBELIEVED = 1e-6  # the least probability that an opinion may have in a mean of logarithms
Told = Callable[[float, str], None]


@dataclass(frozen=True)
class Opinion:
    """What became of the champion's opinion: on how many rows, and what that did to the loss."""

    used: bool
    why: str
    rows: int = 0
    gain: dict[str, float] | None = None


def out_of_sample(
    texts: pl.Series, given: Codes, learnt: Flags, config: Labels, *, seed: int, tell: Told
) -> Numbers:
    """Probabilities of the classes by models that never saw the row: (n, m).

    Args:
        texts: n texts.
        given: Codes of their labels, 0 to m - 1, each at least `config.folds` times in `learnt`.
        learnt: The rows to learn from; the others are judged by the model of all of these.
        config: The `labels` section.
        seed: Seed of the folds.
        tell: Told the share done and what is done next.
    """
    classes = int(given.max()) + 1
    most = min(config.features, _MOST_WEIGHTS // (2 * max(1, classes - 1)))
    tell(0.0, "features")
    features = TextFeatures(texts.filter(pl.Series(learnt)), beginning=config.characters, most=most)
    taught, labels = _with_column(features.of(texts.filter(pl.Series(learnt)))), given[learnt]
    part = folds(labels, config.folds, seed)
    probabilities = np.zeros((len(given), classes))
    probabilities[learnt], freedom = _cross_validated(taught, labels, part, tell)
    rest = np.flatnonzero(~learnt)
    if len(rest):
        tell(0.9, "rows not learnt from")
        model = _fitted(taught, labels, freedom)
        for some in _batches(rest):
            probabilities[some] = model.predict_proba(_with_column(features.of(texts[some])))
    return probabilities


def _cross_validated(
    features: Any, labels: Codes, part: Codes, tell: Told
) -> tuple[Numbers, float]:
    """Out-of-fold probabilities, by the freedom that is worth it, and that freedom."""
    chosen: tuple[Numbers, float] = (np.empty(0), 0.0)
    count, best = int(part.max()) + 1, -1.0
    for number, freedom in enumerate(_FREEDOMS):
        found = np.zeros((len(labels), int(labels.max()) + 1))
        for fold in range(count):
            done = (number + fold / count) / len(_FREEDOMS)
            tell(0.1 + 0.8 * done, f"fold {fold + 1} of {count}, C = {freedom:g}")
            model = _fitted(features[part != fold], labels[part != fold], freedom)
            found[part == fold] = model.predict_proba(features[part == fold])
        agreeing = float((found.argmax(axis=1) == labels).mean())
        error = (agreeing * (1 - agreeing) / len(labels)) ** 0.5
        if agreeing <= best + error:
            break
        chosen, best = (found, freedom), agreeing
    return chosen


def folds(labels: Codes, count: int, seed: int) -> NDArray[np.int64]:
    """The fold of each row: every class is spread evenly, and so are the classes: (n,)."""
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    part = np.empty(len(labels), np.int64)
    part[order] = np.arange(len(labels)) % count
    return part


def ask_champion(
    rows: pl.DataFrame,
    classes: list[str],
    probabilities: Numbers,
    champion: Path | None,
    taught: Path | None,
    config: Labels,
    seed: int,
) -> tuple[Numbers, Opinion]:
    """The probabilities, improved by the champion's where it is out of sample and helps.

    Args:
        rows: `row_id`, `text` and `label` of the rows judged.
        classes: Names of the m classes, in the order of the codes.
        probabilities: Of the features alone: (n, m).
        champion: A model bundle, if there is one.
        taught: Folder of the corpus that it was fine-tuned on, if that is known.
        config: The `labels` section.
        seed: Seed of the choice of rows and of the resamples.
    """
    if not config.champion_rows:
        return probabilities, Opinion(False, "labels.champion_rows is 0")
    if champion is None or taught is None:
        return probabilities, Opinion(False, "there is no champion whose training rows are known")
    unseen = np.flatnonzero(~seen(rows, taught))
    if len(unseen) < _FEWEST:
        why = f"only {len(unseen)} rows are new to the champion, and {_FEWEST} are needed"
        return probabilities, Opinion(False, why, len(unseen))
    if len(unseen) > config.champion_rows:
        drawn = np.random.default_rng(seed).choice(unseen, config.champion_rows, replace=False)
        unseen = np.sort(drawn)
    from models.bundle import TextModel

    model = TextModel.load(champion)
    if not set(classes) <= set(model.classes):
        return probabilities, Opinion(False, "the champion does not know all of the classes")
    asked = [model.predict_proba(rows["text"][some].to_list()) for some in _batches(unseen)]
    places = [model.classes.index(name) for name in classes]
    given = np.array([classes.index(name) for name in rows["label"][unseen]])
    both, gain = combined(probabilities[unseen], np.concatenate(asked)[:, places], given, seed,
                          config.bootstrap)  # fmt: skip
    if gain["high"] >= 0:
        return probabilities, Opinion(False, "it does not lower the loss", len(unseen), gain)
    improved = probabilities.copy()
    improved[unseen] = both
    return improved, Opinion(True, "it lowers the loss", len(unseen), gain)


def seen(rows: pl.DataFrame, taught: Path) -> Flags:
    """Which rows a model may have been fine-tuned or tuned on, by their text or their id: (n,)."""
    stem = pl.col("row_id").str.split("~").list.first().str.replace(r"-\d+$", "")
    corpus = pl.scan_parquet(taught / "corpus.parquet").filter(
        pl.col("split").is_in(["train", "validation"])
    )
    known = corpus.select("text", stem.alias("stem")).collect()
    found = rows.select(
        pl.col("text").is_in(known["text"].implode()) | stem.is_in(known["stem"].implode())
    )
    return np.asarray(found.to_series().to_numpy())


def combined(
    ours: Numbers, theirs: Numbers, given: Codes, seed: int, resamples: int
) -> tuple[Numbers, dict[str, float]]:
    """The mean of two opinions' log-probabilities, and what it does to the loss.

    Returns:
        Probabilities (n, m), and the difference of the mean loss on the given labels (nats) to
        that of `ours` alone, with its interval.
    """
    floored = [np.maximum(p, _UNBELIEVED) for p in (ours, theirs)]
    shares = np.sqrt(floored[0] * floored[1])
    shares /= shares.sum(axis=1, keepdims=True)
    place = np.arange(len(given))
    losses = [-np.log(p[place, given]) for p in (shares, floored[0])]
    return shares, paired_difference(*losses, resamples=resamples, seed=seed)


def _fitted(features: Any, labels: Codes, freedom: float) -> Any:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    # The optimiser's many short products wait for BLAS's threads longer than they compute: 25
    # models of 1,090 texts took 14 s with two threads beside other work, and 0.5 s with one.
    with threadpool_limits(1, "blas"), warnings.catch_warnings():
        # A model that was stopped early is still out of sample.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=freedom, max_iter=_ROUNDS).fit(features, labels)


def _with_column(features: Any) -> Any:
    """The features, or one empty column where the texts have nothing in common."""
    from scipy.sparse import csr_array

    return features if features.shape[1] else csr_array((features.shape[0], 1))


def _batches(places: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(places), _AT_ONCE):
        yield places[start : start + _AT_ONCE]
