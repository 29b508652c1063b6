"""Compares both systems' books for the screen: by the runner's own command, and the last result is kept.

The command runs as a child, so that the screen shows what a scheduler would get; it replaces the kept result only when
the comparison is whole.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from mapper_ai.errors import MapperError
from sync.reconcile.names import COLOURS, STATUS_WORDS, TITLES, status_words, verdict_words

_LOOK_EVERY_S: Final = 0.2
_COMPARED: Final = (0, 1)  # the books agree, the books differ
Found = dict[str, Any]
Table = dict[str, list[str]]


class NotCompared(MapperError):  # noqa: N818  the word of the screens
    """The books could not be compared; never to be shown as an agreement."""


@dataclass(frozen=True)
class Reconciler:
    """The comparisons of one workspace.

    Attributes:
        folder: Where the last result is kept; made when needed.
        mappings: Folder of approved specs.
        environ: Environment of the child; this process's own when None.
    """

    folder: Path
    mappings: Path
    environ: Mapping[str, str] | None = None

    def compare(self, first: date, last: date, cancel: threading.Event | None = None) -> Found:
        """Compare and keep the result, as `mapper-sync reconcile --json` gives it.

        Args:
            cancel: Ends the comparison when set.

        Raises:
            NotCompared: It could not be done, and why; what was kept before is still there.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_suffix(".new.json")
        fresh.unlink(missing_ok=True)
        period = ["--from", first.isoformat(), "--to", last.isoformat()]
        command = [sys.executable, "-m", "sync", "reconcile", *period, "--mappings", str(self.mappings)]
        child = subprocess.Popen(
            [*command, "--json", "--output", str(fresh)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=None if self.environ is None else dict(self.environ),
        )
        said = _until_end(child, cancel)
        found = _read(fresh) if child.returncode in _COMPARED else None
        if cancel is not None and cancel.is_set():
            raise NotCompared("stopped by request; the result before it is still there")
        if found is None:
            lines = said.strip().splitlines() or ["it ended without a result"]
            raise NotCompared(lines[-1].removeprefix("mapper-sync: "))
        fresh.replace(self._file)
        return found

    def last(self) -> Found | None:
        """The result that was kept last; None when there is none."""
        return _read(self._file)

    @property
    def _file(self) -> Path:
        return self.folder / "reconciliation.json"


def _until_end(child: subprocess.Popen[str], cancel: threading.Event | None) -> str:
    while True:
        try:
            return child.communicate(timeout=None if cancel is None else _LOOK_EVERY_S)[1]
        except subprocess.TimeoutExpired:
            if cancel is not None and cancel.is_set():
                child.terminate()


def _read(file: Path) -> Found | None:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "verdict" in found else None


def verdict(found: Found) -> str:
    """The result in one line."""
    return verdict_words(int(found["compared"]), int(found["differences"]), found["from"], found["to"])


def sums_table(found: Found, kind: str) -> Table:
    """Sums of one kind by currency, month, status and cause."""
    rows = [row for row in found["sums"] if row["kind"] == kind]
    return {
        "Currency": [row["currency"] or "none" for row in rows],
        "Month": [row["month"] or "none" for row in rows],
        "Result": [status_words(row["status"], row["differs"]) for row in rows],
        "Cause": [row["cause"] for row in rows],
        "Orders" if kind == "invoice" else "In Clarity": [str(row["clarity_count"]) for row in rows],
        "Clarity": [row["clarity"] for row in rows],
        "In FreshBooks": [str(row["freshbooks_count"]) for row in rows],
        "FreshBooks": [row["freshbooks"] for row in rows],
        "Difference": [row["difference"] for row in rows],
    }


def records_table(found: Found) -> Table:
    """Every record that differs."""
    rows = found["records"]
    return {
        "Record": [f"{row['kind']} {row['number'] or row['record']}" for row in rows],
        "Date": [row["clarity_date"] or row["freshbooks_date"] or "" for row in rows],
        "Clarity": [_money(row, "clarity") for row in rows],
        "FreshBooks": [_money(row, "freshbooks") for row in rows],
        "Result": [status_words(row["status"], row["differs"]) for row in rows],
        "Cause": [row["cause"] for row in rows],
        "Detail": [row["detail"] for row in rows],
    }


def chart(found: Found, kind: str) -> dict[str, Any]:
    """Vega-Lite: for each currency two bars a month, one of each system, divided by status."""
    bars = [
        {
            "currency": row["currency"] or "none",
            "bar": f"{row['month'] or 'no date'} {system}",
            "status": STATUS_WORDS[row["status"]],
            "cause": row["cause"],
            "amount": float(row[member]),  # a length on the screen; the table has the exact amount
        }
        for row in found["sums"]
        if row["kind"] == kind
        for system, member in (("Clarity", "clarity"), ("FreshBooks", "freshbooks"))
        if float(row[member])
    ]
    return {
        "data": {"values": bars},
        "mark": {"type": "bar", "tooltip": True},
        "encoding": {
            "row": {"field": "currency", "type": "nominal", "title": None, "header": {"labelAngle": 0}},
            "y": {"field": "bar", "type": "nominal", "title": None, "axis": {"labelLimit": 200}},
            "x": {"field": "amount", "type": "quantitative", "title": None, "aggregate": "sum"},
            "color": {
                "field": "status",
                "type": "nominal",
                "title": None,
                "scale": {"domain": [STATUS_WORDS[one] for one in COLOURS], "range": list(COLOURS.values())},
            },
        },
        "resolve": {"scale": {"x": "independent", "y": "independent"}},
        "width": 640,
        "height": {"step": 18},
    }


def kinds(found: Found) -> Sequence[str]:
    """The kinds that have sums."""
    return [kind for kind in TITLES if any(row["kind"] == kind for row in found["sums"])]


def _money(row: Found, side: str) -> str:
    amount = row[f"{side}_amount"]
    return "" if amount is None else f"{amount} {row[f'{side}_currency'] or ''}".strip()
