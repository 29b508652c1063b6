"""``mapper-sync auth``: login, status, account, logout, rekey. Heavy imports happen inside the commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from sync.settings import Settings
    from sync.signin import SignedIn

_TRIES = 3
_SYSTEMS = ("freshbooks", "clarity")


def add_parser(commands: Any, make: Callable[[Any, str, str, str], argparse.ArgumentParser]) -> None:
    """Add the commands; ``make`` adds one command with what all of them share."""
    parent = commands.add_parser(
        "auth",
        help="sign in to FreshBooks and Clarity, and see how the connections stand",
        description="Sign in to FreshBooks and Clarity, and see how the connections stand.",
        epilog="example: mapper-sync auth login freshbooks",
    )
    of_auth = parent.add_subparsers(dest="auth_command", required=True, metavar="COMMAND")
    login = make(of_auth, "login", "consent in the browser, paste the code", "mapper-sync auth login freshbooks --open")
    login.add_argument("system", choices=_SYSTEMS)
    login.add_argument("--open", action="store_true", help="open the address in the browser")
    how = login.add_mutually_exclusive_group()
    how.add_argument("--code", metavar="TEXT", help="the code, or the whole address after the consent; - reads stdin")
    how.add_argument("--print-url", action="store_true", help="only print the address; finish later with --code")
    how.add_argument("--listen", action="store_true", help="take the code on a loopback port (FreshBooks refuses that)")
    login.add_argument("--redirect-uri", metavar="URL", help="as registered with the application")
    login.add_argument("--scope", metavar="TEXT", help="scopes to ask for (default: what the mappings need)")
    login.add_argument("--account", metavar="ID", help="FreshBooks account to work with")
    _mappings(login)
    status = make(of_auth, "status", "who is connected, to what, until when", "mapper-sync auth status --json")
    _mappings(status)
    account = make(
        of_auth, "account", "list the FreshBooks accounts, or choose one", "mapper-sync auth account freshbooks ABC123"
    )
    account.add_argument("system", choices=("freshbooks",))
    account.add_argument("account", nargs="?", metavar="ID", help="the account to work with from now on")
    for name in ("logout", "revoke"):
        out = make(of_auth, name, "revoke the tokens and forget them", f"mapper-sync auth {name} freshbooks")
        out.add_argument("system", choices=_SYSTEMS)
        out.add_argument("--local", action="store_true", help="forget them without asking the server")
    rekey = make(of_auth, "rekey", "encrypt the stored tokens with a new key", "mapper-sync auth rekey --from file")
    rekey.add_argument("--from", dest="former", choices=("env", "keyring", "file"), help="where the key was until now")


def main(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run one of the commands; returns the exit code."""
    commands = {
        "login": _login,
        "status": _status,
        "account": _account,
        "logout": _logout,
        "revoke": _logout,
        "rekey": _rekey,
    }
    return commands[arguments.auth_command](arguments, settings)


def _login(arguments: argparse.Namespace, settings: Settings) -> int:
    from sync import signin
    from sync.connections import require_reachable
    from sync.scopes import needed_scopes

    system = arguments.system
    if not signin.needs_consent(settings, system):
        return _tell(arguments, signin.try_clarity(settings))
    if arguments.code is not None:
        return _finish(arguments, settings, sys.stdin.readline() if arguments.code == "-" else arguments.code)
    with ExitStack() as stack:
        listener = None
        redirect_uri = arguments.redirect_uri
        if arguments.listen:
            from sync.loopback import listening

            _refuse_listening(system, settings)
            listener = stack.enter_context(listening(redirect_uri))
            redirect_uri = listener.redirect_uri
        asked = None if arguments.scope is None else arguments.scope.split()
        scopes = needed_scopes(system, _folder(arguments), settings) if asked is None else asked
        url = signin.begin(settings, system, scopes=scopes, redirect_uri=redirect_uri)
        if arguments.print_url:
            _print(arguments, {"authorize_url": url}, [url])
            return 0
        base_url = settings.freshbooks.api_url if system == "freshbooks" else settings.clarity.api_url
        require_reachable(base_url or "", f"{system.upper()}_API_URL")  # before somebody consents for nothing
        shown = sys.stderr if arguments.json else sys.stdout
        print(f"Open this address, sign in and consent:\n\n{url}\n", file=shown, flush=True)
        if arguments.open:
            import webbrowser

            webbrowser.open(url)
        if listener is not None:
            return _finish(arguments, settings, listener.wait())
    return _paste(arguments, settings)


def _refuse_listening(system: str, settings: Settings) -> None:
    from sync.errors import SettingsError
    from sync.settings import FRESHBOOKS_URL

    if system == "freshbooks" and settings.freshbooks.api_url == FRESHBOOKS_URL:
        raise SettingsError("FreshBooks takes https redirect addresses only: leave --listen out and paste the code")


