"""One thing the doctor found out, or could not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.errors import AuthError, ConnectorError


@dataclass(frozen=True)
class Finding:
    """The result of one probe.

    Attributes:
        probe: What was asked, for people.
        result: What came out, for people; "not known" and why, where nothing did.
        setting: Key in the findings section, dotted for one entry of a table; None when nothing depends on it.
        value: Of the setting; None leaves what an earlier examination found.
        evidence: Comparisons with the server's answers that the result rests on.
    """

    probe: str
    result: str
    setting: str | None = None
    value: Any = None
    evidence: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "probe": self.probe,
            "result": self.result,
            "setting": self.setting,
            "value": self.value,
            "evidence": self.evidence,
        }


def not_known(probe: str, why: str, setting: str | None = None) -> Finding:
    """The probe had nothing to go by."""
    return Finding(probe, f"not known: {why}", setting)


def guarded(probe: str, call: Callable[[], Finding]) -> Iterator[Finding]:
    """The finding of a probe; an account that breaks on one probe is asked the next one all the same.

    Raises:
        AuthError: No probe can succeed any more.
    """
    try:
        yield call()
    except AuthError:
        raise
    except ConnectorError as error:
        yield not_known(probe, error.message)


def table(findings: Sequence[Finding]) -> str:
    """The findings as text columns."""
    rows = [("probe", "result", "setting", "evidence")]
    for found in findings:
        shown = "" if found.setting is None or found.value is None else f"{found.setting} = {_plain(found.value)}"
        rows.append((found.probe, found.result, shown, str(found.evidence)))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]).rstrip()
        for row in rows
    )


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
