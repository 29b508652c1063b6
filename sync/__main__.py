"""Command line of the runner: ``mapper-sync`` or ``python -m sync``.

Everything heavy is imported inside the commands, so that ``--help`` answers at once. Exit codes: 0 done, 1 aborted
(refused login, unreachable server, stopped) or the doctor's contradictions, 2 usage or settings, 3 invalid input, or
done with records set aside, 4 the books could not be compared.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sync import (
    cli_auth,
    cli_backfill,
    cli_care,
    cli_control,
    cli_doctor,
    cli_drift,
    cli_inbox,
    cli_proposals,
    cli_reconcile,
    cli_webhooks,
    cli_work,
)
from sync.cli_common import print_json
from sync.signals import stop_on_signals

_SHOWN_RECORDS = 50
_WORKERS = "threads that write to FreshBooks (default 4, or [runner] workers of mapper.toml)"


def build_parser() -> argparse.ArgumentParser:
    """The parser with all commands."""
    parser = argparse.ArgumentParser(
        prog="mapper-sync",
        description="Runs approved mappings: Clarity orders, customers, payments and products into FreshBooks.",
        epilog="Settings come from the environment (MAPPER_STORE_URL, FRESHBOOKS_*, CLARITY_*) and mapper.toml.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = _command(
        commands,
        "run",
        "take events from a file and from Clarity, work until nothing is due, end",
        "mapper-sync run --mappings mappings/clarity-freshbooks --events events.ndjson --dry-run",
    )
    run.add_argument("--mappings", type=Path, required=True, metavar="DIR", help="folder of approved specs")
    run.add_argument("--events", type=Path, metavar="FILE", help="NDJSON file, one webhook body a line")
    run.add_argument("--dry-run", action="store_true", help="print the exact requests, write nothing")
    run.add_argument(
        "--max-wait",
        type=_seconds,
        default=300.0,
        metavar="SECONDS",
        help="longest time to sleep for retries, in total (default 300)",
    )

    run.add_argument("--workers", type=_workers, metavar="N", help=_WORKERS)

    serve = _command(
        commands,
        "serve",
        "take webhooks, poll and work until stopped",
        "mapper-sync serve --mappings mappings/clarity-freshbooks --port 8790",
    )
    serve.add_argument("--mappings", type=Path, required=True, metavar="DIR", help="folder of approved specs")
    serve.add_argument("--port", type=int, default=8790, help="0 takes a free one (default 8790)")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    serve.add_argument(
        "--admin-port",
        type=int,
        metavar="N",
        help="admin API on this port of loopback, with MAPPER_ADMIN_TOKEN (default: none)",
    )
    cli_work.add(commands, _command)

    serve.add_argument("--workers", type=_workers, metavar="N", help=_WORKERS)

    _command(commands, "status", "counts, sums, and every record that was not posted", "mapper-sync status --json")
    cli_inbox.add(commands, _command)
    cli_control.add(commands, _command)
    cli_care.add(commands, _command)
    cli_auth.add_parser(commands, _command)
    cli_doctor.add(commands, _command)
    cli_webhooks.add(commands, _command)
    cli_drift.add(commands, _command)
    cli_backfill.add(commands, _command)
    cli_reconcile.add(commands, _command)
    cli_proposals.add(commands, _command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    log_target: list[str | None] = [None]
    try:
        return _dispatch(arguments, log_target)
    except BrokenPipeError:
        # Whoever read our output has seen enough; keep the interpreter from complaining about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("mapper-sync: stopped", file=sys.stderr)
        return 1
    except Exception as error:
        if arguments.debug:
            raise
        return _explain(error, log_target[0])


def _dispatch(arguments: argparse.Namespace, log_target: list[str | None]) -> int:
    from sync import log
    from sync.settings import load_settings

    settings = load_settings(config=arguments.config)
    if arguments.command != "auth":
        from sync.signin_state import with_sign_in

        settings = with_sign_in(settings)
    target = settings.log_file
    if arguments.command in ("serve", "work") and target is None:
        target = "-"
    if arguments.command in ("run", "backfill") and target is None and not arguments.dry_run:
        from sync.store import sqlite_file

        file = sqlite_file(settings.store_url)
        target = f"{file}.log" if file is not None and file.parent.is_dir() else None
    log_target[0] = log.configure(target)
    commands: dict[str, Callable[[argparse.Namespace, Any], int]] = {
        "run": _run,
        "serve": _serve,
        "work": lambda arguments, settings: cli_work.run(arguments, settings, stop_on_signals()),
        "status": _status,
        **dict.fromkeys(("errors", "story", "replay", "skip", "alias"), cli_inbox.run),
        **dict.fromkeys(("pause", "resume", "audit"), cli_control.run),
        **dict.fromkeys(("forget", "backup", "restore", "alerts", "top"), cli_care.run),
        "auth": cli_auth.main,
        "doctor": cli_doctor.run,
        "webhooks": cli_webhooks.run,
        "drift": cli_drift.run,
        **dict.fromkeys(("backfill", "caps", "adopt", "rebuild"), cli_backfill.run),
        "reconcile": cli_reconcile.run,
        "proposals": cli_proposals.run,
    }
    if arguments.command in ("run", "serve", "work", "backfill"):
        settings = _with_workers(settings, getattr(arguments, "workers", None))
        for notice in settings.notices:
            print(f"mapper-sync: {notice}", file=sys.stderr)
    return commands[arguments.command](arguments, settings)


def _run(arguments: argparse.Namespace, settings: Any) -> int:
    from sync.runner import run

    stop = stop_on_signals()
    report = run(
        settings,
        arguments.mappings,
        events=arguments.events,
        dry_run=arguments.dry_run,
        max_wait_s=arguments.max_wait,
        on_progress=_show_progress if sys.stderr.isatty() and not arguments.json else None,
        stop=stop,
    )
    if sys.stderr.isatty() and not arguments.json:
        print("\r\033[K", end="", file=sys.stderr)
    if arguments.json:
        print_json(report.as_dict())
    else:
        from sync.report import run_text

        print(run_text(report, limit=_SHOWN_RECORDS))
    for problem in report.problems:
        print(f"mapper-sync: {problem}", file=sys.stderr)
    if report.stopped is not None:
        print(f"mapper-sync: run ended early: {report.stopped}", file=sys.stderr)
    elif report.left:
        print(f"mapper-sync: {report.left} events are still to be tried again; run once more to go on", file=sys.stderr)
    return report.exit_code


def _serve(arguments: argparse.Namespace, settings: Any) -> int:
    from sync.runner import serve

    admin_urls: list[str] = []

    def ready(url: str) -> None:
        shown = {"url": url, **({"admin": admin_urls[0]} if admin_urls else {})}
        text = f"listening on {url}" + (f", admin API on {admin_urls[0]}" if admin_urls else "")
        print(json.dumps(shown) if arguments.json else text, flush=True)

    if not settings.clarity.webhook_secrets:
        print(
            "mapper-sync: CLARITY_WEBHOOK_SECRET is not set: Clarity's webhooks are refused unless"
            " 'mapper-sync webhooks register clarity' has made a secret",
            file=sys.stderr,
        )
    elif not settings.clarity.configured:
        from sync.reading import assumed

        hours = assumed(settings.profile, "A14")["over_h"]
        told = f"a delivery that is missed for {hours} h is lost"
        print(f"mapper-sync: CLARITY_API_URL is not set: nothing is polled, {told}", file=sys.stderr)
    serve(
        settings,
        arguments.mappings,
        port=arguments.port,
        host=arguments.host,
        admin_port=arguments.admin_port,
        on_ready=ready,
        on_admin=admin_urls.append,
        stop=stop_on_signals(),
    )
    return cli_work.leave(0)


def _status(arguments: argparse.Namespace, settings: Any) -> int:
    from sync.report import status_text
    from sync.status import read_status

    found = read_status(settings.store_url)
    if arguments.json:
        print_json(found)
    else:
        print(status_text(found, limit=_SHOWN_RECORDS))
    return 0


def _command(commands: Any, name: str, summary: str, example: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=summary[:1].upper() + summary[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--json", action="store_true", help="for machines")
    command.add_argument("--config", type=Path, metavar="FILE", help="settings file (default mapper.toml, if there)")
    command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return command


def _with_workers(settings: Any, workers: int | None) -> Any:
    if workers is None:
        return settings
    return settings.model_copy(update={"runner": settings.runner.model_copy(update={"workers": workers})})


def _workers(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"expected a number of threads from 1 to 64, not {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 86_400:
        raise argparse.ArgumentTypeError(f"expected a number of seconds from 0 to 86400, got {text!r}")
    return value


def _show_progress(progress: Any) -> None:
    print(f"\r\033[K{progress.processed} of {progress.total} events", end="", file=sys.stderr, flush=True)


def _explain(error: Exception, log_file: str | None) -> int:
    """One line on stderr for an error, and its exit code."""
    from connectors.errors import ConnectorError
    from mapspec.errors import SpecError
    from sync.errors import SyncError

    if isinstance(error, SyncError):
        line, code = error.message, error.exit_code
    elif isinstance(error, SpecError):
        line, code = str(error), 3
    elif isinstance(error, ConnectorError):
        line, code = error.message, 1
    else:
        import logging

        logging.getLogger(__name__).error("unexpected error", exc_info=error)
        where = f"details in {log_file}" if log_file and log_file != "stderr" else "run again with --debug for details"
        line, code = f"unexpected error ({type(error).__name__}); {where}", 1
    print(f"mapper-sync: {' '.join(line.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
