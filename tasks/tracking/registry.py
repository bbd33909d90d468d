"""Which model is champion: versions and the alias `champion` in MLflow's model registry.

A model version is known by the digest of its bundle, so the same model is registered once however
often a night is repeated, and by the digest of the opponent it was judged against.
"""

from __future__ import annotations

import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import UserError
from tasks.records import Frozen, Night, Outcome, Record
from tasks.settings import ROOT, Environment
from tasks.stage import open_store, stage
from tasks.store import MANIFEST
from tasks.tracking.connection import client
from tasks.tracking.patience import patiently

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

ALIAS = "champion"
DIGEST = "plumbline.digest"
OPPONENT = "plumbline.opponent"
_VERDICT = "plumbline.verdict"
CORPUS = "plumbline.corpus"
START = "plumbline.start"
_NEEDED = ("tensorflow", "keras", "tokenizers", "safetensors", "numpy", "mlflow")


class Standing(Frozen):
    """What the registry says of a candidate before it is judged.

    Attributes:
        opponent: Digest of the bundle to judge it against, None where there is no champion.
        champion_version: The registry's version of that champion.
    """

    opponent: str | None
    champion_version: str | None


def standing(candidate: Record) -> Standing:
    """Whom to judge a candidate against.

    A candidate that is itself the champion keeps the opponent it won against, so that repeating a
    night repeats its verdict and computes nothing.
    """
    champion = _champion()
    if champion is None:
        return Standing(opponent=None, champion_version=None)
    digest = champion.tags.get(DIGEST)
    if digest is None:
        raise UserError(
            f"version {champion.version} of {Environment().model_name} is champion, but no night "
            "registered it",
            "Point the alias `champion` at a version that has the tag plumbline.digest, or delete it.",
        )
    if digest == candidate.digest:
        digest = champion.tags.get(OPPONENT) or None
    held = _version_of(digest) if digest else None
    return Standing(opponent=digest, champion_version=str(held.version) if held else None)


def to_start_from(corpus: Record) -> str | None:
    """Digest of the bundle that a training on this corpus goes on from, None where there is none.

    That is the champion; but a champion that was trained on this very corpus was a repetition of
    tonight, and tonight starts where it did, so that repeating a night computes nothing.
    """
    champion = _champion()
    if champion is None:
        return None
    repeated = champion.tags.get(CORPUS) == corpus.digest
    digest: str = champion.tags.get(START if repeated else DIGEST, "")
    return digest or None


class Asked(Frozen):
    """A model whose opinion of tonight's labels counts, and what it was taught on.

    Attributes:
        digest: Of its bundle.
        corpus: Digest of the corpus that it was fine-tuned on.
    """

    digest: str
    corpus: str


def to_ask(corpus: Record) -> Asked | None:
    """The champion, as far as its training corpus is known.

    A champion that was trained on this very corpus was a repetition of tonight, and tonight asks
    whom it asked: the champion that was there before.
    """
    found = _champion()
    if found is not None and found.tags.get(CORPUS) == corpus.digest:
        opponent = found.tags.get(OPPONENT)
        found = _version_of(opponent) if opponent else None
    if found is None or not (found.tags.get(DIGEST) and found.tags.get(CORPUS)):
        return None
    return Asked(digest=found.tags[DIGEST], corpus=found.tags[CORPUS])


@stage
def champion(*, digest: str, out: Path) -> Outcome:
    """The champion's bundle, as a folder like any other stage's.

    Args:
        digest: The bundle's content digest, by which the registry finds the version.
        out: Folder to write to.
    """
    found = _version_of(digest)
    if found is None:
        raise UserError(
            f"the champion {digest[:12]} is not in the registry",
            "Point the alias `champion` at an existing version, or delete the alias.",
        )
    from mlflow.artifacts import download_artifacts

    name = Environment().model_name
    with tempfile.TemporaryDirectory() as folder:
        address = f"models:/{name}/{found.version}"
        path = Path(patiently(lambda: download_artifacts(address, dst_path=folder)))
        bundle = path / "artifacts" / "bundle"
        shutil.copytree(bundle, out, dirs_exist_ok=True)
    return Outcome(summary=f"version {found.version} of {name}")


def settle(
    night: Night,
    candidate: Record,
    decided: Record,
    held: Standing,
    *,
    corpus: Record | None = None,
    start: str | None = None,
) -> str:
    """Register a judged candidate, once, and make it champion if the verdict says so.

    Args:
        night: Whose run the model is logged in.
        candidate: The bundle.
        decided: The verdict.
        held: What the registry said before.
        corpus: What the candidate was trained on.
        start: Digest of the bundle that its training started from, if from one.

    Returns:
        One sentence on what was done.
    """
    name = Environment().model_name
    promoted = decided.outcome.metrics.get("promoted", 0.0) > 0
    found = _version_of(candidate.digest)
    if found is None:
        lineage = {CORPUS: corpus.digest if corpus else "", START: start or ""}
        found = patiently(
            lambda: _register(name, night, candidate, decided, held, lineage, promoted=promoted)
        )
    current = _champion()
    serving = current is not None and current.version == found.version
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
    *,
    promoted: bool,
) -> ModelVersion:
    import mlflow

    folder = open_store().fetch(candidate)
    with tempfile.TemporaryDirectory() as temporary, mlflow.start_run(run_id=night.run_id):
        bundle = Path(temporary, "bundle")
        shutil.copytree(folder, bundle, ignore=shutil.ignore_patterns(MANIFEST))
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(Path(__file__).with_name("served.py")),
            artifacts={"bundle": str(bundle)},
            code_paths=[str(ROOT / "models")],
            pip_requirements=[f"{package}=={version(package)}" for package in _NEEDED],
            input_example=None,
            signature=_signature(),
            registered_model_name=name,
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


def _signature() -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import Map

    answer = [
        ColSpec(DataType.string, "label"),
        ColSpec(DataType.double, "confidence"),
        ColSpec(Map(DataType.double), "probabilities"),
    ]
    # Unnamed, so that a list of texts is taken as well as a table of one column.
    return ModelSignature(Schema([ColSpec(DataType.string)]), Schema(answer))


def _champion() -> ModelVersion | None:
    from mlflow.exceptions import MlflowException

    try:
        return client().get_model_version_by_alias(Environment().model_name, ALIAS)
    except MlflowException as error:
        # No such model, or no such alias; anything else must not pass for "there is no champion".
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return None


def _version_of(digest: str) -> ModelVersion | None:
    """The newest version with this bundle whose registration was finished."""
    versions = client().search_model_versions(f"name = '{Environment().model_name}'")
    found = [v for v in versions if v.tags.get(DIGEST) == digest]
    return max(found, key=lambda v: int(v.version), default=None)
