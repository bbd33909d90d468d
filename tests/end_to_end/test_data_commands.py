"""Quarantine, release, propose and suites, as a person uses them over three mornings."""

import json
import os
import re
from pathlib import Path

import polars as pl
import pytest
from commands import Ran, run

from flows.cli import main

FIGURES = "1, 2, 3; 4/5 = 0.8, 6 * 7 = 42 !!"
PLACES = ("harbour", "library", "station", "market", "bakery", "museum", "theatre", "garden")
LONG = {
    "type": "expect_column_values_to_be_between",
    "kwargs": {"column": "words", "min_value": 99},
}
DAYS = ("Monday", "Tuesday", "Friday", "Sunday", "a holiday", "the first of May", "market day")


def corpus(folder: Path, *more: str) -> Path:
    """Plain sentences that are no near duplicates, and some that are noise."""
    plain = [
        f"Visitor {i} asked at the {place} about {DAYS[i % 7]} and heard that number {i * i} opens."
        for i, place in enumerate(PLACES * 16)
    ]
    path = folder / "rows.jsonl"
    rows = [{"text": text, "label": i % 2} for i, text in enumerate([*plain, *more])]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def computed(ran: Ran) -> list[str]:
    """The stages that were not reused."""
    return re.findall(r"[✓✗] (\w+) .*[\d.]+ s$", ran.err, re.MULTILINE)


class Shell:
    """Commands in a home: flows in processes of their own, the others here, as these are many."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self._capsys = capsys

    def run(self, *arguments: object) -> Ran:
        if arguments[0] == "prepare":
            return run(self.home, *arguments)
        self._capsys.readouterr()
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse's way of refusing
            status = int(str(stop.code))
        return Ran(status, *self._capsys.readouterr())

    def good(self, *arguments: object) -> Ran:
        ran = self.run(*arguments)
        assert ran.status == 0, ran.err
        return ran

    def bad(self, *arguments: object) -> str:
        ran = self.run(*arguments)
        assert ran.status == 2, ran.err
        assert "Traceback" not in ran.err
        assert ran.out == ""
        return ran.err


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    for name in [n for n in os.environ if n.startswith("PLUMBLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path / "runs"))
    return Shell(tmp_path / "runs", capsys)


@pytest.mark.slow
def test_a_released_row_is_in_the_next_night_and_an_unchanged_list_computes_nothing(
    tmp_path: Path, shell: Shell
) -> None:
    home = shell.home
    file = corpus(tmp_path, FIGURES, "<p><br/></p>")
    suite = tmp_path / "mine.json"
    suite.write_text(
        json.dumps({"name": "mine", "expectations": [{**LONG, "severity": "warning"}]})
    )
    suites = f"validation.suites=[schema,{suite}]"
    prepare = ("prepare", f"source.location={file}", "source.label=label", suites)
    assert "there is no night yet" in shell.bad("quarantine")
    assert not (home / "mlflow.db").exists()
    shell.good(*prepare)

    table = shell.good("quarantine").out
    assert re.search(r"^ +1  clean +few_letters", table, re.MULTILINE)
    shown = shell.good("quarantine", "--reason", "few_letters").out
    assert FIGURES in shown
    (row,) = re.findall(r"^  ([0-9a-f]{16}-0)", shown, re.MULTILINE)
    shell.good("quarantine", "last", "--search", "6 * 7", "--export", tmp_path / "out.csv")
    assert pl.read_csv(tmp_path / "out.csv")["row_id"].to_list() == [row]

    assert "row feed-0 is not in" in shell.bad("release", "--row", "feed-0", "--why", "so")
    assert "a release needs a reason" in shell.bad("release", "--row", row, "--why", "")
    assert "no rule 'few_leters'" in shell.bad("release", "--rule", "few_leters", "--why", "so")
    assert not (home / "store" / "releases.jsonl").exists()
    shell.good("release", "--row", row, "--who", "ann", "--why", "sums are text")
    assert re.search(r"^1  \S+  ann: row .*\n   sums are text", shell.good("release", "--list").out)
    assert "1 released" in shell.good("quarantine").out

    second = shell.good(*prepare)
    assert "; 1 released" in second.err
    assert f"no quarantined row has the reason {'few_letters'!r}" in shell.bad(
        "quarantine", "--reason", "few_letters"
    )
    third = shell.good(*prepare)
    assert computed(third) == []

    shell.good("release", "--withdraw", "1", "--who", "bob")
    assert "release 1 is withdrawn already" in shell.bad("release", "--withdraw", "1")
    # The list is as it was before the release, and the suite's file is another.
    suite.write_text(
        json.dumps({"name": "mine", "expectations": [LONG | {"severity": "critical"}]})
    )
    ran = shell.run(*prepare)
    assert ran.status == 3, ran.err
    assert computed(ran) == ["validate"]
    assert "mine: words must be at least 99" in ran.err

    assert "it was stopped before cleaning\nno row is in quarantine" in shell.good("quarantine").out
    # The last night that came so far still had the released row.
    assert "129 rows" in shell.bad("propose", "--night", "last", "--name", "cleaned")
    cleaned = (
        "--name",
        "cleaned",
        "--low",
        "0.01",
        "--high",
        "0.99",
        "--output",
        tmp_path / "n.json",
    )
    shell.good("propose", "--night", "last", *cleaned)


@pytest.mark.slow
def test_a_suite_is_proposed_from_a_trusted_corpus_and_checked(
    tmp_path: Path, shell: Shell
) -> None:
    file, path = corpus(tmp_path), tmp_path / "trusted.json"
    propose = ("propose", "--output", path, "--name", "trusted")
    assert "128 rows" in shell.bad(*propose, file)
    quantiles = ("--low", "0.01", "--high", "0.99")
    shell.good(*propose, *quantiles, file, "source.label=label")
    assert "is there already" in shell.bad(*propose, *quantiles, file)
    before = path.read_bytes()
    shell.good(*propose, *quantiles, "--force", file, "source.label=label")
    assert path.read_bytes() == before
    assert "trusted.json can be used" in shell.good("suites", "--check", path).out
    assert "words must be at least 2" in shell.good("suites", "noise").out

    path.write_text("{")
    assert "is not JSON" in shell.bad("suites", "--check", path)
