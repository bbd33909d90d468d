"""Every fault that the harness knows, each with where it strikes and what was not finished before."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import zip_longest

from faulting import clock, company, damage, kills, objects, servers, shortage, tracking
from faulting.ground import Ground
from faulting.seeding import Reference

_LONG = (
    "profile", "validate", "check_labels", "pretrain", "baselines", "finetune", "robustness", "floors",
)  # fmt: skip
_SHOWN = ("validate", "audit", "explain")  # stages with artifacts for people
_STORED = (
    "ingest", "clean", "augment", "tokenize", "pack", "pretrain", "finetune", "quality", "report",
)  # fmt: skip
Injection = Callable[[Ground, str], str]  # gives what was seen


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        kind: What is done.
        where: The stage or moment, the injection's argument.
        inject: Starts what it needs and does the harm.
        without: Titles of the stages that no earlier night finished; None for a home that is not
            there yet.
    """

    kind: str
    where: str
    inject: Injection
    without: tuple[str, ...] | None = ()

    @property
    def name(self) -> str:
        """Told apart by this."""
        return f"{self.kind}: {self.where}"


def everything(made: Reference) -> list[Fault]:
    """All faults, their kinds in turns, so that any first part of them is a part of each kind."""
    kinds = [
        _at(made, "SIGKILL before the commit", kills.before_commit, made.places, unfinished=2),
        _at(made, "SIGKILL after the commit", kills.after_commit, made.places, unfinished=2),
        _at(made, "SIGKILL inside a stage", kills.inside, _LONG, unfinished=2),
        _at(made, "SIGKILL at any moment", kills.at_a_moment, "abcdefgh"),
        [Fault("SIGKILL in a new home", "before the tables", kills.in_new_home, None),
         *(Fault("SIGKILL in a new home", f"moment {n}", kills.at_a_moment, None) for n in (1, 2))],
        _at(made, "SIGKILL while reporting", kills.while_reporting, _SHOWN),
        _at(made, "SIGKILL while registering", kills.while_registering, ["the model"]),
        _at(made, "SIGTERM", kills.terminate, _LONG[1:4], unfinished=2),
        _at(made, "MLflow killed", tracking.kill_server, ("clean", "pretrain", "decide"), unfinished=3),
        _at(made, "MLflow and night killed", tracking.kill_both, ("clean", "finetune"), unfinished=3),
        _at(made, "SIGKILL while delivering", tracking.kill_delivery, ("clean", "finetune"), unfinished=3),
        _at(made, "Prefect server killed", servers.kill_prefect, ("clean", "pretrain", "floors"),
            unfinished=3),
        _at(made, "Prefect's services killed", servers.kill_services, ("pretrain",), unfinished=3),
        _at(made, "PostgreSQL killed", servers.kill_postgres, ("audit", "pack", "finetune"), unfinished=3),
        _at(made, "worker killed", servers.kill_worker, ("pretrain", "finetune"), unfinished=3),
        _at(made, "S3 slow", objects.slow, ("audit",), unfinished=3),
        _at(made, "S3 failing", objects.failing, ("clean", "tokenize"), unfinished=4),
        _at(made, "S3 away", objects.away, ("pretrain", "finetune"), unfinished=3),
        _at(made, "bit flipped", damage.flip, _STORED),
        _at(made, "bit of a manifest flipped", damage.flip_manifest, _STORED),
        _at(made, "bit flipped meanwhile", damage.flip_while_running, ("augment", "finetune"), unfinished=2),
        [Fault("bit of a shard's part flipped", "shard_signals", damage.flip_part,
               ("profile", "profile_clean"))],
        _at(made, "file cut short", damage.cut, ("ingest", "tokenize", "finetune", "report")),
        _at(made, "file deleted", damage.delete, ("profile", "pretrain", "decide")),
        _at(made, "damaged and read-only", damage.read_only, ("clean", "quality")),
        _at(made, "clock jump (h)", clock.jump, ("audit +24", "audit -24", "finetune +24", "finetune -24"),
            unfinished=3),
        [Fault("disk full (KiB left)", where, shortage.full, made.following("pretrain", 3))
         for where in ("store 32", "home 0", "home 512")],
        [Fault("two nights at once", "from nothing", company.together, None),
         Fault("two nights at once", "from clean", company.together, made.following("clean", 9)),
         Fault("two nights at once", "all there", company.together)],
        _at(made, "two at once, one killed", company.one_killed, ("check_labels", "floors"), unfinished=3),
    ]  # fmt: skip
    return [fault for turn in zip_longest(*kinds) for fault in turn if fault is not None]


def a_few(made: Reference) -> list[Fault]:
    """Six of them, of the commonest kinds, that take the least time."""
    names = (
        "SIGKILL before the commit: audit", "SIGKILL after the commit: quality",
        "SIGKILL inside a stage: check_labels", "bit flipped: ingest",
        "bit of a manifest flipped: pretrain", "two at once, one killed: check_labels",
    )  # fmt: skip
    known = {fault.name: fault for fault in everything(made)}
    return [known[name] for name in names]


def _at(
    made: Reference, kind: str, inject: Injection, places: Iterable[str], *, unfinished: int = 0
) -> list[Fault]:
    """The same fault at several places, each with so many stages unfinished from there on."""
    return [
        Fault(
            kind, where, inject, made.following(where.split()[0], unfinished) if unfinished else ()
        )
        for where in places
    ]
