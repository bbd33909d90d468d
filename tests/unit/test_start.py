"""The model that training starts from is refused by its name where it cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.errors import UserError
from tasks.log import Log
from tasks.training.start import start


@pytest.mark.parametrize("written", ["{", "[]", ""])
def test_a_broken_config_is_named_with_the_model_it_belongs_to(
    tmp_path: Path, written: str
) -> None:
    model, out = tmp_path / "model", tmp_path / "out"
    model.mkdir()
    out.mkdir()
    (model / "config.json").write_text(written)
    (model / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match=r"config\.json of the model '.*model'"):
        start.fn(location=str(model), revision=None, content="", out=out, log=Log())
