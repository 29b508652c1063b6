"""``mapper-sync webhooks``: registers, lists, verifies, rotates and deletes webhooks at both ends."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sync.cli_common import printer

if TYPE_CHECKING:
    from sync.hooks import ClarityHooks, FreshBooksHooks, Shown
    from sync.settings import Settings
    from sync.store import Store

SYSTEMS = ("freshbooks", "clarity")
ACTIONS = ("register", "list", "verify", "rotate", "delete")
_HOUR_S = 3600.0


@dataclass
class _Ends:
    """Both ends, opened when asked for."""

    settings: Settings
    store: Store
    freshbooks: Callable[[], FreshBooksHooks]
    clarity: ClarityHooks


def add(commands: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    hooks = command(
        commands,
        "webhooks",
        "register, list, verify, rotate and delete webhooks",
        "mapper-sync webhooks register freshbooks --url https://sync.example.com    (while 'serve' runs there)\n"
        "  mapper-sync webhooks register clarity --url https://sync.example.com\n"
        "  mapper-sync webhooks list\n"
        "  mapper-sync webhooks verify freshbooks\n"
        "  mapper-sync webhooks rotate clarity --overlap-hours 48\n"
        "  mapper-sync webhooks delete freshbooks --url https://sync.example.com",
    )
    hooks.add_argument("action", choices=ACTIONS)
    hooks.add_argument("system", nargs="?", choices=SYSTEMS, help="list alone can do without: both")
    hooks.add_argument("--url", metavar="URL", help="public https address of 'mapper-sync serve'")
    hooks.add_argument("--events", metavar="A,B", help="FreshBooks events (default invoice,payment,client)")
    hooks.add_argument("--wait", type=float, default=30.0, metavar="SECONDS", help="for the handshake (default 30)")
    hooks.add_argument(
        "--overlap-hours",
        type=float,
        default=24.0,
        metavar="HOURS",
        help="how long Clarity's former secret stays valid (default 24)",
    )


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Do one of the actions; 0, or 1 when a webhook does not work yet."""
    from sync.errors import SettingsError

    if arguments.system is None and arguments.action != "list":
        raise SettingsError(f"webhooks {arguments.action}: name the system, freshbooks or clarity")
    with _opened(settings) as ends:
        if arguments.action == "list":
            return _list(arguments, ends)
        do = _FRESHBOOKS if arguments.system == "freshbooks" else _CLARITY
        return do[arguments.action](arguments, ends)


@contextmanager
def _opened(settings: Settings) -> Iterator[_Ends]:
    from contextlib import ExitStack

    from sync.connections import open_freshbooks, require_reachable
    from sync.hooks import ClarityHooks, FreshBooksHooks
    from sync.store import open_store
    from sync.webhook_secrets import WebhookSecrets

    with ExitStack() as stack:
        store = open_store(settings.store_url)
        stack.callback(store.close)
        secrets = WebhookSecrets(store, key=settings.token_key, key_source=settings.sign_in.token_key, now=time.time)

        def freshbooks() -> FreshBooksHooks:
            settings.require_freshbooks()
            require_reachable(settings.freshbooks.api_url, "FRESHBOOKS_API_URL")
            client = open_freshbooks(settings, lambda: store)
            stack.callback(client.close)
            return FreshBooksHooks(client.callbacks, secrets)

        yield _Ends(settings, store, freshbooks, ClarityHooks(secrets, now=time.time))


# --- FreshBooks ------------------------------------------------------------------------------------------------------


def _register_freshbooks(arguments: argparse.Namespace, ends: _Ends) -> int:
    from sync.hooks import EVENTS, require_working

    uri = _uri(arguments, "freshbooks")
    events = [one.strip() for one in (arguments.events or ",".join(EVENTS)).split(",") if one.strip()]
    hooks = ends.freshbooks()
    found = hooks.wait(hooks.register(uri, events), wait_s=arguments.wait)
    printer(arguments)({"callbacks": [asdict(one) for one in found]}, _table(found))
    require_working(found, uri)
    return 0


