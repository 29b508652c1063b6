"""Does a record keep to what its source's profile assumes? What does not is told to the operator, by number. Pure.

Nothing is stopped here: what the books depend on is checked by the mapping and held there. Messages name paths and
counts, never values; a status is named, for it is no customer's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from connectors.profiles import SystemProfile
from sync.reading import Reading, assumed

# Members that hold money, by their last word; a name that ends otherwise is no amount.
_MONEY: Final = ("amount", "price", "total", "subtotal", "balancedue")
_ADDRESSES: Final = ("billingAddress", "shippingAddress")
_TRUE: Final = frozenset({"true", "1", "yes"})
_ID_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz_- ")


@dataclass(frozen=True)
class Broken:
    """One assumption that a record does not keep.

    Attributes:
        number: "A19".
        path: Where, "" for the record.
        message: What was found and what was expected.
    """

    number: str
    path: str
    message: str


def broken(entity: str, record: Mapping[str, Any], profile: SystemProfile, reading: Reading) -> list[Broken]:
    """What a record of the source does not keep to, in the order of its members; one of each number and place.

    Only what the source's own profile assumes: what Clarity does is nothing that another shop has to keep to.
    """
    found = list(_too_precise(record, "", int(assumed(profile, "A19"))))
    if entity == "order":
        found += _order(record, profile, reading)
    elif entity == "payment":
        found += _status(record, reading.status, "A33", assumed(profile, "A33")["all"])
    elif entity == "refund":
        found += _refund(record, assumed(profile, "A34"))
    return list({(row.number, row.path): row for row in found if row.number in profile.settings}.values())


def is_test(record: Mapping[str, Any], profile: SystemProfile, reading: Reading) -> bool:
    """Whether an order is marked as a test and tests are left out (A47)."""
    marker = assumed(profile, "A47")
    attributes = record.get(reading.attributes)
    held = [record.get(marker["member"])]
    if isinstance(attributes, Mapping):
        attribute = attributes.get(marker["member"])
        # the framework keeps an attribute as {ID, Key, Value, ...} (A38)
        held.append(attribute.get("Value") if isinstance(attribute, Mapping) else attribute)
    return bool(marker["skip"]) and any(str(value).strip().lower() in _TRUE for value in held)


def _order(record: Mapping[str, Any], profile: SystemProfile, reading: Reading) -> Iterator[Broken]:
    number, most = record.get(reading.number), int(assumed(profile, "A18")["max_length"])
    if number is not None and len(str(number)) > most:
        yield Broken("A18", reading.number, f"{len(str(number))} characters, at most {most} are expected")
    yield from _status(
        record, reading.status, "A30", [*assumed(profile, "A30"), *assumed(profile, "A31")["invoice_from"]]
    )
    yield from _status(record, "paymentStatus", "A31", assumed(profile, "A31")["states"])
    if assumed(profile, "A29") == "alpha-2":
        for name in _ADDRESSES:
            address = record.get(name)
            country = address.get("country") if isinstance(address, Mapping) else None
            if isinstance(country, str) and country.strip() and len(country.strip()) != 2:
                yield Broken("A29", f"{name}.country", "a name, a code of two letters is expected")
    if (
        assumed(profile, "A41")
        and _word(record.get(reading.status)) in ("cancelled", "canceled", "void", "voided")
        and not record.get(reading.lines)
    ):
        yield Broken("A41", reading.lines, "a cancelled order without its lines")
    payments = record.get("payments")
    for payment in payments if isinstance(payments, list) else ():
        if isinstance(payment, Mapping):
            for row in _status(payment, "status", "A33", assumed(profile, "A33")["all"]):
                yield Broken(row.number, f"payments[].{row.path}", row.message)


def _refund(record: Mapping[str, Any], meaning: str) -> Iterator[Broken]:
    amount, tax = _decimal(record.get("amount")), _decimal(record.get("taxAmount"))
    if amount is not None and amount <= 0:
        yield Broken("A34", "amount", "not above zero, a refund's amount is positive")
    elif meaning == "tax-included" and amount is not None and tax is not None and tax > amount:
        yield Broken("A34", "taxAmount", "larger than amount, which is expected to hold the tax")


def _status(record: Mapping[str, Any], member: str, number: str, known: list[str]) -> Iterator[Broken]:
    word = _word(record.get(member))
    if word and word not in {_word(name) for name in known}:
        # A status is a short word; anything else might be what a person typed, and is not repeated.
        named = f"“{word}”" if len(word) <= 30 and _ID_CHARACTERS.issuperset(word) else "its text"
        yield Broken(number, member, f"{named} is not among the known ones")


def _too_precise(value: Any, path: str, most: int) -> Iterator[Broken]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _too_precise(item, f"{path}.{name}" if path else str(name), most)
    elif isinstance(value, list):
        for item in value:
            yield from _too_precise(item, f"{path}[]", most)
    elif path.rpartition(".")[2].lower().endswith(_MONEY):
        number = _decimal(value)
        if number is not None:
            places = -int(number.normalize().as_tuple().exponent)
            if places > most:
                yield Broken("A19", path, f"{places} decimals, at most {most} are expected")


def _word(value: Any) -> str:
    return value.strip().lower() if isinstance(value, str) else ""


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    try:
        number = Decimal(value)
    except ArithmeticError:
        return None
    return number if number.is_finite() and abs(number.adjusted()) < 30 else None
