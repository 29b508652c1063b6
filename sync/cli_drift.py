"""``mapper-sync drift``: how live payloads differ from what the mappings read, and what to change."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sync.cli_common import print_json

if TYPE_CHECKING:
    from mapspec.drift_changes import Proposal
    from sync.drift import DriftReport
    from sync.settings import Settings


def add(commands: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    drift = command(
        commands,
        "drift",
        "how live payloads differ from what the mappings read, and what to change",
        "mapper-sync drift\n  mapper-sync drift --mappings mappings/clarity-freshbooks --out proposed",
    )
    drift.add_argument("--days", type=int, default=14, help="how far to look back, 1 to 14 (default 14)")
    drift.add_argument("--mappings", type=Path, metavar="DIR", help="with --out: the folder of mappings to change")
    drift.add_argument(
        "--out", type=Path, metavar="DIR", help="write changed mappings here; what they change waits for approval"
    )


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """List and propose; 0, or 3 when something is over the threshold of an alert."""
    from sync.drift import drift_reports, proposals_for
    from sync.errors import SettingsError
    from sync.store import open_store

    if not 1 <= arguments.days <= 14:
        raise SettingsError(f"--days: expected 1 to 14, got {arguments.days}")
    if (arguments.out is None) != (arguments.mappings is None):
        raise SettingsError("--mappings and --out go together: the mappings to change, and where to write them")
    store = open_store(settings.store_url, read_only=True)
    try:
        reports = drift_reports(store, now=time.time(), days=arguments.days)
        proposed = {report.mapping.file: proposals_for(store, report) for report in reports}
    finally:
        store.close()
    written = [] if arguments.out is None else _write(arguments.mappings, arguments.out, proposed)
    if arguments.json:
        shown = [_plain(report, proposed[report.mapping.file]) for report in reports]
        print_json({"mappings": shown, "written": [str(path) for path in written]})
    else:
        print(_text(reports, proposed))
        for path in written:
            print(f"written: {path}")
    return 3 if any(report.over for report in reports) else 0


def _write(mappings: Path, out: Path, proposed: dict[str, list[Proposal]]) -> list[Path]:
    """Write what can be changed without a person; the others' files stay unwritten."""
    from mapspec import dump_spec
    from mapspec.drift_changes import apply_proposals
    from sync.errors import InputError
    from sync.specs import read_spec

    if out.resolve() == mappings.resolve():
        raise InputError(f"--out {out}: name another folder than the mappings that run")
    written = []
    for name, proposals in proposed.items():
        path = mappings / name
        if not path.exists() or not any(proposal.edit for proposal in proposals):
            continue
        before = read_spec(path)
        after = apply_proposals(before, proposals)
        if after != before:
            out.mkdir(parents=True, exist_ok=True)
            (out / name).write_text(dump_spec(after), "utf-8")
            written.append(out / name)
    return written


def _plain(report: DriftReport, proposals: list[Proposal]) -> dict[str, Any]:
    return {
        "file": report.mapping.file,
        "spec": report.mapping.spec,
        "fingerprint": report.mapping.fingerprint,
        "records": report.records,
        "more": report.more,
        "drift": [
            {
                "kind": row.kind,
                "path": row.path,
                "detail": row.detail,
                "parts": list(row.parts),
                "count": row.count,
                "over": row in report.over,
            }
            for row in report.found
        ],
        "proposals": [{"text": one.text, "edit": dict(one.edit)} for one in proposals],
    }


def _text(reports: list[DriftReport], proposed: dict[str, list[Proposal]]) -> str:
    lines = []
    for report in reports:
        lines.append(f"{report.mapping.file}: {report.records} records compared")
        for row in report.found:
            detail = f" ({row.detail})" if row.detail else ""
            mark = "!" if row in report.over else " "
            lines.append(f" {mark} {row.kind:8} {row.path}{detail}: {row.count}")
        if report.more:
            lines.append(f"   and {report.more} differences that are not told apart")
        lines += [f"   propose: {one.text}" for one in proposed[report.mapping.file]]
    return "\n".join(lines) or "No mapping has run with this store yet."
