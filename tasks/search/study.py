"""A study that can be stopped and gone on with: what was tried, what came of it, what is next.

Optuna's ask and tell are used rather than its `optimize`, so that a trial can be a Prefect task.
What is asked is a function of (seed, the number of trials so far, what they came to), so that a
study that was interrupted proposes what an uninterrupted one would; one sampler seeded once would
draw its first values again after every restart.

The sampler is the tree-structured Parzen estimator (https://papers.nips.cc/paper/4443), the pruner
the median rule of Vizier (https://doi.org/10.1145/3097983.3098043).
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tasks import processes
from tasks.errors import UserError
from tasks.records import Frozen
from tasks.search.configuration import Search, Value

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

Ending = Literal["complete", "pruned", "diverged", "impossible", "failed", "killed"]
MARKS = 10  # of a trial's budget, at which its loss is compared with other trials'
_MOST_ATTEMPTS = 3
_SILENT_SECONDS = 900.0  # after which a trial of another machine is taken for killed
_BEAT_SECONDS = 30.0


class Trial(Frozen):
    """One trial as it ended.

    Attributes:
        number: From 0, in the order of beginning.
        ending: How it ended.
        loss: Held-out loss (nats) at its end, if it came to that.
        last_loss: The last held-out loss it reported, if any.
        share: Share of its budget that it had then.
        settings: What was tried, by dotted name.
        reason: Why it did not come to its end.
        seconds: What it took.
    """

    number: int
    ending: Ending
    loss: float | None
    last_loss: float | None
    share: float
    settings: dict[str, Value]
    reason: str
    seconds: float


@dataclass
class Asked:
    """A trial that is being run.

    Attributes:
        number: From 0.
        settings: What to try, by dotted name.
        repeats: The killed trial that this one does again, if so.
    """

    number: int
    settings: dict[str, Value]
    repeats: int | None
    handle: optuna.Trial
    beaten: float = 0.0


class Study:
    """A named study in a database; safe to use from several threads."""

    def __init__(
        self, url: str, name: str, space: Mapping[str, BaseDistribution], search: Search, seed: int
    ) -> None:
        """Open the study, or begin it.

        Args:
            url: SQLAlchemy's URL of a SQLite or PostgreSQL database.
            name: The study's.
            space: What may be tried.
            search: Budget, sampler and pruner.
            seed: Of the sampler.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.name = name
        self.space = dict(space)
        self._search = search
        self._seed = seed
        self._lock = threading.Lock()
        pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
        if search.prune:
            pruner = optuna.pruners.MedianPruner(
                n_startup_trials=search.prune_from_trial,
                n_warmup_steps=math.ceil(search.prune_from_share * MARKS),
            )
        self._storage = _open(url)
        self.optuna = optuna.create_study(
            storage=self._storage, study_name=name, pruner=pruner, direction="minimize",
            load_if_exists=True,
        )  # fmt: skip

    def belongs_to(self, identity: dict[str, Any]) -> None:
        """Check that earlier trials tried the same thing, and note it in a new study.

        Raises:
            UserError: They did not, so that their losses cannot be compared.
        """
        given = _flat(json.loads(json.dumps(identity)))
        stored = self.optuna.user_attrs.get("identity")
        if stored is None:
            self.optuna.set_user_attr("identity", json.dumps(identity))
            return
        held = _flat(json.loads(stored))
        names = [n for n in sorted({*held, *given}) if held.get(n) != given.get(n)]
        if names:
            told = "; ".join(f"{n} was {held.get(n)}, is {given.get(n)}" for n in names[:3])
            raise UserError(
                f"the study {self.name!r} compares other trials: {told}",
                "Take another search.study, or leave it out.",
            )

    def begin_with(self, settings: Mapping[str, Value]) -> None:
        """In a new study, try the given settings first: what is found is to be no worse."""
        begun = bool(self.optuna.get_trials(deepcopy=False))
        if not begun and all(_within(d, settings[name]) for name, d in self.space.items()):
            self.optuna.enqueue_trial(dict(settings))

    def take_up(self) -> list[int]:
        """Put back in the queue what killed processes left in the midst; return the numbers."""
        lost = [t for t in self._frozen("RUNNING") if _abandoned(t.user_attrs)]
        for trial in lost:
            self.put_back(trial.number, "its process was killed")
        return [trial.number for trial in lost]

    def put_back(self, number: int, reason: str) -> None:
        """End a trial in the midst and do it again, unless it has ended its process thrice."""
        (trial,) = [t for t in self.optuna.get_trials(deepcopy=False) if t.number == number]
        attempt = int(trial.user_attrs.get("attempt", 1))
        if attempt >= _MOST_ATTEMPTS:
            self.tell(number, "failed", reason=f"{reason}, {attempt} times")
            return
        self.tell(number, "killed", reason=reason)
        again = {"attempt": attempt + 1, "repeats": number}
        self.optuna.enqueue_trial(dict(trial.params), user_attrs=again)

    def left(self) -> int:
        """How many trials may still be begun; one that was killed and is done again is no other."""
        return max(0, self._search.trials - self._begun())

    def ask(self) -> Asked | None:
        """The next trial, or None when the budget is used up."""
        import optuna

        with self._lock:
            begun = self._begun()
            if begun >= self._search.trials:
                return None
            drawn = np.random.SeedSequence([self._seed, begun]).generate_state(1)[0]
            self.optuna.sampler = optuna.samplers.TPESampler(
                seed=int(drawn), n_startup_trials=self._search.startup,
                constant_liar=self._search.parallel > 1,
            )  # fmt: skip
            handle = self.optuna.ask(self.space)
        repeats = handle.user_attrs.get("repeats")
        asked = Asked(handle.number, dict(handle.params), repeats, handle)
        for name, value in processes.identity().items():
            handle.set_user_attr(name, value)
        self.beat(asked)
        return asked

    def beat(self, asked: Asked) -> None:
        """Say that a trial is alive; other machines believe it for a quarter of an hour."""
        if time.time() - asked.beaten > _BEAT_SECONDS:
            asked.beaten = time.time()
            asked.handle.set_user_attr("beat", asked.beaten)

    def report(self, asked: Asked, mark: int, loss: float) -> str | None:
        """Note a loss at a tenth of the budget.

        Args:
            asked: The trial.
            mark: Which tenth, from 1 to 10.
            loss: Held-out, in nats.

        Returns:
            Why the trial should end now, or None.
        """
        asked.handle.report(loss, mark)
        if mark >= MARKS or not asked.handle.should_prune():
            return None
        others = [t.intermediate_values.get(mark) for t in self._frozen("COMPLETE")]
        median = float(np.nanmedian([loss for loss in others if loss is not None]))
        return f"loss {loss:.3f} at {mark * 100 // MARKS} %, median of the others {median:.3f}"

    def tell(
        self, number: int, ending: Ending, *, loss: float | None = None, reason: str = ""
    ) -> None:
        """End a trial.

        One that diverged, or whose settings exclude each other, is told as pruned, since the
        sampler keeps away from what was pruned and learns nothing from what failed.
        """
        import optuna

        states = optuna.trial.TrialState
        state = {"complete": states.COMPLETE, "failed": states.FAIL, "killed": states.FAIL}
        study_id = self._storage.get_study_id_from_name(self.name)
        key = self._storage.get_trial_id_from_study_id_trial_number(study_id, number)
        self._storage.set_trial_user_attr(key, "ending", ending)
        self._storage.set_trial_user_attr(key, "reason", reason)
        self.optuna.tell(number, loss, state=state.get(ending, states.PRUNED))

    def trials(self) -> list[Trial]:
        """Every trial that has ended, in the order of beginning."""
        ended = self._frozen("COMPLETE", "PRUNED", "FAIL")
        return [_trial(frozen) for frozen in ended]

    def best(self) -> Trial | None:
        """The complete trial with the lowest loss."""
        complete = [t for t in self.trials() if t.ending == "complete"]
        return min(complete, key=lambda t: (t.loss, t.number), default=None)

    def _begun(self) -> int:
        trials = self._frozen("COMPLETE", "PRUNED", "FAIL", "RUNNING")
        return sum(t.user_attrs.get("ending") != "killed" for t in trials)

    def _frozen(self, *states: str) -> list[optuna.trial.FrozenTrial]:
        from optuna.trial import TrialState

        wanted = tuple(TrialState[state] for state in states)
        return list(self.optuna.get_trials(deepcopy=False, states=wanted))


