"""The configuration is refused before any work, by name, all problems at once."""

from pathlib import Path

import pytest

from tasks.configuration import Configuration
from tasks.errors import UserError
from tasks.settings import load_configuration


def test_later_overrides_win_and_are_typed(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("seed: 1\npretrain:\n  tokens: 100000\n")
    loaded = load_configuration(file, ["seed=2", "pretrain.tokens=200000", "source.people=40"])
    assert (loaded.seed, loaded.pretrain.tokens, loaded.source.people) == (2, 200000, 40)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("pretrain.tokns=5", "pretrain.tokns: there is no such setting"),
        ("pretrain.mask_rate=1.5", "pretrain.mask_rate: Input should be less than 1 (got 1.5)"),
        ("pretrain.width=130", "even multiple of pretrain.heads (4)"),
        ("source.label=tone", "source.location is 'fictional', which brings its own label"),
        ("tokenize.sequence_length=100", "must be a multiple of tokenize.sequence_length (100)"),
        ("tag.test=a.conll", "tag.test is given, but not tag.train"),
        ("seed=tomorrow", "seed: Input should be a valid integer"),
        ("seed", "'seed' is not an assignment"),
        ("seed.deep=1", "seed: Input should be a valid integer"),
        ("seed={", "cannot be read"),
    ],
)
def test_a_bad_setting_is_named_with_its_value(override: str, message: str) -> None:
    with pytest.raises(UserError) as refused:
        load_configuration(None, [override])
    assert message in str(refused.value)


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(UserError) as refused:
        load_configuration(None, ["seed=-1", "pretrain.layers=0", "nonsense=1"])
    assert all(name in str(refused.value) for name in ("seed", "pretrain.layers", "nonsense"))


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [1", "\x00"])
def test_a_file_that_is_no_configuration_is_refused_by_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match="run.yaml"):
        load_configuration(file)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no configuration file .*absent.yaml"):
        load_configuration(tmp_path / "absent.yaml")


def test_every_field_of_every_section_says_what_it_is() -> None:
    schema = Configuration.model_json_schema()
    silent = [
        f"{name}.{field}"
        for name, section in schema["$defs"].items()
        for field, entry in section["properties"].items()
        if "description" not in entry
    ]
    assert silent == []


@pytest.mark.parametrize("name", ["nightly", "smoke", "gpu"])
def test_the_committed_run_configurations_load(name: str) -> None:
    load_configuration(Path(__file__).parents[2] / "deployments" / f"{name}.yaml")
