"""Token classification: a tag for each word, such as the named entity it belongs to.

Each word is judged at its first subword; the others are read and not judged (Devlin et al. 2018,
https://arxiv.org/abs/1810.04805, section 5.3). Tags that mark spans are brought to IOB2, whatever
scheme the files are in, so that a model always learns, and is judged by, the same entities.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.configuration import Tagging
from tasks.errors import UserError
from tasks.log import CURVE, Log
from tasks.records import Outcome
from tasks.stage import stage
from tasks.training import class_report, entities
from tasks.training.heads import Curve, fit, load_pretrained, save_head, trained_numbers
from tasks.training.labelled_files import Sentences, read_sentences

if TYPE_CHECKING:
    from models.network.encoder import MaskedLanguageModel
    from models.network.heads import TokenClassifier
    from models.text.reader import Reader
    from models.training.examples import LabelledRows
    from models.training.finetuner import Trained

_MOST_TAGS = 500


@stage
def tag(
    pretrained: Path, *, config: Tagging, seed: int, content: str, out: Path, log: Log
) -> Outcome:
    """Train a tagger and judge it by its test file, or its validation file without one.

    Args:
        pretrained: The encoder bundle, under `model/`.
        config: Files, epochs, batch, learning rate and budget; it names a training file.
        seed: Seed of the head, the dropout, the order of the rows and the resamples.
        content: Digest of the files, so that changed ones are read again.
        out: Gets `model/`, `report.json`, `report.txt`, `training.json` and `curve.jsonl`.
        log: Progress and curve.

    Raises:
        UserError: A file cannot be read, or there is nothing to tell apart.
    """
    files = {
        name: read(location, entities_in=config.entities)
        for name in ("train", "validation", "test")
        if (location := getattr(config, name))
    }
    labels = tag_names(files["train"])
    tokenizer = pretrained / "model" / "tokenizer.json"
    tagger = Tagger(load_pretrained(pretrained / "model"), tokenizer, labels, config, seed)
    curve = Curve(log)
    trained = tagger.train(files["train"], files.get("validation"), curve)
    save_head(out / "model", tagger.head, tokenizer, labels, config.max_tokens)
    curve.write(out / CURVE)
    numbers = trained_numbers(trained)
    about = {"tags": labels, "sentences": {name: len(file.words) for name, file in files.items()}}
    (out / "training.json").write_bytes(class_report.as_json({**numbers, **about}))
    told = f"{len(labels)} tags, {trained.steps:,} steps"
    judged_on = next((name for name in ("test", "validation") if name in files), None)
    if judged_on is None:
        summary, kept = f"{told}, no file to judge by", ("training.json", CURVE)
        return Outcome(summary=summary, metrics=numbers, artifacts=kept)
    found = judge(files[judged_on].tags, tagger.tags(files[judged_on].words), config, seed)
    (out / "report.json").write_bytes(class_report.as_json({**found, "judged_on": judged_on}))
    (out / "report.txt").write_text(report_text(found))
    return Outcome(
        summary=f"{told}, {_told(found)} on {judged_on}",
        metrics=numbers | _metrics(found),
        artifacts=("report.json", "report.txt", "training.json", CURVE),
    )


class Tagger:
    """A token classifier with its tokenizer: sentences of words to their tags.

    Args:
        masked: What it starts from; only its shape counts if the section says `from_scratch`.
        tokenizer: Path of `tokenizer.json`.
        labels: The tags; words that are cut off are given the first.
        config: How it is trained.
        seed: Seed of the head, the dropout and the order of the rows.
    """

    def __init__(
        self,
        masked: MaskedLanguageModel,
        tokenizer: Path,
        labels: list[str],
        config: Tagging,
        seed: int,
    ) -> None:
        from models import devices
        from models.network.heads import build_tagger, start_from
        from models.text.reader import Reader

        policy = devices.dtype_policy("auto", masked.config.width)
        self.labels = labels
        self.head: TokenClassifier = build_tagger(
            masked.config, len(labels), seed=seed, precision=policy
        )
        if not config.from_scratch:
            start_from(self.head, masked)
        self._reader: Reader = Reader.load(tokenizer, config.max_tokens)
        self._config = config
        self._seed = seed

    def train(self, training: Sentences, validation: Sentences | None, curve: Curve) -> Trained:
        """Learn from sentences; entity F1 decides which epoch is kept, where there are entities."""
        held = validation or Sentences([], [])
        score = None
        if self._config.entities and held.words:
            of_tags = entities.overall_f1(held.tags)
            _, places = self._reader.encode_words(held.words)

            def score(classes: Sequence[Any]) -> float:
                return of_tags(self._named(classes, places))

        rows, held_rows = self.aligned(training), self.aligned(held)
        config, seed = self._config, self._seed
        return fit(self.head, rows, held_rows, config, seed=seed, curve=curve, score=score)

    def aligned(self, sentences: Sentences) -> LabelledRows:
        """Token ids, each word's tag on its first token, and nothing on the others."""
        from models.training.examples import IGNORED, LabelledRows

        index = {name: number for number, name in enumerate(self.labels)}
        rows, places = self._reader.encode_words(sentences.words)
        classes = []
        for row, first, tags in zip(rows, places, sentences.tags, strict=True):
            labels = np.full(len(row), IGNORED, np.int32)
            numbers = np.array([index.get(name, IGNORED) for name in tags], np.int32)
            labels[first[first >= 0]] = numbers[first >= 0]
            classes.append(labels)
        return LabelledRows(rows, classes, np.ones(len(rows), np.float32))

    def tags(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """The tag of each word; spans are given as IOB2."""
        from models.training.finetuner import predict

        rows, places = self._reader.encode_words(sentences)
        found = predict(self.head, rows, self._config.max_tokens)
        return self._named([scores.argmax(axis=1) for scores in found], places)

    def _named(self, classes: Sequence[Any], places: Sequence[Any]) -> list[list[str]]:
        named = [
            [self.labels[int(row[place])] if place >= 0 else self.labels[0] for place in first]
            for row, first in zip(classes, places, strict=True)
        ]
        return list(map(entities.to_iob2, named)) if self._config.entities else named


def read(location: str, *, entities_in: bool) -> Sentences:
    """The sentences of a file, spans as IOB2."""
    found = read_sentences(location, entities=entities_in)
    return Sentences(found.words, list(map(entities.to_iob2, found.tags))) if entities_in else found


def tag_names(training: Sentences) -> list[str]:
    """The tags that occur, the commonest first, as `O` is among entities.

    Raises:
        UserError: There is but one, or so many that they name words and not kinds.
    """
    counts = Counter(name for tags in training.tags for name in tags)
    if not 2 <= len(counts) <= _MOST_TAGS:
        few = ", ".join(map(repr, sorted(counts)[:3]))
        raise UserError(
            f"the training file has {len(counts):,} different tags: {few}",
            f"Give words with 2 to {_MOST_TAGS} different tags, or set tag.entities=false.",
        )
    first = entities.OUTSIDE if entities.OUTSIDE in counts else counts.most_common(1)[0][0]
    return [first, *sorted(counts.keys() - {first})]


def judge(
    truth: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], config: Tagging, seed: int
) -> dict[str, Any]:
    """Per tag and, where tags mark spans, per type of entity; `O` is not reported as a tag."""
    from tasks.evaluation import bootstrap

    right = [name for tags in truth for name in tags]
    guessed = [name for tags in predicted for name in tags]
    outside = {entities.OUTSIDE} if config.entities else set()
    names = sorted({*right, *guessed} - outside)
    found: dict[str, Any] = {"sentences": len(truth), "words": len(right)}
    found["accuracy"] = float(np.mean([a == b for a, b in zip(right, guessed, strict=True)]))
    found["tags"] = class_report.per_class(right, guessed, names) if names else {}
    if config.entities:
        by_type = entities.counts(truth, predicted)
        table = entities.total(by_type, len(truth))
        found["entities"] = {
            **{kind: entities.scores(counts) for kind, counts in by_type.items()},
            "all": entities.scores(table),
        }
        found["entity_f1"] = bootstrap.interval(
            table, resamples=config.bootstrap, seed=seed, statistic=entities.f1
        )
    return found


