"""What the stages that train a head share: the recipe, the curve, the start, and what is kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from tasks.configuration import Headed
from tasks.log import Log
from tasks.records import Point

if TYPE_CHECKING:
    from models.network.encoder import MaskedLanguageModel
    from models.network.heads import Head
    from models.training.finetuner import Recipe

JSON = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


class Curve:
    """Collects what the training reports and passes it on.

    Args:
        log: Told each point.
    """

    def __init__(self, log: Log) -> None:
        self.total = 0
        self._log = log
        self._points: list[Point] = []

    def __call__(self, step: int, metrics: dict[str, float]) -> None:
        """Take the metrics of a step."""
        self._points.append(Point(step=step, metrics=metrics))
        note = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in metrics.items())
        self._log.progress(step, self.total, note)
        self._log.curve(self._points[-1:])

    def write(self, path: Path) -> None:
        """One point a line."""
        path.write_text("".join(point.model_dump_json() + "\n" for point in self._points))


def recipe(config: Headed) -> Recipe:
    """How a section says that its head is trained."""
    from models.training.finetuner import Recipe

    return Recipe(
        learning_rate=config.learning_rate,
        longest=config.max_tokens,
        layer_decay=config.layer_decay,
        balanced=config.class_weights == "balanced",
        frozen=config.frozen,
    )


def load_pretrained(folder: Path) -> MaskedLanguageModel:
    """The pretrained model of a folder that `pretrain` wrote as `model/`."""
    from models.network import weights
    from models.network.encoder import EncoderConfig, build
    from models.training import devices

    devices.prepare()
    masked = build(EncoderConfig.from_dict(orjson.loads((folder / "config.json").read_bytes())))
    weights.load(masked, folder / "encoder.safetensors")
    return masked


def save_head(folder: Path, head: Head, tokenizer: Path, labels: list[str]) -> None:
    """Write a trained head with its encoder: weights, shape, tokenizer and labels.

    Args:
        folder: Made.
        head: Trained.
        tokenizer: Copied as it is.
        labels: Names of the scores, in their order.
    """
    from models.network import weights

    folder.mkdir()
    (folder / "config.json").write_bytes(orjson.dumps(head.config.to_dict(), option=JSON))
    (folder / "labels.json").write_bytes(orjson.dumps({"classes": labels}, option=JSON))
    shutil.copyfile(tokenizer, folder / "tokenizer.json")
    weights.save(head, folder / "head.safetensors")
