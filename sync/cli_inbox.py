"""``mapper-sync errors | story | replay | skip | alias``: what is set aside, why, and what a person decides."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sync.cli_common import existing_store, printer

if TYPE_CHECKING:
    from sync.settings import Settings

SHOWN_RECORDS = 50


def add(commands: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands to the parser."""
    errors = command(
        commands,
        "errors",
        "what is set aside, grouped by cause, with the mend; or one cause, or one record",
        "mapper-sync errors    or    mapper-sync errors rejected    or    mapper-sync errors order:10045",
    )
    errors.add_argument("what", nargs="?", metavar="GROUP|RECORD", help="a reason id, a record key or a number")
    told = command(
        commands,
        "story",
        "everything that is known of one record, from its webhook to the ledger",
        "mapper-sync story WEB-26-10045 --show-payload",
    )
    told.add_argument("what", metavar="RECORD", help='"order:10045" or the order number')
    for parser in (errors, told):
        shown = parser.add_mutually_exclusive_group()
        shown.add_argument("--show-payload", action="store_true", help="with bodies, customer values covered")
        shown.add_argument("--reveal", action="store_true", help="with bodies as they are; goes into the audit")
    replay = command(
        commands,
        "replay",
        "try set-aside records again",
        "mapper-sync replay order:10045\n  mapper-sync replay --reason not-in-table\n  mapper-sync replay --all",
    )
    which = replay.add_mutually_exclusive_group(required=True)
    which.add_argument("record", nargs="?", metavar="RECORD", help='"order:10045" or the order number')
    which.add_argument("--reason", metavar="ID", help="everything held or dead for this reason")
    which.add_argument("--all", action="store_true", help="everything that is held or dead")
    skip = command(
        commands,
        "skip",
        "decide that a record is not posted; only replay lifts it",
        'mapper-sync skip order:10045 --reason "invoiced by hand"',
    )
    skip.add_argument("record", metavar="RECORD", help='"order:10045" or the order number')
    skip.add_argument("--reason", required=True, metavar="TEXT", help="why, for the audit")
    alias = command(
        commands,
        "alias",
        "other names of SKUs and payment methods",
        "mapper-sync alias set method applepay credit_card    or    mapper-sync alias set sku OLD-1 NEW-1",
    )
    words = alias.add_subparsers(dest="do", required=True, metavar="list | set | remove")
    words.add_parser("list", help="all of them")
    change = words.add_parser("set", help="look for another name, and try again what waited for it")
    change.add_argument("kind", choices=("sku", "method"))
    change.add_argument("name", help="as the shop says")
    change.add_argument("target", help="as FreshBooks (sku) or the mapping's table (method) says")
    drop = words.add_parser("remove", help="take one back")
    drop.add_argument("kind", choices=("sku", "method"))
    drop.add_argument("name")
    for parser in words.choices.values():
        parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="for machines")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run one of the commands."""
    return {"errors": _errors, "story": _story, "replay": _replay, "skip": _skip, "alias": _alias}[arguments.command](
        arguments, settings
    )


def _errors(arguments: argparse.Namespace, settings: Settings) -> int:
    from sync.report import errors_text
    from sync.status import grouped_errors, read_status

    groups = grouped_errors(read_status(settings.store_url))
    if arguments.what is not None:
        groups = [group for group in groups if group["reason_id"] == arguments.what]
        if not groups:
            return _story(arguments, settings)
    whole = arguments.what is not None
    printer(arguments)(groups, errors_text(groups, limit=SHOWN_RECORDS if not whole else 1000))
    return 0


def _story(arguments: argparse.Namespace, settings: Settings) -> int:
    from sync import audit
    from sync.report import story_text
    from sync.story import Payloads, story

    payloads: Payloads = "whole" if arguments.reveal else "masked" if arguments.show_payload else "none"
    with existing_store(settings, read_only=not arguments.reveal) as store:
        told = story(store, arguments.what, payloads=payloads)
        if arguments.reveal:
            audit.add(store, who=audit.os_user(), what="reveal", subject=told["record"], now=time.time())
    printer(arguments)(told, story_text(told))
    return 0


def _replay(arguments: argparse.Namespace, settings: Settings) -> int:
    from sync.audit import os_user
    from sync.errors import InputError
    from sync.skips import replay

    record = None if arguments.all else arguments.record
    with existing_store(settings) as store:
        found = replay(store, record, reason=arguments.reason, who=os_user(), now=time.time())
    if not found and arguments.record is not None:
        raise InputError(f"no record {record!r} in the inbox; 'mapper-sync errors' lists what can be replayed")
    if not found and arguments.reason is not None:
        raise InputError(f"nothing is set aside for {arguments.reason!r}; 'mapper-sync errors' lists the reasons")
    printer(arguments)({"replayed": found}, f"{len(found)} records will be tried again by the next run")
    return 0


def _skip(arguments: argparse.Namespace, settings: Settings) -> int:
    from sync.audit import os_user
    from sync.skips import skip

    with existing_store(settings) as store:
        key, lasting = skip(store, arguments.record, reason=arguments.reason, who=os_user(), now=time.time())
    text = f"{key} is not posted, whatever its later events say, until 'mapper-sync replay {key}'"
    if not lasting:
        text = f"{key}: this change is passed over; something of it is posted, so its next change is looked at afresh"
    printer(arguments)({"skipped": key, "until": "replay" if lasting else "next change"}, text)
    return 0


def _alias(arguments: argparse.Namespace, settings: Settings) -> int:
    from sync.aliases import change_alias, list_aliases
    from sync.audit import os_user

    show = printer(arguments)
    if arguments.do == "list":
        with existing_store(settings, read_only=True) as store:
            found = [alias.as_dict() for alias in list_aliases(store)]
        lines = [f"{a['kind']}  {a['name']}  ->  {a['target']}  ({a['by']}, {a['at']})" for a in found]
        show(found, "\n".join(lines) or "There is no alias.")
        return 0
    with existing_store(settings) as store:
        show(*change_alias(store, arguments.do, vars(arguments), who=os_user(), now=time.time()))
    return 0
