"""Where a run may read from, when a server runs what people type into a form.

A machine of one's own has no such limit. The team stack names places (`PLUMBLINE_SOURCES`), and then a
configuration that points elsewhere is refused before anything is opened: a form must not be a way to
read a server's files, or to have it run a module that lies about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from tasks.errors import UserError
from tasks.settings import Environment

# Every setting that names something to be read, and the words that name nothing outside.
PLACES: dict[str, tuple[str, ...]] = {
    "source.location": ("fictional",),
    "source.probes": (),
    "profile.signals": (),
    "profile.earlier": ("none", "last", "champion"),
    "validation.suites": (),
    "validation.reference": ("none", "last accepted"),
    "clean.suites": (),
    "contradictions.patterns": (),
    "augment.wordnet": (),
    "augment.back_translation": (),
    "pretrain.start": ("scratch", "champion"),
    "tag.train": (), "tag.validation": (), "tag.test": (),
    "pairs.train": (), "pairs.validation": (), "pairs.test": (),
}  # fmt: skip
# Names of something that is looked up rather than opened: suites of ours, modules, nights.
_NAMES = ("profile.signals", "validation.suites", "validation.reference", "clean.suites")
_HUB = "hub"
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(:[\w.-]+)?")
_NAME = re.compile(r"[\w -]+")
_APERTIUM = "apertium:"


def confine(configuration: BaseModel) -> None:
    """See that a configuration names nothing outside the places of this machine's environment.

    Args:
        configuration: A night's, or one that is built on a night's.

    Raises:
        UserError: It does; the setting and the place are named.
    """
    allowed = [place.strip() for place in Environment().sources.split(",") if place.strip()]
    if not allowed:
        return
    for setting, value in _places(configuration):
        if not _within(setting, value, allowed):
            raise UserError(
                f"{setting} is {value!r}, which lies outside of what this machine may read: "
                f"{', '.join(allowed)}",
                "Put it there, or have PLUMBLINE_SOURCES name its place.",
            )


def _places(configuration: BaseModel) -> Iterator[tuple[str, str]]:
    """Setting and value of everything that is not one of the setting's own words."""
    for setting, words in PLACES.items():
        section, _, field = setting.partition(".")
        value = getattr(getattr(configuration, section, None), field, None)
        values = value if isinstance(value, tuple) else (value,)
        if setting == "augment.back_translation" and isinstance(value, str):
            values = () if value.startswith(_APERTIUM) else tuple(value.split(","))
        for one in values:
            if isinstance(one, str) and one not in words:
                yield setting, one.strip()


def _within(setting: str, value: str, allowed: list[str]) -> bool:
    if setting in _NAMES and _NAME.fullmatch(value) and not Path(value).exists():
        return True
    if "://" in value:
        # No way out of a prefix by going up.
        return ".." not in value.split("/") and any(
            "://" in place and value.startswith(place.rstrip("/") + "/") for place in allowed
        )
    path = Path(value).expanduser()
    if _HUB in allowed and _HUB_NAME.fullmatch(value) and not path.exists():
        return True
    resolved = path.resolve()
    return any(
        resolved.is_relative_to(Path(place).resolve())
        for place in allowed
        if "://" not in place and place != _HUB
    )
