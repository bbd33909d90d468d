"""The connection to MLflow, made once per process and address.

MLflow is imported where it is used, since that takes over a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.request import urlopen

from filelock import FileLock

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
        with _alone(uri):  # whoever comes first makes the tables
            client = MlflowClient(uri)
            client.search_experiments(max_results=1)
    except (MlflowException, OSError) as error:
        raise UserError(
            f"MLflow at {uri} does not answer: {error}",
            "Start the server or correct PLUMBLINE_TRACKING_URI.",
        ) from error
    return Patient(client)


@contextmanager
def _alone(uri: str) -> Iterator[None]:
    """One process at a time on a database file; a server sees to that itself."""
    if not uri.startswith("sqlite:///"):
        yield
        return
    path = Path(uri.removeprefix("sqlite:///"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        yield


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
