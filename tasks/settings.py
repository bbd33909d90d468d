"""Where a machine keeps things (environment) and how a run's configuration is put together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import urlopen

import orjson
import yaml
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from tasks.configuration import Configuration, Section
from tasks.errors import UserError
from tasks.processes import is_alive

_Kind = TypeVar("_Kind", bound=Section)

ROOT = Path(__file__).resolve().parents[1]
CLIENTS_NOTE = "clients.json"  # in the stack's folder: what its clients are told

# Settings that are text whatever they look like.
_TEXTS = {
    f"source.{name}"
    for name in (
        "location",
        "snapshot",
        "text",
        "label",
        "timestamp",
        "split",
        "origin",
        "probes",
        "revision",
    )
} | {
    "augment.wordnet",
    "augment.back_translation",
    "pretrain.start",
    "pretrain.revision",
    "search.study",
}
_TEXTS |= {"night", "repair.by", "repair.why"}
_TEXTS |= {
    f"{section}.{name}" for section in ("tag", "pairs") for name in ("train", "validation", "test")
} | {f"pairs.{name}" for name in ("first", "second", "label")}

# Quiet, offline and quick.
DEFAULTS = {
    "DO_NOT_TRACK": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_V2_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_LEVEL": "INFO",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # Whether to wait for a server that went away is decided by `tracking.patience`.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    "GIT_PYTHON_REFRESH": "quiet",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "KERAS_BACKEND": "tensorflow",
    "TOKENIZERS_PARALLELISM": "true",
    "MPLBACKEND": "Agg",
}
# Only for the embedded server: batch its task-run records, and drop what nobody is there to read.
EMBEDDED = {
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
    # Whole seconds: the recorder rounds down, and an interval of 0 keeps a core busy for nothing.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    # The terminal has its own lines; Prefect's logs go to its UI.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
}


class Environment(BaseSettings):
    """Where this machine keeps runs. Every field is an environment variable `PLUMBLINE_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="PLUMBLINE_", frozen=True, extra="ignore")

    home: Path = Field(
        ROOT / "runs", description="Folder of everything a run leaves on this machine"
    )
    store: str = Field("", description="Root of the artifact store: a folder or an fsspec URL")
    tracking_uri: str = Field("", description="MLflow tracking server or database")
    mlflow_patience: float = Field(
        60.0, ge=0, description="How long a night waits for an MLflow server that went away (min)"
    )
    sources: str = Field(
        "", description="Folders and URLs with commas between them, outside of which no run reads; `hub` "
        "allows names of the hub; empty for no limit",
    )  # fmt: skip
    studies: str = Field("", description="Database of the hyper-parameter studies, as a URL")
    dask: str = Field("", description="Scheduler of the Dask cluster that profile.runner=dask uses")
    experiment: str = Field("plumbline", description="MLflow experiment")
    model_name: str = Field(
        "plumbline", description="Registered model whose alias `champion` is served"
    )
    prefect_ui: str = Field(
        "http://127.0.0.1:4200", description="Address of the Prefect UI, for links"
    )
    mlflow_ui: str = Field(
        "http://127.0.0.1:5000", description="Address of the MLflow UI, for links"
    )

    @property
    def store_root(self) -> str:
        """The store's root, `home/store` unless set."""
        return self.store or str(self.home.absolute() / "store")

    @property
    def tracking(self) -> str:
        """The tracking URI, a SQLite file under `home` unless set."""
        return self.tracking_uri or f"sqlite:///{self.home.absolute() / 'mlflow.db'}"

    @property
    def studies_url(self) -> str:
        """The database of studies, a SQLite file under `home` unless set."""
        return self.studies or f"sqlite:///{self.home.absolute() / 'studies.db'}"

    @property
    def embedded(self) -> bool:
        """Whether flows run in process, with no Prefect server configured."""
        return not os.environ.get("PREFECT_API_URL")

    @property
    def stack_folder(self) -> Path:
        """Where `plumbline stack` keeps its servers' data, logs and notes."""
        return self.home.absolute() / "stack"

    @property
    def prefect_address_file(self) -> Path:
        """Where `plumbline ui` notes the address of its Prefect API while it runs."""
        return self.home.absolute() / "prefect" / "api_url"

    def apply(self) -> None:
        """Set the process's defaults, before the libraries that read them are imported.

        What the user has set wins.

        Raises:
            UserError: The home folder cannot be made.
        """
        if self.embedded:
            for name, value in self._running_servers().items():
                os.environ.setdefault(name, value)
        for name, value in {**DEFAULTS, **(EMBEDDED if self.embedded else {})}.items():
            os.environ.setdefault(name, value)
        # Libraries that would write to the user's home folder write to ours.
        for name in ("prefect", "keras", "matplotlib"):
            variable = {"matplotlib": "MPLCONFIGDIR"}.get(name, f"{name.upper()}_HOME")
            os.environ.setdefault(variable, str(self.home.absolute() / name))
        try:
            (self.home.absolute() / "prefect").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"the folder {self.home} cannot be written: {error.strerror}",
                "Set PLUMBLINE_HOME to a folder that can.",
            ) from error

    def _running_servers(self) -> dict[str, str]:
        """What clients of a running `plumbline stack` or `plumbline ui` are told.

        A stale note of one that was killed is ignored.
        """
        for told in (self._told_by_stack(), self._told_by_ui()):
            try:
                with urlopen(f"{told['PREFECT_API_URL']}/health", timeout=1):
                    return told
            except (OSError, KeyError):
                continue
        return {}

    def _told_by_stack(self) -> dict[str, str]:
        try:
            note = orjson.loads((self.stack_folder / CLIENTS_NOTE).read_bytes())
            # Another server may answer at the address of a stack that is gone.
            return dict(note["environment"]) if is_alive(note["process"]) else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def _told_by_ui(self) -> dict[str, str]:
        try:
            return {"PREFECT_API_URL": self.prefect_address_file.read_text()}
        except OSError:
            return {}


def load_configuration(path: Path | None = None, overrides: Sequence[str] = ()) -> Configuration:
    """Read a night's configuration; see `load_as`."""
    return load_as(Configuration, path, overrides)


def load_as(kind: type[_Kind], path: Path | None = None, overrides: Sequence[str] = ()) -> _Kind:
    """Read a run configuration and apply `section.field=value` overrides.

    Args:
        kind: What is configured.
        path: YAML file; None means the defaults.
        overrides: Assignments, later ones win; values are read as YAML.

    Raises:
        UserError: The file or a value cannot be used; every problem is named at once.
    """
    values = _read_yaml(path) if path else {}
    for override in overrides:
        _assign(values, override)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        where = f" in {path}" if path else ""
        problems = "\n".join(f"  {_describe(item)}" for item in error.errors())
        raise UserError(f"the configuration{where} cannot be used:\n{problems}") from error


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text()) or {}
    except FileNotFoundError as error:
        raise UserError(f"there is no configuration file {path}") from error
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"the configuration file {path} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise UserError(
            f"the configuration file {path} must hold sections, not {type(values).__name__}"
        )
    return values


def _assign(values: dict[str, Any], override: str) -> None:
    name, found, text = override.partition("=")
    if not found or not name:
        raise UserError(f"{override!r} is not an assignment", "Write section.field=value.")
    *sections, field = name.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise UserError(f"{name!r}: {section!r} is a value, not a section")
    if name in _TEXTS:  # `*.jsonl` and `no` are YAML, but here they are a glob and a column
        values[field] = text or None
        return
    try:
        values[field] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"the value in {override!r} cannot be read: {error}") from error


def _describe(item: Any) -> str:
    name = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return f"{name}: there is no such setting"
    message = item["msg"].removeprefix("Value error, ")
    return (
        f"{name}: {message} (got {item['input']!r})"
        if name and item["type"] != "value_error"
        else message
    )