def _verify_freshbooks(arguments: argparse.Namespace, ends: _Ends) -> int:
    from sync.hooks import require_working

    hooks = ends.freshbooks()
    ids = hooks.verify()
    found = hooks.wait(ids, wait_s=arguments.wait)
    shown = _table(found) if found else "every callback of this runner works"
    printer(arguments)({"callbacks": [asdict(one) for one in found]}, shown)
    require_working(found, ", ".join(sorted({one.uri for one in found})))
    return 0


def _rotate_freshbooks(arguments: argparse.Namespace, ends: _Ends) -> int:
    from sync.errors import InputError
    from sync.hooks import require_working

    found, deleted = ends.freshbooks().rotate(wait_s=arguments.wait)
    if not found:
        raise InputError(
            "there is no callback of this runner to rotate; run 'mapper-sync webhooks register freshbooks'"
        )
    shown = f"{_table(found)}\ndeleted: {', '.join(deleted) or 'none; the former ones stay until the new ones work'}"
    printer(arguments)({"callbacks": [asdict(one) for one in found], "deleted": deleted}, shown)
    require_working(found, ", ".join(sorted({one.uri for one in found})))
    return 0


def _delete_freshbooks(arguments: argparse.Namespace, ends: _Ends) -> int:
    hooks = ends.freshbooks()
    uri = _uri(arguments, "freshbooks") if arguments.url else None
    deleted = hooks.delete(hooks.ours(uri))
    printer(arguments)({"deleted": deleted}, f"deleted: {', '.join(deleted) or 'there was none'}")
    return 0


# --- Clarity ---------------------------------------------------------------------------------------------------------


def _register_clarity(arguments: argparse.Namespace, ends: _Ends) -> int:
    from connectors.clarity import Clarity
    from sync.connections import open_clarity
    from sync.hooks import clarity_events

    uri = _uri(arguments, "clarity")
    events = clarity_events(ends.settings.reading)
    own = bool(ends.settings.clarity.webhook_secrets)
    # A secret that is known already is shown nowhere: whoever has lost it rotates.
    made = None if own or ends.clarity.secret() else ends.clarity.make()
    client = open_clarity(ends.settings)
    registered = False
    if isinstance(client, Clarity):  # the framework has no webhooks of its own
        with client:
            secret = made or _signing_secret(ends)
            registered = client.register_webhook(uri, events, secret)
    where = "registered at Clarity" if registered else "enter this in Clarity's administration (it has no API for it)"
    known = "the one in CLARITY_WEBHOOK_SECRET" if own else "the one made earlier (lost? rotate)"
    text = f"{where}:\n  URL     {uri}\n  events  {', '.join(events)}\n  secret  {made or known}"
    text += (
        "" if made is None else "\n\nThe secret is shown this once; it is kept encrypted in the store, in force now."
    )
    printer(arguments)({"url": uri, "events": events, "secret": made, "registered": registered}, text)
    return 0


def _verify_clarity(arguments: argparse.Namespace, ends: _Ends) -> int:
    from sync.errors import SyncError
    from sync.hooks import ping
    from sync.ingress import webhook_scheme

    uri = _uri(arguments, "clarity")
    header, timeout_s = webhook_scheme(ends.settings).header, ends.settings.http_timeout_s
    status, code = ping(uri, _signing_secret(ends), header=header, now=time.time(), timeout_s=timeout_s)
    if status != 202:
        raise SyncError(
            f"{uri} answered {status}{f' ({code})' if code else ''} to a signed test delivery: is 'mapper-sync serve'"
            " running there, with this store or secret?"
        )
    printer(arguments)({"url": uri, "status": status}, f"{uri} took a signed test delivery (stored and ignored)")
    return 0


