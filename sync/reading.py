"""How a source's records and webhooks are read: the settings of its profile (A8, A12, A15 ...) as plain names. Pure.

A delivery is translated into our own member names once, when it is parsed; records stay as the source wrote them,
because a mapping addresses them by their own names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from connectors.profiles import SystemProfile, load_profile

BASE_EVENTS = ("order.created", "customer.updated", "payment.captured")
"""The three that Clarity's public page names; A15 lists the others."""


BACK_EVENTS = frozenset(
    f"freshbooks.{noun}.{verb}" for noun in ("invoice", "payment", "client") for verb in ("create", "update", "delete")
)


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
        customer: The order's own customer, and the member that names one by id (A28).
        attributes: Custom attributes, perhaps a list of {key, value} (A38).
        edited_order: What the source calls our order.updated (A40).
        back: FreshBooks' callbacks that are worked on: none, unless the way back is on (A43).
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
    attributes: str = "customAttributes"
    edited_order: str = "order.updated"
    back: frozenset[str] = frozenset()

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
        updated=assumed(profile, "A8")["updated"],
        id=assumed(profile, "A17"),
        number=assumed(profile, "A18")["member"],
        customer=assumed(profile, "A28")["embedded"],
        customer_id=assumed(profile, "A28")["by_id"],
        attributes=assumed(profile, "A38"),
        edited_order=assumed(profile, "A40"),
        back=BACK_EVENTS if assumed(profile, "A43")["enabled"] else frozenset(),
    )


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


def _renamed(value: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    theirs = {name: ours for ours, name in names.items()}
    return {theirs.get(key, key): item for key, item in value.items() if key in theirs or key not in names}
