"""An attack on a classifier by edits of characters, offline and within a budget of queries.

The attack is DeepWordBug (Gao, Lanchantin, Soffa and Qi 2018, arXiv:1801.04354) as TextAttack
builds it: rank the words by how far the probability of the true class falls when one is replaced
by an unknown word, then, from the first on, try in each one swap, substitution, deletion and
insertion of a letter, and keep what lowers that probability most, until the class turns or the
budget is spent. At most 30 edits (Levenshtein) to a text, none to a stop word, one to a word. It
needs no data, so it runs offline and is the same on each machine.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import polars as pl

from tasks.configuration import Evaluation
from tasks.evaluation.classifier import Classifier, probabilities, seeded
from tasks.evaluation.textattack_setup import import_textattack, stopwords
from tasks.log import Log

ATTACK = "DeepWordBugGao2018"
_EDITS = 30  # Levenshtein distance, as in the paper
_AT_ONCE = 128  # texts in one call of the model
_OUTCOMES = {
    "SuccessfulAttackResult": "success",
    "FailedAttackResult": "failed",
    "SkippedAttackResult": "skipped",
}


@dataclass(frozen=True)
class Attacked:
    """What became of one text.

    Attributes:
        row_id: The row attacked.
        label: Its true class.
        original: Its text, as far as it was attacked.
        perturbed: The text that flipped the class, or the furthest that the attack came.
        outcome: `success`, `failed`, or `skipped` if the model was wrong to begin with.
        queries: Texts that the model was asked about.
        predicted: The model's class for the original.
        predicted_after: The model's class for the perturbed text.
        confidence_before: Probability of the true class for the original.
        confidence_after: Probability of the true class for the perturbed text.
    """

    row_id: str
    label: str
    original: str
    perturbed: str
    outcome: str
    queries: int
    predicted: str
    predicted_after: str
    confidence_before: float
    confidence_after: float


def attack(
    model: Classifier, sample: pl.DataFrame, *, config: Evaluation, seed: int, log: Log
) -> list[Attacked]:
    """Attack each row of the sample, until the next might exceed the budget of them all.

    Each row's edits are drawn from a seed of its own, so they do not depend on the other rows.

    Args:
        model: The victim.
        sample: `row_id`, `label` (one of the model's classes) and `text` with at least one word.
        config: The budgets.
        seed: Seed of the edits.
        log: Shown each row.
    """
    budget = min(config.attack_queries, config.attack_total_queries)
    attacker = _build(model, budget)
    left = config.attack_total_queries
    done: list[Attacked] = []
    for row in sample.iter_rows(named=True):
        if left < budget:
            break
        with seeded(_seed_of(row["row_id"], seed)):
            result = attacker.attack(row["text"], model.classes.index(row["label"]))
        done.append(_attacked(row, result, model.classes))
        left -= done[-1].queries
        flipped = sum(a.outcome == "success" for a in done)
        log.progress(len(done), len(sample), f"{flipped} flipped")
    return done


class _Victim:
    """The model as TextAttack calls it."""

    def __init__(self, model: Classifier) -> None:
        self.model = model

    def __call__(self, texts: list[str]) -> Any:
        return probabilities(self.model, texts)


def _build(model: Classifier, budget: int) -> Any:
    """DeepWordBug with a query budget, and stop words that do not depend on the machine.

    Put together from its parts, for TextAttack's recipe wants NLTK's list.
    """
    import_textattack()
    from textattack import Attack
    from textattack.constraints.overlap import LevenshteinEditDistance
    from textattack.constraints.pre_transformation import RepeatModification, StopwordModification
    from textattack.goal_functions import UntargetedClassification
    from textattack.search_methods import GreedyWordSwapWIR
    from textattack.transformations import (
        CompositeTransformation,
        WordSwapNeighboringCharacterSwap,
        WordSwapRandomCharacterDeletion,
        WordSwapRandomCharacterInsertion,
        WordSwapRandomCharacterSubstitution,
    )

    edit_a_letter = [
        WordSwapNeighboringCharacterSwap(),
        WordSwapRandomCharacterSubstitution(),
        WordSwapRandomCharacterDeletion(),
        WordSwapRandomCharacterInsertion(),
    ]
    return Attack(
        UntargetedClassification(_Victim(model), query_budget=budget, model_batch_size=_AT_ONCE),
        [RepeatModification(), StopwordModification(stopwords()), LevenshteinEditDistance(_EDITS)],
        CompositeTransformation(edit_a_letter),
        GreedyWordSwapWIR(),
    )


def _seed_of(row_id: str, seed: int) -> int:
    digest = hashlib.blake2b(f"{seed}/{row_id}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big")


def _attacked(row: dict[str, Any], result: Any, classes: list[str]) -> Attacked:
    before, after = result.original_result, result.perturbed_result
    truth = classes.index(row["label"])
    return Attacked(
        row_id=row["row_id"],
        label=row["label"],
        original=row["text"],
        perturbed=after.attacked_text.text,
        outcome=_OUTCOMES[type(result).__name__],
        queries=int(result.num_queries),
        predicted=classes[int(before.output)],
        predicted_after=classes[int(after.output)],
        confidence_before=round(float(before.raw_output[truth]), 6),
        confidence_after=round(float(after.raw_output[truth]), 6),
    )