def _paste(arguments: argparse.Namespace, settings: Settings) -> int:
    """Ask for what the browser shows; a person may mistype, a script may not."""
    from sync.errors import InputError, SyncError

    print(
        "The browser then shows a page that may well not load: what counts is its address.\n"
        "Paste that whole address, or the code in it (it lives five minutes): ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    for left in range(_TRIES - 1, -1, -1):
        pasted = sys.stdin.readline()
        if not pasted.strip():
            raise SyncError("no code was pasted; the address stays good for an hour: run again with --code")
        try:
            return _finish(arguments, settings, pasted)
        except InputError as error:
            if not left or not sys.stdin.isatty():
                raise
            print(f"mapper-sync: {error.message}\nAgain: ", end="", file=sys.stderr, flush=True)
    return 3


def _finish(arguments: argparse.Namespace, settings: Settings, pasted: str) -> int:
    from sync import signin
    from sync.scopes import needed_scopes

    folder = _folder(arguments)
    found = signin.finish(
        settings,
        arguments.system,
        pasted,
        needed=None if folder is None else needed_scopes(arguments.system, folder, settings),
        account=arguments.account,
        redirect_uri=arguments.redirect_uri,
    )
    if found.system == "freshbooks" and found.account_id is None:
        found = _ask_account(settings, found)
    return _tell(arguments, found)


def _ask_account(settings: Settings, found: SignedIn) -> SignedIn:
    from sync import signin
    from sync.errors import SettingsError

    listed = [f"  {number}  {_account_line(choice)}" for number, choice in enumerate(found.accounts, 1)]
    if not sys.stdin.isatty():
        ids = ", ".join(_account_line(choice) for choice in found.accounts)
        raise SettingsError(
            f"signed in, but there are several accounts: {ids}; run 'mapper-sync auth account freshbooks ID'"
        )
    print("\n".join(["Which account?", *listed, "Number or id: "]), end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline().strip()
    number = int(answer) if answer.isascii() and answer.isdigit() else 0
    wanted = found.accounts[number - 1].account_id if 0 < number <= len(found.accounts) else answer
    chosen = signin.choose_account(settings, wanted)
    return type(found)(**{**vars(found), "account_id": chosen.account_id, "notes": chosen.notes})


def _tell(arguments: argparse.Namespace, found: SignedIn) -> int:
    """Say what came of a sign-in; 1 when scopes are missing, because the mappings cannot run with it."""
    name = next((choice.name for choice in found.accounts if choice.account_id == found.account_id), None)
    lines = []
    if found.person:
        lines.append(f"Connected as {found.person}, account {found.account_id}" + (f" ({name})" if name else ""))
    elif not found.notes:
        lines.append("Connected.")
    if arguments.json:
        _print(
            arguments,
            {
                "system": found.system,
                "person": found.person or None,
                "account": found.account_id,
                "account_name": name,
                "accounts": [vars(choice) for choice in found.accounts],
                "scopes": list(found.scopes),
                "missing": list(found.missing),
                "notes": list(found.notes),
            },
            [],
        )
    else:
        print("\n".join([*lines, *(f"{note}." for note in found.notes)]))
    if found.missing:
        print(
            f"mapper-sync: the consent lacks scopes the mappings need: {' '.join(found.missing)}; enable them for"
            " the application and sign in again",
            file=sys.stderr,
        )
        return 1
    return 0


def _status(arguments: argparse.Namespace, settings: Settings) -> int:
    from sync.scopes import needed_scopes
    from sync.signin_status import read_connections, status_lines

    folder = _folder(arguments)
    needed = {} if folder is None else {system: needed_scopes(system, folder, settings) for system in _SYSTEMS}
    found = read_connections(settings, needed)
    lines = [line for status in found for line in status_lines(status)]
    _print(arguments, [status.as_dict() for status in found], lines)
    return 0


def _account(arguments: argparse.Namespace, settings: Settings) -> int:
    from sync import signin

    if arguments.account is None:
        found = signin.accounts(settings)
    else:
        found = signin.choose_account(settings, arguments.account)
    mark = {found.account_id: " (chosen)"}
    _print(
        arguments,
        {"accounts": [vars(choice) for choice in found.accounts], "account": found.account_id},
        [_account_line(choice) + mark.get(choice.account_id, "") for choice in found.accounts],
    )
    for note in found.notes:
        print(f"mapper-sync: {note}", file=sys.stderr)
    return 0


def _logout(arguments: argparse.Namespace, settings: Settings) -> int:
    from sync import signin

    done = signin.sign_out(settings, arguments.system, local=arguments.local)
    _print(arguments, {"system": arguments.system, "done": done}, [done])
    return 0


def _rekey(arguments: argparse.Namespace, settings: Settings) -> int:
    from contextlib import closing

    from sync.store import open_store
    from sync.token_key import KeyChoice
    from sync.tokens_db import rekey

    open_store(settings.store_url, read_only=True).close()  # a missing store is not created by asking
    choice = KeyChoice(settings.sign_in.token_key, settings.token_key)
    with closing(open_store(settings.store_url)) as store:
        count = rekey(store, choice, former=arguments.former)
    where = {"env": "the first key of MAPPER_TOKEN_KEY", "keyring": "a key in the keyring", "file": "a new key file"}
    what = "1 entry is" if count == 1 else f"{count} entries are"
    lines = [f"{what} encrypted with {where[choice.resolved()]}; former keys are not needed any more."]
    _print(arguments, {"entries": count, "key": choice.resolved()}, lines)
    return 0


def _account_line(choice: Any) -> str:
    return f"{choice.account_id} ({choice.name}{', ' + choice.role if choice.role else ''})"


def _mappings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mappings", type=Path, metavar="DIR", help="folder of mappings whose scopes count (default MAPPER_MAPPINGS)"
    )


def _folder(arguments: argparse.Namespace) -> Path | None:
    named: Path | None = arguments.mappings
    default = os.environ.get("MAPPER_MAPPINGS", "").strip()
    return named or (Path(default) if default else None)


def _print(arguments: argparse.Namespace, value: Any, lines: Sequence[str]) -> None:
    from connectors.http import dumps

    print(dumps(value) if arguments.json else "\n".join(lines), flush=True)
