"""`mapper decisions`: what was learned from people's decisions, and how to forget it."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapper_ai.cli.commands import DONE, FINDINGS, USAGE, as_json, complain, note, say
from mapper_ai.cli.tables import table

if TYPE_CHECKING:
    from mapper_ai.services.decisions import DecisionRow


def configure_decisions(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mapper decisions`."""
    parser.add_argument("what", choices=("list", "forget", "export"), help="what to do")
    parser.add_argument("number", nargs="*", type=int, help="forget: the numbers, as list shows them")
    parser.add_argument(
        "--flow", metavar="SPEC", help="only decisions of this flow (clarity-freshbooks/order-to-invoice)"
    )
    parser.add_argument("--field", metavar="PATH", help="only decisions about this source or target field")
    parser.add_argument("--all", action="store_true", help="forget: every decision")
    parser.add_argument(
        "--file", type=Path, metavar="FILE", help="the file of decisions (default: as mapper.toml says)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="export: a .csv, .json or .ndjson file")
    parser.add_argument("--json", action="store_true", help="for machines")


def run_decisions(args: argparse.Namespace) -> int:
    """List, forget or export."""
    from mapper_ai.services.decisions import DecisionStore
    from mapper_ai.services.studio_config import decisions_file

    if args.number and args.what != "forget":
        complain(f"decisions {args.what}: takes no numbers; choose with --flow or --field")
        return USAGE
    store = DecisionStore(args.file or decisions_file())
    if args.file is not None and not args.file.exists():
        complain(f"{args.file}: no such file of decisions")
        return FINDINGS
    chosen = [row for row in store.rows() if _fits(row, args)]
    if args.what == "forget":
        if not (args.number or args.flow or args.field or args.all):
            complain("decisions forget: say which: numbers, --flow, --field or --all")
            return USAGE
        return _forget(store, chosen, args)
    if args.what == "export":
        _export(chosen, args.out)
        return DONE
    if args.json:
        say(as_json([_plain(row) for row in chosen]))
        return DONE
    table(
        ("no", "when", "who", "what", "source", "target", "reason"),
        [
            (
                str(row.number),
                row.at.strftime("%Y-%m-%d %H:%M"),
                row.person,
                row.action,
                f"{row.source_ref}: {' + '.join(row.sources)}",
                f"{row.target_ref}: {row.target}",
                row.reason,
            )
            for row in chosen
        ],
    )
    note(f"{len(chosen)} decision(s) in {store.path}")
    return DONE


def _fits(row: DecisionRow, args: argparse.Namespace) -> bool:
    return (
        (not args.flow or row.flow == args.flow)
        and (not args.field or args.field in (*row.sources, row.target, row.part))
        and (not args.number or row.number in args.number)
    )


def _forget(store: Any, chosen: list[DecisionRow], args: argparse.Namespace) -> int:
    absent = sorted(set(args.number) - {row.number for row in chosen})
    if absent:
        complain(f"{store.path}: there is no decision {absent[0]}; `mapper decisions list` shows them")
        return FINDINGS
    gone = store.forget([row.number for row in chosen])
    if args.json:
        say(as_json({"forgotten": gone}))
    else:
        say(f"{gone} decision(s) forgotten")
    return DONE


def _export(rows: list[DecisionRow], out: Path | None) -> None:
    from mapper_ai.services.atomic import write_text

    plain = [_plain(row) for row in rows]
    suffix = out.suffix.lower() if out else ".ndjson"
    if suffix == ".csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        names = list(_plain_names())
        writer.writerow(names)
        writer.writerows([[_cell(row[name]) for name in names] for row in plain])
        written = text.getvalue()
    elif suffix == ".json":
        written = as_json(plain) + "\n"
    else:
        written = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in plain)
    if out is None:
        sys.stdout.write(written)
    else:
        write_text(out, written)
        note(f"{len(rows)} decision(s) written to {out}")


def _cell(value: Any) -> str:
    text = " + ".join(value) if isinstance(value, list) else str(value)
    # A spreadsheet would run a cell that begins like this.
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _plain_names() -> tuple[str, ...]:
    return ("number", "at", "by", "action", "flow", "part", "source", "sources", "target", "target_path", "reason")


def _plain(row: DecisionRow) -> dict[str, Any]:
    at = row.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    values = (row.number, at, row.person, row.action, row.flow, row.part)
    rest = (row.source_ref, list(row.sources), row.target_ref, row.target, row.reason)
    return dict(zip(_plain_names(), (*values, *rest), strict=True))