def _trial(frozen: optuna.trial.FrozenTrial) -> Trial:
    marks = frozen.intermediate_values
    last = max(marks, default=0)
    return Trial(
        number=frozen.number,
        ending=frozen.user_attrs.get("ending", "failed"),
        loss=frozen.value if frozen.state.name == "COMPLETE" else None,
        last_loss=marks.get(last),
        share=last / MARKS,
        settings=dict(frozen.params),
        reason=frozen.user_attrs.get("reason", ""),
        seconds=frozen.duration.total_seconds() if frozen.duration else 0.0,
    )


def _within(distribution: Any, value: Any) -> bool:
    choices = getattr(distribution, "choices", None)
    if choices is not None:
        return value in choices
    if value is None or not distribution.low <= value <= distribution.high:
        return False
    steps = (value - distribution.low) / (distribution.step or math.inf)
    return math.isclose(steps, round(steps), abs_tol=1e-9)


def _abandoned(attributes: Mapping[str, Any]) -> bool:
    if processes.is_dead(attributes.get("host", ""), attributes.get("process", "")):
        return True
    return time.time() - float(attributes.get("beat", 0.0)) > _SILENT_SECONDS


def _open(url: str) -> optuna.storages.RDBStorage:
    import optuna
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    shown = "PLUMBLINE_STUDIES"
    try:
        parsed = make_url(url)
        shown = parsed.render_as_string(hide_password=True)
        waiting: dict[str, Any] = {}
        if parsed.get_backend_name() == "sqlite":
            waiting = {"connect_args": {"timeout": 60}}  # of another trial's write
            Path(parsed.database or "").parent.mkdir(parents=True, exist_ok=True)
        return optuna.storages.RDBStorage(url, engine_kwargs=waiting)
    except (ArgumentError, SQLAlchemyError, ImportError, OSError) as error:
        told = str(getattr(error, "orig", None) or error).strip()
        told = told.replace(url, shown)
        raise UserError(
            f"the database of studies {shown} cannot be opened: {told}",
            "Correct PLUMBLINE_STUDIES; for PostgreSQL install the extra `team`.",
        ) from None


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
