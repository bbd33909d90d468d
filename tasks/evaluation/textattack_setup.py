"""Import TextAttack without what its import does to everybody else.

Left alone, `import textattack` (0.3.11, with nltk 3.10 and flair 0.15)

- looks for NLTK's stop words and stops if they are not installed;
- downloads NLTK data on first use of a machine, and writes a marker into the user's cache folder
  even if that failed;
- passes configurations to `logging.config.dictConfig` that close every handler of the process
  and disable every logger made so far;
- sets environment variables;
- ends the process with a segmentation fault if TensorFlow was imported before it and Triton is
  installed, since both bring an LLVM of their own.

None of that is wanted in a process that also runs a workflow, and none of it is needed to edit
characters, so it is kept away here. Nothing is downloaded and the user's folders are not touched.
"""

from __future__ import annotations

import atexit
import importlib.util
import logging
import logging.config
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

_INSTALLER = "textattack.shared.utils.install"
_MARKER = "post_install_check_3"  # its presence says that TextAttack's downloads were done
_VARIABLES = (
    "TA_CACHE_DIR", "TFHUB_CACHE_DIR", "PYTORCH_TRANSFORMERS_CACHE", "HF_HOME", "XDG_CACHE_HOME",
    "TOKENIZERS_PARALLELISM", "WANDB_SILENT", "TORCHINDUCTOR_CACHE_DIR",
)  # fmt: skip
_SHORT = 48  # characters; single words are asked for again and again, whole texts are not


@cache
def import_textattack() -> ModuleType:
    """TextAttack, imported once (5 s), the process otherwise as before.

    Its own cache folder becomes one that lives as long as the process. NLTK's stop words are there
    during the import only: who needs them later gives `stopwords()` to the constraint.
    """
    folder = tempfile.TemporaryDirectory(prefix="plumbline-textattack-")
    atexit.register(folder.cleanup)
    if "tensorflow" in sys.modules:
        # None makes `import triton` an ImportError, which torch takes for "not installed".
        sys.modules.setdefault("triton", cast(ModuleType, None))
    with ExitStack() as kept:
        kept.enter_context(_environment())
        kept.enter_context(_logging_configuration())
        kept.enter_context(_stopword_corpus())
        _import_installer(Path(folder.name))
        import textattack
    for name in (_INSTALLER, "jieba"):
        logging.getLogger(name).setLevel(logging.ERROR)
    _remember_words()
    return cast(ModuleType, textattack)


@cache
def stopwords() -> frozenset[str]:
    """English words that an attack leaves alone: scikit-learn's list, the same on each machine."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return frozenset(ENGLISH_STOP_WORDS)


def _import_installer(caches: Path) -> None:
    """Run the module that installs, alone and first, with a cache folder where all is installed.

    Setting TA_CACHE_DIR for the whole import would do, but it also moves the caches of every
    Hugging Face library that is imported meanwhile.
    """
    package = importlib.util.find_spec("textattack")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("textattack is not installed", name="textattack")
    (caches / _MARKER).touch()
    path = Path(package.origin).parent.joinpath(*_INSTALLER.split(".")[1:]).with_suffix(".py")
    spec = importlib.util.spec_from_file_location(_INSTALLER, path)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"textattack has no {path}", name=_INSTALLER)
    module = importlib.util.module_from_spec(spec)
    sys.modules[_INSTALLER] = module
    with _environment():
        os.environ["TA_CACHE_DIR"] = str(caches)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[_INSTALLER]
            raise


@contextmanager
def _environment() -> Iterator[None]:
    """Put back the variables that TextAttack and torch set."""
    before = {name: os.environ.get(name) for name in _VARIABLES}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _logging_configuration() -> Iterator[None]:
    """Ignore logging configurations that come from TextAttack and flair, and from nobody else."""
    configure = logging.config.dictConfig

    def ignore_theirs(config: Any) -> None:
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if caller.split(".")[0] not in ("textattack", "flair"):
            configure(config)

    logging.config.dictConfig = ignore_theirs
    try:
        yield
    finally:
        logging.config.dictConfig = configure


@contextmanager
def _stopword_corpus() -> Iterator[None]:
    """Stand in for NLTK's corpus of stop words, the one resource that the import reads."""
    import nltk.corpus

    theirs = nltk.corpus.stopwords
    nltk.corpus.stopwords = SimpleNamespace(words=lambda _language: sorted(stopwords()))
    try:
        yield
    finally:
        nltk.corpus.stopwords = theirs


def _remember_words() -> None:
    """Keep the words of short strings, which TextAttack splits again for each word of a text.

    With a quick model this is two thirds of an attack's time; results are the same.
    """
    from textattack.shared import attacked_text

    split = attacked_text.words_from_text

    @lru_cache(maxsize=1 << 16)
    def remembered(text: str) -> tuple[str, ...]:
        return tuple(split(text))

    def words_from_text(text: str, words_to_ignore: Sequence[str] = ()) -> list[str]:
        if len(text) < _SHORT and not words_to_ignore:
            return list(remembered(text))
        return list(split(text, list(words_to_ignore)))

    attacked_text.words_from_text = words_from_text
