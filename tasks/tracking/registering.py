"""Registering a judged candidate: the model that MLflow serves, and the alias if it was promoted."""

from __future__ import annotations

import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from tasks.manifest import MANIFEST, read_manifest
from tasks.records import Night, Record
from tasks.settings import ROOT, Environment
from tasks.stage import open_store
from tasks.tracking.connection import client
from tasks.tracking.patience import patiently
from tasks.tracking.registry import (
    ALIAS,
    CORPUS,
    DIGEST,
    OPPONENT,
    START,
    Standing,
    current,
    version_of,
)

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

_VERDICT = "plumbline.verdict"
# Of a request to the served model; PLUMBLINE_SERVED_ROWS and ..._CHARACTERS change them.
_LIMITS = {"rows": 1000, "characters": 100_000}
_NEEDED = ("tensorflow", "keras", "tokenizers", "safetensors", "numpy", "mlflow")


def settle(
    night: Night,
    candidate: Record,
    decided: Record,
    held: Standing,
    *,
    corpus: Record | None = None,
    calibrated: Record | None = None,
    start: str | None = None,
) -> str:
    """Register a judged candidate, once, and make it champion if the verdict says so.

    Args:
        night: Whose run the model is logged in.
        candidate: The bundle.
        decided: The verdict.
        held: What the registry said before.
        corpus: What the candidate was trained on.
        calibrated: What says at which temperature and from which confidence on it answers.
        start: Digest of the bundle that its training started from, if from one.

    Returns:
        One sentence on what was done.
    """
    name = Environment().model_name
    promoted = decided.outcome.metrics.get("promoted", 0.0) > 0
    # Two nights with one model must not both find that it is not registered.
    with open_store().lock("register", candidate.digest):
        found = version_of(candidate.digest)
        if found is None:
            lineage = {CORPUS: corpus.digest if corpus else "", START: start or ""}
            found = patiently(
                lambda: _register(
                    name, night, candidate, decided, held, lineage, calibrated, promoted=promoted
                )
            )
    held_now = current()
    serving = held_now is not None and held_now.version == found.version
    if not promoted:
        still = ", yet it is the champion that serves" if serving else ""
        return f"version {found.version} of {name} is registered and was refused{still}"
    if not serving:
        _tag(name, found, decided, held, promoted=True)
        client().set_registered_model_alias(name, ALIAS, found.version)
    return f"version {found.version} of {name} is champion"


def _register(
    name: str,
    night: Night,
    candidate: Record,
    decided: Record,
    held: Standing,
    lineage: dict[str, str],
    calibrated: Record | None,
    *,
    promoted: bool,
) -> ModelVersion:
    import mlflow

    folder = open_store().fetch(candidate)
    with tempfile.TemporaryDirectory() as temporary, mlflow.start_run(run_id=night.run_id):
        bundle, terms = Path(temporary, "bundle"), Path(temporary, "served.json")
        shutil.copytree(folder, bundle, ignore=shutil.ignore_patterns(MANIFEST))
        kept = open_store().fetch(calibrated) / "calibration.json" if calibrated else None
        terms.write_bytes(orjson.dumps(terms_of(folder, kept), option=orjson.OPT_INDENT_2))
        info = mlflow.pyfunc.log_model(
            name="model", registered_model_name=name, **served(bundle, terms)
        )
    made = client().get_model_version(name, info.registered_model_version)
    _tag(name, made, decided, held, promoted=promoted)
    for tag, value in {**lineage, "plumbline.night": night.name}.items():
        client().set_model_version_tag(name, made.version, tag, value)
    # Last, since it is by this tag that a finished registration is known.
    client().set_model_version_tag(name, made.version, DIGEST, candidate.digest)
    return made


def _tag(
    name: str, version_: ModelVersion, decided: Record, held: Standing, *, promoted: bool
) -> None:
    """Say on a version whom it was judged against, and how that ended."""
    tags = {
        OPPONENT: held.opponent or "",
        _VERDICT: "promoted" if promoted else "refused",
        "plumbline.reason": decided.outcome.summary,
    }
    for tag, value in tags.items():
        client().set_model_version_tag(name, version_.version, tag, value)


def terms_of(folder: Path, calibration: Path | None) -> dict[str, Any]:
    """What the served model has to know besides its bundle; see `served.py`.

    Args:
        folder: The bundle, as the store has it.
        calibration: What the stage of that name wrote, if it ran.
    """
    found: dict[str, Any] = {}
    if calibration is not None:
        found = orjson.loads(calibration.read_bytes()).get("selective") or {}
    return {
        "temperature": found.get("temperature", 1.0),
        "threshold": found.get("threshold"),
        "files": {name: entry.sha256 for name, entry in read_manifest(folder).files.items()},
        **_LIMITS,
    }


def served(bundle: Path, terms: Path) -> dict[str, Any]:
    """What MLflow is given of a model: its source, its files, what it needs, what it takes and gives.

    Args:
        bundle: The bundle's folder.
        terms: What `terms_of` says, as a file.
    """
    return {
        "python_model": str(Path(__file__).with_name("served.py")),
        "artifacts": {"bundle": str(bundle), "terms": str(terms)},
        "code_paths": [str(ROOT / "models")],
        "pip_requirements": [f"{package}=={version(package)}" for package in _NEEDED],
        "input_example": None,
        "signature": _signature(),
    }


def _signature() -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import Map

    answer = [
        ColSpec(DataType.string, "label"),
        ColSpec(DataType.double, "confidence"),
        ColSpec(Map(DataType.double), "probabilities"),
        ColSpec(DataType.boolean, "abstained"),
    ]
    asked = ParamSchema([ParamSpec("attributions", DataType.boolean, False)])
    # Unnamed, so that a list of texts is taken as well as a table of one column.
    return ModelSignature(Schema([ColSpec(DataType.string)]), Schema(answer), asked)
