"""What answers of Clarity's framework mean: failures that come with status 200, and the order of a payment. Pure."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

from connectors.clarity_port import Row
from connectors.errors import AmbiguousWriteError, Problem, RejectedError, TransientError, read_problem

# What a server says when trying again may help; anything else is about the record.
_PASSING = re.compile(r"deadlock|time[d -]?out|try again|temporar|too many|busy|unavailable", re.IGNORECASE)


class OrdersOfPayments:
    """Finds the order of a payment among the relation rows, whose newest pages come first.

    What was read stays known, so that a store's whole past is read once, also when that is interrupted. Safe to share
    between threads.
    """

    def __init__(self, pages: Callable[[set[int]], Iterator[list[Row]]]) -> None:
        """Read nothing yet.

        Args:
            pages: Gives the pages without those in the set, to which it adds every full one as it is read.
        """
        self._pages = pages
        self._read_pages: set[int] = set()
        self._known: dict[str, Row] = {}
        self._complete = False
        self._lock = threading.Lock()

    def looking(self) -> Callable[[Row], Row]:
        """A look at what is new since the last one.

        Returns:
            Gives a payment the `MasterID` and `MasterKey` of its order; as it is when no relation names it.
        """
        scan: Iterator[None] | None = None

        def joined(payment: Row) -> Row:
            nonlocal scan
            wanted = str(payment["ID"])
            with self._lock:
                while wanted not in self._known:
                    scan = scan or self._read()
                    if next(scan, self) is self:
                        return payment
                return {**payment, **self._known[wanted]}

        return joined

    def _read(self) -> Iterator[None]:
        """Read a page at each step, until everything is known."""
        for rows in self._pages(self._read_pages):
            fresh = False
            for row in rows:
                if row.get("Active") is False:  # the payment was taken from that order
                    continue
                payment = str(row.get("SlaveID"))
                fresh = fresh or payment not in self._known
                self._known[payment] = {name: row[name] for name in ("MasterID", "MasterKey") if name in row}
            if self._complete and not fresh:
                return
            yield
        self._complete = True


def result_of(body: Any, method: str, operation: str) -> Any:
    """The record or list inside an answer.

    Raises:
        RejectedError: The server says that it failed, with a success status.
        TransientError: It says so in words that promise better luck, for a read.
        AmbiguousWriteError: The same for a write: what timed out may still have happened.
    """
    if not isinstance(body, dict) or not isinstance(body.get("ActionSucceeded"), bool):
        return body
    if body["ActionSucceeded"]:
        return body.get("Result")
    problem = read_problem(body) or Problem()
    if _PASSING.search(problem.message):
        if method == "GET":
            raise TransientError(f"{operation}: the server asks to try again")
        raise AmbiguousWriteError(f"{operation}: sent, no clear answer (the server timed out or was busy)")
    raise RejectedError(200, None, None, problem.message, operation=operation)
