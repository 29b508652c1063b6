"""`mapper explain`: one part of a spec in words."""

from __future__ import annotations

import argparse
import difflib
from pathlib import Path

from mapper_ai.cli.commands import DONE, say


def configure_explain(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mapper explain`."""
    parser.add_argument("spec", type=Path, metavar="SPEC", help="mapping file")
    parser.add_argument("target", metavar="TARGET", help="a part: invoice.create_date, invoice.lines[].qty, flow, …")


def run_explain(args: argparse.Namespace) -> int:
    """Print the explanation."""
    from mapper_ai.cli.explain_text import explain
    from mapper_ai.errors import UnknownPartError
    from mapper_ai.services.specs import read_spec
    from mapspec import digests

    file = read_spec(args.spec)
    known = digests(file.spec)
    if args.target not in known:
        near = difflib.get_close_matches(args.target, known, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else "`mapper show` lists them"
        raise UnknownPartError(f"{args.spec}: there is no part '{args.target}'; {hint}")
    line = file.line_of(args.target)
    say("\n".join(explain(file.spec, args.target, place=f"{args.spec}:{line}" if line else str(args.spec))))
    return DONE
