"""What is installed is what is locked, under licences that we may use; `make check` runs this."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

LOCK = Path(__file__).parents[2] / "requirements.lock"
# Copyleft that TextAttack, one of the fixed packages, brings; we neither change nor hand on any of it.
TOLERATED = {"levenshtein", "language-tool-python"}
OURS = {"plumbline", "pip", "setuptools", "wheel"}


def _name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


def _locked() -> dict[str, str]:
    lines = [line for line in LOCK.read_text().splitlines() if line and line[0] != "#"]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in lines)
    found = dict(line.split("==") for line in lines)
    assert len(found) == len(lines)
    return {_name(name): version for name, version in found.items()}


def _installed() -> dict[str, importlib.metadata.Distribution]:
    return {_name(d.metadata["Name"]): d for d in importlib.metadata.distributions()}


def test_exactly_what_is_locked_is_installed() -> None:
    locked, installed = _locked(), _installed()
    # A package index for CPUs calls torch 2.13.0+cpu.
    there = {name: Version(d.version).public for name, d in installed.items() if name not in OURS}
    wanted = {name: version for name, version in locked.items() if name not in OURS}
    assert {name: there.get(name) for name in wanted} == wanted
    assert not set(there) - set(wanted)


def test_every_requirement_of_an_installed_package_is_met() -> None:
    installed = _installed()
    unmet = []
    for distribution in installed.values():
        for text in distribution.requires or ():
            wanted = Requirement(text)
            if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
                continue
            found = installed.get(_name(wanted.name))
            if found is None or not wanted.specifier.contains(found.version, prereleases=True):
                unmet.append(f"{distribution.metadata['Name']} wants {text}")
    assert not unmet


def test_no_licence_forbids_what_teams_do_with_it() -> None:
    forbidden = []
    for name, distribution in _installed().items():
        told = distribution.metadata
        terms = [told.get("License-Expression") or "", (told.get("License") or "")[:200]]
        terms += [c for c in told.get_all("Classifier") or [] if c.startswith("License ::")]
        text = " ".join(terms)
        strong = re.search(r"\b(AGPL|Affero|SSPL|Commons Clause|(?<!L)GPL-[23])", text)
        if strong and name not in TOLERATED:
            forbidden.append(f"{name}: {strong[0]}")
    assert not forbidden
    assert set(_installed()) >= TOLERATED  # or the exception is no longer needed
