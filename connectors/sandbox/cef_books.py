"""Records and sessions of the Clarity framework's stand-in (flavour `cef`), as the public reference describes them.

What the reference leaves open is a switch; what a server of this kind ignores silently is ignored here, too.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from connectors.sandbox.generator_cef import METHODS
from connectors.sandbox.generator_cef_parts import CURRENCIES, STATUSES, content_hash, pruned
from connectors.sandbox.switches import Switches
from connectors.sandbox.times import Clock
from connectors.sandbox.wire import JsonObject

# entity name in the routes -> (schema, plural)
ENTITIES = {
    "SalesOrder": ("Ordering", "SalesOrders"),
    "SalesOrderStatus": ("Ordering", "SalesOrderStatuses"),
    "SalesInvoice": ("Invoicing", "SalesInvoices"),
    "SalesReturn": ("Returning", "SalesReturns"),
    "Account": ("Accounts", "Accounts"),
    "User": ("Contacts", "Users"),
    "Contact": ("Contacts", "Contacts"),
    "Payment": ("Payments", "Payments"),
    "SalesOrderPayment": ("Payments", "SalesOrderPayments"),
    "PaymentMethod": ("Payments", "PaymentMethods"),
    "Product": ("Products", "Products"),
    "Currency": ("Currencies", "Currencies"),
}
BY_ROUTE = {route: name for name, route in ENTITIES.items()}

# Values that belong to a record; every other object inside is a related record, which a list may leave out.
_OWN_OBJECTS = ("Totals", "SerializableAttributes", "Address", "BillingAddress")
_PAGING = re.compile(r'"?(Size|StartIndex)"?\s*:\s*"?([0-9]{1,9})"?', re.IGNORECASE)
_EQUAL = {
    "id": "ID",
    "customkey": "CustomKey",
    "statusid": "StatusID",
    "statuskey": "StatusKey",
    "paymenttransactionid": "PaymentTransactionID",
    "purchaseordernumber": "PurchaseOrderNumber",
}
_AMONG = {"ids": "ID", "customkeys": "CustomKey", "statusids": "StatusID"}
_LARGEST_ID = 2**31 - 1


@dataclass(eq=False)
class CefError(Exception):
    """A refusal with an HTTP status, in ServiceStack's shape."""

    status: int
    code: str
    message: str

    def body(self) -> JsonObject:
        """The JSON body."""
        return {"ResponseStatus": {"ErrorCode": self.code, "Message": self.message}}


