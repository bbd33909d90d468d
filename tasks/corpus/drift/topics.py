"""The vocabulary and the topics of a corpus, learnt once and then asked of another night's rows.

Words are what `wordgrams.split_words` calls so: Han and kana characters one by one, runs of letters
elsewhere, so nothing here asks for spaces. The vocabulary is the words that most rows have. A
topic is a centre of spherical k-means (Dhillon and Modha 2001, doi:10.1023/A:1007612920971) over
tf-idf of those words that not every other row has; a row's topic is the centre that it is most
like. Both turn vocabulary drift into columns with one value a row, whose rows are as independent
as the texts are; counts of words are not, since words come in bursts, and a test on them sees
drift everywhere.

Learning favours the rows that were learnt from. So they are half of the rows, told apart by a
digest of their ids, and that half is asked neither then nor on another night (`is_learnt_from`):
what is compared was never learnt from.

Not covered: the order of words, and topics that only rows without any word of the vocabulary have.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from tasks.corpus.signals.wordgrams import Words

WORDS, CENTRES = "vocabulary.parquet", "topics.parquet"
NO_TOPIC = "(none)"
_COMMON = 0.5  # words that more of the rows have say nothing of a topic
_ROWS_A_WORD = 3  # rows that a word needs
_ROWS_A_TOPIC = 50
_ROUNDS = 20
_NAMED = 3
_DIGITS = 4


@dataclass(frozen=True)
class Language:
    """What was learnt.

    Attributes:
        words: The vocabulary, the most widespread word first.
        rows: How many of the rows learnt from have each word, (words,).
        learnt_from: Rows learnt from.
        weights: Weight of each word in a topic, 0 for those that say nothing, (words,).
        centres: Unit vectors, (topics, words).
        names: The topics' names.
    """

    words: pl.Series
    rows: NDArray[np.int64]
    learnt_from: int
    weights: NDArray[np.float64]
    centres: NDArray[np.float64]
    names: tuple[str, ...]

    def describe(self, words: Words) -> pl.DataFrame:
        """Each text's `familiar_share` (of its words, those in the vocabulary) and `topic`.

        Null where a text has no words, and for every topic where there are no topics.
        """
        counts = self._counts(words)
        total = words.counts.astype(np.float64)
        familiar = np.asarray(counts.sum(axis=1)).ravel()
        share = np.divide(familiar, total, out=np.full(len(total), np.nan), where=total > 0)
        topics = pl.Series("topic", self._topics(counts), dtype=pl.String)
        return pl.DataFrame({"familiar_share": pl.Series(share).fill_nan(None)}).with_columns(
            topics
        )

    def document_rows(self, words: Words) -> NDArray[np.int64]:
        """How many of the texts have each word of the vocabulary."""
        return np.asarray((self._counts(words) > 0).sum(axis=0)).ravel().astype(np.int64)

    def save(self, folder: Path) -> None:
        """Write `vocabulary.parquet` and `topics.parquet`."""
        table = pl.DataFrame({"word": self.words, "rows": self.rows, "weight": self.weights})
        table.write_parquet(folder / WORDS)
        columns = dict(zip(self.names, self.centres, strict=True))
        pl.DataFrame(columns or {"(none)": []}).write_parquet(folder / CENTRES)

    @classmethod
    def load(cls, folder: Path, learnt_from: int) -> Language:
        """Read what `save` wrote."""
        table = pl.read_parquet(folder / WORDS)
        centres = pl.read_parquet(folder / CENTRES)
        names = tuple(centres.columns) if centres.height else ()
        vectors = centres.to_numpy().T if names else np.zeros((0, table.height))
        return cls(
            table["word"], table["rows"].to_numpy(), learnt_from,
            table["weight"].to_numpy(), np.asarray(vectors, np.float64), names,
        )  # fmt: skip

    def _counts(self, words: Words) -> Any:
        """Occurrences of the vocabulary's words in each text, (texts, words), sparse."""
        known = pl.DataFrame({"word": self.words, "place": np.arange(len(self.words))})
        found = words.vocabulary.alias("word").to_frame().join(
            known, on="word", how="left", maintain_order="left"
        )["place"].fill_null(-1).to_numpy()  # fmt: skip
        places = found[words.ids] if len(words.ids) else np.zeros(0, np.int64)
        texts = np.repeat(np.arange(len(words.counts)), words.counts)
        held = places >= 0
        ones = np.ones(int(held.sum()))
        shape = (len(words.counts), len(self.words))
        return sparse.csr_matrix((ones, (texts[held], places[held])), shape=shape)

    def _topics(self, counts: Any) -> list[str | None]:
        if not self.names:
            return [None] * counts.shape[0]
        vectors = _vectors(counts, self.weights)
        chosen = np.asarray(vectors @ self.centres.T).round(_DIGITS).argmax(axis=1)
        empty = np.diff(vectors.indptr) == 0
        return [NO_TOPIC if e else self.names[c] for c, e in zip(chosen, empty, strict=True)]


