"""The command line. Whatever goes wrong is one message that says what to do, never a traceback."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from flows import data_commands, repair_command, store_commands
from flows.stack import command as stack_command
from tasks.configuration import Section
from tasks.errors import Refused, StageFailed, UserError
from tasks.settings import ROOT, Environment, load_as, load_configuration

EXIT_REFUSED = 3
EXIT_BROKEN = 1
EXIT_USER = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0 done, 2 bad input, 3 refused, 1 broken."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except Refused as error:
        return _complain("stopped", error, EXIT_REFUSED)
    except UserError as error:
        return _complain("cannot run", error, EXIT_USER)
    except StageFailed as error:
        return _complain("failed", error, EXIT_BROKEN)
    except KeyboardInterrupt:
        return _complain("interrupted", "finished stages are kept and will be reused", 130)
    except Exception as error:
        return _complain("failed", _unforeseen(error), EXIT_BROKEN)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="plumbline", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, purpose in {
        "nightly": "prepare, train and assess, here and now",
        "prepare": "only the data stages: what is wrong with a corpus",
        "search": "look for better training settings; a study that was stopped goes on",
        "ablate": "the night with one stage off at a time: what each stage buys",
    }.items():
        command = commands.add_parser(name, help=purpose)
        command.add_argument("--config", type=Path, help="YAML file of the run configuration")
        command.add_argument("overrides", nargs="*", metavar="section.field=value")
        command.set_defaults(run=_run_flow, flow=name, trials=None, objective=None)
        if name == "search":
            command.add_argument("--trials", help="trials in all, earlier runs' included")
            command.add_argument("--objective", help="pretrain or finetune")
    repair_command.add(commands, _run_flow)
    data_commands.add(commands)
    store_commands.add(commands)
    ui = commands.add_parser("ui", help="serve the Prefect and MLflow UIs over the same stores")
    ui.add_argument("--prefect-port", type=int, default=4200)
    ui.add_argument("--mlflow-port", type=int, default=5000)
    ui.set_defaults(run=_ui)
    stack_command.add(commands)
    deploy = commands.add_parser("deploy", help="register deployments with the Prefect server")
    deploy.set_defaults(run=_deploy)
    follow = commands.add_parser("follow", help="train with the first worker that TF_CONFIG names")
    follow.set_defaults(run=_follow)
    worker = commands.add_parser("worker", help="execute deployed runs on this machine")
    worker.add_argument("--pool", default="cpu", choices=("cpu", "gpu"))
    worker.set_defaults(run=_worker)
    return parser


def _run_flow(options: argparse.Namespace) -> int:
    started = time.perf_counter()
    configuration = _configuration(options)
    environment = Environment()
    # The libraries read their environment when imported, so it is set first.
    environment.apply()
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    from flows.servers import stop_orphans
    from tasks.console import chatter_to, console

    stop_orphans(environment.home)
    # Ended by a scheduler or by `kill`, stop as for Ctrl+C, so that the embedded server goes too.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))

    # In process nobody watches for heartbeats, and each costs a second when its flow ends.
    quiet = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None} if environment.embedded else {}
    log = environment.home.absolute() / "logs" / f"{options.flow}.log"
    with chatter_to(log), temporary_settings(quiet):
        result = _flow(options.flow)(configuration)
    console.print(f"[dim]finished in {time.perf_counter() - started:.0f} s[/dim]")
    if isinstance(result, Path):
        sys.stdout.write(f"{result}\n")
    return 0


def _configuration(options: argparse.Namespace) -> Section:
    if options.flow == "ablate":
        from tasks.ablation.configuration import AblationConfiguration

        return load_as(AblationConfiguration, options.config, options.overrides)
    if options.flow == "repair":
        return repair_command.configuration(options)
    if options.flow != "search":
        return load_configuration(options.config, options.overrides)
    from tasks.search.configuration import SearchConfiguration

    flags = {"search.trials": options.trials, "search.objective": options.objective}
    given = [f"{name}={value}" for name, value in flags.items() if value is not None]
    return load_as(SearchConfiguration, options.config, [*options.overrides, *given])


def _flow(name: str) -> Callable[..., object]:
    """Imported here, so that `plumbline prepare` needs nothing of training."""
    if name == "prepare":
        from flows.prepare import prepare

        return prepare
    if name == "search":
        from flows.search import search

        return search
    if name == "ablate":
        from flows.ablate import ablate

        return ablate
    if name == "repair":
        from flows.repair import repair

        return repair
    from flows.nightly import nightly

    return nightly


def _ui(options: argparse.Namespace) -> int:
    environment = Environment()
    environment.apply()
    from flows.servers import serve

    return serve(environment, options.prefect_port, options.mlflow_port)


def _deploy(options: argparse.Namespace) -> int:
    Environment().apply()
    from flows.servers import deploy

    return deploy(ROOT)


def _worker(options: argparse.Namespace) -> int:
    Environment().apply()
    from flows.servers import work

    return work(ROOT, options.pool)


def _follow(options: argparse.Namespace) -> int:
    Environment().apply()
    from tasks.stage import open_store
    from tasks.training.follow import follow

    steps = follow(open_store().scratches)
    sys.stderr.write(f"followed the first worker for {steps:,} steps\n")
    return 0


def _complain(what: str, error: object, status: int) -> int:
    sys.stderr.write(f"plumbline {what}: {error}\n")
    return status


def _unforeseen(error: Exception) -> str:
    """Keep the traceback in a file and return the message that names it."""
    text = "".join(traceback.format_exception(error))
    try:
        folder = Environment().home.absolute() / "errors"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}.log"
        path.write_text(json.dumps(sys.argv) + "\n\n" + text)
    except OSError:
        return f"{type(error).__name__}: {error}"
    return f"{type(error).__name__}: {error}\n  The traceback is in {path}."


if __name__ == "__main__":
    sys.exit(main())
