"""Claims about a subflow that runs as a deployment elsewhere, against a Prefect server of its own."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.deployments import run_deployment
from prefect.states import Crashed
from prefect.testing.utilities import prefect_test_harness

from flows import elsewhere
from tasks.configuration import Configuration
from tasks.errors import UserError
from tasks.records import Night

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield


@flow
def train() -> None:
    """Never begun: there is no worker."""


def test_a_retried_night_waits_for_the_run_it_began_and_begins_another_once_that_ended(
    server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "that of the server")
    monkeypatch.setattr(elsewhere, "run_deployment", _without_waiting)
    night = Night(name="night", run_id="0" * 32, started="2026-11-27T02:00:00+00:00")
    with get_client(sync_client=True) as client:
        made = client.create_deployment(client.create_flow(train), name="train")
        asked = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[made]))

        def begun() -> list[UUID]:
            with pytest.raises(UserError, match="ended as Scheduled"):
                elsewhere.run_elsewhere("train/train", Configuration(), night, {})
            return [run.id for run in client.read_flow_runs(flow_run_filter=asked)]

        @flow
        def nightly() -> list[list[str]]:
            first = begun()
            again = begun()
            client.set_flow_run_state(first[0], Crashed(), force=True)
            return [sorted(map(str, found)) for found in (first, again, begun())]

        first, again, third = nightly()
    assert len(first) == 1
    assert again == first
    assert len(third) == 2


def _without_waiting(deployment: str, **given: Any) -> Any:
    return run_deployment(deployment, **{**given, "parameters": {}, "timeout": 0})
