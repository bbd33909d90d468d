"""What the Prefect server does by itself: deployments/automations.yaml, created or brought up to date."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml
from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events.schemas.automations import AutomationCore
from pydantic import ValidationError

from tasks.errors import UserError

_OWN_BLOCK = "plumbline"
_PREFIX = (
    "plumbline "  # of the names of our automations, by which those no longer declared are known
)


def register(path: Path) -> list[str]:
    """Create or update every automation of a file, and delete ours that it no longer names.

    Args:
        path: A list of automations; `notify: true` with `subject` and `body` stands for a message.

    Returns:
        The names of the automations that are now there.

    Raises:
        UserError: The file is no list of automations, or the block to notify is not there.
    """
    block = _block_to_notify()
    wanted = [_automation(item, block, path) for item in _read(path)]
    declared = [automation for automation in wanted if automation is not None]
    with get_client(sync_client=True) as client:
        there = {a.name: a.id for a in client.read_automations() if a.name.startswith(_PREFIX)}
        for automation in declared:
            _bring_up_to_date(client, automation, there.pop(automation.name, None))
        for left in there.values():
            client.delete_automation(left)
    return [automation.name for automation in declared]


def _bring_up_to_date(
    client: SyncPrefectClient, automation: AutomationCore, known: UUID | None
) -> None:
    if known is None:
        client.create_automation(automation)
    else:
        client.update_automation(known, automation)


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        items = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"the automations in {path} cannot be read: {error}") from error
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise UserError(f"{path} must hold a list of automations")
    return items


def _automation(item: dict[str, Any], block: UUID | None, path: Path) -> AutomationCore | None:
    """One automation; None for a message that nobody is there to get."""
    declared = dict(item)
    if declared.pop("notify", False):
        if block is None:
            return None
        message = {"subject": declared.pop("subject"), "body": declared.pop("body")}
        declared["actions"] = [
            {"type": "send-notification", "block_document_id": str(block), **message}
        ]
    try:
        return AutomationCore.model_validate(declared)
    except ValidationError as error:
        raise UserError(
            f"the automation {item.get('name')!r} in {path} cannot be used: {error}"
        ) from error


def _block_to_notify() -> UUID | None:
    """The notification block that the environment names, or one made of the webhook it names."""
    named, address = (os.environ.get(f"PLUMBLINE_NOTIFY_{n}", "") for n in ("BLOCK", "WEBHOOK"))
    if named:
        try:
            block = Block.load(named)
        except ValueError as error:
            raise UserError(
                f"PLUMBLINE_NOTIFY_BLOCK is {named!r}, and Prefect has no such block",
                "Make it on Prefect's page for blocks, and give its type and name: slack-webhook/team.",
            ) from error
        if not isinstance(block, NotificationBlock):
            raise UserError(f"PLUMBLINE_NOTIFY_BLOCK is {named!r}, which is no notification block")
        return block._block_document_id
    if not address:
        return None
    webhook = CustomWebhookNotificationBlock(
        name=_OWN_BLOCK,
        url=address,
        json_data={"subject": "{{subject}}", "body": "{{body}}"},
        allow_private_urls=True,  # a team's own server is likely to be on its own network
    )
    saved = webhook.save(_OWN_BLOCK, overwrite=True)
    return saved if isinstance(saved, UUID) else None
