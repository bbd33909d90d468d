"""The model bundle: one folder that holds everything needed to ask the model anything.

    encoder/      encoder and masked-language-model head, as pretrained
    classifier/   the fine-tuned encoder and the classification head; absent without labels

Each is a folder in Hugging Face's format (see `models.network.hugging_face`), so any tool that
reads ModernBERT reads it. Classes and the most tokens of a text are where that format has them.

The encoder is there twice because fine-tuning moves it away from its masked-language-model head:
facts and held-out loss are asked of the pretrained weights, classes of the fine-tuned ones. Each
alone would make the other's figures meaningless; the weights are small beside the corpus.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import devices, inference
from models.network import hugging_face
from models.network.configuration import EncoderConfig
from models.network.encoder import MaskedLanguageModel
from models.network.heads import Classifier
from models.text.batching import batches, pad
from models.text.reader import MASK, Reader

ENCODER, CLASSIFIER = "encoder", "classifier"
_FEWEST_POSITIONS, _MOST_POSITIONS = 256, 4096  # of a batch
Chosen = tuple[NDArray[np.int64], int]  # row numbers, and the length to pad them to


class TextModel:
    """A loaded bundle: classes of texts, likelihoods of answers, loss on held-out text."""

    def __init__(
        self,
        masked: MaskedLanguageModel,
        classifier: Classifier | None,
        reader: Reader,
        classes: Sequence[str],
    ) -> None:
        self.classes = list(classes)
        self.reader = reader
        self._classify = inference.classifying(classifier) if classifier is not None else None
        self._log_probabilities = inference.log_probabilities(masked)
        self._losses = inference.losses(masked)

    @classmethod
    def load(cls, folder: Path) -> TextModel:
        """Read a bundle.

        Args:
            folder: Directly holds the folders named in the module's docstring.

        Raises:
            ValueError: A file is missing or does not fit the others.
        """
        devices.prepare()
        config, max_tokens = read_config(folder)
        reader = Reader.load(folder / ENCODER / "tokenizer.json", max_tokens)
        if reader.vocabulary > config.vocabulary:
            raise ValueError(
                f"the tokenizer in {folder / ENCODER} has {reader.vocabulary} tokens, "
                f"the model {config.vocabulary}"
            )
        masked = hugging_face.load_masked(folder / ENCODER)
        classifier: Classifier | None = None
        classes: tuple[str, ...] = ()
        if (folder / CLASSIFIER).exists():
            classifier = hugging_face.load_classifier(folder / CLASSIFIER)
            classes = hugging_face.describe(folder / CLASSIFIER).labels
        return cls(masked, classifier, reader, classes)

    @property
    def has_head(self) -> bool:
        """Whether the model was fine-tuned on labels and can classify."""
        return self._classify is not None

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probability of each class, `(N, C)`, rows summing to 1; defined for every string.

        Raises:
            ValueError: The model has no classification head.
        """
        if self._classify is None:
            raise ValueError("this model has no classes: it was trained on text without labels")
        rows, compiled = self.reader.encode(texts), self._classify
        scores = np.zeros((len(rows), len(self.classes)), np.float64)

        def classify(batch: Chosen) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
            chosen, length = batch
            return chosen, compiled(*pad([rows[i] for i in chosen], length)).numpy()

        for chosen, found in devices.side_by_side(classify, self._batches(rows)):
            scores[chosen] = found
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))

    def score_candidates(
        self, statements: Sequence[str], candidates: Sequence[Sequence[str]]
    ) -> list[NDArray[np.float64]]:
        """How the model shares its belief among each statement's possible answers.

        An answer of k subwords takes the place of `[MASK]` as k mask tokens; its score is the sum
        of its subwords' log-probabilities there, all read in one pass, each not knowing the
        others. The scores of a statement's candidates are brought to sum 1 by a softmax.

        Args:
            statements: Each with exactly one `[MASK]`.
            candidates: The possible answers of each statement, at least one.

        Returns:
            One array per statement, in the order of its candidates.

        Raises:
            ValueError: A statement has no `[MASK]`, or several.
        """
        # A space before the mask is the answer's first character where tokenizers keep spaces.
        candidates = [
            [f" {c}" if statement.partition(MASK)[0][-1:].isspace() else c for c in choice]
            for statement, choice in zip(statements, candidates, strict=True)
        ]
        answers = sorted({c for choice in candidates for c in choice})
        pieces = {
            a: ids or [self.reader.unknown]
            for a, ids in zip(answers, self.reader.pieces(answers), strict=True)
        }
        frames = [self.reader.around_mask(statement) for statement in statements]
        jobs = [
            (number, size)
            for number, choice in enumerate(candidates)
            for size in sorted({len(pieces[c]) for c in choice})
        ]
        found = self._mask_log_probabilities([(*frames[number], size) for number, size in jobs])
        scores = [np.zeros(len(choice)) for choice in candidates]
        for job, there in found:
            number, size = jobs[job]
            choice = candidates[number]
            fitting = [j for j, c in enumerate(choice) if len(pieces[c]) == size]
            ids = np.array([pieces[choice[j]] for j in fitting])  # (c, size)
            scores[number][fitting] = there[np.arange(size), ids].sum(axis=1, dtype=np.float64)
        return [_softmax(score) for score in scores]

    def masked_loss(
        self, rows: Sequence[Sequence[int]], hidden: Sequence[NDArray[np.bool_]]
    ) -> NDArray[np.float64]:
        """Loss on tokens that are hidden from the model and have to be guessed.

        Args:
            rows: Token ids, one document or part of one per row, at most `max_tokens` each.
            hidden: Which tokens of each row are replaced by `[MASK]`.

        Returns:
            `(N, 3)`: sum of the negative log-likelihoods (nats), number of hidden tokens, and
            number guessed right.
        """
        found = np.zeros((len(rows), 3))

        def ask(batch: Chosen) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
            chosen, length = batch
            return chosen, self._hidden_sums(
                [rows[i] for i in chosen], [hidden[i] for i in chosen], length
            )

        for chosen, sums in devices.side_by_side(ask, self._batches(rows)):
            found[chosen] = sums
        return found

    def _hidden_sums(
        self, rows: Sequence[Sequence[int]], hidden: Sequence[NDArray[np.bool_]], length: int
    ) -> NDArray[np.float64]:
        """As `masked_loss`, of one batch padded to a length."""
        tokens, segments, positions = pad(rows, length)
        covered = np.zeros(tokens.shape, bool)
        for place, flags in enumerate(hidden):
            covered[place, : len(flags)] = flags
        which = np.argwhere(covered).astype(np.int32)
        if not len(which):
            return np.zeros((len(rows), 3))
        truth = tokens[covered]
        tokens = np.where(covered, np.int32(self.reader.mask), tokens)
        loss, right = self._losses(tokens, segments, positions, which, truth)
        columns = (loss.numpy(), np.ones(len(which)), right.numpy())
        sums = [np.bincount(which[:, 0], weights=v, minlength=len(rows)) for v in columns]
        return np.stack(sums, axis=1)

    def _batches(self, rows: Sequence[Sequence[int]]) -> Iterator[Chosen]:
        """Batches of like length, at least as many as there are lanes to compute them in."""
        lengths = [len(row) for row in rows]
        most = max(_FEWEST_POSITIONS, min(_MOST_POSITIONS, sum(lengths) // devices.lanes()))
        return batches(lengths, self.reader.max_tokens, most)

    def _mask_log_probabilities(
        self, jobs: Sequence[tuple[list[int], list[int], int]]
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """For jobs (ids before, ids after, k): the job's number and its `(k, V)` at the k masks."""
        rows, starts = [], []
        for before, after, size in jobs:
            row, start = self.reader.with_masks(before, after, size)
            rows.append(row)
            starts.append(start)

        def ask(batch: Chosen) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
            chosen, length = batch
            which = [
                (place, starts[i] + k) for place, i in enumerate(chosen) for k in range(jobs[i][2])
            ]
            packed = pad([rows[i] for i in chosen], length)
            return chosen, self._log_probabilities(*packed, np.array(which, np.int32)).numpy()

        for chosen, found in devices.side_by_side(ask, self._batches(rows)):
            end = 0
            for i in chosen:
                end += jobs[i][2]
                yield int(i), found[end - jobs[i][2] : end]


def read_config(folder: Path) -> tuple[EncoderConfig, int]:
    """The encoder's shape and the most tokens read of a text."""
    described = hugging_face.describe(folder / ENCODER)
    return described.config, described.max_tokens


def save_bundle(
    folder: Path,
    masked: MaskedLanguageModel,
    classifier: Classifier | None,
    tokenizer: Path,
    classes: Sequence[str],
    max_tokens: int,
) -> None:
    """Write a bundle; the same arguments give the same bytes.

    Args:
        folder: Where to; existing.
        masked: Encoder with its masked-language-model head.
        classifier: Fine-tuned encoder with the classification head, if there are classes.
        tokenizer: The tokenizer's file, copied as it is.
        classes: Names of the classes in the order of the head's outputs.
        max_tokens: Longer texts are cut.

    Raises:
        ValueError: The classes do not fit the head, or the tokenizer the model.
    """
    hugging_face.save(masked, tokenizer, folder / ENCODER, max_tokens=max_tokens)
    if classifier is not None:
        hugging_face.save(
            classifier, tokenizer, folder / CLASSIFIER, max_tokens=max_tokens, labels=classes
        )


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    shares = np.exp(scores - scores.max())
    return np.asarray(shares / shares.sum())
