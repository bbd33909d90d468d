"""Suites as files: what they ask in words, and whether a night could use one.

A file is checked the way a night would use it: it is loaded, and then judged on three rows that were
measured like any corpus, so an unknown expectation, a misspelt column and an argument that does not
fit are refused here in the words that a night would use.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import polars as pl

from expectations.runner import load_suite, run_suite
from expectations.sentences import requirement
from expectations.suite_files import SuiteError, read_suite, suite_names, suite_path
from tasks.configuration import Profiling
from tasks.corpus.profile import CORPUS, profile
from tasks.corpus.rows import BASE, GROUP, digest, row_ids
from tasks.corpus.validate import judged_frame
from tasks.errors import UserError
from tasks.log import Log

_TEXTS = ("The ferry leaves at dawn.", "She bakes bread in Ost.", "Rain fell on the old town.")
_WHERE = "Suites are the files under expectations/suites/."
_ADVICE = "Mend the file; `plumbline suites` shows those that can be used."


def described(names: list[str]) -> str:
    """Suites as sentences, one per expectation, with its severity and its row rule's name.

    Args:
        names: Names, or paths; empty for all that come with the project.

    Raises:
        UserError: There is no such suite, or its file cannot be read.
    """
    try:
        return "\n".join(_described(suite_path(name)) for name in names or suite_names())
    except SuiteError as error:
        raise UserError(str(error), _WHERE) from error


def checked(path: Path) -> str:
    """A file as sentences, if a night could use it.

    Raises:
        UserError: It could not; the message names what is wrong with which expectation.
    """
    try:
        suite = load_suite(path)
        run_suite(_measured(_groups_of(path)), suite)
    except SuiteError as error:
        raise UserError(f"{path} cannot be used: {error}", _ADVICE) from error
    return _described(path)


def rules_in_words() -> dict[str, str]:
    """What each row rule asks for, by the reason that a row is quarantined under.

    Raises:
        UserError: A suite cannot be read.
    """
    found = {}
    try:
        items = [i for name in suite_names() for i in read_suite(suite_path(name))["expectations"]]
    except SuiteError as error:
        raise UserError(str(error), _WHERE) from error
    for item in items:
        if rule := item.get("meta", {}).get("rule"):
            kwargs = {k: v for k, v in item.get("kwargs", {}).items() if k != "mostly"}
            found[str(rule)] = requirement(item["type"], kwargs)
    return found


def _described(path: Path) -> str:
    content = read_suite(path)
    lines = [f"{content['name']}: {len(content['expectations'])} expectations"]
    for item in content["expectations"]:
        rule = item.get("meta", {}).get("rule")
        named = f"  [{rule}]" if rule else ""
        severity = item.get("severity", "critical")
        lines.append(f"  {severity:<8}  {requirement(item['type'], item.get('kwargs', {}))}{named}")
    return "".join(f"{line}\n" for line in lines)


def _groups_of(path: Path) -> list[str]:
    """Columns of groups that a suite asks about, which only a user's own data has."""
    named = [item.get("kwargs", {}).get("column") for item in read_suite(path)["expectations"]]
    groups = {str(name) for name in named if str(name).startswith(GROUP)}
    return sorted(name for name in groups if not name.endswith("*"))


def _measured(groups: list[str]) -> pl.DataFrame:
    """Three plain rows with every column that suites are judged on."""
    digests = [digest(text) for text in _TEXTS]
    values = {
        "row_id": row_ids(digests), "digest": digests, "text": _TEXTS, "label": ["1", "0", "1"],
        "split": ["train", "validation", "test"], "source": ["rows"] * 3, "timestamp": [None] * 3,
        **{name: ["a", "b", "a"] for name in groups},
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        corpus, profiled = Path(folder, "corpus"), Path(folder, "profile")
        for made in (corpus, profiled):
            made.mkdir()
        schema = {**BASE, **dict.fromkeys(groups, pl.String)}
        pl.DataFrame(values, schema=schema).write_parquet(corpus / CORPUS)
        profile.fn(corpus, config=Profiling(), out=profiled, log=Log())
        return judged_frame(corpus, profiled)
