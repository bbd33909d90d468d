"""Nights that are killed, damaged, starved and misled, and what the next night makes of it.

    python benchmarks/faults.py [--quick] [--kinds WORD ...] [--most N] [--jobs N] [--fresh]

One small night is left alone. Every fault then strikes a night in a home of its own; the next night
there must end well, and leave what the undisturbed one left: the same bytes in the store, every
figure in MLflow once, every row kept or quarantined, no lock, lease, process or work left behind.
Results are written line by line, so a harness that is stopped goes on where it was. The last line
is JSON; the exit status is 1 if a fault was not survived, or none struck.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

from faulting.catalogue import Fault, a_few, everything
from faulting.endings import differences, ending_of, wrongs
from faulting.ground import Ground
from faulting.nights import ROOT, Broken, Ended, NotInjected, reused
from faulting.seeding import Reference, fingerprint, seed, undisturbed
from measuring import table, tell

_MARKS = {True: "yes", False: "NO", None: "did not strike"}
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

    @property
    def name(self) -> str:
        """Of the fault."""
        return f"{self.kind}: {self.where}"


def main() -> None:
    """Inject what was asked for, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="six faults")
    parser.add_argument("--kinds", nargs="*", default=[""], help="only kinds with such a word")
    parser.add_argument("--jobs", type=int, default=1, help="faults at the same time")
    parser.add_argument("--most", type=int, default=10_000, help="faults in all")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "runs" / "faults", help="of the homes"
    )
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what runs is ended
    folder = asked.folder.absolute() / fingerprint()[:12]  # other code, other results
    if asked.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    made = undisturbed(folder / "undisturbed")
    known = a_few(made) if asked.quick else everything(made)
    wanted = [f for f in known if any(word in f.kind for word in asked.kinds)][: asked.most]
    results = run_all(wanted, made, folder, asked.jobs)
    show(results)
    lost = [result for result in results if result.survived is False]
    sys.exit(bool(lost) or not any(result.survived for result in results))


def run_all(faults: Sequence[Fault], made: Reference, folder: Path, jobs: int) -> list[Result]:
    """Inject all faults that were not survived yet, each result kept as soon as it is there."""
    path = folder / "results.jsonl"
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    found = {result.name: result for result in (Result(**json.loads(line)) for line in lines)}
    left = [f for f in faults if f.name not in found or not found[f.name].survived]
    pool = ThreadPoolExecutor(jobs)
    going = [pool.submit(inject, fault, made, folder) for fault in left]
    try:
        for number, done in enumerate(as_completed(going), 1):
            result = done.result()
            found[result.name] = result
            with path.open("a", encoding="utf-8") as handle:
                handle.write(json.dumps(asdict(result)) + "\n")
            what = f"{result.name}: {_MARKS[result.survived]}  {'; '.join(result.wrong)}"
            tell(f"{number} of {len(left)}  {what}")
    finally:  # stopped half-way, end what is going on and begin nothing more
        pool.shutdown(cancel_futures=True)
    return [found[fault.name] for fault in faults]


def inject(fault: Fault, made: Reference, folder: Path) -> Result:
    """Inject one fault and judge what the next night leaves; the home stays where it did not survive."""
    started = time.monotonic()
    place = folder / re.sub(r"\W+", "-", fault.name)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    ground = Ground(place / "runs", made)
    seen, again, wrong, survived = "", "", [], None
    try:
        seed(made, ground.home, fault.without)
        seen = fault.inject(ground, fault.where)
        ended = ground.night().wait()
        again, wrong = reused(ended), judge(ground, ended)
        survived = not wrong
    except NotInjected as error:
        wrong = [str(error)]
    except subprocess.TimeoutExpired as error:
        survived, wrong = False, [f"a night did not end: {error}"]
    except Broken as error:
        survived, wrong = False, [f"the disturbed night: {error}"]
    finally:
        ground.leave()
    if survived:
        shutil.rmtree(place)
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
    rows = [
        [r.kind, r.where, _MARKS[r.survived], r.reused, f"{r.seconds:.0f}", r.seen[:_SAID]]
        for r in sorted(results, key=lambda r: r.kind)
    ]
    table(["kind", "where", "survived", "next night", "s", "seen"], rows, title="Faults")
    struck = [r for r in results if r.survived is not None]
    lived = Counter(r.kind for r in struck if r.survived)
    kinds = {kind: [lived[kind], n] for kind, n in Counter(r.kind for r in struck).items()}
    told = {"faults": len(struck), "survived": lived.total(), "missed": len(results) - len(struck)}
    print("\n" + json.dumps({**told, "by_kind": kinds}))


if __name__ == "__main__":
    main()
