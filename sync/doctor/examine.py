"""One examination of a FreshBooks account, from the first question to the removal of the last test record."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date

from connectors.errors import ConnectorError
from connectors.freshbooks import FreshBooks
from sync.doctor.account import Account, TestRecords
from sync.doctor.finding import Finding, not_known
from sync.doctor.reading import reading_probes
from sync.doctor.writing import NoTestClientError, WritingProbes


@dataclass
class Examination:
    """What came out.

    Attributes:
        findings: One for each probe; a probe that was repeated on a test record replaces what was only read.
        left: Test records that could not be removed, as "invoice 4711".
        requests: How many were sent.
        ended: Why it ended early; None when every probe was asked.
    """

    findings: list[Finding] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    requests: int = 0
    ended: str | None = None


def examine_freshbooks(
    client: FreshBooks,
    *,
    write: bool,
    today: date,
    run: str | None = None,
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    on_finding: Callable[[Finding], None] | None = None,
    on_left: Callable[[list[str]], None] | None = None,
) -> Examination:
    """Ask everything; test records are removed whatever happens, an interruption included.

    Args:
        client: Without findings of an earlier examination, so that it asks with every filter.
        write: Also write and remove test records.
        run: Name of the examination in their marker; random when None.
        on_finding: Called with each, for progress.
        on_left: Called with what could not be removed, also when the examination ends by an exception.

    Raises:
        AuthError: The login is refused.
        ConnectorError: The account does not answer at all.
    """
    account = Account(client, sleep=sleep)
    found = Examination()
    by_probe: dict[str, Finding] = {}

    def take(findings: Iterable[Finding]) -> None:
        for finding in findings:
            earlier = by_probe.get(finding.probe)
            if earlier is None or finding.value is not None or earlier.value is None:
                by_probe[finding.probe] = finding
            if on_finding is not None:
                on_finding(finding)

    take(reading_probes(account))
    if write:
        records = TestRecords(account, run or secrets.token_hex(3))
        try:
            take(WritingProbes(account, records, today=today, sleep=sleep, clock=clock).run())
        except NoTestClientError as error:
            found.ended = str(error)
            take([not_known("test records", str(error))])
        except ConnectorError as error:
            found.ended = error.message
        finally:
            found.left = records.remove_all()
            if found.left and on_left is not None:
                on_left(found.left)
    found.findings = list(by_probe.values())
    found.requests = account.requests
    return found
