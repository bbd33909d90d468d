"""Judges a corpus by its signals: every suite, one sentence per expectation, or a refusal.

Suites judge numbers that `profile` measured, never the text itself, so a rule costs the same on
short and long documents. Before cleaning, a broken row rule is a warning, because cleaning will
quarantine the rows; after cleaning (`strict`) the same rule must hold for every row. A critical
expectation that fails stops the run, and the folder stays for the person who looks.

Suites live in `expectations/suites/`, beside the code, whose version covers their contents. A suite
elsewhere is named by its path, and its digest is given to the stage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from expectations.engine import build_docs
from expectations.rules import failing_rows, row_rules
from expectations.runner import Judged, Suite, load_suite, run_suite
from expectations.suite_files import SuiteError, suite_path, suites_digest
from tasks.configuration import Validation
from tasks.corpus.quarantine.spared import excused
from tasks.corpus.signals.personal import redacted
from tasks.errors import UserError
from tasks.log import Log
from tasks.records import Outcome
from tasks.stage import stage

REPORT = "validation.json"
DOCS = "data_docs"
_DRIFT_ROWS, _DRIFT = (
    "rows.parquet",
    "drift.json",
)  # of the stage `drift`, whose drawing is not wanted here
_EXCERPT_SOURCE = 500
_REFUSAL_EXPECTATIONS = 3
_REFUSAL_ROWS = 2
_REFUSAL_EXCERPT = 60


@stage
def validate(
    corpus: Path,
    profiled: Path,
    drifted: Path | None = None,
    *,
    config: Validation,
    strict: bool,
    content: str = "",
    out: Path,
    log: Log,
) -> Outcome:
    """Run the suites on a corpus and its signals.

    Args:
        corpus: Folder of the rows, ingested or cleaned.
        profiled: Folder of the same rows' signals.
        drifted: Folder of the two nights' rows, for suites that ask for them (`rows: drift`).
        config: Which suites, and how many rows to name.
        strict: After cleaning: every row must meet every row rule.
        content: Digest of the suites named by path, so that a changed file is judged by again.
        out: Receives `validation.json` and `data_docs/`.
        log: Progress by suite.

    Returns:
        The counts and the main observed values; a refusal if a critical expectation fails.

    Raises:
        UserError: A suite does not exist or cannot be used, or the signals are of other rows.
    """
    try:
        suites = _loaded(config.suites)
        frame = judged_frame(corpus, profiled)
        judged = _run(suites, frame, _two_nights(drifted), config, strict, log)
    except SuiteError as error:
        raise UserError(str(error), "Suites are the files under expectations/suites/.") from error
    records = [record for one in judged for record in one.records]
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    (out / REPORT).write_bytes(orjson.dumps(records, option=options))
    build_docs([one.result for one in judged if one.result is not None], out / DOCS)
    return Outcome(
        summary=_summary(records),
        metrics=_metrics(records),
        artifacts=(REPORT, DOCS),
        refusal=_refusal(records) if config.enforce else None,
    )


def suites_content(config: Validation) -> str:
    """Digest of the suites that are named by their path, for `content`.

    Raises:
        UserError: There is no such file.
    """
    try:
        return suites_digest(config.suites)
    except SuiteError as error:
        raise UserError(str(error), "Check validation.suites.") from error


def _loaded(names: Sequence[str]) -> list[Suite]:
    """The suites, each of another name, since their findings are filed by name."""
    suites = [load_suite(suite_path(name)) for name in dict.fromkeys(names)]
    called = [suite.name for suite in suites]
    if twice := sorted({name for name in called if called.count(name) > 1}):
        raise SuiteError(f"two of the suites {', '.join(names)} have the name {twice[0]!r}")
    return suites


def judged_frame(corpus: Path, profiled: Path) -> pl.DataFrame:
    """The signals, with what the suites ask for beyond them.

    `text` is the beginning of each text, for the examples, personal data masked; `failed_rules` the
    number of row rules that a row breaks; `labels_of_text` the number of labels that identical
    texts are given.

    Raises:
        UserError: The two folders do not hold the same rows in the same order.
        SuiteError: A row rule asks for a signal that was not measured.
    """
    signals = excused(pl.read_parquet(profiled / "signals.parquet"), corpus)
    texts = pl.read_parquet(corpus / "corpus.parquet", columns=["row_id", "text"])
    if not signals["row_id"].equals(texts["row_id"]):
        raise UserError(
            f"the signals are of other rows than the corpus: {signals.height:,} rows measured, "
            f"{texts.height:,} rows there",
            "Profile the corpus again and validate it with those signals.",
        )
    broken = failing_rows(signals, row_rules()).group_by("row_id").len("failed_rules")
    return signals.join(
        broken, on="row_id", how="left", maintain_order="left"
    ).with_columns(
        pl.col("failed_rules").fill_null(0).cast(pl.Int64),
        redacted(texts["text"].str.slice(0, _EXCERPT_SOURCE)),
        pl.col("label").drop_nulls().n_unique().over("exact_cluster").cast(pl.Int64)
        .alias("labels_of_text"),
    )  # fmt: skip


def _two_nights(drifted: Path | None) -> pl.DataFrame | str:
    """Tonight's rows and the reference's, or why there are none."""
    if drifted is None:
        return "tonight is compared with no other night"
    if (drifted / _DRIFT_ROWS).exists():
        return pl.read_parquet(drifted / _DRIFT_ROWS)
    return str(orjson.loads((drifted / _DRIFT).read_bytes())["why"])


def _run(
    suites: Sequence[Suite],
    frame: pl.DataFrame,
    nights: pl.DataFrame | str,
    config: Validation,
    strict: bool,
    log: Log,
) -> list[Judged]:
    judged = []
    for place, suite in enumerate(suites):
        log.progress(place, len(suites), suite.name)
        rows = nights if suite.meta.get("rows") == "drift" else frame
        absent = rows if isinstance(rows, str) else None
        given = frame if isinstance(rows, str) else rows
        judged.append(
            run_suite(given, suite, strict=strict, absent=absent, worst=config.worst_rows)
        )
    log.progress(len(suites), len(suites))
    return judged


def _failed(records: Sequence[Mapping[str, Any]], *, critical: bool) -> list[Mapping[str, Any]]:
    return [r for r in records if not r["success"] and (r["severity"] == "critical") == critical]


def _summary(records: Sequence[Mapping[str, Any]]) -> str:
    """For the terminal, such as `31 expectations: 29 met, 2 warnings`."""
    critical, warnings = _failed(records, critical=True), _failed(records, critical=False)
    skipped = sum(r["skipped"] is not None for r in records)
    met = len(records) - len(critical) - len(warnings) - skipped
    parts = [f"{met} met", *_counted(len(critical), "failed", "failed")]
    parts += _counted(len(warnings), "warning", "warnings")
    parts += _counted(skipped, "not judged", "not judged")
    return f"{len(records)} expectations: {', '.join(parts)}"


def _counted(count: int, one: str, many: str) -> list[str]:
    return [f"{count} {one if count == 1 else many}"] if count else []


def _metrics(records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Counts, the share of rows breaking each row rule, and the divergences, for the trend."""
    metrics = {
        "expectations": float(len(records)),
        "failed_critical": float(len(_failed(records, critical=True))),
        "failed_warning": float(len(_failed(records, critical=False))),
        "not_judged": float(sum(r["skipped"] is not None for r in records)),
    }
    for record in records:
        observed = record["observed"]
        if record["skipped"] is not None or not isinstance(observed, int | float):
            continue
        if record["rule"] is not None:
            name = "_".join(filter(None, (record["rule"], record["language"])))
            metrics[f"broken_share_{name}"] = round(1 - observed, 6)
        elif record["column"] == "failed_rules":
            metrics["broken_share_any"] = round(1 - observed, 6)
        elif "statistic" in record["kwargs"]:
            asked = record["kwargs"]
            name = {"js": "divergence_bits"}.get(asked["statistic"], asked["statistic"])
            by = f"_by_{asked['by']}" if asked.get("by") else ""
            metrics[f"{name}_{record['column']}{by}_{asked['reference']}"] = float(observed)
    return metrics


def _refusal(records: Sequence[Mapping[str, Any]]) -> str | None:
    """The critical expectations that are not met, with their worst rows, in a few lines."""
    failed = _failed(records, critical=True)
    if not failed:
        return None
    one = len(failed) == 1
    lines = [
        f"{len(failed)} critical expectation{'' if one else 's'} {'is' if one else 'are'} not met"
    ]
    for record in failed[:_REFUSAL_EXPECTATIONS]:
        lines.append(f"  {record['suite']}: {record['sentence']}")
        for row in record["worst_rows"][:_REFUSAL_ROWS]:
            text = row.get("text_excerpt", "")
            text = text if len(text) <= _REFUSAL_EXCERPT else text[: _REFUSAL_EXCERPT - 1] + "…"
            lines.append(f"    row {row['row_id']}, {_value(row['value'])}: {text}")
    if len(failed) > _REFUSAL_EXPECTATIONS:
        lines.append(f"  and {len(failed) - _REFUSAL_EXPECTATIONS} more")
    return "\n".join(lines)


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else repr(value)
