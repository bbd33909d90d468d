"""What pretraining buys on named entities: WNUT-17 and Wikigold, pretrained and from scratch.

Pretrains on the novels and the wiki text of PLUMBLINE_DATA, or takes a folder that the stage
`pretrain` wrote; then trains a tagger on each data set from those weights and from random ones,
with the same tokens, batches and order, several seeds. Entity F1 is that of the CoNLL tasks; the
gain is the mean over the seeds, its interval that of resampled test sentences, drawn in pairs.

Each start is given its own learning rate, the best on validation F1 of those in `--rates`, and
keeps its own best epoch; else the gain would only say that one's settings do not suit the other.

    python benchmarks/ner.py [--pretrained FOLDER] [--tokens 20000000] [--seeds 3] [--rows 0]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.configuration import Pretraining, Tagging, Tokenization
from tasks.evaluation import bootstrap
from tasks.log import Log
from tasks.training import entities
from tasks.training.heads import Curve, load_pretrained
from tasks.training.labelled_files import Sentences
from tasks.training.tagging import Tagger, judge, read, report_text, tag_names

Splits = dict[str, Sentences]
RESAMPLES = 2000


class Shown(Log):
    """Progress on the terminal, now and then."""

    def __init__(self) -> None:
        self._told = 0.0

    def progress(self, done: float, total: float, note: str = "") -> None:
        """See `Log.progress`."""
        if done >= self._told + total / 20 or done < self._told:
            self._told = done
            print(f"  {done:,.0f} of {total:,.0f} {note}", file=sys.stderr)


def documents(data: Path) -> list[str]:
    """The texts that are pretrained on: paragraphs of novels, and lines of Wikipedia."""
    texts: list[str] = []
    for name in ("wikitext2_valid", "bold_wiki"):
        texts += pl.read_parquet(data / "pretrain_wiki" / f"{name}.parquet")["text"].to_list()
    for novel in pl.read_parquet(data / "pretrain_books" / "novels.parquet")["text"]:
        texts += novel.split("\n\n")
    return [text.strip() for text in texts if len(text.strip()) > 20]


def pretrained(data: Path, folder: Path, arguments: argparse.Namespace) -> Path:
    """Pretrain with the project's own stages."""
    from tasks.training.pack import pack
    from tasks.training.pretrain import pretrain
    from tasks.training.tokenize import tokenize

    texts = documents(data)
    order = np.random.default_rng(0).permutation(len(texts))
    frame = pl.DataFrame({
        "row_id": [str(i) for i in order],
        "text": [texts[i] for i in order],
        "split": ["validation" if i % 100 == 0 else "train" for i in range(len(texts))],
    })  # fmt: skip
    frame.write_parquet(folder / "corpus.parquet")
    for name in ("tokenized", "packed", "pretrained", "scratch"):
        (folder / name).mkdir()
    words = Tokenization(vocabulary=arguments.vocabulary, sequence_length=128)
    config = Pretraining(
        layers=arguments.layers, width=arguments.width, tokens=arguments.tokens,
        batch_tokens=4096, learning_rate=arguments.pretraining_rate, adversarial="none",
    )  # fmt: skip
    tokenize.fn(folder, config=words, out=folder / "tokenized", log=Log())
    pack.fn(folder / "tokenized", config=words, out=folder / "packed", log=Log())
    done = pretrain.fn(
        folder / "packed", folder / "tokenized", config=config, seed=0,
        out=folder / "pretrained", scratch=folder / "scratch", log=Shown(),
    )  # fmt: skip
    print(f"pretrained on {len(texts):,} documents: {done.summary}")
    return folder / "pretrained"


def datasets(data: Path, most: int) -> dict[str, Splits]:
    """Both data sets as train, validation and test; `most` rows of each, 0 for all."""
    folder = data / "ner"
    wnut = {
        name: read(str(folder / f"wnut17_{file}.parquet"), entities_in=True)
        for name, file in (("train", "train"), ("validation", "dev"), ("test", "test"))
    }
    gold = read(str(folder / "wikigold.parquet"), entities_in=True)
    order = np.random.default_rng(0).permutation(len(gold.words))
    tenth = len(order) // 10
    parts = {
        "test": order[:tenth], "validation": order[tenth : 2 * tenth], "train": order[2 * tenth :],
    }  # fmt: skip
    split = {
        name: Sentences([gold.words[i] for i in rows], [gold.tags[i] for i in rows])
        for name, rows in parts.items()
    }
    found = {"wnut17": wnut, "wikigold": split}
    if most:
        found = {
            name: {k: Sentences(s.words[:most], s.tags[:most]) for k, s in splits.items()}
            for name, splits in found.items()
        }
    return found


