"""Where the training of a repair starts, and how long it goes on."""

from __future__ import annotations

from tasks.configuration import Pretraining
from tasks.errors import UserError
from tasks.records import Record
from tasks.repair.repairing import Begun
from tasks.tracking import registry


def starting_point(begun: Begun) -> Record | None:
    """The last good model, as the repair is told; None to begin from scratch.

    The night's own starting point is the last one that had not seen the rows. The champion serves
    now; where that is the night's own model, which learnt from the rows, it is the one before it.

    Raises:
        UserError: There is no such model.
    """
    if begun.told.start == "scratch":
        return None
    if begun.told.start == "champion":
        found = registry.standing(begun.left["finetune"]).opponent
        if found is None:
            raise UserError(
                "repair.start is 'champion', and there is none beside the night's own model",
                "Use repair.start=night or repair.start=scratch.",
            )
        return registry.champion(digest=found, title="start")
    place = begun.configuration.pretrain.start
    # A night told to go on from the champion begins from scratch where there is none yet.
    if "start" not in begun.left and place not in ("scratch", "champion"):
        raise UserError(
            f"the model {place!r} that night {begun.night.name} started from is not in the store",
            "Use repair.start=champion or repair.start=scratch.",
        )
    return begun.left.get("start")


def training(begun: Begun, start: Record | None) -> Pretraining:
    """The night's pretraining, of a share of its tokens if so told.

    Raises:
        UserError: A share is asked for, and training begins from scratch.
    """
    told, config = begun.told, begun.configuration.pretrain
    if told.tokens_share == 1:
        return config
    if start is None:
        raise UserError(
            f"repair.tokens_share is {told.tokens_share:g}, and the night started from scratch: a "
            "model of fewer tokens would not compare with the night's",
            "Leave it out, or go on from a model with repair.start=champion.",
        )
    tokens = max(round(config.tokens * told.tokens_share), config.batch_tokens, 1000)
    return Pretraining(**config.model_dump() | {"tokens": tokens})
