"""Which model is champion: versions and the alias `champion` in MLflow's model registry.

A model version is known by the digest of its bundle, so the same model is registered once however
often a night is repeated, and by the digest of the opponent it was judged against.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import UserError
from tasks.records import Frozen, Outcome, Record
from tasks.settings import Environment
from tasks.stage import stage
from tasks.tracking.connection import client
from tasks.tracking.patience import patiently

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

ALIAS = "champion"
DIGEST = "plumbline.digest"
OPPONENT = "plumbline.opponent"
CORPUS = "plumbline.corpus"
START = "plumbline.start"


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
    champion = current()
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
    held = version_of(digest) if digest else None
    return Standing(opponent=digest, champion_version=str(held.version) if held else None)


def to_start_from(corpus: Record) -> str | None:
    """Digest of the bundle that a training on this corpus goes on from, None where there is none.

    That is the champion; but a champion that was trained on this very corpus was a repetition of
    tonight, and tonight starts where it did, so that repeating a night computes nothing.
    """
    champion = current()
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
    found = current()
    if found is not None and found.tags.get(CORPUS) == corpus.digest:
        opponent = found.tags.get(OPPONENT)
        found = version_of(opponent) if opponent else None
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
    found = version_of(digest)
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


def current() -> ModelVersion | None:
    """The version that the alias `champion` points at, None where there is none."""
    from mlflow.exceptions import MlflowException

    try:
        return client().get_model_version_by_alias(Environment().model_name, ALIAS)
    except MlflowException as error:
        # No such model, or no such alias; anything else must not pass for "there is no champion".
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return None


def version_of(digest: str) -> ModelVersion | None:
    """The newest version with this bundle whose registration was finished."""
    versions = client().search_model_versions(f"name = '{Environment().model_name}'")
    found = [v for v in versions if v.tags.get(DIGEST) == digest]
    return max(found, key=lambda v: int(v.version), default=None)
