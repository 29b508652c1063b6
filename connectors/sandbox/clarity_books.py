"""Records of the Clarity stand-in (profile `rest`).

Nothing public describes Clarity's API; the behaviour follows the numbered assumptions (A1..A47) of the fact sheet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import datetime

from connectors.sandbox.errors import ClarityError
from connectors.sandbox.times import Clock, iso_z, parse_instant
from connectors.sandbox.wire import JsonObject

ENTITIES = {
    "orders": "order",
    "customers": "customer",
    "payments": "payment",
    "products": "product",
    "refunds": "refund",
}
"""List name in the path to the entity name in events (A6)."""

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 100

# A15; a payment that is only authorized has no event of its own
_PAYMENT_EVENTS = {
    "captured": "payment.captured",
    "settled": "payment.captured",
    "failed": "payment.failed",
    "voided": "payment.voided",
    "refunded": "payment.refunded",
}

EventSink = Callable[[str, str, JsonObject], None]
"""Takes an event type, an entity and a complete record."""


class ClarityBooks:
    """One store. Callers hold the state's lock.

    Attributes:
        lists: Records by list name and id (as text, A17), in the order of their first arrival.
        on_event: Where events go; None sends nothing.
    """

    def __init__(self, clock: Clock) -> None:
        """Start empty.

        Args:
            clock: The present instant.
        """
        self._clock = clock
        self.on_event: EventSink | None = None
        self.reset()

    def reset(self) -> None:
        """Forget all records."""
        self.lists: dict[str, dict[str, JsonObject]] = {name: {} for name in ENTITIES}

    def put(self, list_name: str, record: JsonObject, *, silent: bool = False, event: str | None = None) -> JsonObject:
        """Add a record or replace the one with its id, and tell the receivers.

        Args:
            list_name: One of `ENTITIES`.
            record: Complete; `createdAt` and `updatedAt` are filled in when absent (A8).
            silent: Send nothing: a lost webhook, which polling has to make up for.
            event: Type to send instead of the one that follows from the record.

        Returns:
            The stored record.

        Raises:
            ClarityError: Unknown list (404), or no id (400).
        """
        records = self.list_named(list_name)
        if not isinstance(record, dict) or record.get("id") in (None, ""):
            raise ClarityError(400, "invalid_record", "A record needs an id.")
        identifier = str(record["id"])
        before = records.get(identifier)
        now = iso_z(self._clock().replace(microsecond=0))
        stored = deepcopy(record)
        stored.setdefault("updatedAt", now)
        stored.setdefault("createdAt", before["createdAt"] if before else stored["updatedAt"])
        records[identifier] = stored
        if not silent:
            self._emit(ENTITIES[list_name], stored, event, is_new=before is None)
        return stored

    def delete(self, list_name: str, identifier: str) -> None:
        """Remove a record and tell the receivers (A15).

        Raises:
            ClarityError: Unknown record (404).
        """
        record = self.get(list_name, identifier)
        del self.lists[list_name][identifier]
        gone = record | {"updatedAt": iso_z(self._clock())}
        self._emit(ENTITIES[list_name], gone, f"{ENTITIES[list_name]}.deleted", is_new=False)

    def patch(self, list_name: str, identifier: str, changes: JsonObject) -> JsonObject:
        """Merge changes into a record, nested objects key by key (A43), and tell the receivers.

        Raises:
            ClarityError: Unknown record (404).
        """
        record = self.get(list_name, identifier)
        for key, value in changes.items():
            if key in ("id", "createdAt", "updatedAt"):
                continue
            if isinstance(value, dict) and isinstance(record.get(key), dict):
                record[key] = record[key] | value
            else:
                record[key] = value
        record["updatedAt"] = iso_z(self._clock())
        self._emit(ENTITIES[list_name], record, None, is_new=False)
        return record

    def get(self, list_name: str, identifier: str) -> JsonObject:
        """One record.

        Raises:
            ClarityError: 404.
        """
        record = self.list_named(list_name).get(identifier)
        if record is None:
            raise ClarityError(404, "not_found", f"No {ENTITIES[list_name]} with this id.")
        return record

    def list_named(self, list_name: str) -> dict[str, JsonObject]:
        """All records of a list by id.

        Raises:
            ClarityError: 404.
        """
        try:
            return self.lists[list_name]
        except KeyError:
            raise ClarityError(404, "not_found", "No such list.") from None

    def page(self, list_name: str, query: Mapping[str, str]) -> JsonObject:
        """One page of a list (A7, A8): `updatedSince` and `createdSince` are inclusive, ties keep arrival order.

        Raises:
            ClarityError: 404 unknown list, 400 bad parameter.
        """
        found = list(self.list_named(list_name).values())
        for parameter, key in (("updatedSince", "updatedAt"), ("createdSince", "createdAt")):
            if parameter in query:
                since = _instant(parameter, query[parameter])
                found = [record for record in found if parse_instant(record[key]) >= since]
        if "status" in query:
            wanted = query["status"].casefold()
            found = [record for record in found if str(record.get("status", "")).casefold() == wanted]
        sort = query.get("sort", "updatedAt")
        if sort not in ("updatedAt", "createdAt"):
            raise _bad_parameter("sort", "expected updatedAt or createdAt")
        found.sort(key=lambda record: parse_instant(record[sort]))
        page = _positive(query, "page", 1)
        size = min(_positive(query, "pageSize", DEFAULT_PAGE_SIZE), MAX_PAGE_SIZE)
        return {
            "data": found[(page - 1) * size : page * size],
            "page": page,
            "pageSize": size,
            "totalCount": len(found),
            "totalPages": -(-len(found) // size),
        }

    def _emit(self, entity: str, record: JsonObject, event: str | None, *, is_new: bool) -> None:
        kind = event or _event_type(entity, record, is_new=is_new)
        if kind and self.on_event:
            self.on_event(kind, entity, deepcopy(record))


def _event_type(entity: str, record: JsonObject, *, is_new: bool) -> str | None:
    status = str(record.get("status", "")).casefold()
    if entity == "payment":
        return _PAYMENT_EVENTS.get(status)
    if entity == "refund":
        return "refund.created" if is_new else None
    if entity == "order" and not is_new and status == "cancelled":
        return "order.cancelled"
    return f"{entity}.{'created' if is_new else 'updated'}"


def _instant(name: str, text: str) -> datetime:
    try:
        return parse_instant(text)
    except ValueError:
        raise _bad_parameter(name, "expected an ISO 8601 instant") from None


def _positive(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise _bad_parameter(name, "expected a whole number from 1")
    return int(text)


def _bad_parameter(name: str, reason: str) -> ClarityError:
    return ClarityError(400, "invalid_parameter", f"{name}: {reason}.", [{"parameter": name}])
