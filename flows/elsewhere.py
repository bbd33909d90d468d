"""A subflow as a run of a deployment on another pool: references go there, never data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterName,
    FlowRunFilterParentFlowRunId,
)
from prefect.deployments import run_deployment
from prefect.runtime import flow_run

from tasks.configuration import Configuration
from tasks.errors import UserError
from tasks.records import Night, Record
from tasks.settings import Environment
from tasks.tracking import facts

if TYPE_CHECKING:
    from prefect.client.schemas import FlowRun

GPU = "gpu"  # the pool with one slot
_SECONDS_BETWEEN_LOOKS = 5.0


def run_elsewhere(
    deployment: str, configuration: Configuration, night: Night, prepared: Mapping[str, Record]
) -> None:
    """Have a deployment of a subflow run, and wait for it.

    What it computes is in the store under keys of its inputs, where the next subflow finds it. A
    night that is retried while the run that it began still goes on waits for that one.

    Args:
        deployment: As `flow/deployment`.
        configuration: Everything the run is told.
        night: The night that it belongs to.
        prepared: What `prepare` returned.

    Raises:
        UserError: There is no Prefect server or no such deployment, or its run did not complete.
    """
    if Environment().embedded:
        raise UserError(
            f"training on another pool needs a Prefect server with the deployment {deployment}",
            "Start one with `make stack`, or leave train_on as `here`.",
        )
    if _pool_of_this_run() == GPU:
        raise UserError(
            "this night runs on the GPU pool already, whose only slot the other run would wait for",
            "Leave train_on as `here`, or use a deployment on the CPU pool.",
        )
    parameters = {
        "configuration": configuration.model_dump(mode="json"),
        "night": night.model_dump(mode="json"),
        "prepared": {name: record.model_dump(mode="json") for name, record in prepared.items()},
    }
    name = f"{night.name} {deployment.partition('/')[0]}"
    waited = run_deployment(
        deployment, parameters=parameters, timeout=None, poll_interval=_SECONDS_BETWEEN_LOOKS,
        flow_run_name=name, idempotency_key=_key(name),
    )  # fmt: skip
    run = cast("FlowRun", waited)  # a coroutine only where the caller is one
    if run.state is None or not run.state.is_completed():
        ended = "without a state" if run.state is None else f"as {run.state.name}"
        raise UserError(
            f"the run {run.name!r} of {deployment} ended {ended}"
            + (f": {run.state.message}" if run.state and run.state.message else ""),
            f"See {Environment().prefect_ui}/runs/flow-run/{run.id}; retry this night to go on.",
        )


def _key(name: str) -> str | None:
    """What Prefect tells runs apart by: of a run that this one began and that goes on, or a new one."""
    if (parent := flow_run.id) is None:
        return None
    asked = FlowRunFilter(
        parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[UUID(parent)]),
        name=FlowRunFilterName(any_=[name]),
    )
    with get_client(sync_client=True) as client:
        begun = client.read_flow_runs(flow_run_filter=asked)
    ended = sum(run.state is not None and run.state.is_final() for run in begun)
    return f"{parent} {name} {ended}"


def _pool_of_this_run() -> str | None:
    """The work pool that this flow run came from, if it came from one."""
    if (run_id := flow_run.id) is None:
        return None
    with get_client(sync_client=True) as client:
        return client.read_flow_run(UUID(run_id)).work_pool_name


def fetch_page(night: Night) -> Path:
    """The run page that was published on the other machine, on this one too."""
    return facts.fetch_file(night, "page.html")
