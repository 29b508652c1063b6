"""`mapper install-git` and what git calls afterwards: a textual form for diffs, and a merge driver."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mapper_ai.cli.commands import DONE, FINDINGS, note, say


def configure_install_git(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mapper install-git`."""
    parser.add_argument("--remove", action="store_true", help="take it back")
    parser.add_argument("--command", metavar="TEXT", help="how git calls this program (default: mapper)")


def run_install_git(args: argparse.Namespace) -> int:
    """Configure the clone around the working folder."""
    from mapper_ai.services.gitsetup import install, own_command, remove

    rows = remove(Path.cwd()) if args.remove else install(Path.cwd(), args.command or own_command())
    say("\n".join(rows))
    return DONE


def configure_git_driver(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mapper git-driver`."""
    what = parser.add_subparsers(dest="what", required=True, metavar="textconv|merge")
    textconv = what.add_parser("textconv", help="print a mapping as one line a part")
    textconv.add_argument("file", type=Path)
    merge = what.add_parser("merge", help="merge two versions into the second file")
    for name in ("base", "ours", "theirs"):
        merge.add_argument(name, type=Path)
    merge.add_argument("--name", default="", help="the file's name in the repository")


def run_git_driver(args: argparse.Namespace) -> int:
    """Exit code 1 tells git that conflicts are left."""
    from mapper_ai.services.gitmerge import merge_files

    if args.what == "textconv":
        sys.stdout.write(_as_lines(args.file))
        return DONE
    name = args.name or str(args.ours)
    result = merge_files(args.base, args.ours, args.theirs, name=name)
    if result.by_lines:
        note(f"mapper: {name}: merged line by line: {result.by_lines}")
    for place in result.conflicts:
        note(f"mapper: {name}: both sides changed {place}")
    if result.reset:
        note(f"mapper: {name}: to be approved again: {', '.join(result.reset)}")
    return DONE if result.clean else FINDINGS


def _as_lines(path: Path) -> str:
    """A mapping as one line a part; any other text as it is, so that a diff of an odd version never fails."""
    from mapper_ai.cli.show_text import as_lines
    from mapspec import SpecError, load_spec

    text = path.read_bytes().decode("utf-8", "replace")
    try:
        return "\n".join(as_lines(load_spec(text, where=str(path)))) + "\n"
    except SpecError:
        return text
