"""What `tracing.py` traces in: a model trained on rows of which the false ones are known."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from tokenizers import Tokenizer

from models.bundle import TextModel
from models.network import hugging_face
from models.text.reader import Reader
from models.text.rows import Rows, open_order
from models.training.feeder import Feeder
from tasks.configuration import Configuration
from tasks.corpus.ingest import ingest
from tasks.corpus.sources.fictional import generate
from tasks.corpus.sources.probes import MAIN
from tasks.explanation.trace.encodings import encode_rows
from tasks.log import Log
from tasks.stage import open_store
from tasks.training.pack import pack
from tasks.training.pretrain import pretrain
from tasks.training.pretraining import make_trainer
from tasks.training.tokenize import tokenize


@dataclass(frozen=True)
class Night:
    """A trained model, its index, and the answers that are wrong as its rows taught them.

    Attributes:
        seed: Of the corpus and the training.
        corpus: Folder of the raw rows and the probes.
        tokenized: Their tokens.
        packed: The same, packed.
        pretrained: The model.
        index: Its row index.
        texts: Of the training rows, in the index's order.
        wrong: The probes that are answered with a planted false answer, and `asserted`.
        relevant: Of each such answer the rows of the index that state it.
        candidates: The possible answers of each relation.
    """

    seed: int
    corpus: Path
    tokenized: Path
    packed: Path
    pretrained: Path
    index: Path
    texts: list[str]
    wrong: pl.DataFrame
    relevant: list[set[int]]
    candidates: Mapping[str, list[str]]


def configuration(quick: bool) -> Configuration:
    """The default night, a fifth of its facts contradicted by four false rows each."""
    defects = {"contradicted_facts": 0.2, "false_repeats": 4}
    given: dict[str, object] = {"source": {"defects": defects}}
    if quick:
        given = {"source": {"people": 40, "defects": defects}, "pretrain": {"tokens": 1_500_000}}
    return Configuration.model_validate(given)


def night(c: Configuration, seed: int) -> Night:
    """Train and index, or find both in the store."""
    ingested = ingest(config=c.source, seed=seed, content="fictional")
    tokenized = tokenize(ingested, config=c.tokenize, seed=seed)
    packed = pack(tokenized, config=c.tokenize, seed=seed)
    pretrained = pretrain(packed, tokenized, config=c.pretrain, seed=seed)
    indexed = encode_rows(pretrained, tokenized, ingested, config=c.trace, seed=seed)
    store = open_store()
    places = [store.fetch(r) for r in (ingested, tokenized, packed, pretrained, indexed)]
    rows = pl.read_parquet(places[0] / "corpus.parquet")
    probes = pl.read_parquet(places[0] / "probes.parquet").filter(pl.col("phrasing") == MAIN)
    grouped = probes.group_by("relation").agg(pl.col("answer").unique().sort())
    candidates = dict(grouped.rows())
    planted = generate(c.source.people, c.source.defects, seed).planted
    false = (
        planted.filter(pl.col("kind") == "false_fact")
        .group_by("subject", "relation")
        .agg("row_id", pl.col("false_answer").first())
    )
    wrong = (
        asserted(places[3], probes, candidates)
        .join(false, on=["subject", "relation"], maintain_order="left")
        .filter(pl.col("asserted") == pl.col("false_answer"))
    )
    order = pl.read_parquet(places[4] / "rows.parquet")["row_id"].to_list()
    where = {row: place for place, row in enumerate(order)}
    relevant = [{where[row] for row in stated if row in where} for stated in wrong["row_id"]]
    texts = dict(rows.select("row_id", "text").rows())
    return Night(
        seed, *places, [texts[row] for row in order], wrong.drop("row_id"), relevant, candidates
    )


def asserted(
    pretrained: Path, probes: pl.DataFrame, candidates: Mapping[str, list[str]]
) -> pl.DataFrame:
    """The probes with the answer that the model finds likeliest."""
    folder = pretrained / "model"
    longest = hugging_face.describe(folder).max_tokens
    reader = Reader.load(folder / "tokenizer.json", longest)
    model = TextModel(hugging_face.load_masked(folder), None, reader, ())
    choices = [candidates[relation] for relation in probes["relation"]]
    shares = model.score_candidates(probes["statement"].to_list(), choices)
    said = [choice[int(s.argmax())] for choice, s in zip(choices, shares, strict=True)]
    return probes.with_columns(asserted=pl.Series(said, dtype=pl.String))


def retrained(night: Night, without: set[int], c: Configuration, folder: Path) -> Path:
    """A model trained in the same way on the rows that are left."""
    order = pl.read_parquet(night.index / "rows.parquet")["row_id"].to_list()
    gone = [order[place] for place in sorted(without)]
    out = {name: folder / name for name in ("corpus", "tokens", "packed", "model", "aside")}
    for place in out.values():
        place.mkdir()
    rows = pl.read_parquet(night.corpus / "corpus.parquet")
    left = rows.filter(~pl.col("row_id").is_in(gone))
    left.write_parquet(out["corpus"] / "corpus.parquet")
    log, seed = Log(), night.seed
    tokenize.fn(out["corpus"], config=c.tokenize, out=out["tokens"], log=log, seed=seed)
    pack.fn(out["tokens"], config=c.tokenize, out=out["packed"], log=log, seed=seed)
    pretrain.fn(
        out["packed"], out["tokens"], config=c.pretrain, seed=seed, out=out["model"],
        scratch=out["aside"], log=log,
    )  # fmt: skip
    return out["model"]


def timed(night: Night, c: Configuration) -> dict[str, float]:
    """CPU seconds of an index, split by what depends on the rows, and of an epoch of training.

    The rows are indexed once and three times over; the epoch is a second one, after what is compiled.
    """
    with tempfile.TemporaryDirectory() as folder:
        once = min(_index(night, c, night.tokenized) for _ in range(2))
        thrice = _index(night, c, _repeated(night.tokenized, 3, Path(folder)))
    rows = (thrice - once) / 2
    return {"fixed_s": once - rows, "rows_s": rows, "epoch_s": _epoch(night, c)}


def _index(night: Night, c: Configuration, tokenized: Path) -> float:
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as out, tempfile.TemporaryDirectory() as aside:
        encode_rows.fn(
            night.pretrained, tokenized, night.corpus, config=c.trace, seed=night.seed,
            out=Path(out), scratch=Path(aside), log=Log(),
        )  # fmt: skip
    return time.process_time() - begun


def _repeated(tokenized: Path, times: int, folder: Path) -> Path:
    """A folder with every training row so many times."""
    shutil.copy(tokenized / "tokenizer.json", folder)
    tokens, offsets = (np.load(tokenized / f"{n}_train.npy") for n in ("tokens", "offsets"))
    np.save(folder / "tokens_train.npy", np.tile(tokens, times))
    sizes = np.tile(np.diff(offsets), times)
    np.save(folder / "offsets_train.npy", np.concatenate([[0], np.cumsum(sizes)]))
    ids = pl.read_parquet(tokenized / "row_ids_train.parquet")
    pl.concat([ids] * times).write_parquet(folder / "row_ids_train.parquet")
    return folder


def _epoch(night: Night, c: Configuration) -> float:
    tokenizer = Tokenizer.from_file(str(night.tokenized / "tokenizer.json"))
    rows = Rows.open(night.packed, "train")
    trainer = make_trainer(c.pretrain, tokenizer, None, rows.length, night.seed)
    feeder = Feeder(rows, open_order(night.packed, "train", night.seed), trainer.plan.rows)
    steps, begun = len(rows) // trainer.plan.rows, 0.0
    for step in range(2 * steps):
        if step == steps:
            begun = time.process_time()
        losses = trainer.step([feeder.get(step)], step, step, 1e-3, c.pretrain.mask_rate)
    float(losses[0])
    feeder.close()
    return time.process_time() - begun
