"""How a run is trained, and what of it changes along the way, as pure functions of progress.

Progress is the share of the budget that is spent: of its tokens, or of its seconds where it has
any, whichever is further along. So a run that is told to take twenty minutes ends decayed, and in
twenty minutes, however fast the machine turns out to be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Plan:
    """How a model is trained.

    Attributes:
        presentations: Rows to be read in all, masked anew each time.
        rows: Packed rows of a micro-batch, which is what one pass computes.
        learning_rate: The highest, between warm-up and decay.
        warmup: Share of the budget during which it rises from zero.
        decay: Share of the budget, at the end, during which it falls to zero.
        weight_decay: Of matrices; norms, biases and the embedding are left alone.
        mask_rate: Share of the ordinary tokens to predict.
        adversarial_share: Share of a batch's rows that are perturbed; 0 for none.
        adversarial_epsilon: Size of the perturbation, relative to the embeddings' norm.
        seed: Of masks and of the rows' order.
        seconds: Time after which the run ends, if it has not spent its rows by then.
        accumulate: Micro-batches whose gradients are added up for one optimizer step.
        ramp: Share of the budget during which these grow from one to `accumulate`.
        optimizer: `adamw`, or `stable_adamw`, which limits each matrix's update.
        clip: Largest global norm of the gradient; 0 for no limit.
        average: Decay of the exponential moving average of the weights, which is then what the
            run ends with; 0 for none.
        masking: What is hidden together: a `token`, a whole `word`, or a `span` of tokens.
        span: Mean length of a span (tokens).
        mask_rate_end: What the mask rate moves to, linearly; None keeps it.
        next_sentence: Hidden tokens that the loss of a sentence pair counts for; 0 for none.
        spike: Rise of the loss above its running mean (nats) that counts as divergence; 0 for
            none but infinite and undefined losses.
        rollbacks: How often a diverged run may go back before it is given up.
    """

    presentations: int
    rows: int
    learning_rate: float
    warmup: float
    decay: float
    weight_decay: float
    mask_rate: float
    adversarial_share: float
    adversarial_epsilon: float
    seed: int
    seconds: float | None = None
    accumulate: int = 1
    ramp: float = 0.0
    optimizer: Literal["adamw", "stable_adamw"] = "adamw"
    clip: float = 1.0
    average: float = 0.0
    masking: Literal["token", "word", "span"] = "token"
    span: float = 3.0
    mask_rate_end: float | None = None
    next_sentence: float = 0.0
    spike: float = 0.0
    rollbacks: int = 3

    @property
    def highest_mask_rate(self) -> float:
        """What a compiled step must have room for."""
        return max(self.mask_rate, self.mask_rate_end or 0.0)

    def micro_batches(self, progress: float) -> int:
        """How many micro-batches an optimizer step adds up, at some progress in [0, 1)."""
        grown = progress / self.ramp if self.ramp else 1.0
        return max(1, min(self.accumulate, 1 + int(grown * (self.accumulate - 1))))

    def rate(self, progress: float, step: float) -> float:
        """The learning rate: linear warm-up, a plateau, linear decay to zero.

            rate = peak * min(1, (progress + step) / warmup, (1 - progress) / decay)

        (Zhai et al. 2022, https://arxiv.org/abs/2106.04560; the plateau lets a run be prolonged.)

        Args:
            progress: Before the step.
            step: The progress that the step itself makes, so that the first one learns too.
        """
        rising = (progress + step) / self.warmup if self.warmup else 1.0
        falling = (1.0 - progress) / self.decay if self.decay else 1.0
        return self.learning_rate * max(0.0, min(1.0, rising, falling))

    def rate_of_masks(self, progress: float) -> float:
        """The share of the tokens to hide at some progress."""
        if self.mask_rate_end is None:
            return self.mask_rate
        return self.mask_rate + (self.mask_rate_end - self.mask_rate) * progress

    def steps(self) -> int:
        """Optimizer steps of a run whose budget is its rows."""
        presented = steps = 0
        while presented < self.presentations:
            left = -(-(self.presentations - presented) // self.rows)
            presented += self.rows * min(left, self.micro_batches(presented / self.presentations))
            steps += 1
        return steps
