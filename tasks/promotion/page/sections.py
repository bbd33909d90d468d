"""Everything that the page shows, put together from a night's stages, and the words around it."""

from __future__ import annotations

from typing import Any

from tasks.configuration import Configuration
from tasks.promotion.page import (
    asked,
    baselines,
    data,
    drift,
    explained,
    facts,
    heads,
    judged,
    labels,
    people,
    traced,
    training,
    verdict,
)
from tasks.promotion.page.expectations import expectations
from tasks.promotion.page.read import Shelf

CONTENTS = (
    ("verdict", "Verdict"),
    ("headline", "Headline"),
    ("data", "Data"),
    ("expectations", "Expectations"),
    ("drift", "Drift"),
    ("labels", "Labels"),
    ("people", "Groups in the data"),
    ("augment", "Made-up rows"),
    ("training", "Training"),
    ("quality", "Quality"),
    ("calibration", "Calibration"),
    ("hallucination", "Hallucination"),
    ("trace", "Trace"),
    ("group_metrics", "Groups, judged"),
    ("robustness", "Robustness"),
    ("explain", "Explanations"),
    ("configuration", "Configuration"),
    ("glossary", "Glossary"),
    ("limits", "Limits"),
)
GLOSSARY = (
    ("Abstained", "the model's confidence in a probe's answer is below \u03c4, so it says nothing"),
    ("Accuracy under attack", "share of texts still right after an attacker's typing errors"),
    ("Bootstrap interval", "how far a figure moves if the same number of rows is drawn again"),
    ("Baselines", "an LSTM trained by the same loop, and counts of neighbouring tokens"),
    ("Brier score", "mean squared error of the class probabilities: 0 best, 2 worst"),
    ("Calibration error (ECE)", "mean distance between confidence and accuracy, over 15 bins"),
    ("Champion", "the model in use, which a candidate must not fall behind"),
    ("Conservation law", "rows in = rows kept + rows quarantined, at every data stage"),
    ("Contradicted fact", "a subject and relation that training rows state with different values"),
    ("Counterfactual", "a training row with the group's words exchanged, and the same label"),
    ("Drift", "how far tonight's rows are distributed otherwise than an earlier night's"),
    ("Group gap", "accuracy of the best group minus accuracy of the worst"),
    ("Hallucinated", "a probe answered with confidence, and wrong"),
    ("Imbalance", "rows of the largest class for each row of the smallest"),
    ("Label rate", "share of a group's rows that carry a label"),
    ("LIME", "weights of a simple model fitted to the predictions around one text"),
    ("Macro F1", "mean over classes of the balance of precision and recall"),
    ("Margin", "how much worse than the champion a candidate may be"),
    ("Masked-token loss", "surprise at a hidden word of held-out text, in nats per token"),
    ("Probe", "a statement with its answer masked, whose truth is known"),
    ("Proven", "the whole interval lies within the limit, not the figure alone"),
    ("Quarantine", "where rows go that break a rule; they are kept, with the reason"),
    ("Risk and coverage", "of the surest share of the answers, the part that is wrong"),
    ("SHAP", "what each word adds to a class's probability, averaged over contexts"),
    (
        "Suspect label",
        "one that models which did not see the row hardly believe (confident learning)",
    ),
    (
        "Trace",
        "from an answer to training rows: BM25 ranks them by shared words, gradients by how far a "
        "training step on a row would raise the answer's likelihood",
    ),
    ("\u03c4 (tau)", "the least confidence at which an answer counts as given"),
)
LIMITS = (
    "Intervals speak of the test rows drawn, not of the training: another seed gives another "
    "model, and may move a figure further.",
    "Comparisons are each judged at their own level; with several at once a chance refusal is "
    "likelier than any single level says.",
    "Probes ask what the data states. A fact that no probe asks about is not covered, and the "
    "model chooses among the answers of its relation, not among all words.",
    "Robustness is measured against character edits within a query budget. Synonyms, paraphrases "
    "and attackers with more patience are not covered.",
    "A traced row states an answer or pushes the model towards it. That it is the cause shows only "
    "when the model is trained without it, which `plumbline repair` does.",
    "Groups are those that columns name or that words of a lexicon mention; a mention is not a "
    "membership. Groups below the smallest size are shown and not judged.",
    "Contradictions are counted, not understood: where a falsehood is repeated more often than the "
    "truth, the truth is the minority.",
    "Near duplicates and leaks are found by shared word n-grams; a paraphrase is not found.",
    "Explanations describe the model's behaviour around one text. They are no proof of cause.",
)


def build(shelf: Shelf, configuration: Configuration | None) -> dict[str, Any]:
    """Everything that the template fills in."""
    return {
        "contents": CONTENTS,
        "verdict": verdict.verdict(shelf),
        "cards": verdict.cards(shelf),
        "data": {
            "conservation": data.conservation(shelf),
            "splits": data.splits(shelf),
            "quarantine": data.quarantine(shelf),
            "contradictions": data.contradictions(shelf),
            "released": data.released(shelf),
            "repairs": data.repairs(shelf),
            "defects": data.defects(shelf),
            "signals": data.signals(shelf),
            "why_clean": shelf.why_not("clean"),
        },
        "expectations": expectations(shelf),
        "drift": drift.drift(shelf),
        "labels": labels.labels(shelf),
        "people": people.groups(shelf),
        "augment": people.made_up(shelf),
        "training": training.training(shelf),
        "baselines": baselines.masked(shelf),
        "heads": heads.heads(shelf),
        "quality": judged.quality(shelf),
        "floors": baselines.classes(shelf),
        "calibration": judged.calibration(shelf),
        "hallucination": asked.hallucination(shelf),
        "facts": facts.facts(shelf),
        "traced": traced.traced(shelf),
        "group_metrics": judged.by_group(shelf),
        "robustness": asked.robustness(shelf),
        "explain": explained.explanations(shelf),
        "configuration": settings(configuration),
        "glossary": GLOSSARY,
        "limits": LIMITS,
    }


def settings(configuration: Configuration | None) -> list[tuple[str, list[tuple[str, str]]]]:
    """The run's configuration by section, as written in its YAML."""
    if configuration is None:
        return []
    values = configuration.model_dump(mode="json")
    plain = [(k, _shown(v)) for k, v in values.items() if not isinstance(v, dict)]
    sections = [(k, _flat(v)) for k, v in values.items() if isinstance(v, dict)]
    return [("run", plain), *sections]


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", _shown(value)))
    return rows


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return (
        "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )
