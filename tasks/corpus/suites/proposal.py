"""A suite proposed from a trusted corpus, written for a person to edit."""

from __future__ import annotations

import re
import uuid
from pathlib import Path, PurePosixPath
from typing import Any

import orjson
import polars as pl

from expectations.propose import Trusted, propose
from expectations.runner import load_suite
from expectations.suite_files import ENDING, SuiteError
from tasks.configuration import Configuration
from tasks.corpus.ingest import ingest
from tasks.corpus.profile import SIGNALS, profile
from tasks.corpus.sources.readers import source_digest
from tasks.errors import UserError
from tasks.stage import open_store
from tasks.tracking import history

_NAME = re.compile(r"[A-Za-z0-9_-]+")


def measured(c: Configuration) -> tuple[pl.DataFrame, str]:
    """The signals of a source's rows, read and measured as a night would, and what they are.

    Both stages are kept in the store, so a night on the same source finds them done.
    """
    raw = ingest(config=c.source, seed=c.seed, content=source_digest(c.source))
    record = profile(raw, config=c.profile)
    return pl.read_parquet(open_store().fetch(record) / SIGNALS), f"{_last(c.source.location)}"


def of_night(name: str) -> tuple[pl.DataFrame, str]:
    """The signals of a night's cleaned rows, and what they are.

    Raises:
        UserError: There is no such night, or it did not come as far.
    """
    _, records = history.night(name, ("profile_clean",))
    record = records["profile_clean"]
    signals = pl.read_parquet(open_store().fetch(record) / SIGNALS)
    return signals, f"a night's cleaned corpus ({record.digest[:12]})"


def named(location: str) -> str:
    """A suite's name from where its rows are: `reviews` from `s3://data/reviews.csv.gz`."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", _last(location).partition(".")[0]).strip("_") or "mine"


def destination(output: Path | None, name: str, *, force: bool) -> Path:
    """Where a suite goes, settled before any work is done.

    Raises:
        UserError: The name is none, or the file is there already or could not be a suite's.
    """
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{name!r} cannot be the name of a suite", "Give --name letters, digits, - and _ only."
        )
    path = output or Path(f"{name}{ENDING}")
    if path.suffix != ENDING:
        raise UserError(f"a suite is a {ENDING} file, which {path} is not")
    if path.exists() and not force:
        raise UserError(f"{path} is there already", "Add --force to replace it.")
    if not path.parent.is_dir():
        raise UserError(f"there is no folder {path.parent}")
    return path


def require_quantiles(low: float, high: float) -> None:
    """Refuse quantiles that are none, or the wrong way round.

    Raises:
        UserError: They are not 0 <= low < high <= 1.
    """
    if not 0 <= low < high <= 1:
        raise UserError(
            f"the quantiles {low:g} and {high:g} cannot be bounds",
            "Give shares of the rows, --low under --high, such as 0.001 and 0.999.",
        )


def write(path: Path, trusted: Trusted, name: str, origin: str) -> dict[str, Any]:
    """Draw a suite up, make sure that it can be used, and write it, whole or not at all.

    Raises:
        UserError: There are too few rows, or the file cannot be written.
    """
    aside = path.with_name(f".{path.stem}-{uuid.uuid4().hex[:8]}{ENDING}")
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    try:
        suite = propose(trusted, name, origin)
        aside.write_bytes(orjson.dumps(suite, option=options))
        load_suite(aside)
        aside.replace(path)
    except SuiteError as error:
        raise UserError(str(error), "Choose them with --low and --high.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        aside.unlink(missing_ok=True)
    return suite


def _last(location: str) -> str:
    return PurePosixPath(location.rstrip("/")).name or location
