"""``mapper-sync doctor``: examines the connected accounts and writes down what it finds."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sync.doctor.finding import Finding
    from sync.settings import Settings

SYSTEMS = ("freshbooks", "clarity")


def add(commands: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    doctor = command(
        commands,
        "doctor",
        "examine the accounts for what the documentation leaves open, and set what the runner goes by",
        "mapper-sync doctor freshbooks --write --mappings mappings/clarity-freshbooks\n"
        "  mapper-sync doctor --clean      (removes test records that a killed examination left)",
    )
    doctor.add_argument("system", nargs="?", choices=SYSTEMS, help="default: every one that is configured")
    doctor.add_argument(
        "--write",
        action="store_true",
        help="also write test records to FreshBooks (marked drafts, never sent) and remove them again",
    )
    doctor.add_argument("--clean", action="store_true", help="only remove test records left behind")
    doctor.add_argument("--mappings", type=Path, metavar="DIR", help="specs to hold the findings against")
    doctor.add_argument("--out", type=Path, metavar="FILE", help="TOML file (default doctor.toml beside mapper.toml)")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Examine, print, write down; 0, or 1 when a finding contradicts the settings or a test record is left."""
    from sync.doctor.file import read_section

    if arguments.clean:
        return _clean(arguments, settings)
    specs = _specs(arguments.mappings)  # whatever is wrong with files shows before anything is asked
    for system in SYSTEMS:
        read_section(_path(arguments), system)
    systems = [arguments.system] if arguments.system else _configured(settings)
    results = [_freshbooks(arguments, settings) if one == "freshbooks" else _clarity(settings) for one in systems]
    code = 0
    shown: dict[str, Any] = {}
    for system, (findings, common, more) in zip(systems, results, strict=True):
        path, verdict = _keep(_path(arguments), specs, settings.settle_s, system, findings, common)
        code = max(code, int(bool(verdict.contradictions or more.get("left") or more.get("ended"))))
        shown[system] = {
            "findings": [found.as_dict() for found in findings],
            "contradictions": list(verdict.contradictions),
            "changes": list(verdict.changes),
            "file": str(path),
            **more,
        }
        if not arguments.json:
            _print_text(system, findings, verdict, path, more)
    if arguments.json:
        from connectors.http import dumps

        print(dumps(shown))
    return code


def _configured(settings: Settings) -> list[str]:
    examinable = settings.clarity.configured and settings.source_system.name in ("clarity-rest", "clarity-cef")
    return [system for system in SYSTEMS if system == "freshbooks" or examinable]


def _freshbooks(
    arguments: argparse.Namespace, settings: Settings
) -> tuple[list[Finding], dict[str, Any], dict[str, Any]]:
    from sync.doctor.examine import examine_freshbooks

    today = datetime.now(UTC).date()
    with _plain_client(settings) as client, _interruptible():
        if arguments.write:
            account = settings.freshbooks.account_id
            print(f"writing marked test records to account {account}; they are removed at the end", file=sys.stderr)
        found = examine_freshbooks(
            client,
            write=arguments.write,
            today=today,
            on_finding=_progress if sys.stderr.isatty() else None,
            on_left=_tell_left,
        )
    books = settings.freshbooks
    before = settings.findings
    common = {
        "date": today,
        "url": books.api_url,
        "account": books.account_id,
        "wrote": arguments.write or (before is not None and before.wrote),
    }
    return found.findings, common, {"left": found.left, "ended": found.ended, "requests": found.requests}


def _clarity(settings: Settings) -> tuple[list[Finding], dict[str, Any], dict[str, Any]]:
    from connectors.clarity import Clarity
    from connectors.clarity_cef import ClarityCef
    from sync.connections import open_clarity, require_reachable
    from sync.doctor.clarity import clarity_probes
    from sync.doctor.clarity_cef import framework_probes
    from sync.errors import SettingsError

    client = open_clarity(settings)
    if client is None:
        raise SettingsError("CLARITY_API_URL is not set: set it and CLARITY_CLIENT_ID, CLARITY_CLIENT_SECRET")
    if not isinstance(client, Clarity | ClarityCef):
        client.close()
        name = settings.source_system.name
        raise SettingsError(f"the doctor examines Clarity's two flavours only, the source here is {name}")
    require_reachable(settings.clarity.api_url or "", "CLARITY_API_URL")
    with client:
        if isinstance(client, ClarityCef):
            findings = list(framework_probes(client, settings.reading, now=datetime.now(UTC)))
        else:
            findings = list(clarity_probes(client))
    return findings, {"date": datetime.now(UTC).date(), "url": settings.clarity.api_url}, {}


