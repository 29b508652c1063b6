"""How a source's records and webhooks are read: the settings of its profile (A8, A12, A15 ...) as plain names. Pure.

A delivery is translated into our own member names once, when it is parsed; records stay as the source wrote them,
because a mapping addresses them by their own names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from connectors.profiles import SystemProfile, load_profile

BASE_EVENTS = ("order.created", "customer.updated", "payment.captured")
"""The three that Clarity's public page names; A15 lists the others."""


@dataclass(frozen=True)
class Reading:
    """Names and meanings, each with the number of its setting.

    Attributes:
        envelope: Our member -> the source's, of the webhook's body (A12).
        data: The same of the member that names the record.
        bare: The entity of deliveries that are the record itself, without an envelope; "" for none (A12).
        events: Types that are worked on, in small letters (A15).
        zone: Of instants without an offset (A21).
        snapshots: Whether a delivery's record is a snapshot that can be used (A16).
        updated: Member with the time of the last change (A8).
        id: Member that identifies a record (A17).
        number: What people call an order (A18).
        customer: The order's own customer, and the member that names one by id (A28); "" where members are flat.
        account_id: Member that names the company a buyer buys for, which wins over the buyer (A28); "" where none does.
        emails: Paths of a customer's e-mail, in an order or in the customer's own record.
        lines: The list that only an order has.
        order_id: A payment's or refund's order, and its number.
        sku: What people call a product.
        status: Of an order or payment.
        attributes: Custom attributes, perhaps a list of {key, value} (A38).
        paid_back: Statuses of a refund whose money has gone back, in small letters; empty where a refund has none.
        edited_order: What the source calls our order.updated (A40).
    """

    envelope: Mapping[str, str]
    data: Mapping[str, str]
    events: frozenset[str]
    zone: ZoneInfo
    bare: str = ""
    snapshots: bool = True
    updated: str = "updatedAt"
    id: str = "id"
    number: str = "orderNumber"
    customer: str = "customer"
    customer_id: str = "customerId"
    account_id: str = ""
    emails: tuple[str, ...] = ("customer.email", "email", "billingAddress.email")
    lines: str = "lineItems"
    order_id: str = "orderId"
    order_number: str = "orderNumber"
    sku: str = "sku"
    status: str = "status"
    attributes: str = "customAttributes"
    paid_back: frozenset[str] = frozenset()
    edited_order: str = "order.updated"

    def is_paid_back(self, refund: Mapping[str, Any]) -> bool:
        """Whether a refund counts: not one that was deleted, or is only under way."""
        status = refund.get(self.status)
        under_way = bool(self.paid_back) and isinstance(status, str) and status.strip().lower() not in self.paid_back
        return refund.get("Active") is not False and not under_way

    def customer_key(self, record: Mapping[str, Any]) -> tuple[str, Any]:
        """Whose an order is, as far as ids tell: ("account", id) or ("customer", id); the id is None for a guest."""
        account = record.get(self.account_id) if self.account_id else None
        if account is not None:
            return "account", account
        inner = record.get(self.customer) if self.customer else None
        own = inner.get(self.id) if isinstance(inner, Mapping) else None
        return "customer", record.get(self.customer_id) if own in (None, "") else own

    def emails_of(self, record: Mapping[str, Any]) -> list[str]:
        """The customer's e-mails that a record shows, as written."""
        found = (_at(record, path.split(".")) for path in self.emails)
        return [email for email in found if isinstance(email, str) and email.strip()]

    def canonical(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A webhook's body with our member names; members of other names stay."""
        if self.bare and not isinstance(body.get(self.envelope["data"]), Mapping):
            head = {"object": self.bare, "id": body.get(self.id), "updatedAt": body.get(self.updated)}
            return {"type": f"{self.bare}.updated", "data": {**head, "resource": self.record(body)}}
        out = _renamed(body, self.envelope)
        if out.get("type") == self.edited_order:
            out["type"] = "order.updated"
        data = out.get("data")
        if isinstance(data, Mapping):
            out["data"] = data = _renamed(data, self.data)
            if isinstance(data.get("resource"), Mapping):
                data["resource"] = self.record(data["resource"])
        return out

    def record(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """A record whose attributes are an object, whichever of the two forms they came in (A38)."""
        rows = record.get(self.attributes)
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) and "key" in row for row in rows):
            return dict(record)
        return {**record, self.attributes: {str(row["key"]): row.get("value") for row in rows}}


def reading_of(profile: SystemProfile) -> Reading:
    """The reading of a profile; what it has no setting for is as Clarity's REST flavour has it."""
    names = assumed(profile, "A12")
    if profile.system == "clarity-cef":
        members = _CEF
    else:
        customer = assumed(profile, "A28")["embedded"]
        number = assumed(profile, "A18")["member"]
        members = {
            "updated": assumed(profile, "A8")["updated"],
            "id": assumed(profile, "A17"),
            "number": number,
            "order_number": number,
            "customer": customer,
            "customer_id": assumed(profile, "A28")["by_id"],
            "emails": (f"{customer}.email", "email", "billingAddress.email"),
            "attributes": assumed(profile, "A38"),
        }
    return Reading(
        envelope={name: names[name] for name in ("id", "type", "data")},
        data={
            "object": names["object"],
            "id": names["record"],
            "updatedAt": names["updated"],
            "resource": names["resource"],
        },
        events=frozenset(name.lower() for name in (*BASE_EVENTS, *assumed(profile, "A15"), assumed(profile, "A40"))),
        bare=str(names.get("bare") or ""),
        zone=ZoneInfo(assumed(profile, "A21")),
        snapshots=assumed(profile, "A16"),
        edited_order="order.updated" if members is _CEF else assumed(profile, "A40"),
        **members,
    )


# Names of Clarity's framework are known from its public reference, so they are no settings.
_CEF: Final[dict[str, Any]] = {
    "updated": "UpdatedDate",
    "id": "ID",
    "number": "CustomKey",
    "customer": "",
    "customer_id": "UserID",
    "account_id": "AccountID",
    "emails": ("UserContactEmail", "BillingContact.Email1", "Email", "ContactEmail", "Contact.Email1"),
    "lines": "SalesItems",
    "order_id": "MasterID",
    "order_number": "MasterKey",
    "sku": "CustomKey",
    "status": "StatusKey",
    "attributes": "SerializableAttributes",
    "paid_back": frozenset({"payment sent", "completed"}),
}


@cache
def shipped() -> Reading:
    """The reading of Clarity's REST flavour as shipped."""
    return reading_of(load_profile("clarity-rest"))


def assumed(profile: SystemProfile, name: str) -> Any:
    """A setting's value; what Clarity's REST flavour ships where the profile has none that fits."""
    own, base = profile.settings.get(name), load_profile("clarity-rest").settings[name].value
    if own is None or own.value is None:
        return base
    if isinstance(base, dict):
        return {**base, **own.value} if isinstance(own.value, dict) else base
    return own.value if isinstance(own.value, type(base)) else base


def _at(record: Any, path: list[str]) -> Any:
    for name in path:
        record = record.get(name) if isinstance(record, Mapping) else None
    return record


def _renamed(value: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    theirs = {name: ours for ours, name in names.items()}
    return {theirs.get(key, key): item for key, item in value.items() if key in theirs or key not in names}
