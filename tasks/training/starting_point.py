"""Where a training starts from: a folder with a model, or a model of the Hugging Face hub.

Of a hub model only weights, shape and tokenizer are fetched, never pickles or code. Offline settings
of the library are honoured: what its cache has is used.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from tasks.errors import UserError

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FILES = [
    "config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
]


def resolve(name_or_folder: str, revision: str | None = None) -> Path:
    """The folder, in Hugging Face's format, that holds the model to start from.

    Args:
        name_or_folder: A folder in that format, a model bundle (its encoder is meant), or the name
            of a hub model, `owner/name`.
        revision: Branch, tag or commit of a hub model.

    Raises:
        UserError: The folder holds no model; or there is neither such a folder nor such a hub
            model, in the cache or within reach.
    """
    folder = Path(name_or_folder).expanduser()
    if not folder.is_dir():
        folder = _download(name_or_folder, revision)
    for place in (folder, folder / "encoder"):
        if (place / "config.json").is_file():
            return _complete(place)
    raise UserError(
        f"{name_or_folder!r} holds no model: there is no config.json in it",
        "Name a folder that transformers' save_pretrained or this program wrote.",
    )


def encoder_folder(folder: Path) -> Path:
    """The encoder's folder, of a bundle or of a model folder as it is."""
    return folder / "encoder" if (folder / "encoder").is_dir() else folder


def files_digest(folder: Path) -> str:
    """Digest of a model folder's JSON and safetensors files: names and contents, no paths."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in (".json", ".safetensors"):
            with path.open("rb") as handle:
                found = hashlib.file_digest(handle, "sha256").hexdigest()
            digest.update(f"{path.name}\0{found}\n".encode())
    return digest.hexdigest()


def _complete(folder: Path) -> Path:
    """The folder, if it has a tokenizer, without which its weights mean nothing."""
    if not (folder / "tokenizer.json").is_file():
        raise UserError(
            f"{str(folder)!r} holds a model without tokenizer.json",
            "Save its tokenizer there as well, with transformers' "
            "AutoTokenizer.from_pretrained(...).save_pretrained(folder).",
        )
    return folder


def _download(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    if not _HUB_NAME.fullmatch(name):
        raise UserError(
            f"{name!r} is neither a folder here nor the name of a hub model",
            "Give a folder, or a name such as 'answerdotai/ModernBERT-base'.",
        )
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=_FILES))
    except Exception as error:  # a dozen kinds, of three libraries
        lines = str(error).strip().splitlines()
        said = f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
        raise UserError(
            f"{name!r} is no folder here, and neither the Hugging Face hub nor its cache on this "
            f"machine gave a model of that name ({said})",
            "Check the name and the network (HF_HUB_OFFLINE forbids it), or copy the model here "
            "and name its folder.",
        ) from error
