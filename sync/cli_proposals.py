"""``mapper-sync proposals``: corrections of the books that wait for a person, and the decision about each."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from sync.cli_common import existing_store, printer

if TYPE_CHECKING:
    from sync.proposals import Checks, Proposal
    from sync.settings import Settings
    from sync.store import Store

EXAMPLE = (
    "mapper-sync proposals\n"
    "  mapper-sync proposals show refund:77\n"
    "  mapper-sync proposals accept refund:77 --way lower_payment\n"
    '  mapper-sync proposals refuse edit:10045-1 --why "agreed with the customer by telephone"'
)


def add(commands: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = command(
        commands, "proposals", "refunds, edits and cancellations after the invoice: list, show, accept, refuse", EXAMPLE
    )
    parser.add_argument("action", nargs="?", choices=("list", "show", "accept", "refuse"), default="list")
    parser.add_argument("name", nargs="?", metavar="NAME", help="refund:77, order:10045 or the number of the invoice")
    parser.add_argument("--way", metavar="WAY", help="of accept: which of the ways shown (default: the first)")
    parser.add_argument("--why", metavar="TEXT", help="of refuse: the reason, for the audit")
    parser.add_argument("--all", action="store_true", help="of list: also those that are decided")
    parser.add_argument("--reveal", action="store_true", help="of show: the requests with all their texts (audited)")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run it; the exit code."""
    from sync import audit, proposals
    from sync.errors import SettingsError

    show, now, who = printer(arguments), time.time(), audit.os_user()
    if arguments.action == "list":
        with existing_store(settings, read_only=True) as store:
            found = proposals.listed(store, None if arguments.all else "proposed")
        text = "\n".join(line for one in found for line in _listed(one)) or "Nothing is proposed."
        show([one.as_dict() for one in found], text)
        return 0
    if not arguments.name:
        raise SettingsError(f"proposals {arguments.action}: name one; 'mapper-sync proposals' lists them")
    if arguments.action == "show":
        with existing_store(settings, read_only=not arguments.reveal) as store:
            one = proposals.one_called(store, arguments.name, state=None)
            if arguments.reveal:
                audit.add(store, who=who, what="reveal", subject=one.name, now=now)
        shown = one.as_dict(whole=arguments.reveal)
        show(shown, "\n".join(_shown(shown)))
        return 0
    with existing_store(settings) as store:
        if arguments.action == "accept":
            done = proposals.accept(
                store, arguments.name, way=arguments.way, who=who, now=now, checks=_checks(settings, store)
            )
            chosen = proposals.get(store, done.key)
            way = chosen.way if chosen is not None else None
            text = f"{done.name} is accepted ({way}): the runner writes it, or 'mapper-sync run' does"
        else:
            done = proposals.refuse(store, arguments.name, why=arguments.why or "", who=who, now=now)
            text = f"{done.name} is refused: the books stay as they are until {done.record_key} says something else"
        left = len(proposals.listed(store))
    text += f"; {left} more to decide" if left else ""
    show({"decided": done.name, "action": arguments.action, "left": left}, text)
    return 0


def _checks(settings: Settings, store: Store) -> Checks | None:
    """A look at FreshBooks where it can be asked; else the runner looks before it writes."""
    from connectors.errors import ConnectorError
    from sync.connections import open_freshbooks
    from sync.corrections import checks
    from sync.errors import SyncError
    from sync.proposals import Checks

    try:
        settings.require_freshbooks()
        freshbooks = open_freshbooks(settings, lambda: store)
    except SyncError:
        return None
    inner = checks(store, freshbooks)

    def basis(proposal: Proposal) -> str:
        try:
            return inner.basis(proposal) if inner.basis is not None else proposal.basis
        except ConnectorError as error:
            print(f"mapper-sync: FreshBooks was not asked ({error.message}); the runner looks first", file=sys.stderr)
            return proposal.basis
        finally:
            freshbooks.close()

    return Checks(basis)


def _listed(one: Proposal) -> Iterator[str]:
    decided = f" [{one.state}{f' by {one.decided_by}' if one.decided_by else ''}]" if one.state != "proposed" else ""
    yield f"{one.name}: {one.content['title']}{decided}"
    if one.why:
        yield f"  refused: {one.why}"
    if one.state == "proposed":
        for way in one.content["ways"]:
            yield f"  {way['name']}: {way['does']}" if "does" in way else f"  not {way['name']}: {way['why_not']}"


def _shown(one: dict[str, Any]) -> Iterator[str]:
    yield f"{one['name']} of {one['record']}: {one['title']} [{one['state']}]"
    invoice = one["invoice"]
    yield f"invoice {invoice['number']} (id {invoice['id']}, {invoice['state']}), in {one['currency']}"
    for way in one["ways"]:
        if "why_not" in way:
            yield f"not {way['name']}: {way['why_not']}"
            continue
        chosen = " (accepted)" if one["way"] == way["name"] else ""
        yield f"{way['name']}{chosen}: {way['does']}"
        for name, before in way["before"].items():
            after = way["after"][name]
            yield f"  {name:<13} {before:>12}" + (f" -> {after}" if after != before else "")
        request = way.get("request")
        if request is None:  # erased after the time for keeping texts
            continue
        place = f"{request['entity']} {request['id']}" if request["id"] else request["entity"]
        yield f"  {request['method']} {place}: {json.dumps(request['body'], ensure_ascii=False)}"
    if one["decided_by"]:
        yield f"{one['decided_at']}  {one['state']} by {one['decided_by']}" + (f": {one['why']}" if one["why"] else "")
    if one["state"] == "proposed":
        yield f"decide: mapper-sync proposals accept {one['name']} [--way WAY]   or   refuse {one['name']} --why TEXT"
