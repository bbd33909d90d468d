"""What a search says and leaves: a line a trial, a table of all, and the best settings as a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from tasks.configuration import Configuration
from tasks.console import console
from tasks.search.space import apply
from tasks.search.study import Trial

BEST = "best.yaml"
_MARKS = {"complete": "[green]✓[/green]", "pruned": "[dim]-[/dim]", "killed": "[yellow]![/yellow]"}


def short(names: Sequence[str]) -> dict[str, str]:
    """Dotted names without their section, where that leaves them different."""
    counts = Counter(name.partition(".")[2] for name in names)
    return {n: n.partition(".")[2] if counts[n.partition(".")[2]] == 1 else n for n in names}


def readable(value: Any) -> str:
    """A setting's value with three significant digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def teller(names: Sequence[str]) -> Callable[[Trial], None]:
    """Print the table's head, and return what prints each trial as its row."""
    titles = short(names)
    widths = {name: max(len(titles[name]), 9) for name in names}
    head = "  ".join(f"{titles[name]:>{widths[name]}}" for name in names)
    console.print(f"    trial    loss  {head}", style="dim", soft_wrap=True)

    def tell(trial: Trial) -> None:
        loss = trial.loss if trial.loss is not None else trial.last_loss
        told = f"{loss:.3f}" if loss is not None else ""
        row = "  ".join(f"{readable(trial.settings[n]):>{widths[n]}}" for n in names)
        mark = _MARKS.get(trial.ending, "[red]✗[/red]")
        end = f"{trial.ending}: {trial.reason}" if trial.ending != "complete" else ""
        console.print(
            f"  {mark} {trial.number:>5} {told:>7}  {row}  {trial.seconds:6.1f} s  {_plain(end)}",
            soft_wrap=True,
        )

    return tell


def say_best(best: Trial, path: Path) -> None:
    """Print the settings that won, last, in the form that a night takes."""
    first = f"best: trial {best.number}, held-out loss {best.loss:.4f}"
    console.print(f"[bold]{first}[/bold]")
    for name, value in best.settings.items():
        console.print(f"    {name:<32} {readable(value)}")
    console.print(f"  [dim]make nightly CONFIG={path}[/dim]", soft_wrap=True)


def write(folder: Path, trials: Sequence[Trial], best: Trial | None, base: Configuration) -> None:
    """Write `trials.csv` and, where a trial was completed, `best.yaml`.

    Args:
        folder: To write to.
        trials: Every trial that has ended.
        best: The one that won.
        base: What every trial started from.
    """
    rows = [{**t.model_dump(exclude={"settings"}), **t.settings} for t in trials]
    pl.DataFrame(rows, infer_schema_length=None).write_csv(folder / "trials.csv")
    if best is not None:
        (folder / BEST).write_text(_yaml(best, base))


def _yaml(best: Trial, base: Configuration) -> str:
    """The whole configuration of a night with the best settings, defaults left out."""
    found = apply(base, best.settings).model_dump(mode="json", exclude_defaults=True)
    given = " ".join(f"{name}={value}" for name, value in best.settings.items())
    told = yaml.safe_dump(found, sort_keys=False)
    return (
        f"# Trial {best.number}: held-out loss {best.loss:.4f}. `make nightly CONFIG=` this file,\n"
        f'# or on top of another configuration SET="{given}"\n{told}'
    )


def _plain(text: str) -> str:
    return text.replace("[", r"\[").replace("\n", " ")
