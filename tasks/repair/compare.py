"""Before and after a repair, on the same probes and test rows: what is gone, and at what price.

The targets are the wrong answers that the accepted rows support. One is gone if the repaired model
does not give that answer with confidence any more; it may be right, silent, or wrong in another way.
All other probes are the side effects. With the order hallucinated < abstained < correct, a probe is
worse or better off, and

    net change = (better - worse) / probes, with a paired bootstrap interval over the probes.

Each model abstains below its own threshold, as in every night. Since a repair can move that too, it
is also counted how many targets are gone whatever the threshold (the wrong answer is not the likeliest
any more), and what the repaired model's answers come to at the night's own threshold.

What the intervals do not cover: another seed of the same training moves answers too. That is what
the control is for: the same training without as many random rows, judged by the same targets.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from tasks.configuration import Evaluation
from tasks.evaluation.bootstrap import interval, paired_difference, share
from tasks.evaluation.hallucination import judge
from tasks.log import Log
from tasks.records import Outcome
from tasks.repair.page.outcome import page
from tasks.repair.propose import PAGE, PROPOSAL
from tasks.stage import stage

FACTS = "repair.json"
PROBES = "probes.parquet"
OUTCOMES = ("correct", "abstained", "hallucinated")
_ANSWERED = ("asserted", "confidence", "outcome", "right")
_RANK = {"hallucinated": 0, "abstained": 1, "correct": 2}
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


@stage
def before_after(
    proposed: Path,
    before: dict[str, Path],
    after: dict[str, Path],
    decided: Path,
    control: dict[str, Path] | None = None,
    *,
    accepted: tuple[str, ...],
    other_rows: dict[str, int],
    config: Evaluation,
    seed: int,
    out: Path,
    log: Log,
) -> Outcome:
    """Compare the night's model with the repaired one.

    Args:
        proposed: The proposal.
        before: The night's evaluations by name.
        after: The repaired model's.
        decided: `decision.json` of the repaired model against the night's.
        control: The evaluations of a model trained without as many random rows.
        accepted: Ids of the rows taken out.
        other_rows: What else changed in the training rows, as counts by name.
        config: Number of resamples.
        seed: Seed of the resamples.
        out: Gets `repair.json`, `probes.parquet` (both models' answers) and `page.html`.
        log: Unused; the stage takes seconds.
    """
    table = pl.read_parquet(proposed / PROPOSAL)
    chosen = table.filter(pl.col("row_id").is_in(list(accepted)))
    names = sorted({name for wrong in chosen["wrong"] for name in wrong})
    how = {"resamples": config.bootstrap, "seed": seed}
    asked = paired(_probes(before), _probes(after), names)
    facts: dict[str, Any] = {
        "rows": chosen.height,
        "copies": int(chosen["copies"].list.len().sum()),
        "made_up": int(chosen["made_up"].list.len().sum()),
        "other_rows": other_rows,
        **compared(asked, **how),
        "tau": {name: _tau(folders) for name, folders in (("before", before), ("after", after))},
        "decision": orjson.loads((decided / "decision.json").read_bytes()),
    }
    same = judge(_probes(after).drop("outcome"), facts["tau"]["before"])
    facts["at_the_nights_tau"] = compared(paired(_probes(before), same, names), **how)
    if control is not None:
        drawn = paired(_probes(before), _probes(control), names)
        facts["control"] = compared(drawn, **how)
        facts["more_gone_than_control"] = _more_gone(asked, drawn, **how)
    facts["sentence"] = sentence(facts)
    asked.write_parquet(out / PROBES)
    (out / FACTS).write_bytes(orjson.dumps(facts, option=_JSON))
    (out / PAGE).write_text(page(facts, asked, chosen), encoding="utf-8")
    return Outcome(
        summary=facts["sentence"], metrics=figures(facts), artifacts=(FACTS, PROBES, PAGE)
    )


def paired(before: pl.DataFrame, after: pl.DataFrame, targets: list[str]) -> pl.DataFrame:
    """Both models' answers to the probes that both were asked, and what became of each.

    Args:
        before: `probe_id`, `statement`, `answer`, `asserted`, `confidence`, `outcome`; and `right`
            where a probe accepts other answers beside its own.
        after: The same of the other model.
        targets: Ids of the probes that were to change.

    Returns:
        Those columns, the other model's as `new_<column>`, and `targeted`, `gone` (the wrong answer
        is not given any more), `unlikely` (it is not even the likeliest) and `change` (-1, 0 or 1).
    """
    before, after = _with_right(before), _with_right(after)
    new = after.select("probe_id", *(pl.col(name).alias(f"new_{name}") for name in _ANSWERED))
    both = before.select("probe_id", "relation", "statement", "answer", *_ANSWERED)
    both = both.join(new, on="probe_id", maintain_order="left").sort("probe_id")
    same = pl.col("new_asserted") == pl.col("asserted")
    moved = pl.col("new_outcome").replace_strict(_RANK) - pl.col("outcome").replace_strict(_RANK)
    return both.with_columns(
        pl.col("probe_id").is_in(targets).alias("targeted"),
        (~((pl.col("new_outcome") == "hallucinated") & same)).alias("gone"),
        (~same).alias("unlikely"),
        moved.cast(pl.Int64).sign().alias("change"),
    )


def _with_right(asked: pl.DataFrame) -> pl.DataFrame:
    if "right" in asked.columns:
        return asked
    return asked.with_columns((pl.col("asserted") == pl.col("answer")).alias("right"))


def compared(asked: pl.DataFrame, *, resamples: int, seed: int) -> dict[str, Any]:
    """The figures of one model against the night's, from `paired`."""
    how: dict[str, Any] = {"resamples": resamples, "seed": seed}
    targeted, others = asked.filter("targeted"), asked.filter(~pl.col("targeted"))
    return {
        "targets": _targets(targeted, how),
        "others": _others(others, how),
        "hallucinated": _change(asked, pl.col("outcome") == "hallucinated", how),
        "correct": _change(asked, pl.col("outcome") == "correct", how),
        "likeliest_right": _change(asked, pl.col("right"), how),
        "probes": asked.height,
    }


