"""Whatever is given, the answer is an error that names it, or quarantine: no traceback, nothing lost.

Hypothesis makes the inputs up: broken files of each format, values of every setting, probe files,
suites, requests to the served model. `PLUMBLINE_EXAMPLES` says how many of each (200 by default;
2,000 make ten thousand in all).
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expectations.suite_files import SuiteError
from tasks.configuration import Configuration, Section, Source
from tasks.corpus.ingest import ingest
from tasks.corpus.sources.probe_files import read_probes
from tasks.corpus.suites.files import checked
from tasks.errors import UserError
from tasks.log import Log
from tasks.settings import load_configuration

EXAMPLES = int(os.environ.get("PLUMBLINE_EXAMPLES", "200"))
many = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip

TEXT = st.text(st.characters(codec=None), max_size=40)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def attempted(call: Callable[[], Any]) -> tuple[Any, str]:
    """What a call gave; or None, and what the error said, if it is one that a user is meant to see."""
    from mlflow.exceptions import MlflowException

    try:
        return call(), ""
    except (UserError, SuiteError) as error:
        return None, str(error)
    except MlflowException as error:
        if error.get_http_status_code() != 400:
            raise
        return None, str(error)


def names(section: type[Section] = Configuration, prefix: str = "") -> list[str]:
    """Every setting, as `section.field`."""
    found = []
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            found += names(kind, f"{prefix}{name}.")
        else:
            found.append(prefix + name)
    return found


@many
@given(st.dictionaries(st.sampled_from(names()), VALUES, min_size=1, max_size=3))
def test_a_configuration_is_loaded_whole_or_refused_by_the_setting(given_: dict[str, Any]) -> None:
    values: dict[str, Any] = {}
    for name, value in given_.items():
        *sections, field = name.split(".")
        inner = values
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[field] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "night.yaml")
        try:
            path.write_text(yaml.safe_dump(values))
        except UnicodeEncodeError:
            return  # no file can hold half of a surrogate pair
        loaded, said = attempted(lambda: load_configuration(path))
    if loaded is None:
        assert any(name.split(".")[-1] in said for name in given_) or "cannot be read" in said
    else:
        assert Configuration.model_validate(loaded.model_dump()) == loaded


@many
@given(
    st.lists(TEXT | st.sampled_from(["seed=3", "pretrain.layers=x", "source=1", "a.b.c=[", "="]))
)
def test_an_assignment_is_taken_or_refused(overrides: list[str]) -> None:
    loaded, said = attempted(lambda: load_configuration(None, overrides))
    assert isinstance(loaded, Configuration) or said


ROWS = st.lists(
    st.fixed_dictionaries({"text": VALUES, "label": VALUES}) | VALUES, min_size=1, max_size=5
)


def broken(whole: bytes, at: float, what: bytes) -> bytes:
    """A file with something put into it, or the rest cut off."""
    place = int(at * len(whole))
    return whole[:place] + (what + whole[place:] if what else b"")


@st.composite
def files(draw: st.DrawFn) -> tuple[str, bytes]:
    """An ending, and bytes that are more or less a file of that format."""
    ending = draw(st.sampled_from(["jsonl", "json", "csv", "txt", "parquet"]))
    rows = draw(ROWS)
    if ending == "parquet":
        with tempfile.NamedTemporaryFile(suffix=".parquet") as handle:
            texts = [json.dumps(row, default=str) for row in rows]
            pl.DataFrame({"text": texts, "label": ["a"] * len(texts)}).write_parquet(handle.name)
            whole = Path(handle.name).read_bytes()
    elif ending == "json":
        whole = json.dumps(rows, default=str).encode("utf-8", "surrogatepass")
    elif ending == "jsonl":
        lines = [json.dumps(row, default=str) for row in rows]
        whole = "\n".join(lines).encode("utf-8", "surrogatepass")
    else:
        lines = [",".join(map(str, r.values())) if isinstance(r, dict) else str(r) for r in rows]
        head = ["text,label"] if ending == "csv" else []
        whole = "\n".join([*head, *lines]).encode("utf-8", "surrogatepass")
    if draw(st.booleans()):
        whole = broken(whole, draw(st.floats(0, 1)), draw(st.binary(max_size=6)))
    return ending, whole


@many
@given(files(), st.sampled_from([None, "label"]))
def test_of_a_file_every_row_is_kept_or_in_quarantine(
    file: tuple[str, bytes], label: str | None
) -> None:
    ending, content = file
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder, f"rows.{ending}"), Path(folder, "out")
        out.mkdir()
        path.write_bytes(content)
        config = Source(location=str(path), label=None if ending == "txt" else label)
        told, said = attempted(
            lambda: ingest.fn(config=config, seed=0, content="", out=out, log=Log())
        )
        if told is None:
            assert path.name in said
            assert not list(out.iterdir())
        else:
            kept = pl.read_parquet(out / "corpus.parquet")
            lost = pl.read_parquet(out / "quarantine.parquet")
            assert told.rows is not None
            assert (len(kept), len(lost)) == (told.rows.kept, told.rows.quarantined)
            assert lost["reason"].null_count() == 0
            assert kept["text"].str.strip_chars().str.len_chars().min() > 0


PROBES = st.lists(
    VALUES
    | st.fixed_dictionaries(
        {"statement": st.sampled_from(["a [MASK]", "[MASK] [MASK]", "a", ""]) | VALUES},
        optional={"answer": VALUES, "split": VALUES, "relation": VALUES, "subject": VALUES},
    ),
    max_size=4,
)


@many
@given(PROBES, st.binary(max_size=4))
def test_a_probe_file_is_read_or_refused_by_its_line(probes: list[Any], more: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "probes.jsonl")
        lines = [
            json.dumps(probe, default=str).encode("utf-8", "surrogatepass") for probe in probes
        ]
        path.write_bytes(b"\n".join([*lines, more]))
        found, said = attempted(lambda: read_probes(str(path)))
    if found is None:
        assert "line " in said or "is empty" in said
    else:
        assert len(found) > 0


SUITES = st.fixed_dictionaries(
    {},
    optional={
        "name": VALUES,
        "expectations": st.lists(
            st.fixed_dictionaries(
                {
                    "type": st.sampled_from(["expect_column_values_to_not_be_null", "no_such"])
                    | VALUES
                },
                optional={"kwargs": VALUES, "meta": VALUES},
            )
            | VALUES,
            max_size=2,
        )
        | VALUES,
        "meta": VALUES | st.fixed_dictionaries({"false_alarm": VALUES}),
    },
)


@many
@given(SUITES | VALUES)
def test_a_suite_is_taken_or_refused_by_its_name(suite: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mine.json")
        path.write_bytes(json.dumps(suite, default=str).encode("utf-8", "surrogatepass"))
        told, said = attempted(lambda: checked(path))
    assert told or "mine" in said


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The served model over a classifier that is not to be reached by what is no text."""
    import numpy as np

    from tasks.tracking.served import ServedModel

    class Half:
        classes = ("a", "b")
        has_head = True

        def predict_proba(self, texts: list[str]) -> Any:
            assert all(isinstance(text, str) and len(text) <= 20 for text in texts)
            return np.full((len(texts), 2), 0.5)

    model = ServedModel()
    model._model = Half()
    model._terms = {"temperature": 1.3, "threshold": 0.6, "rows": 3, "characters": 20}
    return model


@many
@given(rows=st.lists(VALUES, max_size=5))
def test_a_request_is_answered_row_by_row_or_refused(served: Any, rows: list[Any]) -> None:
    frame = pd.DataFrame({"text": pd.Series(rows, dtype=object)})
    told, said = attempted(lambda: served.predict(None, frame))
    if told is None:
        assert "row" in said
    else:
        assert len(told) == len(rows)
        assert told["abstained"].all()
