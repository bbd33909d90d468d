"""How fast a training is, how long it will take, and what is said of that while it runs.

Times are the night's own and no result: they go to the terminal, to Prefect, to MLflow and into
the record's metrics, and never into a stage's files, which are the same bytes however fast the
machine was.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tasks.records import Point

_WINDOW = 60.0  # seconds over which the speed now is taken
_SPAN = 10  # points of the curve after which a value weighs 1/e in the smoothed loss


@dataclass(frozen=True)
class Speed:
    """What a speedometer reads.

    Attributes:
        tokens_per_second: Positions trained on, packed rows' few empty ones among them.
        flops: FLOP/s in the model's matrix products, None where the count is not known.
        utilisation: Of the measured peak, 0..1, None where that is not known.
        seconds_left: To the end of the budget, None before it can be told.
    """

    tokens_per_second: float
    flops: float | None = None
    utilisation: float | None = None
    seconds_left: float | None = None


class Speedometer:
    """Turns reports of tokens done into a speed and a time left.

    The first report only starts the clock, so that compilation, which comes before it, does not
    count. Held-out rows and checkpoints make pauses between two reports; the speed is the median
    over the last minute, which they do not touch, while the time left goes by the mean since
    the start, which has them in it, since there will be more of them.

    Args:
        tokens: The token budget, if that is what ends the run.
        ends: When a time budget ends the run, on the clock of `update`'s `now`.
        flops_per_token: From `models.training.flops`.
        peak: FLOP/s of all the run's devices, measured before.
    """

    def __init__(
        self,
        tokens: float | None = None,
        ends: float | None = None,
        *,
        flops_per_token: float | None = None,
        peak: float | None = None,
    ) -> None:
        self._tokens = tokens
        self._ends = ends
        self._cost = flops_per_token
        self._peak = peak
        self._first: tuple[float, float] | None = None
        self._last = (0.0, 0.0)
        self._recent: deque[tuple[float, float]] = deque()  # when, and the speed up to then
        self._all = array("d")

    def update(self, done: float, now: float) -> Speed | None:
        """Report tokens done.

        Args:
            done: Since the run began, a killed run's part among them.
            now: Seconds on a clock that never goes back, such as `time.monotonic()`.

        Returns:
            The speed now; None at the first report.
        """
        if self._first is None:
            self._first = self._last = (done, now)
            return None
        before, then = self._last
        if now > then and done > before:
            rate = (done - before) / (now - then)
            self._last = (done, now)
            self._all.append(rate)
            self._recent.append((now, rate))
            while self._recent[0][0] < now - _WINDOW and len(self._recent) > 1:
                self._recent.popleft()
        if not self._recent:
            return None
        rate = median(rate for _, rate in self._recent)
        return self._speed(rate, self._left(done, now))

    def figures(self) -> dict[str, float]:
        """The whole run's, for the record's metrics: empty where there were fewer than two reports."""
        figures = {} if self._peak is None else {"peak_gflops": self._peak / 1e9}
        if not self._all:
            return figures
        _, then = self._first or self._last
        figures["training_seconds"] = self._last[1] - then
        return named(self._speed(median(self._all), None)) | figures

    def _speed(self, rate: float, left: float | None) -> Speed:
        flops = None if self._cost is None else rate * self._cost
        share = flops / self._peak if flops is not None and self._peak else None
        return Speed(rate, flops, share, left)

    def _left(self, done: float, now: float) -> float | None:
        left = []
        if self._ends is not None:
            left.append(max(0.0, self._ends - now))
        first, then = self._first or self._last
        tokens, seconds = self._last[0] - first, self._last[1] - then
        if self._tokens is not None and tokens > 0:
            left.append(max(0.0, self._tokens - done) * seconds / tokens)
        return min(left, default=None)


def named(speed: Speed, prefix: str = "") -> dict[str, float]:
    """A speed as metrics: `tokens_per_second`, `gflops` and `utilisation` (0..1)."""
    found = {f"{prefix}tokens_per_second": speed.tokens_per_second}
    if speed.flops is not None:
        found[f"{prefix}gflops"] = speed.flops / 1e9
    if speed.utilisation is not None:
        found[f"{prefix}utilisation"] = speed.utilisation
    return found


def note(loss: float, smoothed: float | None = None, speed: Speed | None = None) -> str:
    """`loss 2.31 (smoothed 2.40), 12.3k tok/s, 210 GFLOP/s, 87 % of peak, 2 min 10 s left`.

    Args:
        loss: Of the last step, nats a token.
        smoothed: The same without its noise.
        speed: What is known of it is said.
    """
    parts = [f"loss {loss:.2f}" + ("" if smoothed is None else f" (smoothed {smoothed:.2f})")]
    if speed is not None:
        parts.append(f"{_thousands(speed.tokens_per_second)} tok/s")
        if speed.flops is not None:
            parts.append(_flops(speed.flops))
        if speed.utilisation is not None:
            parts.append(f"{100 * speed.utilisation:.0f} % of peak")
        if speed.seconds_left is not None:
            parts.append(f"{duration(speed.seconds_left)} left")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """`8 s`, `2 min 10 s`, `3 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def live(points: Sequence[Point], speed: Speed | None = None, since: int = 0) -> list[Point]:
    """A curve as MLflow is told it while it grows: with its smoothed loss, and the speed at its end.

    For `Log.curve` alone. `curve.jsonl` gets the points as they are: the speed would make its
    bytes differ from run to run, and the page smooths for itself. MLflow keeps the steps it was
    told first, so the plain points that follow when the stage is done take nothing back; a night
    that reuses the stage has the plain curve.

    Args:
        points: All of the curve so far.
        speed: At its last point.
        since: Points told before, which are left out.
    """
    from models.training.smoothing import Smoother

    smoother, told = Smoother(_SPAN), []
    for point in points:
        metrics = dict(point.metrics)
        if "train_loss" in metrics:
            metrics["smoothed_loss"] = smoother.update(metrics["train_loss"])
        told.append(point.model_copy(update={"metrics": metrics}))
    if told and speed is not None:
        last = told[-1]
        update = {"metrics": last.metrics | named(speed, "recent_")}
        told[-1] = last.model_copy(update=update)
    return told[since:]


def _thousands(value: float) -> str:
    if value < 1000:
        return f"{value:.0f}"
    return f"{value / 1000:.1f}k" if value < 1e6 else f"{value / 1e6:.2f}M"


def _flops(value: float) -> str:
    return f"{value / 1e9:.0f} GFLOP/s" if value < 1e12 else f"{value / 1e12:.1f} TFLOP/s"
