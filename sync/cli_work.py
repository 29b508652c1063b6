"""``mapper-sync work``: a further worker process on the same store."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sync.settings import Settings


def add(commands: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    work = command(
        commands,
        "work",
        "help a serve on the same store, here or on another machine",
        "mapper-sync work --mappings mappings/clarity-freshbooks",
    )
    work.add_argument("--mappings", type=Path, required=True, metavar="DIR", help="folder of approved specs")


def run(arguments: argparse.Namespace, settings: Settings, stop: threading.Event) -> int:
    """Work until told to stop; 0."""
    from sync.runner import work

    def ready() -> None:
        count = settings.runner.workers
        line = json.dumps({"workers": count}) if arguments.json else f"working with {count} workers"
        print(line, flush=True)

    work(settings, arguments.mappings, on_ready=ready, stop=stop)
    return leave(0)


def leave(code: int) -> int:
    """End a command whose work may be stuck in a database that does not answer: Python would wait for its threads."""
    if any(thread.name.startswith("dbos-executor") for thread in threading.enumerate()):
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)
    return code
