"""What a run knows of itself: how far it is, what is told meanwhile, and why it had to stop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class Diverged(Exception):
    """The loss rose, or stopped being a number, more often than the plan allows.

    Args:
        step: The step before which it happened.
        reason: What was seen.
    """

    def __init__(self, step: int, reason: str) -> None:
        super().__init__(f"{reason} at step {step}")
        self.step = step


@dataclass
class Progress:
    """How far a run is and what it has to say so far; goes into every checkpoint.

    Attributes:
        step: Optimizer steps done.
        micro_batches: Micro-batches computed in them.
        tokens: Tokens read, padding not counted.
        seconds: Time spent training.
        points: `{"step": int, "metrics": {name: value}}` of the curve.
        sums: Clean, adversarial and next-sentence losses since the last point, summed.
        count: Steps in those sums.
        running: Running mean of the clean loss, and how much of a mean it is yet.
        stable: The steps after which the warm-up is over and the decay begins, as far as reached.
        told: Spent share of the budget at the last point.
        mark: The last step that a diverged run may go back to, and the micro-batches before it.
        skips: [step, micro-batches] pairs: before that step so many are passed over.
        events: What went wrong and was put right, `{"step", "reason", "back_to", "skipped_rows"}`.
    """

    step: int = 0
    micro_batches: int = 0
    tokens: int = 0
    seconds: float = 0.0
    points: list[dict[str, Any]] = field(default_factory=list)
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    count: int = 0
    stable: list[int] = field(default_factory=lambda: [0, 0])
    told: float = 0.0
    running: list[float] = field(default_factory=lambda: [0.0, 0.0])
    mark: list[int] = field(default_factory=lambda: [0, 0])
    skips: list[list[int]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def next_micro_batch(self) -> int:
        """The number, in the order of presentation, of the next micro-batch."""
        return self.micro_batches + sum(n for step, n in self.skips if step <= self.step)


@dataclass(frozen=True)
class Now:
    """What is told while a run goes on.

    Attributes:
        share: Spent share of the budget.
        loss: Mean clean loss of the last steps (nats).
        progress: The run's own record, not to be changed.
    """

    share: float
    loss: float
    progress: Progress
