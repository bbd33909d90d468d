"""Translators that a machine may have: Apertium's modes, and Marian models for `transformers`.

Both are asked for many sentences at once. Of a hub model only weights, settings and vocabularies are
fetched, never code; weights that are no safetensors are read by torch's loader of bare weights, which
runs nothing either.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tasks.errors import UserError

Translate = Callable[[Sequence[str]], list[str]]
_APERTIUM = "apertium:"
_SECONDS = 600  # for one batch
_TOKENS = 256  # of one sentence
_ROWS = 32  # sentences in one call of a model


def pair(location: str) -> tuple[Translate, Translate]:
    """The two translators of a `augment.back_translation`.

    Args:
        location: `apertium:MODE,MODE`, or two folders or hub names of Marian models, by a comma.

    Raises:
        UserError: It names no pair, or a translator that this machine does not have.
    """
    there, back = _named(location)
    if location.startswith(_APERTIUM):
        return _apertium(there), _apertium(back)
    return _marian(there), _marian(back)


def translators_digest(location: str | None) -> str:
    """What the translators are, for a stage's key: the version and modes, or the models' files.

    Raises:
        UserError: As `pair`.
    """
    if location is None:
        return ""
    names = _named(location)
    if location.startswith(_APERTIUM):
        found = [_program(), *names]
        said = subprocess.run([found[0], "-l"], capture_output=True, check=False, timeout=_SECONDS)
        return hashlib.sha256(said.stdout + ",".join(names).encode()).hexdigest()
    files = hashlib.sha256()
    for path in sorted(path for name in names for path in _folder(name).iterdir()):
        if path.suffix in (".json", ".safetensors", ".bin", ".spm"):
            with path.open("rb") as handle:
                files.update(hashlib.file_digest(handle, "sha256").digest())
    return files.hexdigest()


def _named(location: str) -> tuple[str, str]:
    there, found, back = location.removeprefix(_APERTIUM).partition(",")
    if not found or not there.strip() or not back.strip():
        raise UserError(
            f"augment.back_translation is {location!r}, which names no pair of translators",
            "Give `apertium:en-eo,eo-en`, or two Marian models with a comma between them.",
        )
    return there.strip(), back.strip()


def _program() -> str:
    found = shutil.which("apertium")
    if found is None:
        raise UserError(
            "augment.back_translation asks for Apertium, which is not installed",
            "Install the system packages apertium and a pair such as apertium-eo-en, or name two "
            "Marian models.",
        )
    return found


def _apertium(mode: str) -> Translate:
    program = _program()

    def translate(texts: Sequence[str]) -> list[str]:
        # One line is one sentence; what the rules do not know stays as it is (-u: without a mark).
        given = "\n".join(" ".join(text.split()) for text in texts)
        done = subprocess.run(
            [program, "-u", "-f", "line", mode],
            input=given, capture_output=True, text=True, check=False, timeout=_SECONDS,
        )  # fmt: skip
        lines = done.stdout.split("\n")[: len(texts)]
        if done.returncode or len(lines) < len(texts):
            said = (done.stderr or done.stdout).strip()[:200]
            raise UserError(
                f"apertium cannot translate by its mode {mode!r}: {said}",
                "See `apertium -l` for the modes that are installed.",
            )
        return lines

    return translate


def _marian(name: str) -> Translate:
    folder = _folder(name)
    import torch
    from transformers import MarianMTModel, MarianTokenizer

    try:
        tokenizer: Any = MarianTokenizer.from_pretrained(folder)
        model: Any = MarianMTModel.from_pretrained(folder).eval()
    except (OSError, ValueError) as error:
        raise UserError(
            f"{name!r} in augment.back_translation holds no Marian model that can be read: {error}",
            "It needs its weights, config.json, source.spm, target.spm and vocab.json.",
        ) from error

    most = min(_TOKENS, model.config.max_position_embeddings)

    def translate(texts: Sequence[str]) -> list[str]:
        found: list[str] = []
        for start in range(0, len(texts), _ROWS):
            rows = tokenizer(
                list(texts[start : start + _ROWS]), return_tensors="pt", padding=True,
                truncation=True, max_length=most,
            )  # fmt: skip
            with torch.inference_mode():
                made = model.generate(**rows, num_beams=1, do_sample=False, max_length=most)
            found += tokenizer.batch_decode(made, skip_special_tokens=True)
        return found

    return translate


def _folder(name: str) -> Path:
    """The folder of a Marian model, fetched from the hub or its cache if it is no folder here."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download

    wanted = ["*.json", "*.safetensors", "pytorch_model.bin", "*.spm"]
    try:
        return Path(snapshot_download(name, allow_patterns=wanted))
    except Exception as error:  # a dozen kinds, of three libraries
        raise UserError(
            f"{name!r} in augment.back_translation is no folder here, and neither the Hugging Face "
            f"hub nor its cache gave a model of that name ({type(error).__name__})",
            "Check the name and the network, or copy the model here and name its folder.",
        ) from error
