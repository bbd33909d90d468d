"""Put an ablation's page where people find it: on disk and in MLflow."""

from __future__ import annotations

import shutil
from pathlib import Path

from tasks.errors import UserError
from tasks.records import Night, Record
from tasks.settings import Environment
from tasks.stage import open_store
from tasks.tracking import ablations


def publish(study: Night, table: Record) -> Path:
    """Show the table with its study.

    Returns:
        The page's path on this machine.
    """
    folder = open_store().fetch(table)
    ablations.show(study, table, folder)
    place = f"{study.started[:10]}-{study.name}-{study.run_id[:6]}"
    path = Environment().home.absolute() / "ablations" / place / "page.html"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for name in ("page.html", "table.parquet"):
            shutil.copyfile(folder / name, path.with_name(name))
    except OSError as error:
        raise UserError(f"the page cannot be written to {path}: {error.strerror}") from error
    return path