def report_text(found: dict[str, Any]) -> str:
    """The report for people."""
    text = class_report.table(found["tags"]) if found["tags"] else "no tags\n"
    if "entities" in found:
        rows = {
            kind: {**scores, "f1-score": scores["f1"]} for kind, scores in found["entities"].items()
        }
        interval = found["entity_f1"]
        text += (
            f"\nentities, found where both ends and the type are right\n{class_report.table(rows)}"
        )
        text += (
            f"\nentity F1 {interval['value']:.3f} ({interval['low']:.3f} to {interval['high']:.3f}, "
            f"95 % of resampled sentences, {found['sentences']:,} sentences)\n"
        )
    return text


def _told(found: dict[str, Any]) -> str:
    if "entities" not in found:
        return f"accuracy {found['accuracy']:.3f}"
    interval = found["entity_f1"]
    return f"entity F1 {interval['value']:.3f} ({interval['low']:.3f} to {interval['high']:.3f})"


def _metrics(found: dict[str, Any]) -> dict[str, float]:
    metrics = {"accuracy": found["accuracy"]}
    if found["tags"]:
        for average in ("micro", "macro", "weighted"):
            metrics[f"tag_f1_{average}"] = found["tags"][f"{average} avg"]["f1-score"]
    all_types = found.get("entities", {}).get("all", {})
    return metrics | {f"entity_{name}": value for name, value in all_types.items()}
