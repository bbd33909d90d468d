"""Nights that are ended: at the boundary of a stage, inside one, at any moment, while they report."""

from __future__ import annotations

import json
import os
import random
import signal

from faulting.ground import Ground
from faulting.nights import CHILD, Broken, Ended, NotInjected

_LATEST = 0.8  # a stage is struck within such a part of the seconds that it took undisturbed
_START = 15.0  # seconds in which a night starts and looks up what is there


def before_commit(ground: Ground, title: str) -> str:
    """SIGKILL to the flow process just before a finished folder is moved into the store."""
    strike(ground, "os.rename", f"*/store/{ground.place(title)}", signal.SIGKILL)
    _require(not ground.is_finished(title), f"{title} was in the store already")
    return f"{ground.work_files(title)} files aside"


def after_commit(ground: Ground, title: str) -> str:
    """SIGKILL to the flow process just after the move, before MLflow is told."""
    stage = ground.place(title).split("/")[0]
    # The folder's entry in the stage's folder is put on the disk then.
    strike(ground, "open", f"*/store/{stage}", signal.SIGKILL)
    _require(ground.is_finished(title), f"{title} is not in the store")
    return "in the store, not in MLflow"


def while_reporting(ground: Ground, title: str) -> str:
    """SIGKILL to the flow process while it copies a stage's artifacts to MLflow."""
    strike(ground, "open", f"*/mlartifacts/*/artifacts/{title}/*", signal.SIGKILL)
    return "figures told, artifacts not"


def while_registering(ground: Ground, _: str) -> str:
    """SIGKILL to the flow process while it copies the model into the registry."""
    strike(ground, "open", "*/mlartifacts/models/*/artifacts/*", signal.SIGKILL)
    return "half a model in MLflow"


def in_new_home(ground: Ground, _: str) -> str:
    """SIGKILL to the flow process when MLflow's first tables are made and not yet in place."""
    strike(ground, "os.rename", "*/mlflow.db", signal.SIGKILL)
    _require(not (ground.home / "mlflow.db").exists(), "the tables were in place")
    return "MLflow's tables made aside"


def inside(ground: Ground, title: str) -> str:
    """SIGKILL to the night and its servers at a random moment inside a stage."""
    delay = random.Random(f"inside {title}").uniform(0, _LATEST * ground.made.seconds[title])
    night = ground.night()
    night.wait_until(lambda: ground.is_working_on(title))
    night.wait_for(delay)
    night.send(signal.SIGKILL, group=True)
    where = "inside" if ground.is_working_on(title) else "after it"
    return f"{delay:.1f} s after its start, {where}"


def at_a_moment(ground: Ground, which: str) -> str:
    """SIGKILL to the night and its servers at any moment after its start."""
    delay = random.Random(f"moment {which}").uniform(0, _START)
    night = ground.night()
    night.wait_for(delay)
    night.send(signal.SIGKILL, group=True)
    return f"{delay:.1f} s after the start"


def terminate(ground: Ground, title: str) -> str:
    """SIGTERM to the flow process inside a stage: it stops as for Ctrl+C and cleans up."""
    night = ground.night()
    night.wait_until(lambda: ground.is_working_on(title))
    ended = night.send(signal.SIGTERM, group=False)
    if ended.status != 130 or "Traceback" in ended.err:
        raise Broken(f"it ended with {ended.status}: {ended.err[-500:]}")
    return "ended with 130"


def strike(ground: Ground, event: str, path: str, number: int) -> Ended:
    """A night that ends by a signal at the first audit event of a name with a path that matches."""
    told = {"event": event, "path": path, "signal": number}
    paths = os.pathsep.join([str(CHILD), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    night = ground.night({"PYTHONPATH": paths, "FAULT_STRIKE": json.dumps(told)})
    ended = night.wait()
    _require(ended.status == -number, f"the night ended with {ended.status}: {ended.err[-500:]}")
    return ended


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise NotInjected(otherwise)
