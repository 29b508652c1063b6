"""``mapper-sync pause | resume | audit``: the kill switch, and who did what by hand."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sync.cli_common import existing_store, printer

if TYPE_CHECKING:
    from sync.settings import Settings


def add(commands: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands to the parser."""
    pause = command(
        commands,
        "pause",
        "stop all writing on every machine after the write in hand; webhooks are still taken",
        'mapper-sync pause --reason "wrong tax rate"',
    )
    pause.add_argument("--reason", default="", metavar="TEXT", help="why, for everybody who looks")
    command(commands, "resume", "let the workers go on", "mapper-sync resume")
    audit = command(commands, "audit", "who did what by hand, and when", "mapper-sync audit --limit 20")
    audit.add_argument("--limit", type=int, default=100, metavar="N", help="newest lines shown (default 100)")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Do it and say what holds now."""
    from sync import audit, control

    show = printer(arguments)
    who, now = audit.os_user(), time.time()
    if arguments.command == "audit":
        with existing_store(settings, read_only=True) as store:
            found = [deed.as_dict() for deed in audit.deeds(store, limit=max(1, arguments.limit))]
        lines = [
            f"{deed['at']}  {deed['who']}  {deed['what']} {deed['subject']}".rstrip()
            + (f": {deed['detail']}" if deed["detail"] else "")
            for deed in found
        ]
        show(found, "\n".join(lines) or "Nobody has done anything by hand.")
        return 0
    with existing_store(settings) as store:
        if arguments.command == "pause":
            held = control.pause(store, who=who, reason=arguments.reason, now=now)
            told = "Paused" if held.at == now else "It was paused already"
            show({"paused": held.as_dict()}, f"{told}: {held.text}")
        else:
            went = control.resume(store, who=who, now=now)
            show({"paused": None}, "The workers go on." if went else "Nothing was paused.")
    return 0
