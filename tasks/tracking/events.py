"""Events for the Prefect server, on which automations act: deployments/automations.yaml."""

from __future__ import annotations

import contextlib

from tasks.settings import Environment
from tasks.tracking import facts

REFUSED = "plumbline.candidate.refused"
FAILED_EXPECTATION = "plumbline.expectation.failed"


def tell(event: str, title: str, sentence: str, run_id: str) -> None:
    """Send an event of a night; without a server, or where it does not answer, do nothing.

    Args:
        event: Its name.
        title: What happened to what, in a few words.
        sentence: What is to be known.
        run_id: The MLflow run where more is to be seen.
    """
    if Environment().embedded:
        return
    from prefect.events import emit_event

    # What is only told must not end what is being computed.
    with contextlib.suppress(Exception):
        emit_event(
            event=event,
            resource={
                "prefect.resource.id": f"plumbline.night.{run_id}",
                "prefect.resource.name": title,
            },
            payload={"sentence": sentence, "mlflow": facts.run_address(run_id)},
        )
