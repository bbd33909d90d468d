"""What damage does to facts, and what the pipeline wins back: raw corpus, whole night, undamaged corpus.

    python benchmarks/hallucination.py [--seeds 20 21 22] [--tokens N] [--all] [--quick]

The default fictional corpus with a fifth of its facts contradicted, each false version stated four
times; every night trains the same number of tokens and is judged on the same rows and probes. It is
`plumbline ablate` with these settings: finished stages are reused, so an interrupted run goes on, and
with `--all` one stage after the other is switched off too. The last line is JSON:

    removed_share   share of the hallucinated share that the damage added which the pipeline removes:
                    (raw - full) / (raw - undamaged), every night with the threshold that it chose on
                    its validation probes; `removed_share_half`: with a threshold of one half for all
    clean_delta     accuracy on facts that were never contradicted, the pipeline's minus the undamaged
                    corpus', the model being made to answer
    trace_p_at_10   from `benchmarks/tracing.py`, if it was run on this machine before
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import polars as pl
from measuring import table

TRACED = Path(__file__).with_name("results") / "tracing.json"
NIGHTS = ("undamaged", "raw", "full")
MEASURES = (
    "correct", "hallucinated", "hallucinated_contradicted", "facts_known_clean",
    "correct_half", "hallucinated_half", "mlm_loss",
)  # fmt: skip


def main() -> None:
    """Run what was not run yet, print the table, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[20, 21, 22])
    parser.add_argument("--all", action="store_true", help="every stage off once, too")
    parser.add_argument("--tokens", type=int, help="budget of each night (token presentations)")
    parser.add_argument("--quick", action="store_true", help="a tiny model, for a look")
    asked = parser.parse_args()
    found = nights(asked)
    variants = [*NIGHTS, *sorted(set(found["variant"]) - set(NIGHTS))]
    cells = {(line["variant"], line["measure"]): line for line in found.to_dicts()}
    table(
        ["night", *MEASURES],
        [[v, *(_cell(cells[v, m]) for m in MEASURES)] for v in variants],
        title=f"mean over seeds {asked.seeds}; in brackets the difference to the whole night",
    )
    print("\n" + json.dumps(headline({k: line["value"] for k, line in cells.items()})))


def headline(value: dict[tuple[str, str], float]) -> dict[str, Any]:
    """The figures of the last line."""
    wrong = {night: value[night, "hallucinated"] for night in NIGHTS}
    known = {night: value[night, "facts_known_clean"] for night in NIGHTS}
    return {
        "removed_share": _removed(value, "hallucinated"),
        "removed_share_half": _removed(value, "hallucinated_half"),
        "clean_delta": round(known["full"] - known["undamaged"], 4),
        "trace_p_at_10": json.loads(TRACED.read_text()).get("combined_p_at_10")
        if TRACED.exists()
        else None,
        **{f"hallucinated_{night}": round(share, 4) for night, share in wrong.items()},
    }


def _removed(value: dict[tuple[str, str], float], measure: str) -> float | None:
    """What the pipeline removes of what the damage added; None where it added nothing."""
    undamaged, raw, full = (value[night, measure] for night in NIGHTS)
    return round((raw - full) / (raw - undamaged), 3) if raw > undamaged else None


def nights(asked: argparse.Namespace) -> pl.DataFrame:
    """The table of the study, from its nights."""
    from tasks.settings import ROOT, Environment

    Environment().apply()
    from flows.ablate import ablate
    from tasks.ablation.configuration import AblationConfiguration
    from tasks.ablation.variants import STAGES
    from tasks.settings import load_as

    names = [*NIGHTS[:2], *(n for n in STAGES if asked.all and n not in NIGHTS)]
    given = [
        f"ablate.seeds=[{', '.join(map(str, asked.seeds))}]",
        f"ablate.variants=[{', '.join(names)}]",
        "source.defects.contradicted_facts=0.2", "source.defects.false_repeats=4",
        "baselines.lstm=false",
        "evaluate.attack_rows=0" if not asked.all else "evaluate.attack_rows=60",
        *([f"pretrain.tokens={asked.tokens}"] if asked.tokens else []),
    ]  # fmt: skip
    config = ROOT / "deployments" / ("smoke.yaml" if asked.quick else "nightly.yaml")
    page = ablate(load_as(AblationConfiguration, config, given))
    return pl.read_parquet(page.with_name("table.parquet"))


def _cell(line: dict[str, Any]) -> str:
    if line["value"] is None:
        return "–"
    if line["difference"] is None:
        return f"{line['value']:.3f}"
    return f"{line['value']:.3f} ({line['difference']:+.3f}: {line['low']:+.3f} to {line['high']:+.3f})"


if __name__ == "__main__":
    main()
