"""A FreshBooks account under examination: whole answers, and test records that are always removed again.

Test records are recognised by their marker alone (the organisation of a client, the notes of an invoice or payment),
so that leftovers of a killed examination can be found and removed later, and nothing else ever is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.errors import AmbiguousWriteError, AuthError, ConnectorError, Problem, TransientError, read_problem
from connectors.freshbooks import DELETED, FreshBooks
from connectors.http import loads, parse_retry_after
from connectors.profiles import load_profile

MARKER = "mapper-doctor"
_TRIES = 5
_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_ORDER = ("payment", "invoice", "client")
"""In which order test records go: what depends on another record goes first."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """An answer of the accounting API; ``body`` is None when it is not JSON."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def ok(self) -> bool:
        """Accepted: a success status without an error in the body."""
        return self.status < 300 and read_problem(self.body, accounting_only=True) is None

    @property
    def problem(self) -> Problem:
        """What a refusal says."""
        return read_problem(self.body) or Problem(message="no readable reason")

    @property
    def result(self) -> Mapping[str, Any]:
        """Inside of `{"response": {"result": {...}}}`; empty for another envelope."""
        response = self.body.get("response") if isinstance(self.body, dict) else None
        result = response.get("result") if isinstance(response, dict) else None
        return result if isinstance(result, dict) else {}

    def said(self) -> str:
        """A refusal in a few words, without customer values."""
        problem = self.problem
        parts = [f"status {self.status}"]
        parts += [f"errno {problem.errno}"] if problem.errno is not None else []
        parts += [f"field {problem.field}"] if problem.field else []
        return ", ".join(parts)