class CefBooks:
    """One store of the framework. Callers hold the state's lock.

    Attributes:
        records: By entity and ID; an inactive one is a deleted one.
        prices: Raw prices by product ID.
        failures: Messages with which the next requests fail although they answer 200.
    """

    def __init__(self, user_name: str, password: str, switches: Callable[[], Switches], clock: Clock) -> None:
        """Start with the reference lists only.

        Args:
            user_name: Of the one user who may sign in.
            password: The user's.
            switches: Returns the switches in force.
            clock: The present instant.
        """
        self._user = (user_name, password)
        self._switches = switches
        self._clock = clock
        self._sessions: dict[str, float] = {}
        self.reset()

    def reset(self) -> None:
        """Forget all records but the reference lists; sessions stay."""
        self.records: dict[str, dict[int, JsonObject]] = {name: {} for name in ENTITIES}
        self.prices: dict[int, JsonObject] = {}
        self.failures: list[str] = []
        for entity, names in (
            ("SalesOrderStatus", STATUSES),
            ("Currency", CURRENCIES),
            ("PaymentMethod", tuple(dict.fromkeys(METHODS.values()))),
        ):
            for number, name in enumerate(names, 1):
                self.put(entity, {"ID": number, "CustomKey": name, "Name": name, "Active": True})

    def login(self, user_name: str, password: str) -> str:
        """Open a session.

        Raises:
            CefError: 401.
        """
        sent = zip((user_name, password), self._user, strict=True)
        if not all(secrets.compare_digest(a.encode(errors="replace"), b.encode()) for a, b in sent):
            raise CefError(401, "Unauthorized", "Invalid UserName or Password")
        session = secrets.token_urlsafe(20)
        self._sessions[session] = self._clock().timestamp() + self._switches().cef_session_s
        return session

    def logout(self, session: str) -> None:
        """End a session; an unknown one is no error."""
        self._sessions.pop(session, None)

    def authorize(self, session: str) -> None:
        """Check a session.

        Raises:
            CefError: 401 for an unknown or dead one.
        """
        if self._sessions.get(session, 0.0) <= self._clock().timestamp():
            raise CefError(401, "Unauthorized", "Not Authenticated")

    def expire_all(self) -> None:
        """End every session."""
        self._sessions.clear()

    def fail_next(self) -> JsonObject | None:
        """The answer of an action that was told to fail, None when none was."""
        return failed(self.failures.pop(0)) if self.failures else None

    def put(self, entity: str, record: JsonObject) -> JsonObject:
        """Add a record or replace the one with its ID; dates and hash are filled in when absent.

        Raises:
            CefError: Unknown entity (404), or no usable ID (400).
        """
        records = self.table(entity)
        identifier = record.get("ID") if isinstance(record, dict) else None
        if not isinstance(identifier, int) or isinstance(identifier, bool) or not 0 < identifier <= _LARGEST_ID:
            raise CefError(400, "ArgumentException", "A record needs a whole number from 1 as its ID.")
        stored = pruned(record)
        stored.setdefault("Active", True)
        stored.setdefault("CreatedDate", self.now())
        stored.setdefault("UpdatedDate", stored["CreatedDate"])
        stored["Hash"] = record.get("Hash") or content_hash(stored)
        records[identifier] = stored
        return stored

    def table(self, entity: str) -> dict[int, JsonObject]:
        """All records of an entity.

        Raises:
            CefError: 404.
        """
        try:
            return self.records[entity]
        except KeyError:
            raise CefError(404, "NotFound", "No such entity.") from None

    def get(self, entity: str, by: str, value: str) -> JsonObject | None:
        """One record by ID or Key, deleted ones too; None when there is none and the store answers nothing then.

        Raises:
            CefError: 404, or 400 for an ID that is no number.
        """
        if by == "ID":
            found = self.table(entity).get(_whole("ID", value))
        else:
            matching = (row for row in self.table(entity).values() if _same(row.get("CustomKey"), value))
            found = next(matching, None)
        if found is None and self._switches().cef_missing == "not_found":
            raise CefError(404, "NotFound", f"{entity} not found.")
        return found

    def page(self, entity: str, query: Mapping[str, str]) -> JsonObject:
        """A list answer: filters, then pages; a page behind the last is empty, an empty list is left out.

        Raises:
            CefError: 400 for a value that cannot be read.
        """
        sent = {name.lower(): value for name, value in query.items()}
        found = [row for _, row in sorted(self.table(entity).items()) if self._matches(row, sent)]
        total, size, number = len(found), len(found), 1
        if "paging" in sent:
            size, number = _paging(sent["paging"])
            found = found[(number - 1) * size : number * size]
        if self._switches().cef_lists == "flat" or sent.get("aslisting", "").lower() == "true":
            found = [flat(row) for row in found]
        return pruned(
            {
                "Results": found,
                "CurrentCount": len(found),
                "CurrentPage": number,
                "TotalCount": total,
                "TotalPages": -(-total // size) if size else 0,
            }
        )

    def digest(self, entity: str) -> list[JsonObject]:
        """ID, key and hash of every record."""
        return [
            pruned({"ID": row["ID"], "Key": row.get("CustomKey"), "Hash": row["Hash"]})
            for _, row in sorted(self.table(entity).items())
        ]

    def for_connect(self, entity: str) -> list[JsonObject]:
        """Every record, flat and unpaged: the vendor's own bulk route."""
        return [flat(row) for _, row in sorted(self.table(entity).items())]

    def update(self, entity: str, sent: JsonObject) -> JsonObject:
        """Replace a record by what was sent; what is not named is emptied, as a careless client would learn.

        Returns:
            The action's answer: a failure, too, has status 200.
        """
        known = self.table(entity).get(sent["ID"]) if isinstance(sent.get("ID"), int) else None
        if known is None:
            return failed(f"ERROR! No {entity} with this ID.")
        kept = {name: known[name] for name in ("ID", "CreatedDate")}
        changed = _typed_like(sent, known) | kept | {"UpdatedDate": self.now(), "Hash": None}
        return succeeded(self.put(entity, changed)["ID"])

    def create(self, entity: str, sent: JsonObject) -> JsonObject:
        """Add a record under the next ID."""
        number = max(self.table(entity), default=0) + 1
        if number > _LARGEST_ID:
            return failed("ERROR! No ID is left.")
        stamps = {"CreatedDate": self.now(), "UpdatedDate": None, "Hash": None}
        return succeeded(self.put(entity, sent | {"ID": number} | stamps)["ID"])

    def upsert(self, entity: str, sent: JsonObject) -> JsonObject:
        """Update the record with this ID or CustomKey, else create it."""
        key = sent.get("CustomKey")
        for identifier, row in self.table(entity).items():
            if identifier == sent.get("ID") or (key and row.get("CustomKey") == key):
                return self.update(entity, sent | {"ID": identifier})
        return self.create(entity, sent)

    def deactivate(self, entity: str, value: str) -> JsonObject:
        """Mark a record as deleted."""
        record = self.table(entity).get(_whole("ID", value))
        if record is None:
            return failed(f"ERROR! No {entity} with this ID.")
        self.put(entity, record | {"Active": False, "UpdatedDate": self.now(), "Hash": None})
        return succeeded(None)

    def now(self) -> str:
        """The present on the server's clock, as it stands in records."""
        local = self._clock().astimezone(self._zone()).replace(tzinfo=None)
        return f"{local.isoformat(timespec='microseconds')}0"

    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self._switches().cef_zone)

    def _matches(self, row: JsonObject, sent: Mapping[str, str]) -> bool:
        for name, member in _EQUAL.items():
            if name in sent and not _same(row.get(member), sent[name]):
                return False
        for name, member in _AMONG.items():
            if name in sent and str(row.get(member)) not in _listed(sent[name]):
                return False
        if "idorcustomkey" in sent:
            wanted = sent["idorcustomkey"]
            if not _same(row["ID"], wanted) and not _same(row.get("CustomKey"), wanted):
                return False
        if "active" in sent and str(row["Active"]).lower() != sent["active"].lower():
            return False
        stamp = datetime.fromisoformat(row["UpdatedDate"])
        for name in ("modifiedsince", "minupdatedorcreateddate"):
            if name in sent and stamp < self._moment(name, sent[name]):
                return False
        last = "maxupdatedorcreateddate"
        return last not in sent or stamp <= self._moment(last, sent[last])

    def _moment(self, name: str, text: str) -> datetime:
        """A filter's time on the server's clock; without offset it is one already."""
        try:
            moment = datetime.fromisoformat(text)
            return moment if moment.tzinfo is None else moment.astimezone(self._zone()).replace(tzinfo=None)
        except (ValueError, OverflowError):
            raise _unreadable(name) from None


