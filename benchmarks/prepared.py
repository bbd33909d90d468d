"""The real text of `budget.py`, the same for every contender: one vocabulary, one set of masks.

Held-out bits per character are made comparable by giving every contender the same masked tokens:
the same WordPiece vocabulary, the same held-out documents, and 15 % of their tokens, drawn once,
all shown as `[MASK]`. The figure is the pseudo-likelihood

    bits per character = sum of -log2 p(token | the rest) / characters that those tokens cover.

The documents are laid out both alone (a row each) and grouped (concatenated, as the peers train);
each contender's better layout counts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import corpora
import numpy as np
import numpy.typing as npt
import polars as pl

SPLITS = ("train", "validation", "test")
LAYOUTS = ("alone", "grouped")
NOTHING = -100  # target of a position that is not asked for
_HELD_OUT = 0.03  # of the documents
_SEED = 20_240
_LENGTH = 128
_VERSION = "1"  # of what is prepared, part of the folder's name


@dataclass(frozen=True)
class Prepared:
    """Arrays of `arrays.npz`, as `prepare` wrote them."""

    arrays: dict[str, npt.NDArray[Any]]

    @classmethod
    def open(cls, folder: Path) -> Prepared:
        """Read them."""
        with np.load(folder / "arrays.npz") as found:
            return cls(dict(found))

    @property
    def training(self) -> corpora.Documents:
        """Text to pretrain on."""
        return corpora.Documents(self.arrays["text_tokens"], self.arrays["text_offsets"])

    @property
    def characters(self) -> int:
        """Characters that the hidden held-out tokens cover."""
        return int(self.arrays["characters"])

    def held_out(self, layout: str) -> tuple[corpora.Int32, corpora.Int32]:
        """Masked rows and their targets, both (N, 128)."""
        return self.arrays[f"{layout}_rows"], self.arrays[f"{layout}_targets"]

    def labelled(self, split: str) -> tuple[corpora.Documents, corpora.Int32]:
        """Sentences of `mr_polarity` and their classes."""
        tokens, offsets = self.arrays[f"{split}_tokens"], self.arrays[f"{split}_offsets"]
        return corpora.Documents(tokens, offsets), self.arrays[f"{split}_labels"]


def choose(rates: list[float], accuracies: list[tuple[float, float]]) -> dict[str, Any]:
    """The test accuracy at the learning rate that validation prefers."""
    best = max(range(len(rates)), key=lambda i: accuracies[i][0])
    return {
        "accuracy": accuracies[best][1],
        "tuning_rate": rates[best],
        "tuned": [[rate, *both] for rate, both in zip(rates, accuracies, strict=True)],
    }


def prepare(data: Path, into: Path, *, quick: bool) -> Path:
    """Read the text, learn the vocabulary, draw the masks; what is there already is kept.

    Args:
        data: Folder with `pretrain_books`, `pretrain_wiki` and `sentiment`.
        into: Gets a folder named after the sources.
        quick: A twentieth of everything.

    Returns:
        The folder, with `arrays.npz` and `tokenizer.json`.
    """
    from tasks.training.vocabulary import learn

    sources = [
        data / "pretrain_books" / "novels.parquet",
        data / "pretrain_wiki" / "wikitext2_valid.parquet",
        data / "pretrain_wiki" / "bold_wiki.parquet",
        data / "sentiment" / "mr_polarity.parquet",
    ]
    said = _VERSION + str(quick) + "".join(f"{p.name}{p.stat().st_size}" for p in sources)
    folder = into / f"prepared-{hashlib.sha256(said.encode()).hexdigest()[:12]}"
    if (folder / "arrays.npz").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    texts = _documents(*sources[:3])
    polarity = pl.read_parquet(sources[3]).sample(fraction=1.0, shuffle=True, seed=_SEED)
    if quick:
        texts, polarity = texts[::20], polarity[::20]
    order = np.random.default_rng(_SEED).permutation(len(texts))
    held = np.zeros(len(texts), bool)
    held[order[: round(_HELD_OUT * len(texts))]] = True
    tokenizer = learn(texts.filter(~pl.Series(held)), corpora.VOCABULARY, lowercase=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    training = _encode(tokenizer, texts.filter(~pl.Series(held)).to_list())
    arrays: dict[str, Any] = {"text_tokens": training.tokens, "text_offsets": training.offsets}
    arrays |= _masked(tokenizer, texts.filter(pl.Series(held)).to_list())
    tenth = len(polarity) // 10
    parts = (polarity[2 * tenth :], polarity[:tenth], polarity[tenth : 2 * tenth])
    for split, part in zip(SPLITS, parts, strict=True):
        documents = _encode(tokenizer, part["text"].to_list())
        arrays[f"{split}_tokens"], arrays[f"{split}_offsets"] = documents
        arrays[f"{split}_labels"] = part["label"].to_numpy().astype(np.int32)
    aside = folder / "aside.npz"
    np.savez(aside, **arrays)
    aside.rename(folder / "arrays.npz")
    return folder


def _documents(novels: Path, wiki: Path, sentences: Path) -> pl.Series:
    """Paragraphs of the novels, lines and sentences of Wikipedia; no empty ones.

    A novel that has empty lines has its paragraphs between them and broken lines within; one that
    has none has a paragraph a line.
    """
    books = pl.read_parquet(novels)["text"]
    wrapped = books.str.contains("\n\n", literal=True)
    paragraphs = books.filter(wrapped).str.split("\n\n").explode().str.replace_all("\n", " ")
    lines = books.filter(~wrapped).str.split("\n").explode()
    others = [pl.read_parquet(path)["text"] for path in (wiki, sentences)]
    texts = pl.concat([part.rename("text") for part in (paragraphs, lines, *others)])
    texts = texts.str.strip_chars()
    return texts.filter(texts.str.contains(r"\w")).unique(maintain_order=True)


def _encode(tokenizer: Any, texts: list[str]) -> corpora.Documents:
    from tasks.training.vocabulary import encode

    return _flat(encode(tokenizer, texts))


def _flat(each: list[list[int]]) -> corpora.Documents:
    sizes = np.fromiter(map(len, each), np.int64, len(each))
    tokens = np.concatenate([np.asarray(ids, np.int32) for ids in each])
    return corpora.Documents(tokens, np.concatenate([[0], np.cumsum(sizes)]))


def _masked(tokenizer: Any, texts: list[str]) -> dict[str, Any]:
    """Held-out rows in both layouts, with the same tokens hidden in each.

    Documents are first cut to what a row holds, and enough of them left out at the end that the
    grouped stream ends with a full row, so that both layouts ask for the same tokens.
    """
    tokenizer.encode_special_tokens = True
    encodings = tokenizer.encode_batch(texts, add_special_tokens=False)
    kept = [e for e in encodings if e.ids]
    pieces = [
        (e.ids[i : i + _LENGTH - 2], e.offsets[i : i + _LENGTH - 2])
        for e in kept
        for i in range(0, len(e.ids), _LENGTH - 2)
    ]
    shown = _flat([ids for ids, _ in pieces])
    covered = np.array([end - begin for _, offsets in pieces for begin, end in offsets])
    rng = np.random.default_rng(_SEED)
    hidden = rng.random(len(shown.tokens)) < corpora.MASK_RATE
    hidden &= shown.tokens >= corpora.FIRST
    size = int((np.diff(shown.offsets) + 2).sum()) % _LENGTH  # of the row that would be dropped
    hidden[max(0, len(hidden) - size) :] = False
    masked = shown._replace(tokens=np.where(hidden, corpora.MASK, shown.tokens).astype(np.int32))
    wanted = shown._replace(tokens=np.where(hidden, shown.tokens, NOTHING).astype(np.int32))
    arrays: dict[str, Any] = {"characters": int(covered[hidden].sum())}
    for layout, lay in zip(LAYOUTS, (corpora.padded, corpora.grouped), strict=True):
        targets = lay(wanted, _LENGTH)
        arrays[f"{layout}_rows"] = lay(masked, _LENGTH)
        arrays[f"{layout}_targets"] = np.where(targets < corpora.FIRST, NOTHING, targets)
    return arrays
