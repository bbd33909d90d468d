"""The table of an ablation, as a stage: every variant's figures, and what each differs by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from tasks.ablation.compare import mean_over_seeds, of_numbers, over_seeds, word
from tasks.ablation.configuration import Ablation
from tasks.ablation.measured import MEASURES, Folders, Measure, group_gap, statistic, units_of
from tasks.ablation.page.draw import write_page
from tasks.log import Log
from tasks.records import Outcome
from tasks.stage import stage

Study = Mapping[str, Mapping[str, Folders]]  # variant, seed, evaluation stage
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
SCHEMA: dict[str, Any] = {
    "variant": pl.String, "measure": pl.String, "value": pl.Float64, "difference": pl.Float64,
    "low": pl.Float64, "high": pl.Float64, "word": pl.String, "dose": pl.String, "amount": pl.Float64,
}  # fmt: skip


@stage
def tabulate(
    judged: Study,
    disputed: Mapping[str, Mapping[str, Path]],
    *,
    variants: list[dict[str, Any]],
    seconds: dict[str, dict[str, float]],
    config: Ablation,
    out: Path,
    log: Log,
) -> Outcome:
    """Compare every variant with the night that it is judged beside.

    Args:
        judged: Variant, seed, and evaluation stage to its folder.
        disputed: Variant and seed to the cleaned folder whose `contradictions.parquet` says which facts
            its corpus states in several versions.
        variants: `Variant`s in the order of the table, as mappings.
        seconds: Variant and seed to what computing the night took the first time (s).
        config: Which study, and the number of resamples.
        out: Gets `table.parquet` (a line for each variant and measure), `table.json`, `page.html`.
        log: Told which variant is compared.

    Returns:
        The figures of each variant as metrics, `<variant>.<measure>`.
    """
    lines: list[dict[str, Any]] = []
    for number, variant in enumerate(variants):
        log.progress(number, len(variants), variant["name"])
        for measure in MEASURES:
            found = _compared(judged, disputed, seconds, variant, measure, config)
            lines.append({**_about(variant), "measure": measure.name, **found})
    table = pl.DataFrame(lines, schema=SCHEMA)
    table.write_parquet(out / "table.parquet")
    about = {"study": config.study, "seeds": list(config.seeds), "variants": variants}
    (out / "table.json").write_bytes(orjson.dumps(about | {"table": lines}, option=_JSON))
    write_page(out, table, about)
    return Outcome(
        summary=f"{len(variants)} variants, {len(config.seeds)} seeds",
        metrics={
            f"{line['variant']}.{line['measure']}": line["value"]
            for line in lines
            if line["value"] is not None
        },
        artifacts=("page.html", "table.parquet", "table.json"),
    )


def _about(variant: Mapping[str, Any]) -> dict[str, Any]:
    return {"variant": variant["name"], "dose": variant["dose"], "amount": variant["amount"]}


def _compared(
    judged: Study,
    disputed: Mapping[str, Mapping[str, Path]],
    seconds: Mapping[str, Mapping[str, float]],
    variant: Mapping[str, Any],
    measure: Measure,
    config: Ablation,
) -> dict[str, Any]:
    """One cell of the table: the value, and the difference unless it is the whole night's own."""
    name, beside = variant["name"], variant["judged_on"]
    seeds = [str(seed) for seed in config.seeds]
    if measure.name in ("group_gap", "seconds"):
        ours, theirs = (
            [seconds[v].get(s) if measure.name == "seconds" else group_gap(judged[v][s])
             for s in seeds]
            for v in (name, beside)
        )  # fmt: skip
        known = [n for n in ours if n is not None]
        value = float(np.mean(known)) if known else None
        difference = of_numbers(ours, theirs, config.bootstrap, config.seeds[0])
    else:
        facts = {s: _facts(disputed[beside][s]) for s in seeds}
        units, full = (
            [units_of(measure.name, judged[v][s], facts[s]) for s in seeds] for v in (name, beside)
        )
        value = mean_over_seeds(units, statistic(measure.name))
        difference = over_seeds(
            units, full, statistic(measure.name), config.bootstrap, config.seeds[0]
        )
    if name == beside:
        return {"value": value, "difference": None, "low": None, "high": None, "word": ""}
    shown: Mapping[str, float | None] = difference or dict.fromkeys(("value", "low", "high"))
    return {
        "value": value, "difference": shown["value"], "low": shown["low"], "high": shown["high"],
        "word": word(difference, measure.better),
    }  # fmt: skip


def _facts(cleaned: Path) -> pl.DataFrame:
    """The facts that a corpus states in several versions; none where nothing was looked for."""
    path = cleaned / "contradictions.parquet"
    columns = ["subject", "relation"]
    if not path.exists():
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    return pl.read_parquet(path, columns=columns).unique()
