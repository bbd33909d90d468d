"""What a training step computes: the count of its operations.

A step's floating-point operations are counted from the model's shape, as products of matrices:
(m, k) by (k, n) costs 2 m n k. The backward pass has two such products for each of the forward
one, so a step costs three times its forward pass (Kaplan et al. 2020,
https://arxiv.org/abs/2001.08361, section 2.1). Divided by time and by the peak that `speed`
measures, that is model FLOP/s utilisation (Chowdhery et al. 2022,
https://arxiv.org/abs/2204.02311, appendix B).

Not counted, all of it together a few per cent: norms, softmax, GELU, rotary positions, the
embedding's gather and scatter, masking, the optimizer. Counted, since computed: attention to
positions that the bias then rules out. So utilisation says how well the products are fed, and
never that some of them could have been left out.
"""

from __future__ import annotations

from typing import Protocol

_STEP = 3  # forward, and backward twice


class Recurrent(Protocol):
    """What the count reads of an LSTM's configuration."""

    @property
    def vocabulary(self) -> int:
        """Number of subwords."""

    @property
    def layers(self) -> int:
        """Number of blocks, or of bidirectional layers."""

    @property
    def width(self) -> int:
        """Size of a hidden state."""


class Shape(Recurrent, Protocol):
    """What the count reads of an encoder's configuration."""

    @property
    def intermediate(self) -> int:
        """Inner size of the gated feed-forward layer."""


def flops_per_step(
    config: Shape,
    rows: int,
    length: int,
    slots: int,
    perturbed_rows: int = 0,
) -> int:
    """Floating-point operations of one optimizer step's matrix products.

    With D the width, I the inner size, L the length, K the slots and V the vocabulary, a row is

        layers * (2 L (3 D D + D D + 3 I D) + 4 L L D)  +  2 K (D D + D V)

    forward, where 3 I D are the gated feed-forward layer, and 4 L L D attention's scores and its
    mixing over all heads.

    Args:
        config: The encoder's shape.
        rows: Packed rows of a step, over all devices and accumulated batches.
        length: Positions of a row, L.
        slots: Positions of a row that the head predicts, K; the others are not projected.
        perturbed_rows: Rows that the adversary passes through the model once more.

    Returns:
        Operations; a fused multiply-add counts as two.
    """
    d, inner = config.width, config.intermediate
    linear = 2 * length * (4 * d * d + 3 * inner * d)
    attention = 4 * length * length * d
    head = 2 * slots * (d * d + d * config.vocabulary)
    return _STEP * (rows + perturbed_rows) * (config.layers * (linear + attention) + head)


def flops_per_token(
    config: Shape,
    rows: int,
    length: int,
    slots: int,
    perturbed_rows: int = 0,
) -> float:
    """`flops_per_step` for each of the step's `rows * length` positions."""
    return flops_per_step(config, rows, length, slots, perturbed_rows) / (rows * length)


def lstm_flops_per_step(
    config: Recurrent, rows: int, length: int, slots: int, perturbed_rows: int = 0
) -> int:
    """The same for the bidirectional LSTM of `models.network.lstm`, half the width each way.

    A direction's four gates are a product with the layer's input and one with its own state, so a
    row is layers * 2 * 2 L * 4 (D / 2) (D + D / 2) + 2 K (D D + D V) forward, the head being the
    encoder's.

    Args:
        config: The LSTM's shape.
        rows: As for `flops_per_step`, like the rest.
        length: Positions of a row.
        slots: Positions of a row that the head predicts.
        perturbed_rows: Rows that are passed through once more.
    """
    d, half = config.width, config.width // 2
    layer = 2 * 2 * length * 4 * half * (d + half)
    head = 2 * slots * (d * d + d * config.vocabulary)
    return _STEP * (rows + perturbed_rows) * (config.layers * layer + head)
