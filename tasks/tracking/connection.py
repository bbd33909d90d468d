"""The connection to MLflow, made once per process and address.

MLflow is imported where it is used, since that takes over a second.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.request import urlopen

from filelock import FileLock

from tasks.disk import flush
from tasks.errors import UserError
from tasks.settings import Environment
from tasks.tracking.patience import Patient

if TYPE_CHECKING:
    from mlflow import MlflowClient


@cache
def _client_for(uri: str) -> Patient:
    from mlflow import MlflowClient, set_registry_uri, set_tracking_uri
    from mlflow.exceptions import MlflowException

    set_tracking_uri(uri)
    set_registry_uri(uri)
    try:
        if uri.startswith("http"):
            # Asked once, since MLflow's own client would retry for minutes before it says no.
            urlopen(f"{uri}/health", timeout=10).close()
        make_tables(uri)
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
    except (MlflowException, OSError) as error:
        raise UserError(
            f"MLflow at {uri} does not answer: {error}",
            "Start the server or correct PLUMBLINE_TRACKING_URI.",
        ) from error
    return Patient(client)


def make_tables(uri: str) -> None:
    """Make a database file with all its tables, unless it is there; a server sees to that itself.

    It is made aside, so that it is there whole or not at all: MLflow makes the tables one by one, and
    cannot go on where a process was killed that made them, or where another one makes them too.
    """
    from mlflow import MlflowClient

    if not uri.startswith("sqlite:///"):
        return
    path = Path(uri.removeprefix("sqlite:///").partition("?")[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if path.exists():
            return
        part = path.with_suffix(".part")
        for left in (part, Path(f"{part}-journal")):
            left.unlink(missing_ok=True)
        MlflowClient(f"sqlite:///{part}").search_experiments(max_results=1)
        flush(part)
        part.replace(path)


def client() -> MlflowClient:
    """A client of the environment's tracking store, which waits for a server that went away."""
    return cast("MlflowClient", _client_for(Environment().tracking))


def experiment_id() -> str:
    """The environment's experiment, made if it is not there."""
    environment = Environment()
    found = client().get_experiment_by_name(environment.experiment)
    if found is not None:
        return str(found.experiment_id)
    # A server keeps artifacts itself; a database file needs to be told where.
    local = environment.tracking.startswith("sqlite:")
    location = (environment.home.absolute() / "mlartifacts").as_uri() if local else None
    # The kind tells MLflow's UI to open on training runs rather than on traces.
    tags = {"mlflow.experimentKind": "custom_model_development"}
    from mlflow.exceptions import MlflowException

    try:
        made = client().create_experiment(
            environment.experiment, artifact_location=location, tags=tags
        )
    except MlflowException:
        found = client().get_experiment_by_name(environment.experiment)
        if found is None:
            raise
        return str(found.experiment_id)  # another night was faster
    return str(made)
