"""``mapper-sync reconcile``: do Clarity's orders and FreshBooks' books of a period agree?"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from sync.reconcile.report import Report
    from sync.settings import Settings

log = logging.getLogger(__name__)

FORMATS = ("table", "csv", "html", "json")


def add(commands: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    reconcile = command(
        commands,
        "reconcile",
        "compare the orders and payments of a period with the books; 0 agree, 1 differ, 4 could not be compared",
        "mapper-sync reconcile --from 2026-03-01 --to 2026-03-31 --mappings mappings/clarity-freshbooks\n"
        "  mapper-sync reconcile --from 2026-03-01 --to 2026-03-31 --format html --output march.html",
    )
    reconcile.add_argument("--from", dest="first", type=_day, required=True, metavar="DATE", help="first day")
    reconcile.add_argument("--to", dest="last", type=_day, required=True, metavar="DATE", help="last day, included")
    reconcile.add_argument("--format", choices=FORMATS, default="table", help="default table; csv has every record")
    reconcile.add_argument("--output", type=Path, metavar="FILE", help="default: print it")
    reconcile.add_argument(
        "--mappings", type=Path, metavar="DIR", help="folder of approved specs (default: MAPPER_MAPPINGS)"
    )


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Compare and show; what cannot be compared is an error, never an agreement."""
    from mapspec.errors import SpecError
    from sync.errors import SettingsError, SyncError
    from sync.reconcile.compare import reconciled
    from sync.reconcile.period import CompareError, Period
    from sync.reconcile.report import Report
    from sync.reconcile.words import verdict

    try:
        period = Period(arguments.first, arguments.last)
    except ValueError as error:
        raise SettingsError(f"--from, --to: {error}") from None
    mappings = _mappings(arguments.mappings)
    kind = "json" if arguments.json else arguments.format
    say = _progress if sys.stderr.isatty() else None
    try:
        with _target(arguments.output) as out, reconciled(settings, mappings, period, say=say) as found:
            report = Report(found)
            if say is not None:
                print("\r\033[K", end="", file=sys.stderr)
            write(report, kind, out)
            if arguments.output is not None:
                print(f"{verdict(report)} Written to {arguments.output}")
            return report.exit_code
    except (SyncError, SpecError, BrokenPipeError):
        raise
    except KeyboardInterrupt:
        raise CompareError("stopped before the comparison was done") from None
    except Exception as error:
        if arguments.debug:
            raise
        log.error("the comparison failed", exc_info=error)
        message = f"unexpected error ({type(error).__name__}); run again with --debug for details"
        raise CompareError(f"the books could not be compared: {message}") from error


def write(report: Report, kind: str, out: TextIO) -> None:
    """Write a report in one of `FORMATS`."""
    from connectors.http import dumps
    from sync.reconcile.page import as_html
    from sync.reconcile.words import as_text, write_csv

    if kind == "csv":
        write_csv(report, out)
    elif kind == "html":
        out.writelines(as_html(report))
    else:
        out.write(f"{dumps(report.as_dict()) if kind == 'json' else as_text(report)}\n")


@contextmanager
def _target(path: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that is replaced when everything is written."""
    from sync.errors import InputError

    if path is None:
        yield sys.stdout
        return
    try:
        made, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        raise InputError(f"--output {path}: cannot be written ({why}); name a file in a folder that is there") from None
    try:
        with os.fdopen(made, "w", encoding="utf-8", newline="") as out:
            yield out
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _mappings(named: Path | None) -> Path:
    from sync.errors import SettingsError

    folder = named or (Path(os.environ["MAPPER_MAPPINGS"]) if os.environ.get("MAPPER_MAPPINGS") else None)
    if folder is None:
        raise SettingsError("--mappings is missing: the approved mappings say what should be in the books")
    return folder


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a day such as 2026-03-31, got {text!r}") from None


def _progress(text: str) -> None:
    print(f"\r\033[K{text}"[:100], end="", file=sys.stderr, flush=True)
