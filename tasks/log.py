"""What a stage may say while it works. The base class says nothing, which suits tests."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.records import Point

CURVE = "curve.jsonl"


class Log:
    """Progress and training curves of a running stage; this base discards both."""

    def progress(self, done: float, total: float, note: str = "") -> None:
        """Report that `done` of `total` is finished, with a short remark such as `loss 2.31`."""

    def curve(self, points: Sequence[Point]) -> None:
        """Report training metrics as they come.

        Steps already reported in this run are ignored, so a resumed stage may repeat itself. The
        stage also writes all of its points to `curve.jsonl` in its folder, one Point a line,
        which is what a later night that reuses the folder shows.
        """