def _targets(targeted: pl.DataFrame, how: Mapping[str, Any]) -> dict[str, Any]:
    gone = targeted.filter("gone")
    became = {name: int((gone["new_outcome"] == name).sum()) for name in OUTCOMES}
    found: dict[str, Any] = {
        "probes": targeted.height,
        "gone": gone.height,
        "became_correct": became["correct"],
        "became_abstained": became["abstained"],
        "became_another_wrong": became["hallucinated"],
        "not_likeliest": int(targeted["unlikely"].sum()),
    }
    if targeted.height:
        found["gone_share"] = share(targeted["gone"].to_numpy(), **how)
    return found


def _others(others: pl.DataFrame, how: Mapping[str, Any]) -> dict[str, Any]:
    """Side effects: how many got better and worse, from which outcome to which."""
    groups = others.group_by("outcome", "new_outcome").len()
    counts = {(old, new): n for old, new, n in groups.iter_rows()}
    found: dict[str, Any] = {
        "probes": others.height,
        "better": int((others["change"] > 0).sum()),
        "worse": int((others["change"] < 0).sum()),
        "transitions": {
            old: {new: int(counts.get((old, new), 0)) for new in OUTCOMES} for old in OUTCOMES
        },
    }
    if others.height:
        found["net_change"] = interval(others["change"].to_numpy().astype(np.float64), **how)
    return found


def _change(asked: pl.DataFrame, what: pl.Expr, how: Mapping[str, Any]) -> dict[str, Any] | None:
    """A share before and after, and their paired difference."""
    if asked.is_empty():
        return None
    new = asked.select("answer", *(pl.col(f"new_{name}").alias(name) for name in _ANSWERED))
    a, b = (frame.select(what).to_series().to_numpy() for frame in (new, asked))
    return {
        "before": share(b, **how), "after": share(a, **how),
        "difference": paired_difference(a, b, **how),
    }  # fmt: skip


def _more_gone(
    asked: pl.DataFrame, control: pl.DataFrame, *, resamples: int, seed: int
) -> dict[str, float] | None:
    """Share of the targets gone, repair minus control, paired over the targets of both."""
    both = asked.filter("targeted").select("probe_id", "gone").join(
        control.select("probe_id", by_chance="gone"), on="probe_id"
    )  # fmt: skip
    if both.is_empty():
        return None
    a, b = both["gone"].to_numpy(), both["by_chance"].to_numpy()
    return paired_difference(a, b, resamples=resamples, seed=seed)


def sentence(facts: Mapping[str, Any]) -> str:
    """The whole in a sentence."""
    targets, others = facts["targets"], facts["others"]
    answers = "answer is" if targets["gone"] == 1 else "answers are"
    said = f"{targets['gone']:,} of {targets['probes']:,} targeted wrong {answers} gone"
    control = facts.get("control")
    if control is not None:
        said += f" ({control['targets']['gone']:,} without as many random rows)"
    facts_ = "fact" if others["probes"] == 1 else "facts"
    return (
        f"{said}; of {others['probes']:,} other {facts_} {others['worse']:,} got worse, "
        f"{others['better']:,} better"
    )


def figures(facts: Mapping[str, Any]) -> dict[str, float]:
    """What compares across repairs, flat."""
    found = {"rows_withdrawn": float(facts["rows"] + facts["copies"])}
    found |= {
        f"targets_{name}": float(value)
        for name, value in facts["targets"].items()
        if not isinstance(value, dict)
    }
    found |= {
        f"others_{name}": float(facts["others"][name]) for name in ("probes", "better", "worse")
    }
    for name in ("hallucinated", "correct"):
        if facts[name] is not None:
            found |= {f"{name}_{k}": facts[name][k]["value"] for k in ("before", "after")}
    if "control" in facts:
        found["control_targets_gone"] = float(facts["control"]["targets"]["gone"])
    return found


def _tau(folders: Mapping[str, Path]) -> float:
    found = orjson.loads((folders["hallucination"] / "hallucination.json").read_bytes())
    return float(found["tau"])


def _probes(folders: Mapping[str, Path]) -> pl.DataFrame:
    return pl.read_parquet(folders["hallucination"] / "probes.parquet")
