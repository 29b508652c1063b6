"""`mapper preview`: what a spec makes of one payload."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mapper_ai.cli.commands import DONE, as_json, say


def configure_preview(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mapper preview`."""
    parser.add_argument("spec", type=Path, metavar="SPEC", help="mapping file")
    parser.add_argument(
        "--sample",
        type=Path,
        required=True,
        metavar="FILE",
        help="JSON: a bare record, a webhook envelope, or a list of them",
    )
    parser.add_argument("--index", type=int, default=1, metavar="N", help="which record of a list, from 1 (default 1)")
    parser.add_argument(
        "--found",
        type=Path,
        metavar="FILE",
        help='JSON: what lookup steps would find, such as {"items": [{"sku": "A-1", "name": "Tea"}]}',
    )
    parser.add_argument("--json", action="store_true", help="for machines")


def run_preview(args: argparse.Namespace) -> int:
    """Print the draft."""
    from mapper_ai.errors import InputError
    from mapper_ai.services.draft_data import draft_as_data
    from mapper_ai.services.found import found_in, read_found
    from mapper_ai.services.sampling import read_samples
    from mapper_ai.services.specs import compile_file, read_spec
    from mapspec import unapproved

    file = read_spec(args.spec)
    compiled = compile_file(file)
    if not args.sample.is_file():
        raise InputError(f"{args.sample}: no such file; give --sample a JSON file with one source record")
    records = read_samples(args.sample)
    if not 1 <= args.index <= len(records):
        raise InputError(f"{args.sample}: has {len(records)} record(s); --index {args.index} must be 1..{len(records)}")
    record = records[args.index - 1]
    draft = compiled.apply(record)
    if args.found is not None:
        draft = compiled.apply(record, found_in(read_found(args.found), draft.lookups))
    shown = draft_as_data(draft)
    shown = {"spec": file.spec.spec, **shown, "unapproved": [f"{row.part} {row.why}" for row in unapproved(file.spec)]}
    say(as_json(shown) if args.json else _text(shown))
    return DONE


def _text(shown: dict[str, Any]) -> str:
    number = f" ({shown['number']})" if shown["number"] else ""
    lines = [f"{shown['spec']}: record {shown['record'] or '?'}{number}: {shown['decision']}"]
    lines += [f"  because {row['id']}: {row['message']}" for row in shown["reasons"]]
    lines += [f"  note {row['id']}: {row['message']}" for row in shown["warnings"]]
    for target, rows in shown["documents"].items():
        for row in rows:
            lines.append(f"{target}  key {row['key'] or '-'}")
            lines += ["  " + line for line in as_json(row["body"]).splitlines()]
    lines += [f"look up {row['entity']} {row['field']} “{row['value']}” ({row['where']})" for row in shown["lookups"]]
    waiting = shown["unapproved"]
    if waiting:
        lines.append(f"not approved: {len(waiting)} part(s); the runner refuses the spec until `mapper approve`")
    return "\n".join(lines)
