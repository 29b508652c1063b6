"""``mapper-sync backfill | caps | adopt | rebuild``: the past, and what a person decides about it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sync.cli_common import existing_store, printer

if TYPE_CHECKING:
    from sync.adoption import Proposal
    from sync.backfill_report import BackfillProgress
    from sync.settings import Settings

_ENTITIES = ("customer", "order", "payment", "product")


def add(commands: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the four commands to the parser."""
    backfill = command(
        commands,
        "backfill",
        "read Clarity's past from a day on, and post what is not posted yet",
        "mapper-sync backfill --mappings mappings/clarity-freshbooks --from 2026-01-01 --dry-run",
    )
    backfill.add_argument("--mappings", type=Path, required=True, metavar="DIR", help="folder of approved specs")
    backfill.add_argument(
        "--from", dest="first", type=_day, required=True, metavar="DATE", help="first day, 2026-01-31"
    )
    backfill.add_argument("--to", dest="until", type=_day, metavar="DATE", help="last day (default: until today)")
    backfill.add_argument(
        "--entities",
        type=_entities,
        default=("customer", "order", "payment"),
        metavar="LIST",
        help="some of customer,order,payment,product (default customer,order,payment)",
    )
    backfill.add_argument("--dry-run", action="store_true", help="count what would be sent, write nothing")
    backfill.add_argument("--restart", action="store_true", help="from the beginning, not where a killed one was")
    backfill.add_argument("--max-wait", type=float, default=300.0, metavar="SECONDS", help="for retries (default 300)")

    caps = command(
        commands,
        "caps",
        "how much newly approved mappings have invoiced of their first-run caps; lift them",
        "mapper-sync caps list    or    mapper-sync caps lift --spec clarity-freshbooks/order-to-invoice",
    )
    caps.add_argument("action", choices=("list", "lift"))
    caps.add_argument("--spec", metavar="NAME", help="of the mapping, or its fingerprint")

    adopt = command(
        commands,
        "adopt",
        "decide about orders that seem to be invoiced by hand already",
        "mapper-sync adopt list    or    mapper-sync adopt accept order:10045    or    mapper-sync adopt refuse --all",
    )
    adopt.add_argument("action", choices=("list", "accept", "refuse"))
    adopt.add_argument("record", nargs="?", metavar="RECORD", help='"order:10045" or the order number')
    adopt.add_argument("--all", action="store_true", help="every proposal; of accept: every one that is unambiguous")
    adopt.add_argument("--invoice", metavar="ID", help="which FreshBooks invoice, where several fit")

    rebuild = command(
        commands,
        "rebuild",
        "fill an empty ledger from the markers in FreshBooks, after the store was lost",
        "mapper-sync rebuild --mappings mappings/clarity-freshbooks --dry-run",
    )
    rebuild.add_argument("--mappings", type=Path, required=True, metavar="DIR", help="folder of approved specs")
    rebuild.add_argument("--dry-run", action="store_true", help="only tell what would be found")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run one of them; the exit code."""
    actions = {"backfill": _backfill, "caps": _caps, "adopt": _adopt, "rebuild": _rebuild}
    return actions[arguments.command](arguments, settings)


def _backfill(arguments: argparse.Namespace, settings: Settings) -> int:
    from sync.backfill import Span, backfill
    from sync.errors import SettingsError
    from sync.signals import stop_on_signals

    if arguments.until is not None and arguments.until < arguments.first:
        raise SettingsError(f"--to {arguments.until} is before --from {arguments.first}")
    shown = sys.stderr.isatty() and not arguments.json
    report = backfill(
        settings,
        arguments.mappings,
        span=Span(arguments.first, arguments.until),
        entities=arguments.entities,
        dry_run=arguments.dry_run,
        restart=arguments.restart,
        max_wait_s=arguments.max_wait,
        on_progress=_show if shown else None,
        stop=stop_on_signals(),
    )
    if shown:
        print("\r\033[K", end="", file=sys.stderr)
    printer(arguments)(report.as_dict(), report.as_text())
    for problem in report.problems:
        print(f"mapper-sync: {problem}", file=sys.stderr)
    if report.stopped is not None:
        print(f"mapper-sync: backfill ended early: {report.stopped}", file=sys.stderr)
    return report.exit_code


def _caps(arguments: argparse.Namespace, settings: Settings) -> int:
    from sync.errors import SettingsError
    from sync.first_run import lift, uses

    if arguments.action == "lift":
        if not arguments.spec:
            raise SettingsError("caps lift needs --spec NAME; 'mapper-sync caps list' names them")
        with existing_store(settings) as store:
            found, tried = lift(store, arguments.spec, now=time.time())
        text = f"the first-run cap of {arguments.spec} is lifted; {tried} records will be tried again by the next run"
        printer(arguments)({"lifted": found, "tried_again": tried}, text)
        return 0
    with existing_store(settings) as store:
        shown = uses(store)
    lines = [
        f"{use.name} {use.fingerprint[:12]}: {use.state}, {use.invoices} invoices"
        + "".join(f", {code} {total:f}" for code, total in sorted(use.sums.items()))
        + (f", lifted by {use.lifted_by}" if use.lifted_by else "")
        for use in shown
    ]
    caps = settings.caps
    limits = {"invoices": caps.invoices, "sum": {code: f"{total:f}" for code, total in caps.sum.items()}}
    printer(arguments)(
        {"caps": limits, "specs": [use.as_dict() for use in shown]},
        "\n".join(lines) or "No mapping has invoiced anything yet.",
    )
    return 0


def _adopt(arguments: argparse.Namespace, settings: Settings) -> int:
    from sync import adoption
    from sync.errors import SettingsError

    with existing_store(settings) as store:
        if arguments.action == "list":
            found = adoption.proposals(store)
            printer(arguments)([one.as_dict() for one in found], "\n".join(map(_line, found)) or "Nothing is proposed.")
            return 0
        if bool(arguments.record) == arguments.all:
            raise SettingsError(f"adopt {arguments.action}: name one RECORD, or give --all")
        if arguments.all and arguments.invoice:
            raise SettingsError("--invoice goes with one RECORD")
        records = [arguments.record]
        if arguments.all:
            chosen = adoption.certain(store) if arguments.action == "accept" else adoption.proposals(store)
            records = [one.key for one in chosen]
        done = [
            adoption.accept(store, record, invoice=arguments.invoice, now=time.time())
            if arguments.action == "accept"
            else adoption.refuse(store, record, now=time.time())
            for record in records
        ]
        left = len(adoption.proposals(store))
    word = "adopted" if arguments.action == "accept" else "will be posted"
    text = f"{len(done)} {word}" + (f"; {left} proposals are left" if left else "")
    printer(arguments)({"decided": [one.record_key for one in done], "left": left}, text)
    return 0


def _rebuild(arguments: argparse.Namespace, settings: Settings) -> int:
    from sync.rebuild import rebuild

    report = rebuild(settings, arguments.mappings, dry_run=arguments.dry_run)
    printer(arguments)(report.as_dict(), report.as_text())
    return report.exit_code


def _line(one: Proposal) -> str:
    wanted = one.wanted
    fits = "; ".join(
        f"invoice {row['number']} of {row['date']}, id {row['id']}"
        + (", a draft" if row["draft"] else f", {row['paid']} paid" if row["paid"] else "")
        for row in one.candidates
    )
    return f"{one.record_key} ({wanted['number']}) {wanted['date']} {wanted['total']} {wanted['currency']}: {fits}"


def _show(progress: BackfillProgress) -> None:
    of = "" if progress.total is None else f" of {progress.total}"
    left = "" if progress.left_s is None else f", {_duration(progress.left_s)} left"
    print(
        f"\r\033[K{progress.entity}: {progress.read}{of}, {progress.settled} settled, {progress.new} new,"
        f" {progress.rate:.0f} a second{left}",
        end="",
        file=sys.stderr,
        flush=True,
    )


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 90 else f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a day such as 2026-01-31, got {text!r}") from None


def _entities(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names or set(names) - set(_ENTITIES):
        raise argparse.ArgumentTypeError(f"expected some of {','.join(_ENTITIES)}, got {text!r}")
    return names
