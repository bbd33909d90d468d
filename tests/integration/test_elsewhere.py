"""Claims about a subflow that runs as a deployment elsewhere, against a Prefect server of its own."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.deployments import run_deployment
from prefect.states import Crashed
from prefect.testing.utilities import prefect_test_harness

from flows import elsewhere

if TYPE_CHECKING:
    from prefect.client.schemas import FlowRun

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield


@flow
def child() -> None:
    """Never begun: there is no worker."""


def test_a_retried_night_waits_for_the_run_it_began_and_begins_another_once_that_ended(
    server: None,
) -> None:
    with get_client(sync_client=True) as client:
        made = client.create_deployment(client.create_flow(child), name="train")

        @flow
        def parent() -> list[str]:
            def begin() -> UUID:
                key = elsewhere._key("n train")
                begun = run_deployment(
                    made, timeout=0, flow_run_name="n train", idempotency_key=key
                )
                return cast("FlowRun", begun).id

            first, again = begin(), begin()
            client.set_flow_run_state(first, Crashed(), force=True)
            return [str(each) for each in (first, again, begin())]

        first, again, third = parent()
    assert first == again != third