def trained(folder: Path, splits: Splits, config: Tagging, seed: int) -> tuple[Tagger, float]:
    """A tagger and its validation F1."""
    labels = tag_names(splits["train"])
    masked = load_pretrained(folder / "model")
    tagger = Tagger(masked, folder / "model" / "tokenizer.json", labels, config, seed)
    done = tagger.train(splits["train"], splits["validation"], Curve(Log()))
    return tagger, done.score


def chosen(folder: Path, splits: Splits, starts: list[Tagging]) -> Tagging:
    """The settings with the best validation F1 at seed 0."""
    scores = [trained(folder, splits, config, seed=0)[1] for config in starts]
    for config, score in zip(starts, scores, strict=True):
        kind = "from scratch" if config.from_scratch else "pretrained"
        said = f"rate {config.learning_rate:g}, layer decay {config.layer_decay:g}"
        print(f"  {kind}, {said}: validation F1 {score:.3f}", file=sys.stderr)
    return starts[int(np.argmax(scores))]


def compared(folder: Path, splits: Splits, arguments: argparse.Namespace) -> dict[str, Any]:
    """Both starts on one data set: reports, F1 and the gain with its interval."""
    base = Tagging(epochs=arguments.epochs, batch=16, max_tokens=128, tokens=10**9)
    rates = [float(rate) for rate in arguments.rates.split(",")]
    found: dict[str, Any] = {}
    tables: dict[str, list[NDArray[np.int64]]] = {}
    test = splits["test"]
    for name, scratch in (("pretrained", False), ("scratch", True)):
        decays = (1.0,) if scratch else (1.0, 0.8)
        options = [
            base.model_copy(update={"learning_rate": r, "layer_decay": d, "from_scratch": scratch})
            for r in rates
            for d in decays
        ]
        config = chosen(folder, splits, options)
        tables[name] = []
        for seed in range(1, arguments.seeds + 1):
            tagger, _ = trained(folder, splits, config, seed)
            guessed = tagger.tags(test.words)
            by_type = entities.counts(test.tags, guessed)
            tables[name].append(entities.total(by_type, len(test.words)))
            if seed == 1:
                report = judge(test.tags, guessed, base, seed)
                print(f"\n{name}, rate {config.learning_rate:g}, seed 1\n{report_text(report)}")
        found[name] = [entities.scores(table)["f1"] for table in tables[name]]
    return found | gain(tables["pretrained"], tables["scratch"])


def gain(a: list[NDArray[np.int64]], b: list[NDArray[np.int64]]) -> dict[str, Any]:
    """Difference of the mean F1 over the seeds, resampling the sentences of all seeds together."""
    difference = bootstrap.paired_difference(
        np.concatenate(a, axis=1), np.concatenate(b, axis=1),
        resamples=RESAMPLES, seed=0, statistic=mean_f1,
    )  # fmt: skip
    return {"gain": {name: round(value, 4) for name, value in difference.items()}}


def mean_f1(rows: NDArray[Any]) -> NDArray[Any]:
    """Counts (resamples, sentences, 3 * seeds) to the mean of the seeds' F1, (resamples,)."""
    seeds = np.split(rows, rows.shape[-1] // 3, axis=-1)
    return np.asarray(np.mean([entities.f1(part) for part in seeds], axis=0))


def main() -> None:
    """Pretrain, compare on both sets, print the tables; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pretrained", type=Path, help="folder that holds `model/`")
    parser.add_argument("--tokens", type=int, default=20_000_000, help="pretraining budget")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--vocabulary", type=int, default=8000)
    parser.add_argument("--pretraining-rate", type=float, default=2e-3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument(
        "--rates", default="5e-4,1e-3,2e-3", help="learning rates tried, both starts"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=0, help="sentences of each split, 0 for all")
    arguments = parser.parse_args()
    data = Path(os.environ["PLUMBLINE_DATA"])
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.pretrained or pretrained(data, Path(scratch), arguments)
        figures = {}
        for name, splits in datasets(data, arguments.rows).items():
            print(f"\n== {name}: {', '.join(f'{len(s.words):,} {k}' for k, s in splits.items())}")
            figures[name] = compared(folder, splits, arguments)
    print(f"\n{'entity F1, mean of the seeds':<30}{'pretrained':>11}{'scratch':>9}{'gain':>8}")
    for name, found in figures.items():
        means = [float(np.mean(found[kind])) for kind in ("pretrained", "scratch")]
        low, high = found["gain"]["low"], found["gain"]["high"]
        print(
            f"{name:<30}{means[0]:>11.3f}{means[1]:>9.3f}{found['gain']['value']:>+8.3f}"
            f"  ({low:+.3f} to {high:+.3f})"
        )
    print(json.dumps({"ner": figures, "seeds": arguments.seeds}))


if __name__ == "__main__":
    main()
