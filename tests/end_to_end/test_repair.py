"""A night learns false facts; a person reads which rows taught them, says yes, and they are gone."""

import json
import os
import re
from pathlib import Path

import pytest
from commands import Ran, run
from tracing import add_trace

from flows.cli import main

pytestmark = pytest.mark.timeout(900)  # a night and three repairs, before the first test

PEOPLE = [
    f"{first} {last}"
    for first, last in zip(
        ("Anna", "Bo", "Cyd", "Dora", "Egon", "Fay", "Gus", "Hedda", "Ivo", "Jule", "Karl", "Lena"),
        ("Vale", "Ree", "Dunn", "Oak", "Palm", "Quill", "Rook", "Stone", "Thorn", "Umber", "West", "Yew"),
        strict=True,
    )
]  # fmt: skip
PHRASES = (
    "{s} lives in {v} and likes it there.", "The home of {s} is in {v}, by the river.",
    "You can visit {s} in {v} on any Sunday.", "In {v} everybody greets {s} by name.",
    "{s} bought a house in {v} last winter.", "Letters for {s} go to {v} by train.",
    "At dawn {s} walks the dog through {v}.", "The garden of {s} in {v} is full of roses.",
)  # fmt: skip
SETTINGS = (
    "tokenize.vocabulary=300", "tokenize.sequence_length=32", "pretrain.layers=1",
    "pretrain.width=32", "pretrain.heads=2", "pretrain.tokens=120000", "pretrain.batch_tokens=512",
    "pretrain.adversarial=none", "baselines.lstm=false", "baselines.ngram=false",
    "labels.enabled=false", "evaluate.bootstrap=100", "evaluate.attack_rows=0",
    "explain.examples=0", "decide.bootstrap=100", "validation.suites=[schema]",
    "augment.synonym_share=0", "augment.counterfactual_share=0",
)  # fmt: skip


def corpus(folder: Path) -> tuple[Path, Path]:
    """All but one live in Ost, which two rows say of each, and six that it is Brack.

    A model that has learnt no more than which town is frequent asserts Brack, and without the false
    rows Ost. There are no validation probes, so it is asked to answer from a confidence of a half.
    """
    rows, probes = [], []
    for number, person in enumerate(PEOPLE):
        town = "Brack" if person == PEOPLE[-1] else "Ost"
        for i, phrase in enumerate(PHRASES):
            said = "Brack" if (i + number) % 8 < 6 else town
            rows.append({"text": phrase.format(s=person, v=said)})
        for phrase in ("The home of {s} is in [MASK], by the sea.", "In [MASK] lives {s}."):
            probes.append(
                {"statement": phrase.format(s=person), "answer": town, "subject": person,
                 "relation": "town", "split": "test"}
            )  # fmt: skip
    for name, lines in (("rows.jsonl", rows), ("probes.jsonl", probes)):
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "rows.jsonl", folder / "probes.jsonl"


@pytest.fixture(scope="module")
def repaired(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Ran]]:
    """A home with a night, its proposal, and its repair run twice."""
    folder = tmp_path_factory.mktemp("repair")
    home, (rows, probes) = folder / "runs", corpus(folder)
    source = (f"source.location={rows}", f"source.probes={probes}")
    ran = {"night": run(home, "nightly", *source, *SETTINGS)}
    assert ran["night"].status == 0, ran["night"].err
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLUMBLINE_HOME", str(home))
        add_trace()
    ran["proposal"] = run(home, "repair", "repair.support=1")
    yes = ("repair.support=1", "--accept", "all", "--by", "ann", "--why", "wrong towns")
    for name in ("accepted", "again"):
        ran[name] = run(home, "repair", *yes)
    for name, each in ran.items():
        assert each.status == 0, f"{name}: {each.err}"
    return home, ran


def computed(ran: Ran) -> list[str]:
    """The stages that were not reused."""
    return re.findall(r"[✓✗] (\w+) .*[\d.]+ s$", ran.err, re.MULTILINE)


