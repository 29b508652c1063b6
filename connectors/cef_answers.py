"""What answers of Clarity's framework mean: failures that come with status 200, and the order of a payment. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from connectors.clarity_port import Row
from connectors.errors import AmbiguousWriteError, Problem, RejectedError, TransientError, read_problem

# What a server says when trying again may help; anything else is about the record.
_PASSING = re.compile(r"deadlock|time[d -]?out|try again|temporar|too many|busy|unavailable", re.IGNORECASE)


class OrdersOfPayments:
    """Finds the order of a payment among the relation rows, reading no further than needed."""

    def __init__(self, rows: Iterator[Row]) -> None:
        """Take the relation rows, not read yet."""
        self._rows = rows
        self._known: dict[str, Row] = {}

    def joined(self, payment: Row) -> Row:
        """The payment with `MasterID` and `MasterKey` of its order; as it is when no relation names it."""
        wanted = str(payment["ID"])
        while wanted not in self._known:
            row = next(self._rows, None)
            if row is None:
                return payment
            found = {name: row[name] for name in ("MasterID", "MasterKey") if row.get(name) is not None}
            self._known[str(row.get("SlaveID"))] = found
        return {**payment, **self._known[wanted]}


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
