"""The configuration of one run: typed, frozen, bounded, and refused before any work if wrong.

The same object is loaded from YAML, changed from the command line, saved with the run, and
rendered as the form in the Prefect UI. Each stage is given its own section only, so a change to
one section recomputes only the stages that read it.
"""

from tasks.configuration.corpus import (
    Cleaning,
    Contradictions,
    Defects,
    Labels,
    Profiling,
    Source,
    Validation,
)
from tasks.configuration.heads import Finetuning, Headed, Labelled, Pairs, Tagging
from tasks.configuration.judging import Decision, Evaluation, Explanation, Tracing
from tasks.configuration.people import Augmentation, Fairness
from tasks.configuration.run import Configuration, StageTitle
from tasks.configuration.section import ASIDE, Section, aside
from tasks.configuration.training import Baselines, Pretraining, Tokenization

__all__ = [
    "ASIDE",
    "Augmentation",
    "Baselines",
    "Cleaning",
    "Configuration",
    "Contradictions",
    "Decision",
    "Defects",
    "Evaluation",
    "Explanation",
    "Fairness",
    "Finetuning",
    "Headed",
    "Labelled",
    "Labels",
    "Pairs",
    "Pretraining",
    "Profiling",
    "Section",
    "Source",
    "StageTitle",
    "Tagging",
    "Tokenization",
    "Tracing",
    "Validation",
    "aside",
]
