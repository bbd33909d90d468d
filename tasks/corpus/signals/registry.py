r"""Signals of a user's own: one decorated function over a column, in a module the configuration names.

    from tasks.corpus.signals.registry import signal

    @signal("shouting", help="exclamation marks per word")
    def shouting(texts: pl.Series) -> pl.Series:
        return texts.str.count_matches("!") / texts.str.count_matches(r"\w+").clip(1)

What it returns is a column of `signals.parquet` beside ours, so suites may judge it, and the run page
shows it. A value must depend on its own text alone: cleaning measures repaired rows again without the
others. A module's contents are part of what a finished stage is known by.

Not covered: changes in what such a module imports, unless it is inside the same package.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import polars as pl

from tasks.errors import UserError

Measure = Callable[[pl.Series], pl.Series | pl.DataFrame]
_ADVICE = (
    "Give profile.signals the name of a module that can be imported, or the path of a .py file."
)


@dataclass(frozen=True)
class Signal:
    """A function over a column of texts, and what its columns mean.

    Attributes:
        help: One line for each column that it returns.
        measure: From n texts, never null, to a series of n numbers, or a frame of several.
        place: The module as the configuration names it; empty for ours.
    """

    help: Mapping[str, str]
    measure: Measure
    place: str = ""

    def __call__(self, texts: pl.Series) -> pl.Series | pl.DataFrame:
        """The function itself, for tests and notebooks."""
        return self.measure(texts)


def signal(name: str, *, help: str) -> Callable[[Callable[[pl.Series], pl.Series]], Signal]:
    """Make a signal of a function that returns a series of numbers or truth values.

    Args:
        name: The column.
        help: What it says, in one line, with its unit.
    """
    return lambda measure: Signal({name: help}, measure)


def signals(help: Mapping[str, str]) -> Callable[[Callable[[pl.Series], pl.DataFrame]], Signal]:
    """Make signals of a function that returns a frame.

    Args:
        help: For each column of the frame, what it says in one line.
    """
    return lambda measure: Signal(dict(help), measure)


def signals_digest(places: Sequence[str]) -> str:
    """Digest of the modules' contents, so that a changed function is a changed input; empty for none.

    Raises:
        UserError: One of them does not exist.
    """
    return "+".join(_digest(_sources(place)) for place in places)


def load_signals(places: Sequence[str]) -> list[Signal]:
    """The signals of some modules, in the order in which they are written there.

    Raises:
        UserError: A module does not exist, cannot be imported, or has no signals, or two signals
            have one name.
    """
    found: list[Signal] = []
    for place in places:
        module = _module(place, _digest(_sources(place)))
        there = {id(one): one for one in vars(module).values() if isinstance(one, Signal)}
        own = [Signal(one.help, one.measure, place) for one in there.values()]
        if not own:
            raise UserError(
                f"profile.signals names {place!r}, in which no function is a signal",
                'Decorate one: @signal("name", help="what it says").',
            )
        found += own
    names = [name for one in found for name in one.help]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"profile.signals: two signals are called {twice[0]!r}")
    return found


def measure_signals(
    texts: pl.Series, own: Sequence[Signal], taken: Collection[str] = ()
) -> pl.DataFrame:
    """The columns of some signals.

    Args:
        texts: The texts; null counts as empty.
        own: The signals.
        taken: Names of columns that are there already.

    Returns:
        Whole numbers as 64-bit integers, others as 64-bit floats; what is no finite number is
            null.

    Raises:
        UserError: A signal fails, takes a name that is taken, or does not return a number for each
            text.
    """
    texts = texts.fill_null("").alias("text")
    columns: list[pl.Series] = []
    for one in own:
        for name in one.help:
            if name in taken:
                raise UserError(f"{_who(one, name)} has the name of a column of ours")
        columns += _measured(one, texts)
    return pl.DataFrame(columns)


def _measured(one: Signal, texts: pl.Series) -> list[pl.Series]:
    first = next(iter(one.help))
    try:
        made = one.measure(texts)
    except Exception as error:
        raise UserError(f"{_who(one, first)} failed: {type(error).__name__}: {error}") from error
    if isinstance(made, pl.Series):
        made = made.alias(first).to_frame()
    if not isinstance(made, pl.DataFrame) or set(made.columns) != set(one.help):
        got = made.columns if isinstance(made, pl.DataFrame) else type(made).__name__
        raise UserError(f"{_who(one, first)} returned {got}, not {', '.join(one.help)}")
    if made.height != len(texts):
        raise UserError(
            f"{_who(one, first)} returned {made.height:,} values for {len(texts):,} texts"
        )
    return [_number(made[name], one) for name in one.help]


def _number(values: pl.Series, one: Signal) -> pl.Series:
    if values.dtype.is_integer() or values.dtype == pl.Boolean:
        return values.cast(pl.Int64)
    if values.dtype.is_numeric() or values.dtype == pl.Null:
        values = values.cast(pl.Float64)
        return values.set(values.is_finite().not_().fill_null(False), None)
    raise UserError(f"{_who(one, values.name)} returned {values.dtype}, not numbers")


def _who(one: Signal, name: str) -> str:
    return f"the signal {name!r}" + (f" of {one.place!r}" if one.place else "")


def _is_path(place: str) -> bool:
    return place.endswith(".py") or "/" in place or "\\" in place


def _sources(place: str) -> list[Path]:
    """The files of a module: itself, or all of a package."""
    if _is_path(place):
        path = Path(place)
        if not path.is_file():
            raise UserError(f"profile.signals names {place!r}, and there is no such file", _ADVICE)
        return [path]
    try:
        spec = importlib.util.find_spec(place)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None:
        raise UserError(f"profile.signals names {place!r}, and there is no such module", _ADVICE)
    path = Path(spec.origin)
    return sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]


def _digest(paths: Sequence[Path]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@cache
def _module(place: str, digest: str) -> ModuleType:
    """Import a module; one that was imported with other contents is imported anew."""
    try:
        if not _is_path(place):
            known = sys.modules.get(place)
            return importlib.reload(known) if known else importlib.import_module(place)
        spec = importlib.util.spec_from_file_location(f"plumbline_signals_{digest}", place)
        if spec is None or spec.loader is None:
            raise ImportError("it is no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[module.__name__] = module
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(
            f"the signals in {place!r} cannot be loaded: {type(error).__name__}: {error}", _ADVICE
        ) from error
    return module
