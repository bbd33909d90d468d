import numpy as np

from models.network.encoder import EncoderConfig, build
from models.text.masking import Alphabet
from models.text.rows import Rows
from models.training.judging import Judge, hide
from models.training.schedule import Plan
from models.training.trainer import Trainer

ALPHABET = Alphabet.plain(30)


def rows(count=70, length=32):
    tokens = np.random.default_rng(0).integers(5, 30, (count, length)).astype(np.int32)
    tokens[:, 0], tokens[:, -1] = 2, 3
    return Rows(tokens, np.ones_like(tokens))


def test_fifteen_per_cent_of_each_row_are_asked_for_and_the_answers_are_kept():
    asked = rows()
    hidden = hide(asked, ALPHABET, seed=3)
    assert np.bincount(hidden.which[:, 0]).tolist() == [4] * 70  # 0.15 * 30, rounded to even
    np.testing.assert_array_equal(asked.tokens[tuple(hidden.which.T)], hidden.targets)
    changed = asked.tokens != hidden.rows.tokens
    assert set(map(tuple, np.argwhere(changed))) <= set(map(tuple, hidden.which))


def test_a_model_is_asked_the_same_whatever_its_plan_and_its_batch():
    asked, model = rows(), build(EncoderConfig(vocabulary=30, layers=1, width=16, heads=2), seed=1)
    told = []
    for count, rate in ((4, 0.3), (16, 0.5)):
        plan = Plan(
            presentations=16, rows=count, learning_rate=1e-3, warmup=0.1, decay=0.3,
            weight_decay=0.0, mask_rate=rate, adversarial_share=0.0, adversarial_epsilon=0.1, seed=3,
        )  # fmt: skip
        told.append(Trainer(model, plan, 32).held_out_loss(asked))
    losses, right = Judge(model, hide(asked, ALPHABET, seed=3), 8)()
    np.testing.assert_allclose(told, losses.mean(), rtol=1e-5)
    assert len(losses) == len(right) == 280
    assert right.mean() < 0.5


def test_a_judge_sees_what_has_become_of_the_model_since():
    asked, model = rows(8), build(EncoderConfig(vocabulary=30, layers=1, width=16, heads=2), seed=1)
    judge = Judge(model, hide(asked, ALPHABET, seed=3), 8)
    before = judge()[0].mean()
    model.decoder_bias.assign(np.where(np.arange(30) == 7, 20.0, 0.0))
    assert judge()[0].mean() > before + 1