def _keep(
    path: Path,
    specs: Sequence[Any],
    settle_s: float,
    system: str,
    findings: Sequence[Finding],
    common: dict[str, Any],
) -> tuple[Path, Any]:
    """Write the section, and hold it against the settings."""
    from pydantic import ValidationError

    from sync.doctor.file import read_section, settings_of, write_section
    from sync.doctor.judge import judge, judge_clarity
    from sync.errors import InputError
    from sync.findings import ClarityFindings, FreshBooksFindings

    before = read_section(path, system)
    same = all(before.get(name) == common.get(name) for name in ("url", "account"))
    content = settings_of(findings, before if same else {}, common, common["date"])
    try:
        if system == "clarity":
            verdict = judge_clarity(ClarityFindings.model_validate(content))
        else:
            verdict = judge(FreshBooksFindings.model_validate(content), specs, settle_s=settle_s)
    except ValidationError as error:
        key = ".".join(str(part) for part in error.errors(include_url=False, include_input=False)[0]["loc"])
        where = f"[systems.{system}.findings]"
        raise InputError(f"{path}: {where}: {key} is none of the doctor's values; delete the section") from None
    write_section(path, system, content)
    return path, verdict


def _path(arguments: argparse.Namespace) -> Path:
    from sync.settings import config_path, doctor_path

    named: Path | None = arguments.out
    return named or doctor_path(config_path(arguments.config, os.environ)[0])


def _specs(folder: Path | None) -> list[Any]:
    from mapspec import load_spec
    from sync.doctor.judge import SpecAmounts
    from sync.errors import InputError

    if folder is None and os.environ.get("MAPPER_MAPPINGS"):
        folder = Path(os.environ["MAPPER_MAPPINGS"])
    if folder is None:
        return []
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise InputError(f"{folder}: no mapping files (*.yaml) here; give the folder of specs to --mappings")
    found = []
    for path in files:
        spec = load_spec(path.read_text("utf-8"), where=str(path))
        for block in spec.blocks().values():
            if block.money is not None:
                places, negative = (
                    spec.settings.get(text[9:], "") if text.startswith("settings.") else text
                    for text in (block.money.unit_cost_places, block.money.negative_lines)
                )
                whole = int(places) if places.strip().isdigit() else 2
                found.append(SpecAmounts(path.name, whole, negative.strip().casefold() in {"true", "yes", "1"}))
    return found


def _clean(arguments: argparse.Namespace, settings: Settings) -> int:
    from connectors.http import dumps
    from sync.doctor.account import MARKER, Account, remove_marked

    with _plain_client(settings) as client:
        swept = remove_marked(Account(client), MARKER, thorough=True)
    if arguments.json:
        print(dumps({"removed": list(swept.removed), "left": list(swept.left)}))
    else:
        print(f"removed: {', '.join(swept.removed) or 'nothing was left behind'}")
    if swept.left:
        print(f"mapper-sync: could not be removed: {', '.join(swept.left)}; delete them by hand", file=sys.stderr)
    return int(bool(swept.left))


@contextmanager
def _plain_client(settings: Settings) -> Iterator[Any]:
    """The FreshBooks client without what an earlier examination found, so that every filter is asked anew."""
    from contextlib import ExitStack

    from sync.connections import open_freshbooks, require_reachable
    from sync.store import open_store

    settings.require_freshbooks()
    require_reachable(settings.freshbooks.api_url, "FRESHBOOKS_API_URL")
    with ExitStack() as stack:

        def token_store() -> Any:
            store = open_store(settings.store_url)
            stack.callback(store.close)
            return store

        client = open_freshbooks(settings.model_copy(update={"findings": None}), token_store)
        stack.callback(client.close)
        yield client


@contextmanager
def _interruptible() -> Iterator[None]:
    """The first SIGINT or SIGTERM ends the probes and lets the test records be removed; the second one does not."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in before:
            signal.signal(number, signal.SIG_DFL)
        print("\nmapper-sync: removing the test records; once more leaves them there", file=sys.stderr, flush=True)
        raise KeyboardInterrupt

    try:
        for number in before:
            signal.signal(number, stop)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _progress(finding: Finding) -> None:
    print(f"\r\033[K{finding.probe}: {finding.result}"[:100], end="", file=sys.stderr, flush=True)


def _tell_left(left: Sequence[str]) -> None:
    print(
        f"mapper-sync: test records that could not be removed: {', '.join(left)}; run 'mapper-sync doctor --clean'",
        file=sys.stderr,
    )


def _print_text(system: str, findings: Sequence[Finding], verdict: Any, path: Path, more: dict[str, Any]) -> None:
    from sync.doctor.finding import table

    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    print(f"{system}\n")
    print(table(findings))
    for title, lines in (("contradicts the settings", verdict.contradictions), ("follows", verdict.changes)):
        if lines:
            print(f"\n{title}:")
            print("\n".join(f"  - {line}" for line in lines))
    print(f"\nwritten to {path}")
    if more.get("ended"):
        print(f"mapper-sync: the examination ended early: {more['ended']}", file=sys.stderr)
