"""`mapper show`: a spec as text for people, or as one line a part for comparing two versions."""

from __future__ import annotations

import argparse
from pathlib import Path

from mapper_ai.cli.commands import DONE, say


def configure_show(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mapper show`."""
    parser.add_argument("spec", type=Path, metavar="SPEC", help="mapping file")
    parser.add_argument(
        "--one-line-per-field",
        action="store_true",
        help="target | required | sources | steps | checks | approval, and one line for everything else",
    )


def run_show(args: argparse.Namespace) -> int:
    """Print the spec."""
    from mapper_ai.cli.show_text import as_lines, as_text
    from mapper_ai.services.specs import read_spec

    spec = read_spec(args.spec).spec
    say("\n".join(as_lines(spec) if args.one_line_per_field else as_text(spec)))
    return DONE
