"""A configuration reads nothing outside of what the machine's environment names."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from tasks.configuration import Configuration
from tasks.confinement import PLACES, confine
from tasks.errors import UserError
from tasks.records import Night
from tasks.search import searching
from tasks.search.configuration import SearchConfiguration
from tasks.settings import load_configuration
from tasks.tracking import ablations, runs


@pytest.fixture(autouse=True)
def allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "allowed"
    folder.mkdir()
    (tmp_path / "secret.csv").write_text("text\n")
    (folder / "out.csv").symlink_to(tmp_path / "secret.csv")
    monkeypatch.setenv("PLUMBLINE_SOURCES", f"{folder}, s3://bucket/corpora")
    return folder


def test_without_limits_anything_may_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLUMBLINE_SOURCES")
    confine(load_configuration(None, ["source.location=/etc/passwd"]))


@pytest.mark.parametrize(
    "given",
    [
        "source.location={folder}/a.csv",
        "source.location={folder}/*.csv",
        "source.location=s3://bucket/corpora/a.parquet",
        "validation.reference=some-night",
        "validation.suites=[schema, gopher]",
        "pretrain.start=champion",
        "augment.back_translation=apertium:en-eo,eo-en",
        "contradictions.patterns={folder}/patterns.tsv",
    ],
)
def test_what_lies_within_or_is_no_place_is_let_through(given: str, allowed: Path) -> None:
    confine(load_configuration(None, [given.format(folder=allowed)]))


@pytest.mark.parametrize("setting", PLACES)
@pytest.mark.parametrize(
    "value", ["/etc/passwd", "{folder}/../secret.csv", "https://host/x", "~/x"]
)
def test_every_setting_that_names_a_place_is_looked_at(
    setting: str, value: str, allowed: Path
) -> None:
    section, field = setting.split(".")
    value = value.format(folder=allowed)
    many = isinstance(getattr(getattr(Configuration(), section), field), tuple)
    changed = getattr(Configuration(), section).model_copy(
        update={field: (value,) if many else value}
    )
    with pytest.raises(UserError, match=f"{setting} is .* outside of what this machine may read"):
        confine(Configuration().model_copy(update={section: changed}))


@pytest.mark.parametrize(
    "location",
    [
        "{folder}/out.csv",  # a link that leads out
        "s3://bucket/corporation/a.csv",
        "s3://bucket/corpora/../other/a.csv",
        "file:///etc/passwd",
        "owner/name",  # of the hub, which is not named
    ],
)
def test_ways_round_are_closed(location: str, allowed: Path) -> None:
    with pytest.raises(UserError, match="outside of what this machine may read"):
        confine(load_configuration(None, [f"source.location={location.format(folder=allowed)}"]))


def test_no_flow_goes_round_it_by_naming_a_night_that_is_there() -> None:
    night = Night(name="there", run_id="0" * 32, started="2026-01-02T02:00:00+00:00")
    told = load_configuration(None, ["source.location=/etc/passwd"])
    with pytest.raises(UserError, match="outside of"), runs.subflow("prepare", told, night):
        pass
    with pytest.raises(UserError, match="outside of"), ablations.study("a", told):
        pass
    asked = SearchConfiguration.model_validate({"source": {"location": "/etc/passwd"}})
    with pytest.raises(UserError, match="outside of"), searching.search(asked):
        pass


def test_the_hub_is_open_where_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_SOURCES", "hub")
    confine(load_configuration(None, ["source.location=owner/name:part"]))
    with pytest.raises(UserError, match="outside"):
        confine(load_configuration(None, ["source.location=../owner"]))


def test_no_setting_that_names_a_file_is_forgotten() -> None:
    words = ("file", "folder", "path", "url", "hub")
    known = {setting.partition(".")[0]: set[str]() for setting in PLACES}
    for setting in PLACES:
        known[setting.partition(".")[0]].add(setting.partition(".")[2])
    forgotten = []
    for section, found in Configuration.model_fields.items():
        kind = found.annotation
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            continue
        for name, field in kind.model_fields.items():
            text = "str" in str(field.annotation) and "Literal" not in str(field.annotation)
            says = any(word in (field.description or "").lower() for word in words)
            if text and says and name not in known.get(section, set()):
                forgotten.append(f"{section}.{name}")
    # A source's column, its shares by file name, a revision of what is named elsewhere.
    assert forgotten == [
        "source.origin",
        "source.revision",
        "tokenize.mixture",
        "pretrain.revision",
    ]