class Account:
    """Asks, counts requests, and waits where the server says so."""

    def __init__(self, client: FreshBooks, *, sleep: Callable[[float], object] = time.sleep) -> None:
        self.client = client
        self.requests = 0
        self._sleep = sleep
        self._profile = load_profile("freshbooks")

    def ask(
        self,
        method: str,
        entity: str,
        object_id: int | str | None = None,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request; what surely changed nothing is repeated.

        Raises:
            AuthError: The token is refused.
            AmbiguousWriteError: A write was sent and found no clear answer.
            TransientError: No answer, also after several tries.
        """
        for left in reversed(range(_TRIES)):
            self.requests += 1
            wait_s = None
            try:
                answer = self.client.answer(method, entity, object_id, query=query, body=body, headers=headers)
            except TransientError:
                if not left:
                    raise
            else:
                if answer.status == 401:
                    raise AuthError(f"{method} {entity}: the access token was refused (401)")
                wait_s = parse_retry_after(answer.headers.get("retry-after"), time.time())
                if answer.status < 500 and answer.status not in (408, 409, 425, 429):
                    return Reply(answer.status, answer.headers, _decoded(answer.body))
                if method != "GET" and answer.status not in (409, 425, 429):
                    raise AmbiguousWriteError(f"{method} {entity}: status {answer.status}, no clear answer")
                if not left:
                    raise TransientError(f"{method} {entity}: status {answer.status}, also after {_TRIES} tries")
            self._sleep(min(_PAUSE_S if wait_s is None else wait_s, _LONGEST_PAUSE_S))
        raise AssertionError("the last try returns or raises")

    def pause(self, seconds: float) -> None:
        """Wait, for instance until a search shows what was written."""
        if seconds > 0:
            self._sleep(seconds)

    def key(self, entity: str) -> str:
        """Member that wraps one object."""
        return self._profile.entity(entity).key

    def total(self, entity: str, query: Sequence[tuple[str, str]] = ()) -> int | None:
        """How many rows a list has under a query; None when the server refuses the query."""
        reply = self.ask("GET", entity, query=[*query, ("per_page", "1")])
        total = reply.result.get("total")
        return total if reply.ok and isinstance(total, int) else None

    def first_rows(self, entity: str, query: Sequence[tuple[str, str]] = ()) -> list[Row]:
        """The first page of a list; empty when the server refuses the query."""
        reply = self.ask("GET", entity, query=[*query, ("per_page", "100")])
        rows = reply.result.get(self._profile.entity(entity).list_key)
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _decoded(body: bytes) -> Any:
    try:
        return loads(body)
    except ValueError:
        return None


class TestRecords:
    """Writes the test records of one examination and removes every one of them.

    Attributes:
        marker: In every record; unique for this examination.
        wait_s: How long a search may lag behind a write, as far as that is known.
    """

    __test__ = False  # not a test class, whatever its name says

    def __init__(self, account: Account, run: str) -> None:
        self._account = account
        self.run = run
        self.marker = f"{MARKER} {run}"
        self.wait_s = 0.0
        self._in_doubt = False
        self._made: dict[str, list[int | str]] = {entity: [] for entity in _ORDER}

    def create(self, entity: str, body: Mapping[str, Any]) -> Reply:
        """Create a marked record; it is removed at the end.

        Args:
            body: Fields; the marker is added where none is given.

        Raises:
            ConnectorError: As ``Account.ask``.
        """
        field = {"client": "organization", "invoice": "notes", "payment": "note"}[entity]
        query = [("include[]", "lines")] if entity == "invoice" else []
        try:
            reply = self._account.ask("POST", entity, query=query, body={field: self.marker, **body})
        except AmbiguousWriteError:
            self._in_doubt = True
            raise
        made = self.row(reply, entity)
        if reply.ok and made.get("id") is not None:
            self._made[entity].append(made["id"])
        return reply

    def change(self, entity: str, row: Row, body: Mapping[str, Any]) -> Reply:
        """Change a test record."""
        query = [("include[]", "lines")] if entity == "invoice" else []
        return self._account.ask("PUT", entity, row["id"], query=query, body=body)

    def row(self, reply: Reply, entity: str) -> Row:
        """The object in an answer; empty when there is none."""
        found = reply.result.get(self._account.key(entity))
        return found if isinstance(found, dict) else {}

    def remove(self, entity: str, object_id: int | str) -> Reply:
        """Delete one record, softly as FreshBooks does, and forget it."""
        reply = self._account.ask("PUT", entity, object_id, body={"vis_state": DELETED})
        if reply.ok and object_id in self._made[entity]:
            self._made[entity].remove(object_id)
        return reply

    def remove_all(self) -> list[str]:
        """Remove what was written, and what a lost answer may have left; never raises a connector's error.

        Returns:
            What could not be removed, as "invoice 4711".
        """
        left: list[str] = []
        if self._in_doubt:
            self._account.pause(self.wait_s)
        try:
            # From the client down, so that what a lost answer left is found before its parent goes.
            sweep = remove_marked(self._account, self.marker)
        except ConnectorError as error:
            left.append(f"perhaps more ({error.message})")
        else:
            left += sweep.left
            for entity, ids in self._made.items():
                self._made[entity] = [one for one in ids if f"{entity} {one}" not in sweep.removed]
        for entity in _ORDER:
            left += self._remove_made(entity)
        return list(dict.fromkeys(left))

    def _remove_made(self, entity: str) -> list[str]:
        left = []
        for object_id in list(reversed(self._made[entity])):
            try:
                gone = self.remove(entity, object_id).ok
            except ConnectorError:
                gone = False
            left += [] if gone else [f"{entity} {object_id}"]
        return left


@dataclass(frozen=True)
class Sweep:
    """What removing marked records did: names of removed ones, and of those that stayed."""

    removed: tuple[str, ...]
    left: tuple[str, ...]


def remove_marked(account: Account, marker: str, *, thorough: bool = False) -> Sweep:
    """Remove test records by their marker; a record without it is never touched.

    Args:
        marker: MARKER for those of every examination, or the marker of one.
        thorough: Read all clients instead of searching, for an account whose search misses rows.

    Raises:
        ConnectorError: The account could not be read.
    """
    removed: list[str] = []
    left: list[str] = []
    filters = {} if thorough else {"organization_like": marker}
    clients = [row for row in account.client.find("client", filters) if _is_ours(row.get("organization"), marker)]
    for client in clients:
        stayed = False
        for entity, row in _below(account, client, marker):
            name = f"{entity} {row['id']}"
            if entity == "":
                stayed = True
                left.append(f"invoice {row['id']} (no test record)")
            elif account.ask("PUT", entity, row["id"], body={"vis_state": DELETED}).ok:
                removed.append(name)
            else:
                stayed = True
                left.append(name)
        name = f"client {client['id']}"
        gone = not stayed and account.ask("PUT", "client", client["id"], body={"vis_state": DELETED}).ok
        (removed if gone else left).append(name)
    return Sweep(tuple(removed), tuple(left))


def _below(account: Account, client: Row, marker: str) -> Iterator[tuple[str, Row]]:
    """Payments and invoices of a test client, payments first; an unmarked invoice comes with an empty entity."""
    wanted = str(client["id"])
    invoices = [
        row
        for row in account.client.find("invoice", {"customerid": wanted})
        if str(row.get("customerid")) == wanted and row.get("vis_state") != DELETED
    ]
    for invoice in invoices:
        if not _is_ours(invoice.get("notes"), marker):
            yield "", invoice
            continue
        yield from (("payment", payment) for payment in account.client.find_payments_of_invoice(invoice["id"]))
        yield "invoice", invoice


def _is_ours(text: Any, marker: str) -> bool:
    words = str(text or "").split()
    return words[:1] == [MARKER] and (marker == MARKER or " ".join(words[:2]) == marker)
