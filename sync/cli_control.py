"""``mapper-sync pause | resume | audit``: the kill switch, and who did what by hand."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sync.settings import Settings
    from sync.store import Store


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


@contextmanager
def existing_store(settings: Settings, *, read_only: bool = False) -> Iterator[Store]:
    """The store of the settings, which must be there: asking creates none.

    Raises:
        StoreError: There is no store, or it cannot be used.
    """
    from sync.store import open_store

    if not read_only:
        open_store(settings.store_url, read_only=True).close()
    store = open_store(settings.store_url, read_only=read_only)
    try:
        yield store
    finally:
        store.close()


def printer(arguments: argparse.Namespace) -> Callable[[Any, str], None]:
    """Prints JSON with --json, the text otherwise."""

    def show(value: Any, text: str) -> None:
        if arguments.json:
            from connectors.http import dumps

            print(dumps(value))
        else:
            print(text)

    return show