def _rotate_clarity(arguments: argparse.Namespace, ends: _Ends) -> int:
    from sync.errors import SettingsError

    if not 0 <= arguments.overlap_hours <= 24 * 90:
        raise SettingsError("--overlap-hours: expected a number of hours from 0 to 2160")
    made = ends.clarity.rotate(arguments.overlap_hours * _HOUR_S)
    lines = [f"secret  {made}", "", "Enter it in Clarity's administration; it is shown this once, and in force now."]
    lines.append(f"Former secrets of the store stay valid for {arguments.overlap_hours:g} hours.")
    if ends.settings.clarity.webhook_secrets:
        lines.append("Those in CLARITY_WEBHOOK_SECRET stay valid until you take them out and restart 'serve'.")
    printer(arguments)({"secret": made, "overlap_hours": str(arguments.overlap_hours)}, "\n".join(lines))
    return 0


def _delete_clarity(arguments: argparse.Namespace, ends: _Ends) -> int:
    count = ends.clarity.forget()
    text = f"{count} secrets forgotten; take the webhook out of Clarity's administration, which has no API for it"
    if ends.settings.clarity.webhook_secrets:
        text += "\nCLARITY_WEBHOOK_SECRET still holds a secret: unset it and restart 'serve'"
    printer(arguments)({"forgotten": count}, text)
    return 0


def _signing_secret(ends: _Ends) -> str:
    from sync.errors import SettingsError

    stored = ends.clarity.secret()
    if stored is not None:
        return stored
    if ends.settings.clarity.webhook_secrets:
        return ends.settings.clarity.webhook_secrets[0].get_secret_value()
    raise SettingsError("there is no secret for Clarity: run 'mapper-sync webhooks register clarity --url ...' first")


# --- both ------------------------------------------------------------------------------------------------------------


def _list(arguments: argparse.Namespace, ends: _Ends) -> int:
    from sync.hooks import received

    systems = [arguments.system] if arguments.system else list(SYSTEMS)
    shown: dict[str, Any] = {}
    lines: list[str] = []
    for system in systems:
        counts = [
            {"event": event, "state": state, "count": count, "newest": _day(newest)}
            for event, state, count, newest in received(ends.store, system)
        ]
        if system == "freshbooks":
            found = ends.freshbooks().every()
            shown[system] = {"callbacks": [asdict(one) for one in found], "received": counts}
            lines += [system, _table(found) if found else "  no callbacks"]
        else:
            lives = [None if until is None else _day(until) for until in ends.clarity.lives()]
            of_environment = len(ends.settings.clarity.webhook_secrets)
            shown[system] = {"secrets": lives, "of_environment": of_environment, "received": counts}
            ends_at = ", ".join(f"until {life}" if life else "in force" for life in lives) or "none"
            lines += [system, f"  secrets in the store: {ends_at}; in CLARITY_WEBHOOK_SECRET: {of_environment}"]
        lines += [f"  received {one['event']}: {one['count']} {one['state']}, newest {one['newest']}" for one in counts]
    printer(arguments)(shown, "\n".join(lines))
    return 0


def _uri(arguments: argparse.Namespace, system: str) -> str:
    from sync.errors import SettingsError
    from sync.hooks import receiver

    if not arguments.url:
        raise SettingsError("--url is missing: the public https address of 'mapper-sync serve'")
    return receiver(arguments.url, system)


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _table(found: Sequence[Shown]) -> str:
    rows = [("id", "event", "verified", "secret here", "address")]
    rows += [(one.id, one.event, _yes(one.verified), _yes(one.secret), one.uri) for one in found]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  " + "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]])
        for row in rows
    )


def _yes(value: bool) -> str:
    return "yes" if value else "no"


_Do = Callable[[argparse.Namespace, _Ends], int]
_FRESHBOOKS: dict[str, _Do] = {
    "register": _register_freshbooks,
    "verify": _verify_freshbooks,
    "rotate": _rotate_freshbooks,
    "delete": _delete_freshbooks,
}
_CLARITY: dict[str, _Do] = {
    "register": _register_clarity,
    "verify": _verify_clarity,
    "rotate": _rotate_clarity,
    "delete": _delete_clarity,
}
