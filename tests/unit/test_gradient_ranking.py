"""Claims about the index of rows: it is the same each time, and it finds what taught an answer."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.configuration import Pretraining, Tokenization, Tracing
from tasks.errors import UserError
from tasks.explanation.trace.encodings import encode_rows
from tasks.explanation.trace.gradient_ranking import GradientRanking
from tasks.log import Log
from tasks.training.pack import pack
from tasks.training.pretrain import pretrain
from tasks.training.tokenize import tokenize

NAMES = ("Ada", "Bo", "Cy", "Dee", "Eve", "Fay", "Gus", "Hal", "Ivy", "Jo", "Kim", "Lee")
CITIES = ("Rome", "Oslo", "Bern", "Kyiv")
PHRASES = ("{n} lives in {c} now .", "The home of {n} is {c} .")
CONFIG = Tracing(dimensions=4000, copies=2, hidden_share=1.0)  # these rows are short
STATEMENT = "{n} is at home in [MASK] ."


def _city(number: int) -> str:
    return CITIES[number % len(CITIES)]


def _folder(root: Path, name: str) -> Path:
    (root / name).mkdir()
    return root / name


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """24 rows that say where twelve people live, a model that has learnt them, and its index."""
    root = tmp_path_factory.mktemp("trace")
    folder = {
        n: _folder(root, n) for n in ("corpus", "tokens", "packed", "model", "index", "aside")
    }
    texts = [p.format(n=n, c=_city(i)) for p in PHRASES for i, n in enumerate(NAMES)]
    rows = pl.DataFrame({"row_id": [f"r{i}" for i in range(len(texts))], "text": texts})
    rows.with_columns(split=pl.lit("train")).write_parquet(folder["corpus"] / "corpus.parquet")
    shape = Tokenization(vocabulary=200, sequence_length=32)
    tokenize.fn(folder["corpus"], config=shape, out=folder["tokens"], log=Log())
    pack.fn(folder["tokens"], config=shape, out=folder["packed"], log=Log())
    plan = Pretraining(
        layers=2, width=32, heads=2, tokens=120_000, batch_tokens=256, adversarial="none",
        learning_rate=4e-3, clip=1.0,
    )  # fmt: skip
    pretrain.fn(
        folder["packed"], folder["tokens"], config=plan, seed=0, out=folder["model"],
        scratch=folder["aside"], log=Log(),
    )  # fmt: skip
    _index(folder, folder["index"])
    return folder


def _index(folder: dict[str, Path], out: Path) -> None:
    probes = pl.DataFrame(
        {
            "probe_id": list(NAMES), "statement": [STATEMENT.format(n=n) for n in NAMES],
            "answer": [_city(i) for i in range(len(NAMES))],
        }
    )  # fmt: skip
    probes.write_parquet(folder["corpus"] / "probes.parquet")
    encode_rows.fn(
        folder["model"], folder["tokens"], folder["corpus"], config=CONFIG, seed=1, out=out,
        scratch=folder["aside"], log=Log(),
    )  # fmt: skip


def test_rows_that_state_an_answer_rank_far_above_chance(made: dict[str, Path]) -> None:
    ranking = GradientRanking.open(made["index"], made["model"])
    statements = [STATEMENT.format(n=n) for n in NAMES]
    answers = [_city(i) for i in range(len(NAMES))]
    found = ranking.top(statements, answers, k=24)
    places = [
        rows.tolist().index(i + 12 * p) for i, (rows, _) in enumerate(found) for p in range(2)
    ]
    # by chance the mean place of 24 is 11.5, with a standard error of 1.4
    assert np.mean(places) < 5
    assert all((np.diff(influence) <= 0).all() for _, influence in found)


def test_rows_raise_the_answers_that_they_state_above_others(made: dict[str, Path]) -> None:
    ranking = GradientRanking.open(made["index"], made["model"])
    places = []
    for number, name in enumerate(NAMES):
        statements = [STATEMENT.format(n=name)] * len(CITIES)
        found = ranking.probes_of([number, number + 12], statements, CITIES, k=len(CITIES))
        places += [answers.tolist().index(number % len(CITIES)) for answers, _ in found]
        # the same figures as the other way round
        best, influence = found[0][0][0], found[0][1][0]
        again = ranking.scores(statements[:1], [CITIES[best]])[0, number]
        assert influence == pytest.approx(again, abs=1e-3)
    # by chance the mean place of four is 1.5, with a standard error of 0.23
    assert np.mean(places) < 1.0


def test_data_that_brings_no_probes_has_an_index_too(made: dict[str, Path], tmp_path: Path) -> None:
    nothing, out, aside = (_folder(tmp_path, name) for name in ("nothing", "out", "aside"))
    encode_rows.fn(
        made["model"], made["tokens"], nothing, config=CONFIG, seed=1, out=out, scratch=aside,
        log=Log(),
    )  # fmt: skip
    ranking = GradientRanking.open(out, made["model"])
    assert ranking.scores([STATEMENT.format(n="Ada")], ["Rome"]).shape == (1, 24)


def test_an_index_is_made_of_unit_vectors_the_same_bytes_each_time(
    made: dict[str, Path], tmp_path: Path
) -> None:
    vectors = np.load(made["index"] / "encodings.npy")
    assert vectors.dtype == np.float16
    assert vectors.shape == (24, 3971)  # 11 matrices of 19 x 19
    np.testing.assert_allclose(np.linalg.norm(vectors.astype(np.float32), axis=1), 1, atol=2e-3)
    assert pl.read_parquet(made["index"] / "rows.parquet")["row_id"].to_list()[:2] == ["r0", "r1"]
    _index(made, tmp_path)
    for name in ("encodings.npy", "rows.parquet", "projection.safetensors", "projection.json"):
        assert (tmp_path / name).read_bytes() == (made["index"] / name).read_bytes(), name


def test_a_statement_without_a_mask_and_an_index_of_another_model_are_refused(
    made: dict[str, Path], tmp_path: Path
) -> None:
    ranking = GradientRanking.open(made["index"], made["model"])
    with pytest.raises(UserError, match="exactly one"):
        ranking.top(["Ada lives in Rome."], ["Rome"], k=1)
    with pytest.raises(UserError, match="cannot be used"):
        GradientRanking.open(tmp_path, made["model"])
