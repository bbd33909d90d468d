"""What a run says on the terminal: one line a stage, and a bar while a long one works."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from tasks.records import Record

console = Console(stderr=True, highlight=False)
_WIDTH = 20
_MARGIN = 34  # columns taken by the title and the time


def heading(text: str, detail: str = "") -> None:
    """Announce a flow."""
    console.print(f"[bold]{text}[/bold]  [dim]{detail}[/dim]")


def say(title: str, record: Record, seconds: float, *, reused: bool) -> None:
    """Print a finished stage: its title, its summary, and what it took or that it was reused."""
    took = "reused" if reused else f"{seconds:.1f} s"
    mark = "[red]✗[/red]" if record.outcome.refusal else "[green]✓[/green]"
    width = max(console.width, 100) - _MARGIN
    summary = record.outcome.summary
    summary = summary if len(summary) <= width else summary[: width - 1] + "…"
    console.print(
        f"  {mark} {title:<{_WIDTH}} {summary:<{width}} {took:>8}", soft_wrap=True, markup=True
    )


def note(text: str) -> None:
    """Print a remark between the stages' lines."""
    console.print(f"  [dim]{text}[/dim]", soft_wrap=True)


@contextmanager
def chatter_to(log: Path) -> Iterator[None]:
    """Send what libraries write to standard error to a file; our own lines still reach the terminal.

    Done to the file descriptor, because TensorFlow writes before its logging can be configured.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.flush()
    terminal = os.dup(2)
    with log.open("ab") as handle, os.fdopen(os.dup(terminal), "w") as ours:
        os.dup2(handle.fileno(), 2)
        console.file = ours
        try:
            yield
        finally:
            sys.stderr.flush()
            console.file = sys.stderr
            os.dup2(terminal, 2)
            os.close(terminal)


class Bar:
    """A progress bar that appears with the first update; on no terminal it stays silent."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._progress: Progress | None = None

    def update(self, done: float, total: float, note: str = "") -> None:
        """Show that `done` of `total` is finished."""
        if not console.is_terminal:
            return
        if self._progress is None:
            self._progress = Progress(
                TextColumn("  … {task.description:<20}"), BarColumn(), TaskProgressColumn(),
                TimeRemainingColumn(), TextColumn("{task.fields[note]}"), console=console, transient=True,
            )  # fmt: skip
            self._progress.add_task(self._title, total=total, note=note)
            self._progress.start()
        self._progress.update(self._progress.task_ids[0], completed=done, total=total, note=note)

    def close(self) -> None:
        """Remove the bar."""
        if self._progress is not None:
            self._progress.stop()
