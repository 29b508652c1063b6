"""Webhook envelopes: exact JSON text and the keys a delivery is filed under. Pure.

Which member is which is told by a `Reading`: the envelope's shape is assumption A12, event names are A15.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from json.encoder import encode_basestring_ascii
from typing import Any

from sync.reading import Reading, shipped

HANDLED_ENTITIES = frozenset({"order", "customer", "payment", "product", "refund"})

MAX_DEPTH = 64
"""Levels of lists and objects; what is nested deeper is no record, and would exhaust the stack later on."""

_MARK = secrets.token_hex(12)  # nobody can guess it, so that no text of a sender can look like a number
_MARKED = re.compile(f'"{_MARK}([^"]*)"')
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_MAX_KEY = 200


class EnvelopeError(ValueError):
    """A body is not a webhook envelope; the message says what was expected and what was found."""


@dataclass(frozen=True)
class Delivery:
    """One delivery as it came in.

    Attributes:
        envelope: Parsed body with our member names, numbers with a fraction as Decimal; may still hold card data.
        raw_sha256: SHA-256 of the raw bytes, hex.
    """

    envelope: Mapping[str, Any]
    raw_sha256: str


@dataclass(frozen=True)
class Filing:
    """Where a delivery is filed.

    Attributes:
        delivery_id: Unique id; the envelope's, else the SHA-256 of the body.
        record_key: ``<entity>:<id>``, the id as text; ``<entity>:?`` when the envelope names no record.
        number: What people call the record: order number or SKU.
        lane_key: Records of one customer share a lane. An e-mail stands in it as a digest.
        order_key: For a payment or refund: the record key of its order.
        version: ``updatedAt`` in UTC with microseconds, so that text order is time order; None when unknown.
        handled: Whether a flow may work on it; otherwise it is kept and left alone.
    """

    delivery_id: str
    event: str
    entity: str
    record_id: str
    record_key: str
    number: str | None
    lane_key: str
    order_key: str | None
    version: str | None
    handled: bool


def loads(raw: bytes | str) -> Any:
    """Parse JSON exactly: fractions become Decimal, NaN and Infinity are refused.

    Raises:
        EnvelopeError: Not UTF-8, not JSON, or nested too deeply.
    """
    try:
        text = raw.decode("utf-8") if isinstance(raw, bytes) else raw
        return _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise EnvelopeError(f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise EnvelopeError(f"not valid JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise EnvelopeError("not valid JSON: nested too deeply") from None
    except ArithmeticError:
        raise EnvelopeError("not usable: a number is out of range") from None
    except ValueError as error:  # a constant refused above, or an integer of thousands of digits
        raise EnvelopeError(f"not valid JSON: {str(error)[:80]}") from None


def dumps(value: Any) -> str:
    """Write JSON with every Decimal as the number it was, in ASCII; a float is refused.

    Raises:
        TypeError: The value holds a float or something JSON does not have.
    """
    kind = type(value)
    if kind is str:
        return encode_basestring_ascii(value)
    if kind is dict or isinstance(value, Mapping):
        return (
            "{"
            + ", ".join([f"{encode_basestring_ascii(str(key))}: {dumps(item)}" for key, item in value.items()])
            + "}"
        )
    if kind is list or isinstance(value, list | tuple):
        return "[" + ", ".join([dumps(item) for item in value]) + "]"
    if kind is Decimal or isinstance(value, Decimal):
        return str(value)
    if value is None or isinstance(value, bool | int | str):
        return json.dumps(value)
    raise TypeError(f"{type(value).__name__} has no exact JSON form")


def dumps_loaded(value: Any) -> str:
    """The text that ``dumps`` makes, in a tenth of the time, of what ``loads`` gave: it must hold no float."""
    text = _ENCODER.encode(value)
    return _MARKED.sub(r"\1", text) if _MARK in text else text


def _marked(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{_MARK}{value}"
    raise TypeError(f"{type(value).__name__} has no exact JSON form")


def parse_delivery(raw: bytes, reading: Reading | None = None) -> Delivery:
    """Read one webhook body; `reading` says which member is which, as shipped when None.

    Raises:
        EnvelopeError: The body is not a JSON object with a ``type``.
    """
    envelope = loads(raw)
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and _deeper(envelope, MAX_DEPTH):
        raise EnvelopeError(f"not usable: nested deeper than {MAX_DEPTH} levels")
    if not isinstance(envelope, dict):
        raise EnvelopeError(f"expected a webhook envelope (a JSON object), got {_shape(envelope)}")
    reading = reading or shipped()
    envelope = reading.canonical(envelope)
    if not isinstance(envelope.get("type"), str):
        named = reading.envelope["type"]
        mend = "; for a shop that sends the record itself see docs/newcomer.md" if "id" in envelope else ""
        raise EnvelopeError(f'not a webhook envelope: "{named}" is missing (expected e.g. "order.created"){mend}')
    if reading.bare and envelope["type"] == f"{reading.bare}.updated" and _plain(envelope["data"].get("id")) is None:
        raise EnvelopeError(f'no {reading.bare}: "{reading.id}" is missing, which identifies it')
    return Delivery(envelope, hashlib.sha256(raw).hexdigest())


def file_delivery(delivery: Delivery, reading: Reading | None = None) -> Filing:
    """Derive the keys of a delivery; never raises, an envelope without a record gets the id "?"."""
    reading = reading or shipped()
    envelope = delivery.envelope
    data = envelope.get("data")
    data = data if isinstance(data, Mapping) else {}
    resource = data.get("resource")
    resource = resource if isinstance(resource, Mapping) else {}
    event = _plain(envelope.get("type")) or ""
    entity = (_plain(data.get("object")) or event.partition(".")[0]).lower()
    record_id = _plain(data.get("id")) or _plain(resource.get(reading.id))
    record_key = f"{entity}:{record_id or '?'}"
    order_id = _plain(resource.get(reading.order_id)) if entity in ("payment", "refund") else None
    return Filing(
        delivery_id=_plain(envelope.get("id")) or f"sha256:{delivery.raw_sha256}",
        event=event,
        entity=entity,
        record_id=record_id or "?",
        record_key=record_key,
        number=_plain(resource.get(reading.number if entity != "product" else reading.sku)),
        lane_key=lane_of(entity, record_key, resource, reading),
        order_key=f"order:{order_id}" if order_id else None,
        version=version_of(data.get("updatedAt"), reading.zone)
        or version_of(resource.get(reading.updated), reading.zone),
        handled=event.lower() in reading.events and entity in HANDLED_ENTITIES,
    )


def version_of(updated_at: Any, zone: tzinfo = UTC) -> str | None:
    """``updatedAt`` as sortable UTC text; without an offset it counts in `zone` (A21); None when it is no time."""
    if not isinstance(updated_at, str):
        return None
    try:
        moment = datetime.fromisoformat(updated_at.strip())
        moment = (moment.replace(tzinfo=zone) if moment.tzinfo is None else moment).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def resource_of(envelope: Mapping[str, Any]) -> dict[str, Any] | None:
    """The snapshot inside an envelope; None when it carries none."""
    data = envelope.get("data")
    resource = data.get("resource") if isinstance(data, Mapping) else None
    return resource if isinstance(resource, dict) and resource else None


def lane_of(entity: str, record_key: str, resource: Mapping[str, Any], reading: Reading | None = None) -> str:
    """The lane a record belongs to, as far as its own snapshot tells: its customer, else the record itself."""
    reading = reading or shipped()
    if entity in ("customer", "product"):
        return record_key
    kind, named = reading.customer_key(resource)
    customer_id = _plain(named)
    if customer_id and customer_id != "0":  # shops that number their customers give 0 to every guest
        return f"{kind}:{customer_id}"
    email = next(filter(None, map(_plain, reading.emails_of(resource))), None)
    if email:
        # A digest: lanes appear in logs, and logs hold no customer values.
        return f"email:{hashlib.sha256(email.lower().encode()).hexdigest()[:24]}"
    return record_key


def _plain(value: Any) -> str | None:
    """An id or name as short, printable text; ids are strings or integers (A17)."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    text = _UNPRINTABLE.sub("", str(value)).strip()
    if len(text) > _MAX_KEY:
        text = f"{text[:120]}~{hashlib.sha256(text.encode()).hexdigest()[:24]}"
    return text or None


def _deeper(value: Any, levels: int) -> bool:
    layer = [value]
    for _ in range(levels):
        layer = [
            inner
            for outer in layer
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not layer:
            return False
    return True


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)
_ENCODER = json.JSONEncoder(default=_marked, check_circular=False)


def _shape(value: Any) -> str:
    names = {list: "an array", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
