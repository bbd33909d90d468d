"""Nights that are killed, damaged, starved and misled, and what the next night makes of it.

    python benchmarks/faults.py [--quick] [--kinds WORD ...] [--most N] [--folder runs/faults] [--fresh]

One small night is left alone. Every fault then strikes a night in a home of its own; the next night
there must end well, and leave what the undisturbed one left: the same bytes in the store, every
figure in MLflow once, every row kept or quarantined, no lock, lease, process or work left behind.
Results are written line by line, so a harness that is stopped goes on where it was. The last line
is JSON; the exit status is 1 if a fault was not survived.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from faulting.catalogue import Fault, a_few, everything
from faulting.endings import differences, ending_of, wrongs
from faulting.ground import Ground
from faulting.nights import ROOT, Broken, Ended, NotInjected, reused
from faulting.seeding import Reference, fingerprint, seed, undisturbed
from measuring import table, tell

_SAID = 70  # characters of what was seen that the table shows


@dataclass(frozen=True)
class Result:
    """What became of one fault.

    Attributes:
        kind: Of the fault.
        where: It struck.
        survived: None where it did not strike, so that there was nothing to survive.
        seen: What was seen of the fault.
        reused: What the next night reused.
        wrong: What was wrong afterwards; empty if it was survived.
        seconds: Of both nights and the comparison.
    """

    kind: str
    where: str
    survived: bool | None
    seen: str
    reused: str
    wrong: list[str]
    seconds: float


def main() -> None:
    """Inject what was asked for, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="six faults")
    parser.add_argument("--kinds", nargs="*", default=[""], help="only kinds with such a word")
    parser.add_argument("--most", type=int, default=10_000, help="faults in all")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "runs" / "faults", help="of the homes"
    )
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    asked = parser.parse_args()
    folder = asked.folder.absolute() / fingerprint()[:12]  # other code, other results
    if asked.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    made = undisturbed(folder / "undisturbed")
    known = a_few(made) if asked.quick else everything(made)
    wanted = [f for f in known if any(word in f.kind for word in asked.kinds)][: asked.most]
    results = run_all(wanted, made, folder)
    show(results)
    sys.exit(not all(result.survived for result in results))


def run_all(faults: Iterable[Fault], made: Reference, folder: Path) -> list[Result]:
    """Inject all faults that have no result yet, each result kept as soon as it is there."""
    path = folder / "results.jsonl"
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    found = {f"{r.kind}: {r.where}": r for r in (Result(**json.loads(line)) for line in lines)}
    faults = list(faults)
    for number, fault in enumerate(faults, 1):
        if fault.name in found and found[fault.name].survived:
            continue
        result = inject(fault, made, folder / f"{number:03}")
        found[fault.name] = result
        with path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(asdict(result)) + "\n")
        told = {True: "survived", False: "NOT SURVIVED", None: "did not strike"}[result.survived]
        tell(f"{number} of {len(faults)}  {fault.name}: {told}  {'; '.join(result.wrong)}")
    return [found[fault.name] for fault in faults]


def inject(fault: Fault, made: Reference, folder: Path) -> Result:
    """Inject one fault and judge what the next night leaves; the home stays where it did not survive."""
    started = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    ground = Ground(folder / "runs", made)
    seen, again, wrong, survived = "", "", [], None
    try:
        seed(made, ground.home, fault.without)
        seen = fault.inject(ground, fault.where)
        ended = ground.night().wait()
        again, wrong = reused(ended), judge(ground, ended)
        survived = not wrong
    except NotInjected as error:
        wrong = [str(error)]
    except Broken as error:
        survived, wrong = False, [f"the disturbed night: {error}"]
    finally:
        ground.leave()
    if survived:
        shutil.rmtree(folder)
    took = round(time.monotonic() - started, 1)
    return Result(fault.kind, fault.where, survived, seen, again, wrong, took)


def judge(ground: Ground, ended: Ended) -> list[str]:
    """What is wrong after the next night, in words."""
    if ended.status:
        return [f"the next night ended with {ended.status}: {ended.err[-800:]}"]
    found = ending_of(ground.home, ended.page)
    return [*differences(ground.made.ending, found), *wrongs(ground.home, ended.page)]


def show(results: list[Result]) -> None:
    """Print the table and the line of JSON."""
    marks = {True: "yes", False: "NO", None: "did not strike"}
    rows = [
        [r.kind, r.where, marks[r.survived], r.reused, f"{r.seconds:.0f}", r.seen[:_SAID]]
        for r in sorted(results, key=lambda r: r.kind)
    ]
    table(["kind", "where", "survived", "next night", "s", "seen"], rows, title="Faults")
    struck = [r for r in results if r.survived is not None]
    lived = Counter(r.kind for r in struck if r.survived)
    kinds = {kind: [lived[kind], n] for kind, n in Counter(r.kind for r in struck).items()}
    good = sum(lived.values())
    print("\n" + json.dumps({"faults": len(struck), "survived": good, "by_kind": kinds}))


if __name__ == "__main__":
    main()
