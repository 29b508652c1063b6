"""The only writes to Clarity, the way back (A43): members of an order or a customer, by the routes that move no money.

What may be written at all stands in code (`SAFE`); the setting A43 chooses among it. Nothing else gets a request: no
payment, amount, line, order status or sign-in e-mail, and never AddPayment, CapturePayment or Void.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from connectors.clarity import Clarity
from connectors.clarity_cef import ClarityCef
from connectors.clarity_port import ClarityPort, Row
from connectors.profiles import SystemProfile
from connectors.scrub import scrub

SAFE: Final[Mapping[str, frozenset[str]]] = {
    "order": frozenset({"paymentStatus", "externalRefs", "customAttributes", "notes", "poNumber"}),
    "customer": frozenset(
        {
            *("externalRefs", "customAttributes", "firstName", "lastName", "company", "phone", "taxId"),
            *("language", "billingAddress", "shippingAddress"),
        }
    ),
}
"""By entity: the members that a setting may choose to write."""

SAFE_CEF: Final = {"order": "SerializableAttributes", "customer": "SerializableAttributes"}
"""The framework's flavour: custom attributes only, through the update routes."""


def is_on(profile: SystemProfile) -> bool:
    """Whether anything may be written back (A43)."""
    known = profile.settings.get("A43")
    return bool(known is not None and isinstance(known.value, Mapping) and known.value.get("enabled"))


def writable(profile: SystemProfile, entity: str) -> tuple[str, ...]:
    """Members of an entity that may be written: what A43 lists, of what is safe."""
    value = profile.settings["A43"].value if "A43" in profile.settings else {}
    if _is_framework(profile):
        return (SAFE_CEF[entity],) if entity in SAFE_CEF else ()
    return tuple(name for name in value.get(entity, ()) if name in SAFE.get(entity, ()))


def refusal(profile: SystemProfile, entity: str, members: Iterable[str]) -> str | None:
    """Why members of an entity may not be written, in one line; None when they may."""
    if not is_on(profile):
        return "nothing is written back to Clarity: the setting A43.enabled is false"
    allowed = writable(profile, entity)
    wrong = sorted({member.partition(".")[0] for member in members} - set(allowed))
    if not wrong:
        return None
    could = set(allowed if _is_framework(profile) else SAFE.get(entity, ()))
    never = [name for name in wrong if name not in could]
    if not never:
        return f"{entity}: {', '.join(wrong)} is not written back: add it to the setting A43.{entity}"
    listed = ", ".join(sorted(could)) or "nothing"
    return f"{entity}: {', '.join(never)} is never written back; safe routes take of it: {listed}"


def _is_framework(profile: SystemProfile) -> bool:
    return profile.system == "clarity-cef"


class WayBackRefusedError(ValueError):
    """A write that no safe route takes; nothing was sent."""


class ClarityWrites:
    """Changes one record of a Clarity store, whichever flavour it has."""

    def __init__(self, clarity: ClarityPort, profile: SystemProfile) -> None:
        """Write through a client that is open already."""
        self._clarity = clarity
        self._profile = profile

    def body(self, entity: str, current: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
        """What a change of dotted members is sent as; an object goes whole, as a store may replace what it is given.

        Raises:
            WayBackRefusedError: A member is not on the list, or a value looks like card data or a secret.
        """
        why = refusal(self._profile, entity, changes)
        if why is not None:
            raise WayBackRefusedError(why)
        body: dict[str, Any] = {}
        for path, value in changes.items():
            name, _, rest = path.partition(".")
            if not rest:
                body[name] = value
                continue
            there = None if name in SAFE_CEF.values() else current.get(name)  # those are merged where they are sent
            whole = body.setdefault(name, dict(there) if isinstance(there, Mapping) else {})
            whole[rest] = value
        for path, value in changes.items():
            if scrub({path.rsplit(".", 1)[-1]: value}) != {path.rsplit(".", 1)[-1]: value}:
                raise WayBackRefusedError(f"{entity}.{path}: looks like card data or a secret, which never leaves")
        return body

    def send(self, entity: str, record_id: str, body: Mapping[str, Any]) -> Row:
        """Send a body; the record as it is then.

        Raises:
            ConnectorError: As `Clarity.update` and `ClarityCef.set_attributes`; sending it again is harmless.
        """
        if isinstance(self._clarity, Clarity):
            return self._clarity.update(entity, record_id, body)
        if isinstance(self._clarity, ClarityCef):
            named = {name: str(value) for name, value in next(iter(body.values()), {}).items()}
            self._clarity.set_attributes(entity, record_id, named)
            return self._clarity.get(entity, record_id)
        raise WayBackRefusedError(f"{self._profile.system}: no safe route to write back is known for this system")

    def path(self, entity: str, record_id: str) -> str:
        """The route of a write, for showing what would be sent."""
        return f"{self._profile.assumed('A1')}/{self._profile.entity(entity).path}/{record_id}"


def value_at(row: Mapping[str, Any], path: str) -> Any:
    """The value of a dotted member of a record; None where there is none."""
    found: Any = row
    for name in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found.get("Value") if isinstance(found, Mapping) and "Value" in found else found