def flat(row: JsonObject) -> JsonObject:
    """A record without related records: their ID, key and name stay."""
    return {
        name: value
        for name, value in row.items()
        if not (isinstance(value, dict) and name not in _OWN_OBJECTS)
        and not (isinstance(value, list) and any(isinstance(item, dict) for item in value))
    }


def succeeded(result: Any) -> JsonObject:
    """The answer of an action that worked."""
    return pruned({"ActionSucceeded": True, "Result": result})


def failed(message: str) -> JsonObject:
    """The answer of an action that did not, to be sent with status 200."""
    return {"ActionSucceeded": False, "Messages": [message]}


def _paging(text: str) -> tuple[int, int]:
    """Size and page number of `{Size:50,StartIndex:1}`, in JSV or JSON."""
    found = {name.lower(): int(number) for name, number in _PAGING.findall(text)}
    size, number = found.get("size", 0), found.get("startindex", 1)
    if size < 1 or number < 1:
        raise _unreadable("Paging")
    return size, number


def _listed(text: str) -> set[str]:
    return {part.strip().strip('"') for part in text.strip("[]").split(",")}


def _same(value: Any, text: str) -> bool:
    return value is not None and str(value).casefold() == text.casefold()


def _whole(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 10:
        raise _unreadable(name)
    return int(text)


def _unreadable(name: str) -> CefError:
    return CefError(400, "RequestBindingException", f"Unable to bind request: {name}.")


def _typed_like(sent: Any, known: Any) -> Any:
    """What was sent, with number texts as numbers where a number was known: a typed server reads both."""
    if isinstance(sent, dict):
        inside = known if isinstance(known, dict) else {}
        return {name: _typed_like(value, inside.get(name)) for name, value in sent.items()}
    if isinstance(sent, list):
        rows = known if isinstance(known, list) else []
        return [_typed_like(item, rows[n] if n < len(rows) else None) for n, item in enumerate(sent)]
    if isinstance(sent, str) and isinstance(known, Decimal):
        try:
            return Decimal(sent)
        except InvalidOperation:
            return sent
    return sent