def is_learnt_from(row_ids: pl.Series) -> NDArray[np.bool_]:
    """Which rows are learnt from, and so never asked: about half, copies of a text together."""
    return np.array([_digest(row_id) & 1 == 1 for row_id in row_ids.to_list()], dtype=bool)


def learn(words: Words, *, most_words: int, topics: int, seed: int) -> Language:
    """Learn a vocabulary and topics from texts.

    Args:
        words: Their words.
        most_words: Size of the vocabulary.
        topics: Most topics; fewer where each would have fewer than 50 rows, none below two.
        seed: Of the first centres.
    """
    texts = len(words.counts)
    pairs = pl.DataFrame(
        {"text": np.repeat(np.arange(texts), words.counts), "word": words.ids}
    ).unique()
    table = pairs.group_by("word").len("rows")
    named = words.vocabulary.gather(table["word"])
    table = (
        table.with_columns(named.alias("name"))
        .sort(["rows", "name"], descending=[True, False])
        .head(most_words)
    )
    rows = table["rows"].to_numpy().astype(np.int64)
    telling = (rows <= _COMMON * texts) & (rows >= _ROWS_A_WORD)
    weights = np.where(telling, np.log((texts + 1) / (rows + 1)), 0.0).round(_DIGITS)
    plain = Language(
        table["name"].alias("word"), rows, texts, weights, np.zeros((0, len(rows))), ()
    )
    wanted = min(topics, texts // _ROWS_A_TOPIC)
    if wanted < 2 or not telling.any():
        return plain
    vectors = _vectors(plain._counts(words), weights)
    centres = _spherical(vectors[np.diff(vectors.indptr) > 0], wanted, seed)
    names = _names(centres, table["name"])
    return Language(plain.words, rows, texts, weights, centres, names)


def _vectors(counts: Any, weights: NDArray[np.float64]) -> Any:
    """Unit vectors of (1 + log count) times weight; a text without a telling word stays empty."""
    vectors = counts.copy()
    vectors.data = 1 + np.log(vectors.data)
    vectors = sparse.csr_matrix(vectors @ sparse.diags(weights))
    vectors.eliminate_zeros()
    norms = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
    scale = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
    return sparse.csr_matrix(sparse.diags(scale) @ vectors)


def _spherical(vectors: Any, topics: int, seed: int) -> NDArray[np.float64]:
    """Centres of spherical k-means, begun far apart (k-means++), (topics, words)."""
    rng = np.random.default_rng(seed)
    topics = min(topics, vectors.shape[0])
    centres = np.zeros((topics, vectors.shape[1]))
    nearest = np.zeros(vectors.shape[0])
    for number in range(topics):
        distances = np.maximum(1 - nearest, 0.0) ** 2 + 1e-12
        first = rng.choice(len(distances), p=distances / distances.sum())
        centres[number] = vectors[first].toarray().ravel()
        nearest = np.maximum(nearest, vectors @ centres[number])
    chosen = np.full(vectors.shape[0], -1)
    for _ in range(_ROUNDS):
        moved = np.asarray(vectors @ centres.T).round(_DIGITS).argmax(axis=1)
        if (moved == chosen).all():
            break
        chosen = moved
        members = sparse.csr_matrix(
            (np.ones(len(chosen)), (chosen, np.arange(len(chosen)))), shape=(topics, len(chosen))
        )
        sums = np.asarray((members @ vectors).todense())
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(norms > 0, sums / np.maximum(norms, 1e-12), centres)
    return np.asarray(centres.round(_DIGITS))


def _names(centres: NDArray[np.float64], words: pl.Series) -> tuple[str, ...]:
    """A number and the heaviest words of each topic."""
    return tuple(
        f"{number:02} " + " ".join(words.gather(np.argsort(-centre, kind="stable")[:_NAMED]))
        for number, centre in enumerate(centres, start=1)
    )


def _digest(row_id: str) -> int:
    stem = row_id.rsplit("-", 1)[0] if "-" in row_id else row_id
    return hashlib.blake2b(stem.encode(), digest_size=1).digest()[0]