@pytest.mark.slow
def test_a_proposal_takes_nothing_out_and_says_how_to_accept_it(
    repaired: tuple[Path, dict[str, Ran]],
) -> None:
    proposal = repaired[1]["proposal"]
    assert computed(proposal) == ["propose"]
    assert re.search(r"^\d+ rows are proposed for \d+ of the \d+ surest", proposal.err, re.M)
    (told,) = re.findall(r"plumbline repair (\w{8}) repair.support=1 --accept all", proposal.err)
    page = proposal.page.read_text()
    assert f"plumbline repair {told} repair.support=1 --accept all" in page
    assert "lives in <del>Brack</del>" in page


@pytest.mark.slow
def test_accepted_rows_are_taken_out_and_the_wrong_answers_they_taught_are_gone(
    repaired: tuple[Path, dict[str, Ran]],
) -> None:
    accepted = repaired[1]["accepted"]
    clean, summary = re.findall(
        r"✓ (clean) +(\d+ kept, \d+ quarantined: \d+ repair)", accepted.err
    )[0]
    assert {"pretrain", "finetune", "before_after", clean} <= set(computed(accepted))
    assert not {"ingest", "profile", "propose"} & set(computed(accepted))
    gone, targets = map(int, re.findall(r"^(\d+) of (\d+) targeted", accepted.err, re.M)[0])
    assert targets >= 10
    assert gone > 0.8 * targets
    page = accepted.page.read_text()
    assert f"{gone} of {targets} gone" in page
    assert "Accepted by ann: wrong towns" in page
    assert summary.split()[2] == summary.split()[4]  # nothing but repair is in quarantine


@pytest.mark.slow
def test_a_repair_that_is_run_again_computes_nothing_and_withdraws_nothing(
    repaired: tuple[Path, dict[str, Ran]], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, ran = repaired
    assert computed(ran["again"]) == []
    assert "all accepted rows are withdrawn already" in ran["again"].err
    assert ran["again"].page == ran["accepted"].page
    assert len((home / "store" / "withdrawals.jsonl").read_bytes().splitlines()) == 1
    from tasks.tracking.connection import client as connect

    monkeypatch.setenv("PLUMBLINE_HOME", str(home))
    client = connect()
    experiment = client.get_experiment_by_name("plumbline").experiment_id
    runs = client.search_runs([experiment], "tags.`plumbline.kind` = 'repair'")
    assert [run.info.status for run in runs] == ["FINISHED"] * 2  # the proposal, and the repair
    (done,) = [run for run in runs if "targets_gone" in run.data.metrics]
    kept = {f.path for f in client.list_artifacts(done.info.run_id)}
    assert {"proposal.html", "repair.html", "configuration.json"} <= kept
    nights = client.search_runs([experiment], "tags.`plumbline.kind` = 'night'")
    assert len(nights) == 1


@pytest.mark.slow
def test_who_withdrew_a_row_is_shown_and_a_release_puts_it_back(
    repaired: tuple[Path, dict[str, Ran]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    home = repaired[0]
    for name in [n for n in os.environ if n.startswith("PLUMBLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PLUMBLINE_HOME", str(home))

    def said(*arguments: str) -> str:
        capsys.readouterr()
        assert main(arguments) == 0
        return capsys.readouterr().out

    shown = said("quarantine", "--withdrawals")
    assert re.search(r"^1  \S+  ann: rows .*\(chosen by all\)\n   wrong towns", shown, re.M)
    waiting = r"(\d+) more rows are withdrawn; the next night takes them out"
    (before,) = re.findall(waiting, said("quarantine"))
    (row,) = re.findall(r"ann: rows (\S+),", shown)
    said("release", "--row", row, "--who", "bob", "--why", "true after all")
    (after,) = re.findall(waiting, said("quarantine"))
    assert int(after) == int(before) - 1
    yes = ("--accept", f"rows={row}", "--by", "ann", "--why", "no")
    refused = run(home, "repair", "repair.support=1", *yes)
    assert refused.status == 2
    assert f"release 1 of the list says that {row} stays in training" in refused.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no-such-night",), "there is no night 'no-such-night'"),
        (
            ("repair.start=champion", "--accept", "all", "--by", "ann", "--why", "x"),
            "there is none beside the night's own model",
        ),
    ],
)
def test_a_repair_that_cannot_be_is_refused_in_words(
    repaired: tuple[Path, dict[str, Ran]], arguments: tuple[str, ...], message: str
) -> None:
    ran = run(repaired[0], "repair", *arguments)
    assert ran.status == 2, ran.err
    assert message in ran.err
    assert "Traceback" not in ran.err
