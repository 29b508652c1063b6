"""``mapper-sync top | alerts | backup | restore | forget``: watching over a runner and its store."""

from __future__ import annotations

import argparse
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sync.cli_common import existing_store, printer

if TYPE_CHECKING:
    from sync.settings import Settings


def add(commands: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands to the parser."""
    top = command(commands, "top", "what the runners do right now, again and again", "mapper-sync top --once")
    top.add_argument("--once", action="store_true", help="print it once and end")
    top.add_argument("--every", type=float, default=2.0, metavar="SECONDS", help="between two looks (default 2)")
    told = command(commands, "alerts", "alerts that are open; or a message to every channel", "mapper-sync alerts test")
    told.add_argument("do", nargs="?", choices=("list", "test"), default="list", help="default: list")
    backup = command(
        commands,
        "backup",
        "copy the store into one file, while runners work",
        "mapper-sync backup /backups/mapper-2026-03-01.db",
    )
    backup.add_argument("file", type=Path, metavar="FILE", help="a new file; its owner alone may read it")
    backup.add_argument("--force", action="store_true", help="replace a file that is there")
    restore = command(
        commands,
        "restore",
        "fill an empty store from a backup, and leave it paused",
        "MAPPER_STORE_URL=sqlite:///new.db mapper-sync restore /backups/mapper-2026-03-01.db",
    )
    restore.add_argument("file", type=Path, metavar="FILE", help="what backup made")
    forget = command(
        commands,
        "forget",
        "erase one customer's payloads, attempts and texts; ids and amounts stay",
        "mapper-sync forget ana@example.com --dry-run",
    )
    forget.add_argument("customer", metavar="CUSTOMER", help="customer id or e-mail; - reads it from stdin")
    forget.add_argument("--dry-run", action="store_true", help="only say what would be erased")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run one of the commands."""
    commands = {"top": _top, "alerts": _alerts, "backup": _backup, "restore": _restore, "forget": _forget}
    return commands[arguments.command](arguments, settings)


def _top(arguments: argparse.Namespace, settings: Settings) -> int:
    from sync.top import look, text_of, watch

    with existing_store(settings, read_only=True) as store:
        if arguments.once or arguments.json or not sys.stdout.isatty():
            found = look(store, now=time.time())
            printer(arguments)(found, text_of(found, width=400, height=400))
            return 0
        watch(
            store,
            every_s=max(0.2, arguments.every),
            show=lambda text: print(text, end="", flush=True),
            size=shutil.get_terminal_size,
            wait=threading.Event().wait,
        )
    return 0


def _alerts(arguments: argparse.Namespace, settings: Settings) -> int:
    from sync.alerts import alerts
    from sync.errors import SettingsError

    show = printer(arguments)
    if arguments.do == "list":
        with existing_store(settings, read_only=True) as store:
            found = [alert.as_dict() for alert in alerts(store)]
        show(found, "\n".join(f"{row['since']}  {row['kind']}: {row['text']}" for row in found) or "No alert is open.")
        return 0
    if not settings.alerts.urls:
        raise SettingsError(
            "MAPPER_ALERT_URLS is not set: give addresses of Apprise, separated by blanks, such as json://host/path"
        )
    from sync.channels import open_channels

    send = open_channels([url.get_secret_value() for url in settings.alerts.urls])
    sent = send("mapper-sync: test", "This is a test. Nothing is wrong.", False)
    problems = [f"channel {name} did not take the message" for name in sent.failed]
    show({"sent": sent.done, "failed": list(sent.failed)}, "\n".join([f"{sent.done} channels took it", *problems]))
    return 1 if sent.failed else 0


def _backup(arguments: argparse.Namespace, settings: Settings) -> int:
    from sync.audit import add as add_to_audit
    from sync.audit import os_user
    from sync.backup import backup

    with existing_store(settings) as store:
        made = backup(store, arguments.file, force=arguments.force)
        add_to_audit(store, who=os_user(), what="backup", detail=str(made.file), now=time.time())
    rows = sum(made.rows.values())
    printer(arguments)(made.as_dict(), f"{made.file}: {rows} rows, checked. The key of the sign-ins is not in it.")
    return 0


def _restore(arguments: argparse.Namespace, settings: Settings) -> int:
    from sync.audit import os_user
    from sync.backup import restore

    made = restore(arguments.file, settings.store_url, who=os_user(), now=time.time())
    rows = sum(made.rows.values())
    text = f"{rows} rows restored. The store is paused: have the ledger rebuilt, look, then 'mapper-sync resume'."
    printer(arguments)(made.as_dict(), text)
    return 0


def _forget(arguments: argparse.Namespace, settings: Settings) -> int:
    from sync.audit import os_user
    from sync.forget import forget

    customer = sys.stdin.readline() if arguments.customer == "-" else arguments.customer
    with existing_store(settings) as store:
        found = forget(
            store, customer, reading=settings.reading, who=os_user(), now=time.time(), dry_run=arguments.dry_run
        )
    counts = ", ".join(f"{count} {name}" for name, count in found.counts.items())
    done = "would be erased" if arguments.dry_run else "erased"
    lines = [f"{done}: {counts}; of {', '.join(found.records[:20])}"]
    if len(found.records) > 20:
        lines.append(f"  and {len(found.records) - 20} more records; --json lists all")
    if not arguments.dry_run:
        lines.append("Kept: ids, order numbers, amounts and the ledger. Backups still hold what they hold.")
    if not found.clean:
        lines.append("Another process is reading the store: run it again to clean the file of old pages as well.")
    printer(arguments)(found.as_dict(), "\n".join(lines))
    return 0 if found.clean else 1
