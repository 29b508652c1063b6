"""`mapper sandbox`, `app` and `demo`: what keeps running until it is stopped."""

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from mapper_ai.cli.commands import FINDINGS, INVALID, USAGE, complain

DEFAULT_ORDERS: Final = 50
DEFAULT_SEED: Final = 2026
_STREAMLIT: Final = (
    "--server.address=127.0.0.1",
    "--server.headless=true",
    "--browser.gatherUsageStats=false",
    "--server.fileWatcherType=none",
)


def configure_sandbox(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mapper sandbox`."""
    parser.add_argument("--json", action="store_true", help="first line: addresses and secrets, as JSON")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, metavar="N", help=f"default {DEFAULT_SEED}")
    parser.add_argument(
        "--orders",
        type=_count,
        default=DEFAULT_ORDERS,
        metavar="N",
        help=f"orders in Clarity (default {DEFAULT_ORDERS})",
    )
    parser.add_argument("--freshbooks-port", type=_port, default=0, metavar="PORT", help="default: a free one")
    parser.add_argument("--clarity-port", type=_port, default=0, metavar="PORT", help="default: a free one")
    parser.add_argument(
        "--flavour",
        choices=("both", "rest", "cef"),
        default="both",
        help="Clarity's interfaces: its REST API, its framework itself, or both (default) on one port",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="switches",
        help="behaviour, such as rounding=total or duplicate_email=refuse",
    )


def run_sandbox(args: argparse.Namespace) -> int:
    """Serve until stopped."""
    switches: dict[str, Any] = {"clarity_flavour": args.flavour}
    for text in args.switches:
        name, sign, value = text.partition("=")
        if not sign or not name:
            complain(f"--set {text}: write NAME=VALUE, such as rounding=total")
            return USAGE
        switches[name] = _value(value)
    from connectors.sandbox.server import serve

    try:
        return serve(
            freshbooks_port=args.freshbooks_port,
            clarity_port=args.clarity_port,
            json_line=args.json,
            seed=args.seed,
            orders=args.orders,
            **switches,
        )
    except (ValueError, TypeError) as error:
        if not args.switches:
            raise
        complain(f"--set: {error}")
        return INVALID
    except OSError as error:
        complain(f"a port cannot be used ({error.strerror or error}): choose --freshbooks-port and --clarity-port")
        return FINDINGS


def configure_app(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mapper app`."""
    parser.add_argument("--port", type=_port, default=8501, metavar="PORT", help="default 8501")
    parser.add_argument(
        "--mappings", type=Path, metavar="DIR", help="mapping files (default mappings/clarity-freshbooks)"
    )
    parser.add_argument("--workspace", type=Path, metavar="DIR", help="drafts and samples (default .mapper)")


def run_app(args: argparse.Namespace) -> int:
    """Replace this process by Streamlit, so that signals reach it."""
    if find_spec("streamlit") is None:
        complain("the app needs the studio packages: pip install 'mapper-ai[studio]'")
        return FINDINGS
    environment = dict(os.environ)
    # The pages read their places from the environment: Streamlit has no arguments of its own for them.
    if args.mappings is not None:
        environment["MAPPER_MAPPINGS"] = str(args.mappings)
    if args.workspace is not None:
        environment["MAPPER_WORKSPACE"] = str(args.workspace)
    sys.stdout.flush()
    command = app_command(args.port)
    os.execve(command[0], command, environment)  # noqa: S606  our own interpreter with fixed arguments
    return FINDINGS


def app_command(port: int) -> list[str]:
    """The command line that serves the installed app on this machine only.

    Raises:
        FileNotFoundError: The installed package has no app.
    """
    found = find_spec("app")
    if found is None or found.origin is None:
        raise FileNotFoundError("app.py is not installed; install mapper-ai again")
    return [sys.executable, "-m", "streamlit", "run", found.origin, f"--server.port={port}", *_STREAMLIT]


def run_demo(arguments: list[str]) -> int:
    """Hand over to the demo, which has its own arguments."""
    from mapper_ai.services import demo

    return int(demo.main(arguments))


def _value(text: str) -> Any:
    from decimal import Decimal

    try:
        return json.loads(text, parse_float=Decimal)
    except ValueError:
        return text


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got '{text}'")
    return int(text)


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a whole number, got '{text}'")
    return int(text)
