"""`mapper validate`, `approve` and `fmt`: work on spec files."""

from __future__ import annotations

import argparse
import difflib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapper_ai.cli.commands import DONE, FINDINGS, INVALID, USAGE, as_json, complain, note, say

if TYPE_CHECKING:
    from mapspec import MappingSpec


def configure_validate(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mapper validate`."""
    parser.add_argument("specs", nargs="+", type=Path, metavar="SPEC", help="mapping files")
    parser.add_argument("--approved", action="store_true", help="a part that is not approved is an error too")
    parser.add_argument("--json", action="store_true", help="for machines")


def run_validate(args: argparse.Namespace) -> int:
    """Check every spec; all are read before the exit code is decided."""
    from mapper_ai.services.findings import spec_findings
    from mapper_ai.services.specs import compile_file, read_spec
    from mapspec import SpecError
    from mapspec.yamltext import column_of

    code = DONE
    reports: list[dict[str, Any]] = []
    for path in args.specs:
        try:
            file = read_spec(path)
            compile_file(file)
        except SpecError as error:
            code = INVALID
            place = {"line": error.line, "column": column_of(error.line)}
            reports.append({"file": str(path), "ok": False, **place, "error": error.message})
            complain(error)
            continue
        findings = spec_findings(file.spec, file.lines)
        failed = any(row.level == "error" or (args.approved and row.id == "unapproved") for row in findings)
        code = max(code, FINDINGS if failed else DONE)
        rows = [
            {
                "id": row.id,
                "level": row.level,
                "part": row.part,
                "line": row.line,
                "column": row.column,
                "message": row.message,
            }
            for row in findings
        ]
        reports.append({"file": str(path), "ok": not failed, "spec": file.spec.spec, "findings": rows})
        if not args.json:
            _show_findings(path, rows, failed)
    if args.json:
        say(as_json(reports))
    return code


def _show_findings(path: Path, rows: list[dict[str, Any]], failed: bool) -> None:
    for row in rows:
        place = f"{path}:{row['line']}:{row['column']}" if row["line"] else str(path)
        say(f"{place}: {row['level']} {row['id']}: {row['message']}")
    if not rows:
        say(f"{path}: in order, all parts approved")
    elif not failed:
        say(f"{path}: in order, {len(rows)} note(s)")


def configure_approve(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mapper approve`."""
    parser.add_argument("spec", type=Path, metavar="SPEC", help="mapping file")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--part", nargs="+", action="extend", metavar="P", help="part names, as validate lists them")
    which.add_argument("--all", action="store_true", help="every part")
    parser.add_argument("--by", metavar="NAME", help="who approves (default: MAPPER_USER)")
    parser.add_argument(
        "--reason", default="", metavar="TEXT", help="kept with the decisions that suggestions learn from"
    )


def run_approve(args: argparse.Namespace) -> int:
    """Approve, write the canonical text, print what was approved."""
    from mapper_ai.errors import UnknownPartError
    from mapper_ai.services.specs import compile_file, read_spec, write_spec
    from mapspec import approval_of, approve, digests, unapproved

    by = (args.by or os.environ.get("MAPPER_USER", "")).strip()
    if not by:
        complain("who approves? give --by NAME or set MAPPER_USER")
        return USAGE
    file = read_spec(args.spec)
    compile_file(file)
    known = digests(file.spec)
    for part in args.part or ():
        if part not in known:
            near = difflib.get_close_matches(part, known, n=1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'?" if near else "`mapper validate` lists them"
            raise UnknownPartError(f"{args.spec}: there is no part '{part}'; {hint}")
    now = datetime.now(UTC)
    approved = approve(file.spec, None if args.all else args.part, by=by, at=now.strftime("%Y-%m-%dT%H:%M:%SZ"))
    changed = [part for part in known if approval_of(approved, part) != approval_of(file.spec, part)]
    _warn_of_comments(file.path, file.text)
    write_spec(file.path, approved)
    _remember(approved, changed, by, now, args.reason)
    for part in changed:
        say(f"approved {part} as {known[part]} by {by}")
    left = unapproved(approved)
    say(f"{args.spec}: {len(changed)} part(s) approved, {len(left)} still to approve")
    return DONE


def _remember(spec: MappingSpec, parts: list[str], by: str, at: datetime, reason: str) -> None:
    """Keep the decisions for later suggestions; the approval stands even where they cannot be kept."""
    from mapper_ai.errors import InputError

    try:
        from mapper_ai.services.decisions import DecisionStore, decided
        from mapper_ai.services.studio_config import decisions_file

        rows = [decided(spec, part, "accept", by=by, at=at, reason=reason) for part in parts]
        DecisionStore(decisions_file()).record([row for row in rows if row is not None])
    except (InputError, OSError, ModuleNotFoundError) as error:
        note(f"mapper: approved, but not remembered for later suggestions: {' '.join(str(error).split())}")


def configure_fmt(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mapper fmt`."""
    parser.add_argument("specs", nargs="+", type=Path, metavar="SPEC", help="mapping files")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 when a file would change")


def run_fmt(args: argparse.Namespace) -> int:
    """Write the canonical text where a file differs from it."""
    from mapper_ai.services.atomic import write_text
    from mapper_ai.services.specs import read_spec
    from mapspec import SpecError, dump_spec

    code = DONE
    for path in args.specs:
        try:
            file = read_spec(path)
        except SpecError as error:
            complain(error)
            code = INVALID
            continue
        text = dump_spec(file.spec)
        if text == file.text:
            continue
        if args.check:
            say(f"{path}: would be rewritten; run mapper fmt {path}")
            code = max(code, FINDINGS)
            continue
        _warn_of_comments(path, file.text)
        write_text(path, text)
        say(f"{path}: rewritten")
    return code


def _warn_of_comments(path: Path, text: str) -> None:
    from mapspec.codec import schema_of

    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") and not (number == 1 and schema_of(line)):
            note(f"mapper: {path}:{number}: comments are not kept; write them as `note:` of a field")
            return
