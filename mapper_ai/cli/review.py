"""`mapper review`: what a mapping change means, for the person who has to approve it."""

from __future__ import annotations

import argparse
import gc
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, get_args

from mapper_ai.cli.commands import DONE, FINDINGS, NOT_COMPARED, USAGE, complain, note

_FORMATS: Final = ("markdown", "text", "json", "sarif", "github", "gitlab", "junit")


def configure_review(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mapper review`."""
    from mapper_ai.services.review.report import FailOn

    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help="mapping files or folders (default: mappings)"
    )
    parser.add_argument("--base", required=True, metavar="REF", help="what the change is compared with: origin/main")
    parser.add_argument("--head", default="HEAD", metavar="REF", help="the change (default: HEAD)")
    parser.add_argument("--format", choices=_FORMATS, default="text", metavar="F", help=" | ".join(_FORMATS))
    parser.add_argument("--output", type=Path, metavar="FILE", help="write there instead of to the terminal")
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        type=_format_and_file,
        metavar="F=FILE",
        help="write another format to a file, too: sarif=review.sarif; may be repeated",
    )
    parser.add_argument(
        "--fail-on",
        choices=get_args(FailOn),
        default="high",
        metavar="WHAT",
        help="exit code 1 on: high (default) or medium risk, unapproved, never",
    )
    parser.add_argument(
        "--samples", type=Path, metavar="DIR", help="sample records (default: the folder samples, where there is one)"
    )
    parser.add_argument(
        "--today", type=date.fromisoformat, metavar="DAY", help="the day for suppressions (default: today, UTC)"
    )


def run_review(args: argparse.Namespace) -> int:
    """Compare, print, and tell by the exit code whether it may pass."""
    from mapper_ai.services.atomic import write_text
    from mapper_ai.services.review.formats import FORMATS
    from mapper_ai.services.review.gitread import CompareError
    from mapper_ai.services.review.run import NothingToReviewError, review

    # A short run that makes much and frees it at the end: looking for cycles again and again is a sixth of its time.
    gc.set_threshold(200_000)
    today = args.today or datetime.now(UTC).date()
    try:
        found = review(Path.cwd(), args.base, head=args.head, paths=args.paths, samples=args.samples, today=today)
    except CompareError as error:
        complain(error)
        return NOT_COMPARED
    except NothingToReviewError as error:
        complain(error)
        return USAGE

    def text_of(name: str) -> str:
        # A lone surrogate in a path or value cannot be written, and must not hide the rest.
        return FORMATS[name](found, args.fail_on).encode("utf-8", "replace").decode("utf-8")

    for notice in found.notices:
        note(f"mapper: {notice}")
    for name, path in args.also:
        write_text(path, text_of(name))
    if args.output is not None:
        write_text(args.output, text_of(args.format))
    else:
        sys.stdout.write(text_of(args.format))
    return FINDINGS if found.blocking(args.fail_on) else DONE


def _format_and_file(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    if name not in _FORMATS or not path:
        raise argparse.ArgumentTypeError(f"'{text}' is no FORMAT=FILE; formats: {', '.join(_FORMATS)}")
    return name, Path(path)
